"""Contracts of conf/: every option composes and passes its check, and the public surface changes only on purpose."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import pytest
import yaml

from scanlens import cli
from scanlens.config.composing import Composer
from scanlens.config.precheck import precheck
from scanlens.config.rules import RANGES
from scanlens.config.schema import SCHEMAS, RunSchema
from scanlens.config.signatures import OWN_PACKAGE, signature_of
from scanlens.paths import config_dir

GROUPS = ("data", "model", "task", "preprocess", "augment", "balance", "optim", "trainer", "explain", "callbacks")
GROUPS += ("logger", "report", "hparams_search", "experiment")
OPTIONS = sorted((path.parent.name, path.stem) for group in GROUPS for path in (config_dir() / group).glob("*.yaml"))
NEEDS = {("task", "reconstruction"): ["model=autoencoder"]}


@pytest.fixture(scope="module")
def composer() -> Composer:
    return Composer(config_dir())


@pytest.fixture(autouse=True)
def run_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_ID", "a-run")


def content(group: str, option: str) -> Any:
    return yaml.safe_load((config_dir() / group / f"{option}.yaml").read_text())


def targets(value: Any) -> list[str]:
    if isinstance(value, dict):
        own = [value["_target_"]] if "_target_" in value else []
        return own + [one for inner in value.values() for one in targets(inner)]
    return [one for inner in value for one in targets(inner)] if isinstance(value, list) else []


@pytest.mark.parametrize("group, option", OPTIONS)
def test_every_option_composes_and_passes_the_check(composer: Composer, group: str, option: str) -> None:
    words = [f"{group}={option}", *NEEDS.get((group, option), [])]
    found = precheck(words, composer, is_multirun=group == "hparams_search")
    assert [text for text in found if "pip install 'scanlens[" not in text] == []


def test_every_model_goes_with_phantoms_of_cells(composer: Composer) -> None:
    assert precheck(["model=glob(*)", "data=microscopy"], composer, is_multirun=True) == []


def test_every_group_is_tested_and_has_an_option() -> None:
    folders = {path.name for path in config_dir().iterdir() if path.is_dir()}
    assert folders - {"hydra"} == set(GROUPS)
    assert {group for group, _ in OPTIONS} == set(GROUPS)


@pytest.mark.parametrize("group, option", OPTIONS)
def test_every_option_says_in_its_head_what_it_is(group: str, option: str) -> None:
    lines = (config_dir() / group / f"{option}.yaml").read_text().splitlines()
    head = [line for line in lines[:3] if line.startswith("# ") and "@package" not in line]
    assert head, f"conf/{group}/{option}.yaml begins with no comment"


@pytest.mark.parametrize("group, option", OPTIONS)
def test_own_classes_take_no_arbitrary_arguments(group: str, option: str) -> None:
    for target in targets(content(group, option)):
        if target.startswith(f"{OWN_PACKAGE}."):
            assert not signature_of(target).takes_anything, target


def test_the_slurm_launcher_composes_and_its_settings_are_those_of_the_plugin(composer: Composer) -> None:
    plugin = pytest.importorskip("hydra_plugins.hydra_submitit_launcher.config")
    launcher = pytest.importorskip("hydra_plugins.scanlens_sweeps.slurm")
    node = content("hydra/launcher", "slurm")
    known = {field.name for field in dataclasses.fields(plugin.SlurmQueueConf)}
    assert set(node) == known
    assert node.pop("_target_") == f"{launcher.SlurmLauncher.__module__}.SlurmLauncher"
    launcher.SlurmLauncher(**node)
    words = ["hydra/launcher=slurm", "hydra.launcher.timeout_min=5", "trainer=slurm", "seed=1,2"]
    assert precheck(words, composer, is_multirun=True) == []


def test_ranges_name_settings_that_exist() -> None:
    known = {("", name) for name in RunSchema.__dataclass_fields__}
    for part, schema in SCHEMAS.items():
        known |= {(part, field.name) for field in dataclasses.fields(schema)}
    for group in GROUPS:
        for path in (config_dir() / group).glob("*.yaml"):
            for target in targets(yaml.safe_load(path.read_text())):
                known |= {(group, name) for name in signature_of(target).arguments}
    for target in targets(yaml.safe_load((config_dir() / "train.yaml").read_text())):
        part = {
            "SplitPlan": "split",
            "AuditPlan": "audit",
            "OperatingPlan": "operating_point",
            "CostPlan": "cost",
            "CalibrationPlan": "calibration",
            "LineagePlan": "lineage",
            "PrivacyPlan": "privacy",
            "LoaderPlan": "loader",
            "RobustnessPlan": "robustness",
            "VerdictPlan": "verdict",
            "UncertaintyPlan": "uncertainty",
        }[target.rpartition(".")[2]]
        known |= {(part, name) for name in signature_of(target).arguments}
    unknown = [path for path in RANGES if (path.rpartition(".")[0], path.rpartition(".")[2]) not in known]
    assert unknown == []


def test_trainer_settings_are_all_written_in_auto_yaml() -> None:
    assert list(content("trainer", "auto")) == [field.name for field in dataclasses.fields(SCHEMAS["trainer"])]
    assert list(content("callbacks", "default")) == [field.name for field in dataclasses.fields(SCHEMAS["callbacks"])]


def test_monitors_are_what_the_tasks_log() -> None:
    from scanlens.tasks.classification import ClassificationTask
    from scanlens.tasks.reconstruction import ReconstructionTask

    for option, task in [("classification", ClassificationTask), ("reconstruction", ReconstructionTask)]:
        for name in content("task", option)["monitors"]:
            assert f"`{name}`" in (inspect.getdoc(task) or ""), name


def test_the_public_surface_changes_only_on_purpose() -> None:
    assert set(RunSchema.__dataclass_fields__) == {
        *(
            "seed",
            "run_id",
            "run_dir",
            "monitor",
            "paths",
            "data",
            "split",
            "audit",
            "operating_point",
            "cost",
            "calibration",
            "robustness",
            "verdict",
            "uncertainty",
            "subgroups",
            "loader",
            "preprocess",
            "augment",
            "lineage",
            "privacy",
        ),
        *("folds", "fold", "fork"),
        *("balance", "model", "task", "optim", "explain", "callbacks", "logger", "trainer", "report", "facts"),
    }
    top = yaml.safe_load((config_dir() / "train.yaml").read_text())
    assert set(top) == {
        "defaults",
        "seed",
        "run_id",
        "run_dir",
        "folds",
        "fold",
        "fork",
        "monitor",
        "paths",
        "split",
        "audit",
        "operating_point",
        "cost",
        "calibration",
        "robustness",
        "verdict",
        "uncertainty",
        "subgroups",
        "lineage",
        "privacy",
        "loader",
        "facts",
        "hydra",
    }
    assert cli.COMMANDS == (
        "train",
        "audit",
        "folds",
        "report",
        "predict",
        "evaluate",
        "compare",
        "robustness",
        "explain",
        "dicom",
        "ensemble",
        "sweep",
        "selftest",
        "cache",
    )
    assert (cli.DONE, cli.FAILED, cli.WRONG_CONFIGURATION, cli.INTERRUPTED, cli.TERMINATED) == (0, 1, 2, 130, 143)


def test_only_the_files_of_commands_speak_to_hydra() -> None:
    for path in config_dir().rglob("*.yaml"):
        if path.parent not in (config_dir(), config_dir() / "hparams_search") and "hydra" not in path.parts[-3:-1]:
            assert "hydra" not in (yaml.safe_load(path.read_text()) or {}), path
