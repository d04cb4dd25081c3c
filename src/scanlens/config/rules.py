"""What no single annotation can say: ranges, settings that fight, names that must fit each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from scanlens.config.kinds import WRITTEN_OUT
from scanlens.errors import did_you_mean
from scanlens.paths import RUN_ID_PATTERN, RUN_ID_WORDS

Mistake = tuple[str, str]
Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Range:
    """From `low` to `high`; an open end is not itself in the range."""

    low: float
    high: float
    low_open: bool = False
    high_open: bool = False

    def has(self, value: float) -> bool:
        """Whether the value lies in the range."""
        above = value > self.low if self.low_open else value >= self.low
        return above and (value < self.high if self.high_open else value <= self.high)

    def words(self) -> str:
        """The range for a user."""
        low = f"above {self.low:g}" if self.low_open else f"at least {_number(self.low)}"
        return f"{low} and {'below' if self.high_open else 'at most'} {_number(self.high)}"


RANGES = {
    "seed": Range(0, 2**32 - 1),
    "folds": Range(2, 100),
    "fold": Range(0, 99),
    "split.folds": Range(2, 100),
    "split.fold": Range(0, 99),
    "split.seed": Range(0, 2**32 - 1),
    "audit.file_margin": Range(0, 0.5, high_open=True),
    "audit.picture_margin": Range(0, 0.5, high_open=True),
    "audit.most_listed": Range(1, 10_000),
    "operating_point.sensitivity": Range(0, 1, low_open=True),
    "operating_point.prevalence": Range(0, 1, low_open=True, high_open=True),
    "cost.false_negative": Range(0, 1e9, low_open=True, high_open=True),
    "cost.false_positive": Range(0, 1e9, low_open=True, high_open=True),
    "calibration.coverage": Range(0, 1, low_open=True, high_open=True),
    "calibration.risk": Range(0, 1, low_open=True, high_open=True),
    "verdict.share": Range(0, 0.25, low_open=True),
    "verdict.num_regions": Range(1, 1000),
    "verdict.alpha": Range(0, 1, low_open=True, high_open=True),
    "verdict.weak_alpha": Range(0, 1, low_open=True, high_open=True),
    "verdict.agreement_alpha": Range(0, 1),
    "verdict.least_kept": Range(0, 1),
    "verdict.max_minutes": Range(0, 100_000, low_open=True),
    "uncertainty.mc_passes": Range(0, 1000),
    "loader.batch_size": Range(1, 65536),
    "loader.num_workers": Range(0, 128),
    "loader.max_quarantined_share": Range(0, 1),
    "loader.max_cache_gib": Range(0, 1_000_000, low_open=True),
    "balance.focal_gamma": Range(0, 20),
    "balance.logit_adjustment": Range(0, 20, low_open=True),
    "model.dropout": Range(0, 1, high_open=True),
    "model.padding": Range(0, 64),
    "model.width": Range(0, 64, low_open=True),
    "task.denoising_std": Range(0, 10),
    "model.channels": Range(1, 4096),
    "model.hidden_sizes": Range(1, 65536),
    "model.latent_channels": Range(1, 4096),
    "preprocess.size": Range(8, 4096),
    "preprocess.channels": Range(1, 64),
    "preprocess.lower_percentile": Range(0, 100, high_open=True),
    "preprocess.upper_percentile": Range(0, 100, low_open=True),
    "data.num_patients": Range(1, 1_000_000),
    "data.slices_per_patient": Range(1, 10_000),
    "data.size": Range(8, 4096),
    "data.seed": Range(0, 2**32 - 1),
    "data.class_shares": Range(0, 1e9, low_open=True),
    "data.shortcut_rate": Range(0, 1),
    "data.every": Range(1, 1_000_000),
    "data.frame": Range(0, 1_000_000),
    "data.min_content": Range(0, 1),
    "data.max_rows": Range(1, 2**40),
    "data.max_pixels": Range(1, 2**40),
    "data.max_voxels": Range(1, 2**40),
    "data.max_bytes": Range(1, 2**40),
    "optim.lr": Range(0, 100, low_open=True),
    "optim.weight_decay": Range(0, 100),
    "optim.momentum": Range(0, 1, high_open=True),
    "optim.warmup_fraction": Range(0, 1, high_open=True),
    "optim.label_smoothing": Range(0, 1, high_open=True),
    "optim.block_decay": Range(0, 1, low_open=True),
    "trainer.devices": Range(1, 1024),
    "trainer.max_epochs": Range(1, 1_000_000),
    "trainer.min_epochs": Range(1, 1_000_000),
    "trainer.gradient_clip_val": Range(0, 1e9, low_open=True),
    "trainer.accumulate_grad_batches": Range(1, 65536),
    "trainer.log_every_n_steps": Range(1, 1_000_000),
    "trainer.num_threads": Range(1, 1024),
    "explain.batch_size": Range(1, 65536),
    "explain.steps": Range(1, 100_000),
    "explain.max_steps": Range(1, 1_000_000),
    "explain.tolerance": Range(0, 1, low_open=True),
    "explain.patch": Range(1, 65536),
    "explain.stride": Range(1, 65536),
    "explain.sigma_px": Range(0, 65536, low_open=True),
    "explain.against": Range(0, 100_000),
    "explain.seed": Range(0, 2**32 - 1),
    "callbacks.patience": Range(1, 1_000_000),
    "callbacks.checkpoint_minutes": Range(0, 100_000, low_open=True),
    "callbacks.explain_every_n_epochs": Range(0, 1_000_000),
    "callbacks.explain_max_share": Range(0, 1, low_open=True),
    "callbacks.num_explained_train_cases": Range(0, 10_000),
    "callbacks.num_explained_cases": Range(0, 10_000),
    "callbacks.bootstrap_resamples": Range(0, 1_000_000),
}


def rule_mistakes(config: Values, *, choices: Mapping[str, str]) -> Iterator[Mistake]:
    """(path, text) of every broken rule; settings of a wrong kind are left to the annotations.

    Args:
        config: plain values.
        choices: the option taken of each group, as far as known.
    """
    yield from _run_id(config)
    yield from _places(config)
    yield from _ranges(config)
    yield from _split(config)
    yield from _operating_point(config)
    yield from _verdict(config)
    yield from _patient_top_k(config)
    yield from _class_names(config)
    yield from _may_be_shared(config)
    yield from _balance(config)
    yield from _monitor(config)
    yield from _partners(config, choices)
    yield from _trainer(config)


def _run_id(config: Values) -> Iterator[Mistake]:
    name = config.get("run_id")
    if isinstance(name, str) and "${" not in name and not RUN_ID_PATTERN.fullmatch(name):
        yield "run_id", f"run_id must be {RUN_ID_WORDS}, got '{name}'"


def _places(config: Values) -> Iterator[Mistake]:
    """An empty path would be the folder where the command is typed, or the root of the disk."""
    for path in ("paths.outputs", "paths.cache", "run_dir", "data.root", "data.file", "split.file", "model.weights"):
        place = _at(config, path)
        if isinstance(place, str) and not place.strip():
            yield path, f"{path} must be a path, got an empty text. Name a folder or file, or leave the setting out"


def _ranges(config: Values) -> Iterator[Mistake]:
    for path, allowed in RANGES.items():
        given = _at(config, path)
        values = given if isinstance(given, list) else [given]
        wrong = [one for one in values if _is_number(one) and not allowed.has(one)]
        if wrong:
            each = "each of " if isinstance(given, list) else ""
            yield path, f"{each}{path} must be {allowed.words()}, got {_number(wrong[0])}"
    for path in ("trainer.limit_train_batches", "trainer.limit_val_batches"):
        value = _number_at(config, path)
        allowed = Range(0, 1, low_open=True) if isinstance(value, float) else Range(1, 1e9)
        if value is not None and not allowed.has(value):
            kind = "as a share (with a decimal point)" if isinstance(value, float) else "as a number of batches"
            yield path, f"{path}, {kind}, must be {allowed.words()}, got {value}"


def _split(config: Values) -> Iterator[Mistake]:
    fractions = _at(config, "split.fractions")
    if isinstance(fractions, list) and all(_is_number(one) for one in fractions):
        is_whole = abs(sum(fractions) - 1) <= 1e-6
        if len(fractions) != 3 or not is_whole or any(not 0 <= one <= 1 for one in fractions):
            yield (
                "split.fractions",
                f"split.fractions must be three shares (train, val, test) that add up to 1, got {fractions}",
            )
    if _at(config, "split.file") and (seed := _number_at(config, "split.seed")) is not None:
        yield (
            "split.seed",
            f"split.file settles the division, so split.seed={seed} has no effect; leave one of them out",
        )
    yield from _folds(config)


def _folds(config: Values) -> Iterator[Mistake]:
    fold, folds = _number_at(config, "split.fold"), _number_at(config, "split.folds")
    is_by_site, held_out = _at(config, "split.by") == "site", _at(config, "split.held_out")
    if held_out and not is_by_site:
        yield "split.held_out", f"split.held_out={held_out} has no effect without split.by=site"
    if folds is None:
        if fold:
            yield "split.fold", f"split.fold={fold} has no effect without split.folds, the number of parts (folds=5)"
        return
    if folds == 2 and not is_by_site:
        yield "split.folds", "split.folds must be at least 3 (train, val and test); 2 go with split.by=site alone"
    if fold is not None and fold >= folds:
        yield (
            "split.fold",
            f"split.fold counts from 0, so with split.folds={folds} it is at most {folds - 1}, got {fold}",
        )
    if _at(config, "split.file"):
        yield "split.folds", f"split.file settles the division, so folds={folds} has no effect; leave one of them out"
    if held_out and is_by_site:
        yield "split.held_out", f"with folds={folds} every site is tested once, so split.held_out has no effect"


def _patient_top_k(config: Values) -> Iterator[Mistake]:
    given = _at(config, "callbacks.patient_top_k")
    if not isinstance(given, list):
        return
    wrong = [k for k in given if _is_number(k) and not (k >= 1 if isinstance(k, int) else 0 < k < 1)]
    if wrong or not given:
        yield (
            "callbacks.patient_top_k",
            "callbacks.patient_top_k needs at least one number of images (whole, from 1) or share of them (between 0 and "
            f"1), such as [3, 0.1], got {given}",
        )


def _operating_point(config: Values) -> Iterator[Mistake]:
    if _at(config, "operating_point.rule") == "cost" and _at(config, "operating_point.prevalence") is None:
        text = "operating_point.rule=cost needs operating_point.prevalence, the share of ill patients, such as 0.05"
        yield "operating_point.rule", text


def _verdict(config: Values) -> Iterator[Mistake]:
    num, alpha, weak = (_number_at(config, f"verdict.{name}") for name in ("num_regions", "alpha", "weak_alpha"))
    if num is not None and alpha is not None and num >= 1 and 0 < alpha * (num + 1) < 1:
        yield (
            "verdict.num_regions",
            f"verdict.num_regions={num} gives no p value below {1 / (num + 1):.3g}, so no map could reach verdict.alpha={alpha:g}",
        )
    if alpha is not None and weak is not None and alpha > weak:
        yield "verdict.weak_alpha", f"verdict.weak_alpha={weak:g} must not be below verdict.alpha={alpha:g}"


def _class_names(config: Values) -> Iterator[Mistake]:
    names = _at(config, "data.class_names")
    if isinstance(names, list):
        twice = sorted({str(name) for name in names if names.count(name) > 1})
        if twice:
            yield "data.class_names", f"data.class_names names {', '.join(map(repr, twice))} more than once"


def _may_be_shared(config: Values) -> Iterator[Mistake]:
    """No argument of any source: a fact about its images, see `RESERVED_KEYS`."""
    stated = _at(config, "data.may_be_shared")
    if not (stated is None or isinstance(stated, bool) or (isinstance(stated, str) and "${" in stated)):
        yield "data.may_be_shared", f"data.may_be_shared must be true or false, got {stated!r}"


def _balance(config: Values) -> Iterator[Mistake]:
    weights, sampler = _at(config, "balance.class_weights") is True, _at(config, "balance.sampler") is True
    if weights and sampler:
        yield (
            "balance.class_weights",
            "balance.class_weights and balance.sampler both make up for rare classes, which would count twice. "
            "Use one: balance=class_weights or balance=balanced_sampler.",
        )
    if _number_at(config, "balance.logit_adjustment") and (weights or sampler):
        other = "class_weights" if weights else "sampler"
        yield (
            "balance.logit_adjustment",
            f"balance.logit_adjustment and balance.{other} both make up for rare classes, which would count twice. "
            f"Use balance=logit_adjustment, or set balance.logit_adjustment=null.",
        )


def _monitor(config: Values) -> Iterator[Mistake]:
    monitors, wanted, default = (_at(config, name) for name in ("task.monitors", "monitor", "task.default_monitor"))
    if not isinstance(monitors, Mapping):
        if isinstance(_at(config, "task"), Mapping):
            yield "task", "task.monitors is missing: the metrics that may be watched, such as {val/loss: min}"
        return
    for name, mode in monitors.items():
        if mode not in ("min", "max"):
            yield "task.monitors", f"task.monitors: '{name}' must be min or max (which way is better), got {mode!r}"
    if isinstance(wanted, str) and wanted != "auto" and wanted not in monitors:
        yield "monitor", f"monitor '{wanted}' is not a metric of this task. {did_you_mean(wanted, monitors)}"
    extra = _at(config, "callbacks.extra")
    for place, node in enumerate(extra if isinstance(extra, list) else []):
        watched = node.get("monitor") if isinstance(node, Mapping) else None
        if isinstance(watched, str) and watched not in (known := [*monitors, "train/loss"]):
            path = f"callbacks.extra.{place}.monitor"
            yield path, f"{path}: '{watched}' is not a metric of this task. {did_you_mean(watched, known)}"
    if default not in monitors:
        yield "task.default_monitor", f"task.default_monitor must be one of {', '.join(monitors)}, got {default!r}"


def _partners(config: Values, choices: Mapping[str, str]) -> Iterator[Mistake]:
    """`partners.<group>` of a part lists the options of that group that it works with."""
    for part, node in config.items():
        partners = node.get("partners") if isinstance(node, Mapping) else None
        if not isinstance(partners, Mapping):
            continue
        for group in partners.keys() & choices.keys():
            fitting = partners[group] if isinstance(partners[group], list) else [partners[group]]
            if choices[group] not in fitting:
                us = f"{part}={choices[part]}" if part in choices else part
                yield (
                    "",
                    f"{us} does not work with {group}={choices[group]}; it goes with "
                    f"{' or '.join(f'{group}={one}' for one in fitting)}",
                )


def _trainer(config: Values) -> Iterator[Mistake]:
    is_cpu = _at(config, "trainer.accelerator") == "cpu"
    if is_cpu and _at(config, "trainer.sync_batchnorm") is True:
        yield (
            "trainer.sync_batchnorm",
            "trainer.sync_batchnorm works on GPUs only; set it to false with accelerator=cpu",
        )
    if is_cpu and _at(config, "trainer.precision") == "16-mixed":
        yield "trainer.precision", "trainer.precision=16-mixed works on GPUs only; use bf16-mixed or 32-true on the cpu"
    if (nodes := _number_at(config, "trainer.num_nodes")) not in (None, 1):
        yield (
            "trainer.num_nodes",
            f"trainer.num_nodes must be 1 (a run starts its processes on one machine; srun or torchrun may start it on several), got {nodes}",
        )
    first, last = _number_at(config, "trainer.min_epochs"), _number_at(config, "trainer.max_epochs")
    if first is not None and last is not None and first > last:
        yield "trainer.min_epochs", f"trainer.min_epochs={first} is more than trainer.max_epochs={last}"
    batch, devices = _number_at(config, "loader.batch_size"), _number_at(config, "trainer.devices")
    if batch is not None and devices is not None and batch < devices:
        yield (
            "loader.batch_size",
            f"loader.batch_size={batch} is shared by all processes; "
            f"trainer.devices={devices} need at least one image each",
        )


def _at(config: Values, path: str) -> Any:
    value: Any = config
    for key in path.split("."):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def _number_at(config: Values, path: str) -> Any:
    value = _at(config, path)
    return value if _is_number(value) else None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) >= 2**63:
        return "a number beyond 64 bits"
    return str(int(value)) if abs(value) < WRITTEN_OUT and float(value).is_integer() else f"{value:g}"
