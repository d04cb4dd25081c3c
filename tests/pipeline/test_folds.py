"""Cross-validation by one command, and what the folds say together."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import statistics
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from sklearn.metrics import balanced_accuracy_score, roc_auc_score

from fakes.commands import run_command
from fakes.tensors import assert_same_tensors
from scanlens.errors import RunError
from scanlens.files import read_csv, write_csv
from scanlens.pipeline.fold_runs import read_folds
from scanlens.pipeline.folds import gather

TINY = ["data.num_patients=18", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=1"]
TINY += ["callbacks.bootstrap_resamples=40", "callbacks.num_explained_cases=1", "callbacks.explain_every_n_epochs=0"]
TINY += ["explain=none", "logger=none", "report=none", "data.class_names=[glioma,no_tumor]", "audit.enabled=false"]

MAIN = "from scanlens.cli import main; main()"
FAILING = """
import json
from pathlib import Path
from hydra.core.hydra_config import HydraConfig
from scanlens import cli, jobs
from scanlens.errors import DataError

def run_job(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    if config.split.fold == 1:
        raise DataError("no disk")
    (folder / "config.yaml").write_text("facts: {}")
    (folder / "provenance.json").write_text(json.dumps({"stages": ["prepare", "fit", "judge", "report"]}))

jobs.run_job = run_job
cli.main()
"""


def folds(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return run_command(["-c", MAIN, "folds", *words], cwd=cwd)


@pytest.fixture(scope="module")
def cross_validated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Three small folds, gathered, and what the command printed."""
    cwd = tmp_path_factory.mktemp("work")
    done = folds("folds=3", "model=lenet", "data=mri", *TINY, "run_id=cv", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "outputs" / "cv", done.stdout + done.stderr


@pytest.fixture
def copied(cross_validated: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy to spoil."""
    return Path(shutil.copytree(cross_validated[0], tmp_path / "cv"))


def test_each_fold_is_a_run_folder_and_every_image_is_tested_once(cross_validated: tuple[Path, str]) -> None:
    folder, printed = cross_validated
    found = read_folds([folder / str(number) for number in (2, 0, 1)])
    assert [fold.number for fold in found] == [0, 1, 2]
    tested = sorted(row["id"] for fold in found for row in fold.tested)
    assert tested == sorted(row["id"] for row in found[0].run.split_rows)
    assert len(tested) == 36
    assert "fold 2 of 0 to 2: train" in printed


def test_values_spread_and_pooled_metrics_are_those_of_the_predictions(cross_validated: tuple[Path, str]) -> None:
    folder, _ = cross_validated
    content = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    metric = content["levels"]["slice"]["balanced_accuracy"]
    rows = [read_csv(folder / str(number) / "predictions" / "test.csv") for number in range(3)]

    def by_hand(table: list[dict[str, str]]) -> float:
        return float(balanced_accuracy_score([r["target"] for r in table], [r["predicted"] for r in table]))

    expected = [by_hand(table) for table in rows]
    np.testing.assert_allclose([one["value"] for one in metric["each"]], expected)
    assert metric["spread"]["mean"] == pytest.approx(statistics.mean(expected))
    assert metric["spread"]["std"] == pytest.approx(statistics.stdev(expected))
    assert (metric["spread"]["min"], metric["spread"]["max"]) == pytest.approx((min(expected), max(expected)))
    together = [row for table in rows for row in table]
    assert metric["pooled"]["value"] == pytest.approx(by_hand(together))
    assert metric["pooled"]["low"] < metric["pooled"]["value"] < metric["pooled"]["high"]
    is_ill = [row["target"] == "glioma" for row in together]
    auroc = roc_auc_score(is_ill, [float(row["prob_glioma"]) for row in together])
    assert content["levels"]["slice"]["auroc"]["pooled"]["value"] == pytest.approx(auroc)
    assert content["pooled"]["slice"]["num_images"] == 36
    assert content["pooled"]["slice"]["num_patients"] == content["pooled"]["patient"]["num_patients"] == 18


def test_patients_are_judged_by_the_rule_that_their_own_fold_chose(copied: Path) -> None:
    names = ["mean", "max", "mean"]
    for number, name in enumerate(names):
        path = copied / str(number) / "evaluation.json"
        content = json.loads(path.read_text(encoding="utf-8"))
        content["patient_rule"] = {"name": name, "k": None, "positive_class": "glioma"}
        path.write_text(json.dumps(content), encoding="utf-8")
    truth, scores = [], []
    for number, name in enumerate(names):
        of_patient: dict[str, list[dict[str, str]]] = {}
        for row in read_csv(copied / str(number) / "predictions" / "test.csv"):
            of_patient.setdefault(row["patient"], []).append(row)
        for rows in of_patient.values():
            ill = [float(row["prob_glioma"]) for row in rows]
            truth.append(rows[0]["target"] == "glioma")
            scores.append(max(ill) if name == "max" else statistics.fmean(ill))
    content = gather(copied)
    patient = content["levels"]["patient"]
    assert patient["auroc"]["pooled"]["value"] == pytest.approx(roc_auc_score(truth, scores))
    right = [(score > 0.5) == is_ill for score, is_ill in zip(scores, truth, strict=True)]
    assert patient["accuracy"]["pooled"]["value"] == pytest.approx(statistics.fmean(right))
    assert (content["pooled"]["patient"]["num_patients"], content["pooled"]["patient"]["num_images"]) == (18, 36)
    assert any("each patient is judged by the rule of his fold" in note for note in content["notes"])


def test_the_table_has_one_row_a_metric_and_notes_say_what_the_spread_is_not(
    cross_validated: tuple[Path, str],
) -> None:
    folder, printed = cross_validated
    content = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    with (folder / "folds.csv").open(encoding="utf-8") as file:
        table = {(row["level"], row["metric"]): row for row in csv.DictReader(file)}
    row = table["patient", "accuracy"]
    each = [one["value"] for one in content["levels"]["patient"]["accuracy"]["each"]]
    assert [float(row[f"fold_{number}"]) for number in range(3)] == each
    assert float(row["pooled_low"]) == content["levels"]["patient"]["accuracy"]["pooled"]["low"]
    assert any("no standard error" in note and "Bengio" in note for note in content["notes"])
    assert any("scores of different networks" in note for note in content["notes"])
    assert "no standard error" in printed
    assert re.search(r"Balanced accuracy per image +0\.\d{3} +[<0]", printed)


def test_the_page_is_self_contained_and_names_nobody(cross_validated: tuple[Path, str]) -> None:
    folder, _ = cross_validated
    page = (folder / "folds.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in page.replace("&#39;", "'")
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "<script" not in page
    assert page.count("<svg") == 6  # three metrics, per image and per patient
    assert "index.html" not in page, "these folds have no pages of their own"
    names = {row["patient"] for row in read_csv(folder / "0" / "split.csv")}
    for text in (page, (folder / "folds.json").read_text(), (folder / "folds.csv").read_text()):
        assert not [name for name in names if name in text]
        assert str(folder.parent) not in text


@pytest.mark.slow
def test_the_same_command_does_nothing_twice_and_an_absent_fold_is_made_again(
    cross_validated: tuple[Path, str], tmp_path: Path
) -> None:
    folder, _ = cross_validated
    before = (folder / "folds.json").read_bytes()
    weights = tmp_path / "before.safetensors"
    shutil.copy(folder / "1" / "weights.safetensors", weights)
    time = (folder / "0" / "weights.safetensors").stat().st_mtime_ns
    shutil.rmtree(folder / "1")
    done = folds("folds=3", "model=lenet", "data=mri", *TINY, "run_id=cv", cwd=folder.parents[1])
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("nothing to do") == 2
    assert (folder / "0" / "weights.safetensors").stat().st_mtime_ns == time
    assert_same_tensors(folder / "1" / "weights.safetensors", weights)
    again = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    assert again["levels"] == json.loads(before)["levels"]


def test_one_fold_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    done = run_command(["-c", FAILING, "folds", "folds=4", "run_id=cv"], cwd=tmp_path)
    assert done.returncode == 1
    assert "fold 1 stopped: no disk" in done.stdout + done.stderr
    assert done.stderr.endswith(
        "\nno disk\n3 of 4 folds are finished (0, 2, 3). The same command with run_id=cv goes on with the rest.\n"
    )
    assert "Traceback" not in done.stderr


# What does not fit together


def test_folds_that_are_absent_or_twice_are_named(copied: Path) -> None:
    shutil.rmtree(copied / "1")
    with pytest.raises(RunError, match=r"3 folds are expected below .*: fold 1 is absent\. The same scanlens folds"):
        gather(copied)
    shutil.copytree(copied / "0", copied / "again")
    with pytest.raises(RunError, match="fold 1 is absent; fold 0 is there more than once"):
        gather(copied)


@pytest.mark.parametrize(
    "change, told",
    [
        ({"seed": 9}, r"other settings than .*:\n  - seed: was 1, now 9"),
        ({"split": {"folds": None, "fold": 0}}, "is no fold of a cross-validation"),
    ],
)
def test_other_settings_are_refused(copied: Path, change: dict[str, object], told: str) -> None:
    path = copied / "2" / "config.yaml"
    config = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(config | change), encoding="utf-8")
    with pytest.raises(RunError, match=told):
        gather(copied)


def test_an_image_tested_twice_or_never_is_named(copied: Path) -> None:
    path = copied / "2" / "predictions" / "test.csv"
    rows = read_csv(path)
    other = read_csv(copied / "0" / "predictions" / "test.csv")[0]
    write_csv(path, list(rows[0]), [other, *rows[1:]])
    with pytest.raises(RunError) as caught:
        gather(copied)
    assert f"1 images are never tested, such as '{rows[0]['id']}'" in str(caught.value)
    assert f"1 images are tested more than once, such as '{other['id']}'" in str(caught.value)
    assert "1 patients or groups are tested in more than one fold" in str(caught.value)


def test_data_that_changed_between_folds_are_refused(copied: Path) -> None:
    path = copied / "1" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"data_fingerprint": "other"}), encoding="utf-8")
    with pytest.raises(RunError, match="the images or tables changed between"):
        gather(copied)


def test_an_unfinished_fold_and_an_empty_folder_are_named(copied: Path, tmp_path: Path) -> None:
    path = copied / "1" / "provenance.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(content | {"stages": ["prepare"]}), encoding="utf-8")
    with pytest.raises(RunError, match=r"1 is not finished; let the training finish"):
        gather(copied)
    with pytest.raises(RunError, match="no fold to gather"):
        gather(tmp_path)
    with pytest.raises(RunError, match="no folder"):
        gather(tmp_path / "absent")


# The command line


@pytest.mark.parametrize(
    "words, told",
    [
        (["folds=3", "fold=1"], "'fold=1': scanlens folds goes through all folds"),
        (["folds=3", "seed=1,2"], "'seed=1,2' gives several values; scanlens folds goes over the folds alone"),
        (["model=lenet"], "scanlens folds needs the number of parts of the cross-validation, such as folds=5"),
        (["folds=3", "modle=lenet"], "Did you mean 'model'?"),
        (["folds=2"], "split.folds must be at least 3"),
        (["folds=3", "--cfg", "job"], "for questions of this kind there is scanlens train"),
        (["run=a", "folds=3"], "scanlens folds has no 'folds'"),
    ],
    ids=" ".join,
)
def test_mistakes_of_the_command_are_told_before_anything_is_trained(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scanlens import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_ID", "a-run")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["folds", *words])
    assert stopped.value.code == cli.WRONG_CONFIGURATION
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_folds_of_real_scans_test_every_patient_once(tmp_path: Path) -> None:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    quick = ["preprocess.size=32", "trainer.max_epochs=2", "callbacks.bootstrap_resamples=100", "explain=none"]
    quick += ["data.class_names=[Non_Demented,Very_Mild_Demented,Mild_Demented]", "logger=none", "audit.enabled=false"]
    words = ["folds=4", "model=lenet", "data=dementia_mri", f"data.root={Path(root, 'dementia-mri').resolve()}", *quick]
    done = run_command(["-c", MAIN, "folds", *words, "run_id=cv"], cwd=tmp_path, timeout_s=900)
    assert done.returncode == 0, done.stderr
    content = json.loads((tmp_path / "outputs" / "cv" / "folds.json").read_text(encoding="utf-8"))
    rows = read_csv(tmp_path / "outputs" / "cv" / "0" / "split.csv")
    assert content["pooled"]["slice"]["num_images"] == len(rows)
    assert content["pooled"]["patient"]["num_patients"] == len({row["patient"] for row in rows})
    auroc = content["levels"]["patient"]["auroc"]
    assert auroc["spread"]["min"] <= auroc["spread"]["mean"] <= auroc["spread"]["max"]
    assert 0 < auroc["spread"]["std"] < 0.5
    page = (tmp_path / "outputs" / "cv" / "folds.html").read_text(encoding="utf-8")
    assert 'href="2/report/index.html"' in page
    assert not [row["patient"] for row in rows if f">{row['patient']}<" in page]


@pytest.mark.slow
def test_a_class_of_one_patient_stops_real_folds_before_the_first_trains(tmp_path: Path) -> None:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    words = ["folds=5", "fold=0", "data=dementia_mri", f"data.root={Path(root, 'dementia-mri').resolve()}"]
    done = run_command(["-c", MAIN, "train", *words, "preprocess.size=32", "run_id=r"], cwd=tmp_path)
    assert done.returncode == 1
    assert re.search(
        r"Class 'Moderate_Demented': \d+ images of 1 patient \(train .*\): too few for this cross-validation",
        done.stderr,
    )
    assert "data.class_names=[Mild_Demented,Non_Demented,Very_Mild_Demented]" in done.stderr
