"""Several seeds, with and without folds, by one command, and what they say together."""

from __future__ import annotations

import json
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from sklearn.metrics import accuracy_score

from fakes.commands import run_command
from fakes.study import write_study
from fakes.tensors import assert_same_tensors
from scanlens.errors import RunError
from scanlens.evaluation.spread import spread_parts
from scanlens.files import read_csv, write_csv
from scanlens.pipeline import folds
from scanlens.pipeline.candidates import read_candidates
from scanlens.pipeline.fold_ensemble import fold_ensemble
from scanlens.pipeline.fold_runs import read_folds
from scanlens.pipeline.seed_runs import read_seeds
from scanlens.pipeline.seeds import gather_study, gathered_seeds
from scanlens.report.seeds import render, seed_table

MAIN = "from scanlens.cli import main; main()"
STUB = """
import json
from pathlib import Path
from hydra.core.hydra_config import HydraConfig
from scanlens import cli, jobs
from scanlens.errors import DataError

def run_job(config):
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "seen.json").write_text(json.dumps([config.seed, config.split.seed, config.split.fold, config.optim.lr]))
    if (config.seed, config.split.fold) == (4, 1):
        raise STOP
    (folder / "config.yaml").write_text("facts: {}")
    (folder / "provenance.json").write_text(json.dumps({"stages": ["prepare", "fit", "judge", "report"]}))

jobs.run_job = run_job
cli.main()
"""
TINY = ["data.num_patients=18", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=1"]
TINY += ["callbacks.bootstrap_resamples=40", "callbacks.num_explained_cases=1", "callbacks.explain_every_n_epochs=0"]
TINY += ["explain=none", "logger=none", "report=none", "data.class_names=[glioma,no_tumor]", "audit.enabled=false"]


@pytest.fixture(scope="module")
def gathered(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """Three seeds of four folds, gathered."""
    folder = write_study(tmp_path_factory.mktemp("study") / "cv", seeds=[2, 10, 3], folds=4)
    return folder, gather_study(folder)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """To spoil."""
    return write_study(tmp_path / "cv", seeds=[1, 2], folds=3)


def change(path: Path, **values: Any) -> None:
    is_json = path.suffix == ".json"
    content = json.loads(path.read_text()) if is_json else yaml.safe_load(path.read_text())
    path.write_text(json.dumps(content | values) if is_json else yaml.safe_dump(content | values), encoding="utf-8")


# What seeds say together


def test_mean_and_spread_over_seeds_are_those_of_the_pooled_predictions(gathered: tuple[Path, Any]) -> None:
    folder, content = gathered
    metric = content["levels"]["slice"]["accuracy"]
    assert [one["seed"] for one in content["seeds"]] == [2, 3, 10], "by number, not by name"
    pooled, cells = [], []
    for seed in (2, 3, 10):
        tables = [read_csv(folder / f"seed_{seed}" / str(fold) / "predictions" / "test.csv") for fold in range(4)]
        cells.append([accuracy_score([r["target"] for r in t], [r["predicted"] for r in t]) for t in tables])
        rows = [row for table in tables for row in table]
        pooled.append(accuracy_score([r["target"] for r in rows], [r["predicted"] for r in rows]))
    np.testing.assert_allclose(metric["values_SF"], cells)
    np.testing.assert_allclose([one["value"] for one in metric["pooled"]], pooled)
    assert metric["over_seeds"]["mean"] == pytest.approx(statistics.mean(pooled))
    assert metric["over_seeds"]["std"] == pytest.approx(statistics.stdev(pooled))
    assert (metric["over_seeds"]["num_seeds"], metric["of"]) == (3, "pooled")
    assert metric["parts"] == spread_parts(metric["values_SF"])
    bounds = [one["high"] - one["low"] for one in metric["pooled"]]
    assert metric["over_patients"] == pytest.approx(statistics.mean(bounds) / 2 / 1.959964, rel=1e-6)
    assert (content["num_images"], content["num_patients"], content["split_seed"]) == (48, 24, 1)


def test_the_folds_of_each_seed_are_gathered_in_its_own_folder(gathered: tuple[Path, Any]) -> None:
    folder, content = gathered
    for place, seed in enumerate((2, 3, 10)):
        own = json.loads((folder / f"seed_{seed}" / "folds.json").read_text(encoding="utf-8"))
        metric = own["levels"]["patient"]["auroc"]
        assert metric["pooled"] == content["levels"]["patient"]["auroc"]["pooled"][place]
        assert [one["value"] for one in metric["each"]] == content["levels"]["patient"]["auroc"]["values_SF"][place]
        assert content["seeds"][place]["page"] == f"seed_{seed}/folds.html"
        assert content["seeds"][place]["fit_s"] == 6.0
        assert len(read_folds(sorted((folder / f"seed_{seed}").glob("[0-9]")))) == 4


def test_seeds_without_folds_have_their_own_tests_and_no_parts(tmp_path: Path) -> None:
    folder = write_study(tmp_path / "runs", seeds=[1, 2, 3], folds=None)
    content = gather_study(folder)
    assert content["folds"] == []
    metric = content["levels"]["patient"]["balanced_accuracy"]
    for number, pooled in enumerate(metric["pooled"], start=1):
        judged = json.loads((folder / f"seed_{number}" / "evaluation.json").read_text())["splits"]["test"]
        assert pooled == judged["patient"]["metrics"]["balanced_accuracy"]
    assert metric["over_seeds"]["std"] == pytest.approx(statistics.stdev(one["value"] for one in metric["pooled"]))
    assert metric["parts"]["total"] is None
    assert not (folder / "seed_1" / "folds.json").exists()
    page = (folder / "folds.html").read_text(encoding="utf-8")
    assert "SD of folds" not in page
    assert "One network on one fold" not in page
    assert "initial weights, order of images" in page


def test_the_table_has_one_row_a_metric_with_seeds_folds_and_parts(gathered: tuple[Path, Any]) -> None:
    folder, content = gathered
    rows = {(row["level"], row["metric"]): row for row in read_csv(folder / "folds.csv")}
    row, metric = rows["patient", "auroc"], content["levels"]["patient"]["auroc"]
    assert float(row["std"]) == pytest.approx(metric["over_seeds"]["std"])
    assert float(row["std_folds"]) == pytest.approx(metric["parts"]["within_seed"])
    assert [float(row[f"part_{name}"]) for name in ("seed", "fold", "rest", "total")] == pytest.approx(
        [metric["parts"][name] for name in ("seed", "fold", "rest", "total")]
    )
    assert (row["num_seeds"], row["num_folds"], row["of"]) == ("3", "4", "pooled")
    assert float(row["seed_10"]) == metric["pooled"][2]["value"]
    assert float(row["seed_10_high"]) == metric["pooled"][2]["high"]
    assert float(row["seed_3_fold_2"]) == metric["values_SF"][1][2]
    assert row["parts_below_zero"].split() == metric["parts"]["below_zero"]


def test_page_and_terminal_say_in_words_what_training_and_patients_change(
    gathered: tuple[Path, Any],
) -> None:
    folder, content = gathered
    printed = seed_table(folder)
    page = (folder / "folds.html").read_text(encoding="utf-8")
    over = content["levels"]["patient"]["balanced_accuracy"]["over_seeds"]
    said = f"would move it by about {over['std']:.3f} ({over['std_low']:.3f} to {over['std_high']:.3f}), standard deviation"
    for text in (page, printed):
        assert said in text
        assert re.search(r"other patients would move it by about 0\.\d{3} \(standard error over 24 patients\)", text)
        assert re.search(
            r"One network on one fold varies by 0\.\d{3} \(standard deviation, 3 seeds × 4 folds\): seed \S+, fold \S+ and rest \S+\.",
            text,
        )
        assert "Each seed (2, 3 and 10) trains anew on the same division (that of seed 1)" in text
    assert "3 seeds × 4 folds" in page
    assert re.search(r"Balanced accuracy per patient +0\.\d{3} ", printed)
    assert page.count("<svg") == 6  # three metrics, per image and per patient
    assert 'href="seed_10/folds.html"' in page
    assert "<script" not in page
    for text in (page, (folder / "folds.json").read_text(), (folder / "folds.csv").read_text()):
        assert "patient-0" not in text
        assert str(folder.parent) not in text


def test_parts_below_zero_and_folds_without_a_value_are_told(study: Path) -> None:
    """Values of two seeds that cross over, in the two folds where both have one."""
    table = {1: [0.9, 0.7, None], 2: [0.7, 0.9, 0.5]}
    for seed, values in table.items():
        for fold, value in enumerate(values):
            path = study / f"seed_{seed}" / str(fold) / "evaluation.json"
            content = json.loads(path.read_text())
            content["splits"]["test"]["patient"]["metrics"]["balanced_accuracy"]["value"] = value
            path.write_text(json.dumps(content))
    seeds = read_seeds(study)
    content = gathered_seeds(seeds, [folds.gathered(seed.folds) for seed in seeds])
    parts = content["levels"]["patient"]["balanced_accuracy"]["parts"]
    assert (parts["seed"], parts["fold"], parts["num_folds"]) == (0, 0, 2)
    assert parts["rest"] == pytest.approx(0.2)
    page = render(content)
    assert "The estimate for seed and fold came out below 0 and is told as 0." in page
    assert "0.000 (estimate below 0)" in page
    assert "0.141 [2 folds]" in page


# What does not fit together


def test_a_seed_that_is_unfinished_or_alone_is_named(study: Path) -> None:
    change(study / "seed_2" / "1" / "provenance.json", stages=["prepare"])
    with pytest.raises(RunError, match=r"seed_2/1 is not finished; let the training finish"):
        gather_study(study)
    shutil.rmtree(study / "seed_2" / "1")
    with pytest.raises(RunError, match=r"3 folds are expected below .*seed_2: fold 1 is absent"):
        gather_study(study)
    shutil.rmtree(study / "seed_2")
    with pytest.raises(RunError, match=r"holds 1 seed, and a spread over seeds needs two"):
        gather_study(study)


def test_seeds_on_different_divisions_are_refused(study: Path) -> None:
    """Patients of one class change places, in every fold of a seed: each is tested once, but in another fold."""
    for fold in range(3):
        rows = read_csv(study / "seed_2" / str(fold) / "split.csv")
        split = {row["patient"]: row["split"] for row in rows}
        swapped = {"patient-000": split["patient-002"], "patient-002": split["patient-000"]}
        rows = [row | {"split": swapped.get(row["patient"], row["split"])} for row in rows]
        write_csv(study / "seed_2" / str(fold) / "split.csv", list(rows[0]), rows)
    with pytest.raises(RunError, match=r"seed_2/0 divides the images otherwise than .*seed_1/0"):
        read_seeds(study)


@pytest.mark.parametrize(
    "values, told",
    [
        (
            {"split": {"folds": 3, "fold": 0, "seed": 2, "file": None}},
            r"other settings than .*\n  - split.seed: was 1, now 2",
        ),
        ({"callbacks": {"bootstrap_resamples": 7}}, r"callbacks.bootstrap_resamples: was 40, now 7"),
        ({"seed": 9}, r"seed_2 was trained with seed=9, not 2"),
    ],
)
def test_seeds_of_other_settings_are_refused(study: Path, values: dict[str, Any], told: str) -> None:
    for fold in range(3):
        if "split" in values:
            values["split"]["fold"] = fold
        change(study / "seed_2" / str(fold) / "config.yaml", **values)
    with pytest.raises(RunError, match=told):
        gather_study(study)


def test_data_that_changed_between_seeds_are_refused(study: Path) -> None:
    for fold in range(3):
        change(study / "seed_2" / str(fold) / "provenance.json", data_fingerprint="other")
    with pytest.raises(RunError, match="the images or tables changed between"):
        gather_study(study)


def test_one_seed_is_compared_like_any_cross_validation_and_all_together_are_refused(study: Path) -> None:
    first, second = read_candidates([study / "seed_1", study / "seed_2"])
    assert (len(first.folds), len(first.tested)) == (3, 48)
    assert first.tested.keys() == second.tested.keys()
    with pytest.raises(RunError, match=r"holds 2 seeds, .* Give the folder of one of them, such as .*seed_1\."):
        read_candidates([study, study / "seed_2"])
    with pytest.raises(RunError, match="holds 2 seeds"):
        fold_ensemble(study, [study])


# The command line


def test_every_fold_of_every_seed_is_a_job_on_the_split_of_one_seed(tmp_path: Path) -> None:
    program = STUB.replace("STOP", "DataError('no disk')")
    words = ["seeds=[3,4]", "folds=3", "seed=7", "optim.lr=0.5", "run_id=cv"]
    done = run_command(["-c", program, "folds", *words], cwd=tmp_path)
    seen = {
        str(path.parent.relative_to(tmp_path / "outputs" / "cv")): json.loads(path.read_text())
        for path in tmp_path.rglob("seen.json")
    }
    assert seen == {f"seed_{seed}/{fold}": [seed, 7, fold, 0.5] for seed in (3, 4) for fold in range(3)}
    assert done.returncode == 1
    assert "seed_4/1 stopped: no disk" in done.stdout + done.stderr
    assert done.stderr.endswith(
        "\nno disk\n5 of 6 runs are finished (seed_3/0, seed_3/1, seed_3/2, seed_4/0, seed_4/2). The same command with "
        "run_id=cv goes on with the rest.\n"
    )
    assert "Traceback" not in done.stderr


def test_a_study_that_is_interrupted_says_how_to_go_on(tmp_path: Path) -> None:
    program = STUB.replace("STOP", "KeyboardInterrupt").replace("config.split.fold) == (4, 1)", "1) == (4, 1)")
    done = run_command(["-c", program, "folds", "seeds=[3,4]", "split.seed=5", "run_id=runs"], cwd=tmp_path)
    assert done.returncode == 130
    assert "1 of 2 runs are finished (seed_3). The same command with run_id=runs goes on with the rest." in done.stderr
    seen = [json.loads((tmp_path / "outputs" / "runs" / f"seed_{seed}" / "seen.json").read_text()) for seed in (3, 4)]
    assert [one[:3] for one in seen] == [[3, 5, 0], [4, 5, 0]]


@pytest.mark.parametrize(
    "words, told",
    [
        (["seeds=[1]"], "'seeds=[1]': a spread over seeds needs two or more; for one alone: seed=1"),
        (["seeds=[1,2,1]"], "'seeds=[1,2,1]' names 1 more than once"),
        (["seeds=[1,a]"], "'seeds=[1,a]': seeds are given as a list of whole numbers, such as seeds=[1,2,3]"),
        (["seeds=[1.5,2]"], "seeds are given as a list of whole numbers"),
        (["seeds=1,2"], "'seeds=1,2': seeds are given as a list of whole numbers"),
        (["seeds=[-1,2]"], "'seeds=[-1,2]': each seed must be at least 0 and at most 4294967295"),
        (
            ["seeds=[1,2]", "seed=3,4", "-m"],
            "'seed=3,4' gives several values; scanlens folds goes over the folds alone",
        ),
        (["seeds=[1,2]", "model=lenet,mlp", "-m"], "'model=lenet,mlp' gives several values"),
        (["seeds=[1,2]", "hparams_search=optuna"], "Search in each fold by itself"),
        (["seeds=[1,2]", "folds=1"], "split.folds must be at least 2"),
        (["seeds=[1,2]", "split.seed=-4"], "split.seed must be at least 0"),
        (["seeds=[1,2]", "split.file=a.csv", "split.seed=4"], "split.file settles the division, so split.seed=4"),
        (["seed=1,2"], "so give one, or seeds=[1,2]"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
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


def test_seeds_are_refused_by_a_training_and_beside_folds_of_one_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from scanlens import cli

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_ID", "cv")
    with pytest.raises(SystemExit):
        cli.main(["train", "seeds=[1,2]"])
    assert "'seeds'" in capsys.readouterr().err
    (tmp_path / "outputs" / "cv" / "0").mkdir(parents=True)
    (tmp_path / "outputs" / "cv" / "0" / "config.yaml").write_text("facts: {}")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["folds", "folds=3", "seeds=[1,2]"])
    assert stopped.value.code == cli.FAILED
    assert "outputs/cv holds the run 0, and this command would add runs such as seed_1/0" in capsys.readouterr().err


# Trained


@pytest.mark.slow
def test_seeds_share_every_division_and_train_otherwise(tmp_path: Path) -> None:
    words = ["folds", "folds=3", "seeds=[1,2]", "model=lenet", "data=mri", *TINY, "run_id=cv"]
    done = run_command(["-c", MAIN, *words], cwd=tmp_path, timeout_s=900)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "cv"
    assert "drawn with seed 1" in done.stdout + done.stderr
    for fold in range(3):
        tables = [(folder / f"seed_{seed}" / str(fold) / "split.csv").read_text() for seed in (1, 2)]
        assert tables[0] == tables[1]
        losses = [read_csv(folder / f"seed_{seed}" / str(fold) / "metrics.csv")[0]["val/loss"] for seed in (1, 2)]
        assert losses[0] != losses[1]
    before = json.loads((folder / "folds.json").read_text(encoding="utf-8"))
    weights = tmp_path / "before.safetensors"
    shutil.copy(folder / "seed_2" / "1" / "weights.safetensors", weights)
    shutil.rmtree(folder / "seed_2" / "1")
    done = run_command(["-c", MAIN, *words], cwd=tmp_path, timeout_s=900)
    assert done.returncode == 0, done.stderr
    assert (done.stdout + done.stderr).count("nothing to do") == 5
    assert_same_tensors(folder / "seed_2" / "1" / "weights.safetensors", weights)
    assert json.loads((folder / "folds.json").read_text(encoding="utf-8"))["levels"] == before["levels"]
    alone = ["train", "folds=3", "fold=0", "model=lenet", "data=mri", *TINY, "run_id=alone"]
    assert run_command(["-c", MAIN, *alone], cwd=tmp_path).returncode == 0
    assert_same_tensors(folder / "seed_1" / "0" / "weights.safetensors", tmp_path / "outputs/alone/weights.safetensors")
