"""The closed lists: which settings there are at the top, which have no class behind them, and what the code passes.

Each setting of a dataclass below is checked against its annotation; a node with `_target_` is checked against the
constructor of that class instead. No Hydra schema is registered for the same purpose: it would stop at the first
mistake, and here all are told together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class RunSchema:
    """Everything that may stand at the top of a configuration.

    Args:
        seed: decides everything random.
        run_id: name of the run.
        run_dir: its folder.
        folds: number of parts of a cross-validation; None for none.
        fold: which of them is tested.
        fork: folder of a former run that this one begins from; None for none.
        monitor: metric that chooses the best epoch; "auto" is the task's default.
        paths: see `PathsSchema`.
        data: source of images.
        split: who goes to train, val and test.
        audit: what is looked for in the data before training.
        privacy: whether names of files and patients stand in the tables of the run.
        lineage: what is done where starting weights have seen test images.
        operating_point: the threshold of the class that must not be missed.
        cost: of mistakes, for the operating point.
        calibration: of stated probabilities.
        robustness: whether test images are made worse.
        verdict: what the heat maps of explained cases are asked.
        uncertainty: what is asked besides probabilities.
        subgroups: columns in which test results are told apart; auto: those that make few groups.
        loader: batches and decoding.
        preprocess: deterministic preparation of an image.
        augment: random changes of training images.
        balance: what is done about rare classes.
        model: the network.
        task: what it learns.
        optim: how.
        explain: heat maps.
        callbacks: see `CallbacksSchema`.
        logger: see `LoggerSchema`.
        trainer: see `TrainerSchema`.
        report: the page; null for none.
        facts: what the data decided; only runs write it.
    """

    run_id: str
    run_dir: str
    paths: dict[str, Any]
    data: dict[str, Any]
    split: dict[str, Any]
    audit: dict[str, Any]
    privacy: dict[str, Any]
    lineage: dict[str, Any]
    operating_point: dict[str, Any]
    cost: dict[str, Any]
    calibration: dict[str, Any]
    robustness: dict[str, Any]
    verdict: dict[str, Any]
    uncertainty: dict[str, Any]
    subgroups: list[str] | Literal["auto"]
    loader: dict[str, Any]
    preprocess: dict[str, Any]
    augment: dict[str, Any]
    balance: dict[str, Any]
    model: dict[str, Any]
    task: dict[str, Any]
    optim: dict[str, Any]
    explain: dict[str, Any]
    callbacks: dict[str, Any]
    logger: dict[str, Any]
    trainer: dict[str, Any]
    seed: int
    monitor: str
    folds: int | None = None
    fold: int = 0
    fork: str | None = None
    report: dict[str, Any] | None = None
    facts: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PathsSchema:
    """Folders that runs write to.

    Args:
        outputs: where run folders are made.
        cache: where decoded images are kept, shared by runs.
    """

    outputs: str
    cache: str


@dataclass(frozen=True, slots=True)
class TrainerSchema:
    """How long, on what and how exactly; conf/trainer/auto.yaml explains each, and has the defaults."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"]
    devices: int | Literal["auto"]
    num_nodes: int
    strategy: Literal["auto", "ddp"]
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"]
    max_epochs: int
    min_epochs: int | None
    gradient_clip_val: float | None
    accumulate_grad_batches: int
    log_every_n_steps: int
    limit_train_batches: int | float | None
    limit_val_batches: int | float | None
    deterministic: bool | Literal["warn"]
    sync_batchnorm: bool
    enable_progress_bar: bool
    num_threads: int | None


@dataclass(frozen=True, slots=True)
class CallbacksSchema:
    """What happens around training; conf/callbacks/default.yaml explains each, and has the defaults."""

    patience: int | None
    checkpoint_minutes: float | None
    explain_every_n_epochs: int
    explain_max_share: float
    num_explained_train_cases: int
    num_explained_cases: int
    register_maps: bool
    show_similar: bool | Literal["auto"]
    show_original: bool | Literal["auto"]
    anomaly_run: str | None
    bootstrap_resamples: int
    patient_rule: Literal["auto", "mean", "max", "top_k"]
    patient_top_k: list[int | float]
    positive_class: str | None
    extra: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LoggerSchema:
    """Where metrics go besides metrics.csv.

    Args:
        tensorboard: event files in the run folder.
        extra: further Lightning loggers, as nodes.
    """

    tensorboard: bool
    extra: list[dict[str, Any]]


# Parts that have no class behind them, and the list of settings that each may hold.
SCHEMAS = {
    "": RunSchema,
    "paths": PathsSchema,
    "trainer": TrainerSchema,
    "callbacks": CallbacksSchema,
    "logger": LoggerSchema,
}

# Options that hold every setting of their part, for others to begin with.
COMPLETE_OPTIONS = {"trainer": "auto", "callbacks": "default", "logger": "default"}

# Keys of a node that are facts about it, not arguments of its class.
RESERVED_KEYS = frozenset({"_target_", "partners", "monitors", "default_monitor", "may_be_shared"})

# Arguments that the code passes when it builds the part, so YAML must not; a class is named where others of its part
# take the same argument from YAML.
PASSED_BY_CODE: dict[str, frozenset[str]] = {
    "model": frozenset({"num_classes", "in_channels", "input_size", "input_mean", "input_std"}),
    "task": frozenset({"network", "optim", "seed"}),
    "scanlens.tasks.classification.ClassificationTask": frozenset({"class_names", "loss"}),
    "scanlens.explain.contrast.Contrast": frozenset({"class_names"}),
}

# Parts without which nothing runs and that a class must stand behind.
BUILT_PARTS = (
    "data",
    "split",
    "audit",
    "privacy",
    "lineage",
    "loader",
    "preprocess",
    "augment",
    "balance",
    "model",
    "task",
    "optim",
    "explain",
)
