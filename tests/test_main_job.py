"""The main job end to end, as a user starts it, on built-in phantoms."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from fakes.commands import run_command, train
from fakes.tensors import assert_same_tensors
from scanlens.files import read_csv
from scanlens.runs import Run, load_run

TINY = ["data.num_patients=36", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=3"]
TINY += ["callbacks.num_explained_cases=6", "callbacks.bootstrap_resamples=50", "callbacks.explain_every_n_epochs=1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, str]:
    """One small run and what it printed."""
    folder = tmp_path_factory.mktemp("work")
    done = train("model=lenet", "data=mri", *TINY, "run_id=first", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Run(folder / "outputs" / "first"), done.stdout + done.stderr


def test_the_run_folder_holds_what_the_contract_lists(finished: tuple[Run, str]) -> None:
    run, _ = finished
    expected = [
        "config.yaml", "provenance.json", "split.csv", "quarantine.csv", "checkpoints/last.ckpt", "checkpoints/best.ckpt",
        "weights.safetensors", "metrics.csv", "predictions/val.csv", "predictions/test.csv", "evaluation.json",
        "explanations/cases.json", "explanations/filters.png", "explanations/feature_maps.png", "report/index.html",
        "report/checklist.csv", "report/checklist.md", "report/methods.txt", "results.csv", "results.tex", "missed/cases.json",
        "fingerprint.npz", "neighbors.npz", "explanations/context.json",
    ]  # fmt: skip
    assert [name for name in expected if not (run.folder / name).is_file()] == []
    assert list((run.folder / "logs").rglob("events.out.tfevents.*"))
    assert list((run.explanations / "training").glob("epoch-*/*.png"))


def test_patients_never_lie_in_two_splits_and_every_image_is_predicted_once(finished: tuple[Run, str]) -> None:
    run, _ = finished
    of_split = {s: {row["patient"] for row in run.split_rows if row["split"] == s} for s in ("train", "val", "test")}
    assert not of_split["train"] & of_split["test"]
    assert not of_split["train"] & of_split["val"]
    assert not of_split["val"] & of_split["test"]
    for split in ("val", "test"):
        predicted = [row["id"] for row in read_csv(run.predictions / f"{split}.csv")]
        assert sorted(predicted) == sorted(row["id"] for row in run.split_rows if row["split"] == split)


def test_predictions_are_probabilities_and_the_saved_weights_give_them_again(finished: tuple[Run, str]) -> None:
    from scanlens.pipeline.run_images import open_data

    run, network = load_run(finished[0].folder)
    data = open_data(run)
    rows = read_csv(run.predictions / "test.csv")
    x_BCHW = torch.stack([data.image_and_mask(int(row["case"][5:]))[0] for row in rows])
    with torch.no_grad():
        probabilities = network(x_BCHW).softmax(1).numpy()
    written = np.array([[float(row[f"prob_{name}"]) for name in run.facts["class_names"]] for row in rows])
    np.testing.assert_allclose(written.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(probabilities, written, atol=1e-5)


def test_raw_maps_are_signed_and_overlays_exist(finished: tuple[Run, str]) -> None:
    run, _ = finished
    index = json.loads((run.explanations / "cases.json").read_text(encoding="utf-8"))
    assert len(index["cases"]) == 6
    maps = [m for case in index["cases"] for m in case["maps"]]
    assert {m["method"] for m in maps} == {"hires_cam", "grad_cam"}
    lowest = 0.0
    for entry in maps:
        assert (run.explanations / entry["overlay"]).is_file()
        with np.load(run.explanations / entry["npz"], allow_pickle=False) as stored:
            assert stored["map"].dtype == np.float32
            assert stored["map"].shape == (32, 32)
            lowest = min(lowest, float(stored["map"].min()))
    assert lowest < 0, "maps must keep their signs"


def test_the_same_command_again_does_nothing_and_other_settings_are_refused(finished: tuple[Run, str]) -> None:
    run, _ = finished
    before = {p: p.stat().st_mtime_ns for p in run.folder.rglob("*") if p.is_file() and "logs" not in p.parts}
    cwd = run.folder.parents[1]
    again = train("model=lenet", "data=mri", *TINY, "run_id=first", cwd=cwd)
    assert again.returncode == 0, again.stderr
    assert "nothing to do" in again.stdout + again.stderr
    assert {p: p.stat().st_mtime_ns for p in before} == before
    other = train("model=lenet", "data=mri", *TINY, "run_id=first", "optim.lr=0.5", cwd=cwd)
    assert other.returncode == 1
    assert "optim.lr: was" in other.stderr
    assert "run_id" in other.stderr


def test_what_was_chosen_and_the_closing_table_are_printed(finished: tuple[Run, str]) -> None:
    _, output = finished
    for word in ("built-in phantoms", "glioma", "LeNet", "parameters", "precision", "AUROC", "index.html"):
        assert word in output


def test_facts_of_the_data_stand_in_the_frozen_configuration(finished: tuple[Run, str]) -> None:
    run, _ = finished
    config = yaml.safe_load(run.config_file.read_text(encoding="utf-8"))
    assert (
        config["facts"]["class_names"] == ["glioma", "meningioma", "no_tumor", "pituitary"]
        or len(config["facts"]["class_names"]) == 4
    )
    assert config["facts"]["in_channels"] == 1
    assert sum(config["facts"]["num_images"].values()) == 72
    assert "${" not in run.config_file.read_text(encoding="utf-8")


def test_the_report_is_one_page_without_requests_or_ids(finished: tuple[Run, str]) -> None:
    run, _ = finished
    page = run.report_file.read_text(encoding="utf-8")
    assert "Content-Security-Policy" in page
    assert not re.search(r"""(?:src|href)\s*=\s*["']?(?:https?:)?//""", page)
    assert "not for diagnosis" in page.lower()
    assert "patient-0" not in page
    assert str(run.folder.parents[1]) not in page


