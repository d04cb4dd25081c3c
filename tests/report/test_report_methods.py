"""The methods text: what is said, and that nothing is said which the run does not hold."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from fakes.run_folder import write_run_folder
from scanlens.report import methods_data as data
from scanlens.report import methods_learning as learning
from scanlens.report import methods_statistics as statistics
from scanlens.report.folder import RunFolder, read_run
from scanlens.report.methods_text import methods_paragraphs, write_methods


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("methods") / "run")


@pytest.fixture
def run(folder: Path) -> RunFolder:
    return read_run(folder)


def told(*, config: dict[str, Any] | None = None, facts: dict[str, Any] | None = None, **more: Any) -> RunFolder:
    """A run that holds this and nothing else."""
    fields = {
        "provenance": {},
        "evaluation": {},
        "epochs": [],
        "predictions": [],
        "explanations": None,
        "quarantine": [],
    }
    return RunFolder(path=Path("nowhere"), config=config or {}, facts=facts or {}, **{**fields, **more})


def test_a_run_that_holds_nothing_says_nothing() -> None:
    assert methods_paragraphs(told()) == []


def test_paragraphs_say_what_the_run_holds(run: RunFolder) -> None:
    text = dict(methods_paragraphs(run))
    assert list(text) == [
        "Data",
        "Preparation of images",
        "Network and training",
        "Evaluation",
        "Explanations",
        "Software",
    ]
    assert "The data were brain_tumor_mri: Axial head MRI slices in class folders." in text["Data"]
    assert (
        "There were 920 images of 230 patients for training, 184 images of 46 patients for validation and 96"
        in text["Data"]
    )
    assert "431\u202f080 parameters" in text["Network and training"]
    assert "Performance on the test partition, per image and per patient: AUROC, AUPRC" in text["Evaluation"]
    assert "2\u202f000 resamples of patients." in text["Evaluation"]
    assert text["Explanations"].startswith("HiResCAM and Grad-CAM maps were made of 6 test cases.")


def test_the_file_holds_the_paragraphs_without_names_or_places(folder: Path) -> None:
    path = write_methods(read_run(folder))
    assert path == folder / "report" / "methods.txt"
    text = path.read_text(encoding="utf-8")
    assert "431,080 parameters" in text
    assert max(map(len, text.splitlines())) <= 100
    for secret in ("jane", "/home", "doe", "smith"):
        assert secret not in text.lower()


def test_a_division_is_told_as_it_was_made() -> None:
    facts = {"groups": "patient"}
    by_patient = "by patient, so that all images of a patient lie in one partition (seed 7)."
    assert data.split(told(config={"seed": 7}, facts=facts)) == (
        f"Images were divided into training, validation and test {by_patient}"
    )
    own = data.split(told(config={"seed": 7, "split": {"seed": 2}}, facts=facts))
    assert own.endswith("(seed 2)."), "of the division, not of the training"
    folds = {"seed": 7, "split": {"folds": 5, "fold": 2}}
    assert data.split(told(config=folds, facts=facts)).startswith(
        "The test partition is part 3 of 5 of a cross-validation"
    )
    assert data.split(told(config={"split": {"file": "mine.csv"}}, facts=facts)) == (
        "The division into training, validation and test was read from a file."
    )
    sites = told(config={"split": {"by": "site"}}, facts=facts)
    assert data.split(sites).startswith("The test partition consists of whole sites")
    assert data.sites(sites) == "The test partition is of sites that were not trained on."
    assert data.sites(told(facts=facts)) == ""


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"intensity": "minmax", "keeps_aspect": False}, "stretched to a square to 64 × 64 pixels with 3 channels"),
        ({"intensity": "percentile", "keeps_aspect": True}, "from the 0.5 and 99.5 percentiles of the image."),
        ({"intensity": "range", "keeps_aspect": True}, "from the range of the file type."),
    ],
)
def test_preparation_is_told_from_its_settings(settings: dict[str, Any], words: str) -> None:
    known = {"size": 64, "channels": 3, "lower_percentile": 0.5, "upper_percentile": 99.5, **settings}
    assert words in data.preprocess(told(facts={"preprocess": known}))


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        ({"class_weights": True, "sampler": False}, "Class imbalance: the loss was weighted inversely"),
        ({"class_weights": False, "sampler": True}, "Class imbalance: images of rare classes were drawn more often."),
        ({"class_weights": False, "sampler": False}, "Nothing was done about class imbalance."),
        ({"class_weights": False, "sampler": False, "focal_gamma": 2.0}, "Class imbalance: focal loss with gamma 2."),
        ({}, ""),
    ],
)
def test_a_remedy_for_imbalance_is_told_or_that_there_was_none(plan: dict[str, Any], words: str) -> None:
    said = learning.balance(told(config={"balance": plan}))
    assert said.startswith(words)
    assert bool(said) == bool(words)


def test_augmentation_names_what_is_switched_on_alone() -> None:
    plan = {"_target_": "x", "sides_matter": True, "zoom": 0.1, "stain": 0.0, "quarter_turns": True, "fill": "zeros"}
    assert learning.augment(told(config={"augment": plan})) == (
        "Training images, and no others, were augmented at random: zoom 0.1 and quarter turns."
    )
    assert learning.augment(told(config={"augment": {"zoom": 0.0}})) == "Training images were not augmented."


def test_training_is_told_with_what_ran_as_opposed_to_what_was_allowed() -> None:
    config = {
        "optim": {"name": "sgd", "lr": 0.1, "schedule": "cosine"},
        "trainer": {"max_epochs": 50},
        "loader": {"batch_size": 32},
    }
    assert learning.training(told(config=config, epochs=[{}, {}, {}])) == (
        "Training used SGD with momentum (learning rate 0.1, cosine schedule, batches of 32 images, at most 50 epochs); it ran "
        "for 3 epochs."
    )


def test_a_threshold_is_told_only_if_it_was_applied() -> None:
    chosen = {"rule": {"name": "sensitivity", "target": 0.9}, "test": {"sensitivity": {"value": 0.8}}}
    decisions = {"positive": "ill", "unit": "patient", "chosen": chosen}
    assert statistics.threshold(told(evaluation={"decisions": decisions})) == (
        "The threshold for “ill”, per patient, was the highest threshold that reached a sensitivity of 0.9 on validation, and "
        "was only applied to test."
    )
    between = {**decisions, "chosen": {**chosen, "gap": [0.2, 0.3]}}
    assert statistics.threshold(told(evaluation={"decisions": between})) == (
        "The threshold for “ill”, per patient, was the highest threshold that reached a sensitivity of 0.9, moved half way (by "
        "log odds) to the next lower score, on validation, and was only applied to test."
    )
    without = {**decisions, "chosen": {**chosen, "test": None}}
    assert statistics.threshold(told(evaluation={"decisions": without})) == ""


def test_calibration_is_told_as_chosen() -> None:
    def said(method: str) -> str:
        return statistics.calibration(told(evaluation={"calibration": {"choice": {"calibrator": {"method": method}}}}))

    assert said("temperature") == "Probabilities were calibrated by one temperature, fitted on validation."
    assert said("none") == "Probabilities were left as the network stated them."
    assert said("unheard of") == ""


def test_left_out_images_are_counted_by_reason() -> None:
    facts = {"num_images": {"train": 5, "val": 2, "test": 3}, "num_quarantined": 1, "num_without_class": 4}
    assert data.left_out(told(facts=facts)) == (
        "Of 15 images that the source listed, 4 (without a class) and 1 (cannot be read) were left out, and 10 used."
    )
    facts |= {"num_quarantined": 0, "num_without_class": 0}
    assert data.missing(told(facts=facts)) == "All 10 images that the source listed were used. Nothing was imputed."


def test_uncommitted_changes_are_not_kept_back(run: RunFolder) -> None:
    git = {"commit": "abc", "dirty": True}
    changed = dataclasses.replace(run, provenance={"git": git})
    assert learning.code(changed) == "The code was at commit abc, with changes that were not committed."


def test_an_ensemble_is_not_called_a_single_network() -> None:
    facts = {"model_summary": {"name": "Ensemble of 3 (LeNet)", "weights_note": None}}
    several = told(facts=facts, evaluation={"uncertainty": {"method": "ensemble", "members": 3}})
    assert learning.ensemble(several) == "The probabilities of 3 networks were averaged."
    assert learning.start(several) == ""
    assert learning.ensemble(told(facts=facts)).startswith("No ensemble: a single network")
