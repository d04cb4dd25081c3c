"""The first stage of a run, in one process: list, decode once, split, and write down what the data decided."""

from __future__ import annotations

import copy
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytorch_lightning as pl

from scanlens import provenance
from scanlens.config import build, freeze
from scanlens.data.split_table import SplitTable
from scanlens.data.thin_classes import counted_class, how_to_do_without
from scanlens.errors import ConfigError, DataError, did_you_mean
from scanlens.explain.rival import rival_number
from scanlens.files import write_csv, write_json
from scanlens.models.mc_dropout import check_has_dropout
from scanlens.models.weights import save_weights
from scanlens.pipeline.audit import audit, refuse_leaks, write_quarantine
from scanlens.pipeline.build import build_network, is_reconstruction, settle_hardware
from scanlens.pipeline.decode import Listed, decode
from scanlens.pipeline.division import divide
from scanlens.pipeline.fork import begin_as, forked_from
from scanlens.pipeline.lineage.remember import judge_start
from scanlens.pipeline.lineage.stored import write_lineage
from scanlens.pipeline.meta_table import write_meta
from scanlens.pipeline.patients import places_in_volumes, positive_class
from scanlens.pipeline.summary import chosen_lines
from scanlens.pipeline.uncertainty import passes_of
from scanlens.report.audit import warnings as audit_warnings
from scanlens.runs import Config, Run
from scanlens.types import SPLITS

log = logging.getLogger(__name__)
STATISTICS_CHUNK = 256
UNEQUAL = 1.5  # times as many images of the most frequent class as of the rarest
COMPARES_CLASSES = ("val/auroc", "val/auprc")


def prepare(config: Config, run: Run) -> None:
    """Fill a run folder with everything that training needs: config.yaml with facts, split.csv, quarantine.csv.

    Raises:
        DataError: if the data cannot be used as a whole.
        ConfigError: if a setting does not fit the data.
    """
    config, former = copy.deepcopy(config), forked_from(config)
    hardware = settle_hardware(config["trainer"], model=config["model"])
    listed = decode(config, accelerator=hardware["accelerator"])
    division = divide(config, listed)
    table = division.table
    facts = _facts(config, listed, table, hardware)
    lineage, past = judge_start(config, listed, table, run)
    facts["lineage"] = past.facts
    facts["warnings"] += past.warnings
    if build(config["audit"]).enabled:
        found = audit(config, listed, division, run)
        refuse_leaks(config, found)
        facts["warnings"] += audit_warnings(found)
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    network = build_network(config, facts=facts)
    note = network.weights_note if former is None else begin_as(former, network)
    if passes_of(config):
        check_has_dropout(network)
    facts["model_arguments"] = network.rebuild_arguments()
    facts["model_summary"] = {
        "name": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "weights_note": note,
        "is_pretrained": bool(getattr(network, "is_pretrained", False)),
    }
    if _fell_back(config, facts["model_summary"]):
        facts["warnings"].append(f"The network starts without pretrained weights: {network.weights_note}")
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    save_weights(run.initial_weights_file, network)
    write_lineage(run.lineage_file, lineage)
    write_quarantine(run, listed)
    table.write(run.split_file)
    if places := places_in_volumes(listed.records):
        write_csv(run.volumes_file, list(places[0]), places, private=True)
    write_meta(run, listed, index_of={row.id: row.index for row in table.rows})
    write_json(run.provenance_file, _provenance(config, listed, facts))
    facts["chosen"] = chosen_lines(config, facts)
    freeze(config | {"facts": facts}, run.folder)


def _fell_back(config: Config, summary: Config) -> bool:
    return config["model"].get("weights") == "auto" and not summary["is_pretrained"]


def _facts(config: Config, listed: Listed, table: SplitTable, hardware: Config) -> Config:
    rows = table.rows
    names = listed.source.class_names
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    counts: dict[str, dict[str, int]] = {split: _counts(by_split[split], names) for split in SPLITS}
    task = "reconstruction" if is_reconstruction(config) else "classification"
    _check_classes(config, names, counts, task)
    if task == "classification":
        _check_learnable(table, counts["train"])
    mean, std = channel_statistics(listed.images.images, [row.index for row in by_split["train"]])
    patients_known = all(row.patient for row in rows)
    monitor, without_validation = _monitor(config, counts["val"])
    warnings = [*table.notes, *getattr(listed.source, "notes", []), *without_validation]
    if task == "classification":
        warnings += _balance_warnings(config, counts["train"])
    return {
        "class_names": names,
        "in_channels": int(listed.images.images.shape[1]),
        "input_size": int(listed.images.images.shape[2]),
        "input_mean": mean,
        "input_std": std,
        "color": listed.source.color,
        "preprocess": listed.preprocess.settings(),
        "num_images": {split: len(by_split[split]) for split in SPLITS},
        "counts": counts,
        "num_patients": {s: len({r.patient for r in by_split[s]}) if patients_known else None for s in SPLITS},
        "patients_known": patients_known,
        "groups": "patient" if patients_known else ("near-duplicate groups" if _groups_are_shared(table) else "image"),
        "num_quarantined": len(listed.images.quarantined),
        "num_without_class": listed.num_without_class,
        "source_about": listed.source.about,
        "is_phantom": listed.source.root is None,
        "cache": str(listed.images.folder),
        "task": task,
        "monitor": monitor,
        "hardware": hardware,
        "warnings": warnings,
    }