def test_the_checklist_claims_only_what_lies_in_the_run_folder(finished: tuple[Run, str]) -> None:
    run, _ = finished
    rows = read_csv(run.folder / "report" / "checklist.csv")
    named = {name for row in rows for name in row["files"].split("; ") if name}
    assert named >= {"config.yaml", "split.csv", "audit.json", "evaluation.json", "missed/cases.json"}
    assert [name for name in named if not (run.folder / name).is_file()] == []
    status = {(row["guideline"], row["item"]): row["status"] for row in rows}
    assert status["CLAIM 2024", "20"] == status["CLAIM 2024", "35"] == status["CLAIM 2024", "39"] == "filled"
    assert status["CLAIM 2024", "14"] == "open"


def test_mistakes_are_those_that_were_counted(finished: tuple[Run, str]) -> None:
    run, _ = finished
    rates = json.loads(run.evaluation_file.read_text(encoding="utf-8"))["decisions"]["chosen"]["test"]
    known = json.loads((run.mistakes / "cases.json").read_text(encoding="utf-8"))
    assert (known["num_missed"], known["num_false_alarms"]) == (rates["false_negatives"], rates["false_positives"])
    for one in known["missed"]:
        assert one["score"] < known["threshold"]
        assert (run.mistakes / one["picture"]).is_file()
    assert all(one["score"] >= known["threshold"] for one in known["false_alarms"])


def test_the_report_can_be_made_again_without_torch(finished: tuple[Run, str]) -> None:
    run, _ = finished
    before = run.report_file.read_bytes()
    program = (
        "import sys\n"
        "class Absent:\n"
        "    def find_spec(self, name, *rest):\n"
        "        if name.partition('.')[0] == 'torch':\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Absent())\n"
        "from scanlens.cli import main\n"
        f"sys.argv = ['scanlens', 'report', 'run={run.folder}']\n"
        "main()\n"
    )
    done = run_command(["-c", program], cwd=run.folder)
    assert done.returncode == 0, done.stderr
    assert run.report_file.read_bytes() == before


@pytest.mark.slow
def test_the_same_seed_gives_the_same_weights(finished: tuple[Run, str]) -> None:
    run, _ = finished
    done = train("model=lenet", "data=mri", *TINY, "run_id=second", cwd=run.folder.parents[1])
    assert done.returncode == 0, done.stderr
    second = Run(run.folder.parent / "second")
    assert_same_tensors(run.weights_file, second.weights_file)
    assert (run.predictions / "test.csv").read_bytes() == (second.predictions / "test.csv").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["model=vgg19", "data=mri", "model.weights=none", "preprocess.size=32"],
        ["model=mlp", "data=mri", "preprocess.size=32"],
        ["model=autoencoder", "data=microscopy", "preprocess.size=32"],
    ],
    ids=lambda words: words[0],
)
def test_every_network_goes_the_whole_way(words: list[str], tmp_path: Path) -> None:
    small = [
        "data.num_patients=24",
        "data.slices_per_patient=2",
        "trainer.max_epochs=1",
        "callbacks.bootstrap_resamples=20",
    ]
    done = train(*words, *small, "callbacks.num_explained_cases=2", "run_id=walk", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "walk")
    index = json.loads((run.explanations / "cases.json").read_text(encoding="utf-8"))
    expected = {
        "model=vgg19": {"grad_cam"},
        "model=mlp": {"integrated_gradients", "occlusion"},
        "model=autoencoder": {"residual", "latent_cam"},
    }
    assert {m["method"] for case in index["cases"] for m in case["maps"]} == expected[words[0]]
    assert run.report_file.is_file()
