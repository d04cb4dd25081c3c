"""`scanlens evaluate`, as a user meets it: one tiny run, judged on other phantoms and on folders of pictures."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fakes.commands import run_command, train
from scanlens.data.sources.phantom import PhantomSource
from scanlens.errors import ConfigError, DataError, RunError
from scanlens.evaluation.calibrator import Calibrator
from scanlens.files import read_csv
from scanlens.pipeline.external.command import evaluate
from scanlens.pipeline.external.request import request_of
from scanlens.runs import Run

TINY = ["data=mri", "data.num_patients=40", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=2"]
TINY += [
    "explain=none",
    "subgroups=[]",
    "callbacks.bootstrap_resamples=0",
    "trainer.num_threads=1",
    "audit.enabled=false",
]
DATA = os.environ.get("SCANLENS_TEST_DATA")
PROGRAM = """
import atexit, sys
atexit.register(lambda: print("HEAVY", [name for name in ("torch", "monai") if name in sys.modules]))
from scanlens.cli import main
main(sys.argv[1:])
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A place with outputs/r, a finished run."""
    where = tmp_path_factory.mktemp("evaluate")
    done = train("model=lenet", *TINY, "run_id=r", cwd=where)
    assert done.returncode == 0, done.stderr
    return where


@pytest.fixture(scope="module")
def judged(folder: Path) -> tuple[Path, str]:
    """The folder of an evaluation on other phantoms of the same kind, and what was said."""
    done = run_command(["-c", PROGRAM, "evaluate", "run=outputs/r", "data.seed=2"], cwd=folder)
    assert done.returncode == 0, done.stderr
    (written,) = (folder / "outputs" / "r" / "external").iterdir()
    return written, done.stderr


def asked(folder: Path, *data: str, **given: str) -> Path:
    words = {"run": [str(folder / "outputs" / "r")]} | {name: [value] for name, value in given.items()}
    return evaluate(request_of(words, data))


def content(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))


def write_pictures(root: Path, *, seed: int, names: dict[str, str], darker: float = 1.0) -> None:
    """Phantoms of another seed as PNG in class folders; a patient is a folder."""
    source = PhantomSource(num_patients=36, slices_per_patient=2, seed=seed, size=64)
    for record in source.records():
        raw = source.read(record)
        gray = np.clip(raw.pixels / raw.value_range[1] * 255 * darker, 0, 255).astype(np.uint8)
        path = root / names.get(str(record.target), str(record.target)) / f"n{record.id}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(gray).save(path)


def test_the_folder_holds_what_a_run_holds_and_the_comparison(judged: tuple[Path, str], folder: Path) -> None:
    written, said = judged
    own, new = content(folder / "outputs" / "r"), content(written)
    assert set(new) == {*own, "external", "drift"}
    for name in (
        "predictions/test.csv",
        "predictions/test_patients.csv",
        "results.csv",
        "results.tex",
        "quarantine.csv",
    ):
        assert (written / name).is_file(), name
    internal = new["external"]["internal"]["levels"]
    for level in ("slice", "patient"):
        before, after = (one["splits"]["test"][level]["metrics"] for one in (own, new))
        assert internal[level]["metrics"] == before
        difference = new["external"]["differences"][level]["accuracy"]
        assert difference["value"] == pytest.approx(after["accuracy"]["value"] - before["accuracy"]["value"])
        assert difference["low"] < difference["value"] < difference["high"]
    page = (written / "report" / "index.html").read_text(encoding="utf-8")
    assert "Own test split" in page
    assert "<script" not in page
    assert str(folder) not in page
    assert "patient-001" not in page + said
    assert "own test split" in said


def test_predictions_are_those_of_the_network_and_every_image_is_judged(judged: tuple[Path, str], folder: Path) -> None:
    import torch

    from scanlens.pipeline.run_images import open_data
    from scanlens.runs import load_run

    written, _ = judged
    _, network = load_run(folder / "outputs" / "r")
    external = Run(written)
    rows, names = read_csv(external.predictions / "test.csv"), external.facts["class_names"]
    assert len(rows) == 80
    assert {row["target"] for row in rows} == set(names)
    data = open_data(external)
    with torch.no_grad():
        first = network(torch.stack([data.image_and_mask(place)[0] for place in range(8)])).softmax(1).numpy()
    stated = np.array([[float(row[f"prob_{name}"]) for name in names] for row in rows[:8]])
    np.testing.assert_allclose(first, stated, atol=1e-5)


def test_everything_chosen_is_used_as_it_is(judged: tuple[Path, str], folder: Path) -> None:
    own, new = content(folder / "outputs" / "r"), content(judged[0])
    assert new["patient_rule"] == own["patient_rule"]
    assert new["calibration"]["choice"] == own["calibration"]["choice"]
    assert new["conformal"]["rule"] == own["conformal"]["rule"]
    assert new["referral"]["rule"] == own["referral"]["rule"]
    for key in ("rule", "threshold", "unit", "positive", "validation"):
        assert new["decisions"]["chosen"][key] == own["decisions"]["chosen"][key]
    rows, names = read_csv(judged[0] / "predictions" / "test.csv"), own["class_names"]
    stated_NK = np.array([[float(row[f"prob_{name}"]) for name in names] for row in rows])
    calibrated_NK = Calibrator.from_dict(own["calibration"]["choice"]["calibrator"]).apply(stated_NK)
    ill_P: dict[str, list[float]] = {}
    for row, p in zip(rows, 1 - calibrated_NK[:, names.index("no_tumor")], strict=True):
        ill_P.setdefault(row["patient"] + row["target"], []).append(p)
    called = {who: np.mean(scores) >= own["decisions"]["chosen"]["threshold"] for who, scores in ill_P.items()}
    is_ill = {who: not who.endswith("no_tumor") for who in called}
    rates = new["decisions"]["chosen"]["test"]
    assert rates["true_positives"] == sum(called[who] and is_ill[who] for who in called)
    assert rates["false_positives"] == sum(called[who] and not is_ill[who] for who in called)


def test_the_same_images_are_refused_and_can_be_had_with_a_word(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"Of 80 new images, 70 were used for training, .* on_seen=warn to go on"):
        asked(folder, "data.seed=1", out=str(tmp_path / "same"))
    assert not (tmp_path / "same").exists()
    written = asked(folder, "data.seed=1", on_seen="warn", out=str(tmp_path / "same"))
    assert content(written)["external"]["seen"]["num_images"] == 70
    assert "on_seen=warn: Of 80 new images, 70" in (written / "report" / "index.html").read_text(encoding="utf-8")
    known = {row["id"]: row for row in read_csv(Run(folder / "outputs" / "r").predictions / "test.csv")}
    again = {row["id"]: row for row in read_csv(written / "predictions" / "test.csv")}
    for name, row in known.items():
        stated = {key: float(value) for key, value in row.items() if key.startswith("prob_")}
        assert stated == pytest.approx({key: float(again[name][key]) for key in stated}, abs=1e-6)


def test_renamed_classes_darker_pictures_copies_and_broken_files_are_told(folder: Path, tmp_path: Path) -> None:
    scans = tmp_path / "scans"
    write_pictures(scans, seed=9, names={"glioma": "GLI oma", "pituitary": "cyst"}, darker=0.5)
    first = sorted((scans / "no_tumor").rglob("*.png"))[0]
    shutil.copy(first, first.with_name("slice-9.png"))
    (scans / "no_tumor" / "broken.png").write_bytes(b"no picture")
    written = asked(
        folder, f"data.root={scans}", "data.patient_from=folder", "data.name=elsewhere", out=str(tmp_path / "o")
    )
    found = content(written)
    classes = found["external"]["classes"]
    assert classes["run_name_of"]["GLI oma"] == "glioma"
    assert list(classes["left_out"]) == ["cyst"]
    assert classes["absent"] == ["pituitary"]
    assert found["splits"]["test"]["slice"]["counts"]["pituitary"] == 0
    assert found["external"]["num_copies"] == 1
    assert [row["id"] for row in read_csv(written / "quarantine.csv")] == ["no_tumor/broken.png"]
    drifted = {one["name"]: one for one in found["drift"]["numbers"] if one["has_drifted"]}
    assert {"mean", "height", "bits"} <= set(drifted)
    page = (written / "report" / "index.html").read_text(encoding="utf-8")
    assert "are left out: the run knows no such class." in page
    assert "Expect other results than on the test split of the run" in page
    told = asked(
        folder,
        f"data.root={scans}",
        "data.patient_from=folder",
        classes="{cyst: pituitary}",
        out=str(tmp_path / "p"),
    )
    assert content(told)["external"]["classes"]["left_out"] == {}


def test_other_phantoms_of_the_same_kind_have_not_drifted(judged: tuple[Path, str]) -> None:
    drift = content(judged[0])["drift"]
    assert [one["name"] for one in drift["numbers"] if one["has_drifted"]] == []
    assert set(drift["beyond"]) == {"unlike training pictures", "unlike to the network"}
    assert "No number of the new images differs from the training by more than chance explains." in judged[1]


def test_wrong_words_are_told_together_before_torch_is_imported(folder: Path) -> None:
    words = ["evaluate", "run=outputs/r", "data.rot=/x", "data.patient_from=name", "on_seen=ignore", "split=tset"]
    done = run_command(["-c", PROGRAM, *words, "classes={a: gliom}"], cwd=folder)
    assert done.returncode == 2
    assert done.stdout.strip() == "HEAVY []"
    for told in ("'root'", "data.patient_from must be", "on_seen=ignore is not known", "'test'", "'glioma'"):
        assert told in done.stderr, done.stderr
    assert "5 mistakes" in done.stderr
    done = run_command(["-c", PROGRAM, "evaluate", "rn=outputs/r", "data.root=/x"], cwd=folder)
    assert "Did you mean 'run'?" in done.stderr
    done = run_command(["-c", PROGRAM, "evaluate", "run=outputs/r", "data=mry"], cwd=folder)
    assert (done.returncode, done.stdout.strip()) == (2, "HEAVY []")
    assert "Did you mean 'mri'?" in done.stderr
    done = run_command(["-c", PROGRAM, "evaluate", "--help"], cwd=folder)
    assert "on_seen=" in done.stdout


def test_a_command_without_new_images_or_classes_that_cannot_be_read_is_refused(folder: Path) -> None:
    run = {"run": [str(folder / "outputs" / "r")]}
    with pytest.raises(ConfigError, match="needs the new images"):
        request_of(run, [])
    with pytest.raises(ConfigError, match="cannot be read"):
        request_of(run | {"classes": ["[a,b]"]}, ["data.seed=2"])
    with pytest.raises(RunError, match="no run in"):
        request_of({"run": [str(folder)]}, ["data.seed=2"])


def test_another_data_node_is_composed_with_its_settings(folder: Path) -> None:
    run = {"run": [str(folder / "outputs" / "r")]}
    node = request_of(run, ["data=lgg_flair", "data.root=/scans"]).data
    assert (node["name"], node["root"], node["label_from_mask"]["empty"]) == ("lgg_flair", "/scans", "no_tumor")
    own = request_of(run, ["data.seed=5"]).data
    assert own == Run(folder / "outputs" / "r").config["data"] | {"seed": 5}


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["calibration"]["choice"]["calibrator"].update(temperature="warm"),
        lambda one: one["conformal"]["rule"].update(thresholds=[0.5]),
        lambda one: one["referral"]["rule"].update(target=7),
        lambda one: one["decisions"]["chosen"].update(threshold="high"),
        lambda one: one["decisions"].update(positive="glioma"),
        lambda one: one["patient_rule"].update(name="median"),
        lambda one: one.update(class_names=["a", "b"]),
    ],
)
def test_a_changed_evaluation_is_refused(folder: Path, tmp_path: Path, change: Any) -> None:
    copied = Path(shutil.copytree(folder / "outputs" / "r", tmp_path / "outputs" / "r"))
    judged = content(copied)
    change(judged)
    (copied / "evaluation.json").write_text(json.dumps(judged), encoding="utf-8")
    with pytest.raises(RunError, match=r"Restore it from a copy|[Jj]udge the run again"):
        asked(tmp_path, "data.seed=2", "data.num_patients=12")


def test_a_folder_in_use_and_a_run_without_fingerprint(folder: Path, tmp_path: Path, judged: tuple[Path, str]) -> None:
    with pytest.raises(RunError, match="is there already and not empty"):
        asked(folder, "data.seed=2", out=str(judged[0]))
    copied = Path(shutil.copytree(folder / "outputs" / "r", tmp_path / "outputs" / "r"))
    (copied / "fingerprint.npz").unlink()
    written = asked(tmp_path, "data.seed=2", "data.num_patients=12")
    assert "fingerprint.npz" in content(written)["drift"]["reason"]


@pytest.mark.slow
def test_slices_of_another_source_are_told_to_be_unlike(tmp_path: Path) -> None:
    """A classifier of FLAIR slices with and without glioma, judged on contrast-enhanced slices of elsewhere."""
    if not DATA:
        pytest.skip("SCANLENS_TEST_DATA names no folder with the real images")
    root = Path(DATA)
    words = ["data=lgg_flair", f"data.root={root / 'lgg-flair-masks'}", "preprocess.size=64", "trainer.max_epochs=8"]
    done = train("model=lenet", *words, "explain=none", "report=none", "run_id=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    others = "{glioma_tumor: tumor, meningioma_tumor: null, pituitary_tumor: null}"
    written = asked(
        tmp_path,
        "data=brain_tumor_mri",
        f"data.root={root / 'brain-tumour-mri'}",
        classes=others,
        out=str(tmp_path / "o"),
    )
    found = content(written)
    counts = found["splits"]["test"]["slice"]["counts"]
    assert set(found["external"]["classes"]["left_out"]) == {"meningioma_tumor", "pituitary_tumor"}
    assert min(counts.values()) > 200
    assert 0 < found["external"]["num_copies"] < sum(counts.values()) / 2
    drifted = {one["name"] for one in found["drift"]["numbers"] if one["has_drifted"]}
    assert {"mean", "spread", "channels", "unlike training pictures"} <= drifted
    beyond = found["drift"]["beyond"]["unlike training pictures"]
    assert beyond["share"]["low"] > 5 * beyond["expected"]
    assert found["splits"]["test"]["slice"]["metrics"]["auroc"]["high"] < 0.9