def _balance_warnings(config: Config, train_counts: Mapping[str, int]) -> list[str]:
    """What a remedy for imbalance does to probabilities, where there is an imbalance."""
    plan = build(config["balance"])
    known = [count for count in train_counts.values() if count]
    corrects = plan.class_weights or plan.sampler or plan.logit_adjustment is not None
    if not corrects or max(known) < UNEQUAL * min(known):
        return []
    return [
        "Training made up for rare classes (balance), so the stated probabilities are those of equally frequent classes: "
        "too high for rare ones, and log loss, Brier score and calibration suffer from it."
    ]


def _monitor(config: Config, val_counts: Mapping[str, int]) -> tuple[Config, list[str]]:
    """Which metric decides, and a warning where there is no validation image to measure it on.

    Raises:
        ConfigError: if the metric compares classes, and the validation split has only one.
    """
    task = config["task"]
    name = task["default_monitor"] if config["monitor"] == "auto" else config["monitor"]
    watched = {c: n for c, n in val_counts.items() if n and c in (task.get("train_on") or val_counts)}
    if not watched:
        return {"name": "train/loss", "mode": "min"}, [
            "No validation image can be watched: the best epoch is chosen by the training loss, which favors overfitting."
        ]
    if name in COMPARES_CLASSES and len(watched) < 2:
        raise ConfigError(
            [
                f"monitor={name} compares classes, and all validation images are of {next(iter(watched))!r}. "
                f"Use monitor={task['default_monitor']}, or split.fractions with more for validation."
            ]
        )
    return {"name": name, "mode": task["monitors"][name]}, []


def _groups_are_shared(table: SplitTable) -> bool:
    """Whether any group holds several images."""
    return len({row.group for row in table.rows}) < len(table.rows)


def _counts(rows: Sequence[Any], names: Sequence[str]) -> dict[str, int]:
    found = Counter(row.target for row in rows)
    return {name: found.get(name, 0) for name in names}


def _check_classes(config: Config, names: Sequence[str], counts: Mapping[str, Mapping[str, int]], task: str) -> None:
    if task == "reconstruction":
        wanted = config["task"].get("train_on") or []
        wrong = [
            f"task.train_on: class '{n}' is not in the data. {did_you_mean(n, names)}" for n in wanted if n not in names
        ]
        if wrong:
            raise ConfigError(wrong)
        return
    if len(names) < 2:
        raise DataError(
            f"classification needs two classes, found {list(names)}. Use model=autoencoder for one kind of image."
        )
    positive_class(config, names)
    try:
        rival_number(names, config["explain"].get("against"))
    except ValueError as error:
        raise ConfigError([str(error)]) from error


def _check_learnable(table: SplitTable, train_counts: Mapping[str, int]) -> None:
    """Every class can be trained on, in this run and in all folds of its cross-validation."""
    if table.untrained:
        raise DataError(
            "\n".join(
                f"{counted_class(table.rows, name)}: too few for this cross-validation, in which "
                f"{'fold' if len(folds) == 1 else 'folds'} {', '.join(map(str, folds))} would have no training image of it. "
                f"{how_to_do_without(table.rows, name)}"
                for name, folds in table.untrained.items()
            )
        )
    empty = [name for name, count in train_counts.items() if count == 0]
    if empty:
        raise DataError(
            "\n".join(
                f"no training image of '{name}'. {counted_class(table.rows, name)}. "
                f"{how_to_do_without(table.rows, name)}"
                for name in empty
            )
        )


def channel_statistics(images_NCHW: np.ndarray, indices: Sequence[int]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation per channel, in units of [0, 1], of the images at `indices` of a uint16 array."""
    num_channels = images_NCHW.shape[1]
    total, squares, count = np.zeros(num_channels), np.zeros(num_channels), 0
    for start in range(0, len(indices), STATISTICS_CHUNK):
        chunk = images_NCHW[np.sort(indices[start : start + STATISTICS_CHUNK])].astype(np.float64) / 65535
        total += chunk.sum(axis=(0, 2, 3))
        squares += np.square(chunk).sum(axis=(0, 2, 3))
        count += chunk.shape[0] * chunk.shape[2] * chunk.shape[3]
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - mean**2, 1e-8))
    return [round(float(m), 8) for m in mean], [round(float(s), 8) for s in std]


def _provenance(config: Config, listed: Listed, facts: Config) -> Config:
    return provenance.collect(
        seed=config["seed"],
        num_processes=facts["hardware"]["devices"],
        data_fingerprint=listed.source.fingerprint(),
        argv=sys.argv,
    )
