"""The first stage of a run, in one process: list, decode once, split, and write down what the data decided."""

from __future__ import annotations

import copy
import logging
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from scanlens import provenance
from scanlens.config import build, freeze
from scanlens.data.cache import CachedImages, build_cache
from scanlens.data.duplicates import near_duplicate_groups
from scanlens.data.preprocess import Preprocess
from scanlens.data.splits import SplitPlan, SplitTable, make_splits
from scanlens.errors import ConfigError, DataError, did_you_mean
from scanlens.files import write_csv, write_json
from scanlens.models.weights import save_weights
from scanlens.pipeline.build import build_network, is_reconstruction, settle_hardware
from scanlens.pipeline.lineage import check_lineage
from scanlens.pipeline.patients import places_in_volumes, positive_class
from scanlens.pipeline.progress import progress_bar
from scanlens.pipeline.summary import chosen_lines
from scanlens.runs import Config, Run
from scanlens.types import SPLITS, Quarantined, Record

log = logging.getLogger(__name__)
STATISTICS_CHUNK = 256
UNEQUAL = 1.5  # times as many images of the most frequent class as of the rarest
COMPARES_CLASSES = ("val/auroc", "val/auprc")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a source gave: images in the cache, and who they belong to."""

    source: Any
    records: list[Record]
    images: CachedImages
    preprocess: Preprocess


def prepare(config: Config, run: Run) -> None:
    """Fill a run folder with everything that training needs: config.yaml with facts, split.csv, quarantine.csv.

    Raises:
        DataError: if the data cannot be used as a whole.
        ConfigError: if a setting does not fit the data.
    """
    config = copy.deepcopy(config)
    hardware = settle_hardware(config["trainer"], model=config["model"])
    listed = _decode(config, hardware)
    table = _split(config, listed)
    facts = _facts(config, listed, table, hardware)
    facts["warnings"] += check_lineage(config, table, data_fingerprint=listed.source.fingerprint())
    pl.seed_everything(config["seed"], workers=True, verbose=False)
    network = build_network(config, facts=facts)
    facts["model_arguments"] = network.rebuild_arguments()
    facts["model_summary"] = {
        "name": type(network).__name__,
        "parameters": sum(p.numel() for p in network.parameters()),
        "trainable": sum(p.numel() for p in network.parameters() if p.requires_grad),
        "weights_note": network.weights_note,
        "is_pretrained": bool(getattr(network, "is_pretrained", False)),
    }
    if _fell_back(config, facts["model_summary"]):
        facts["warnings"].append(f"The network starts without pretrained weights: {network.weights_note}")
    run.checkpoints.mkdir(parents=True, exist_ok=True)
    save_weights(run.initial_weights_file, network)
    write_csv(
        run.quarantine_file, ["id", "reason"], [{"id": q.id, "reason": q.reason} for q in listed.images.quarantined]
    )
    table.write(run.split_file)
    if places := places_in_volumes(listed.records):
        write_csv(run.volumes_file, list(places[0]), places)
    write_json(run.provenance_file, _provenance(config, listed, facts))
    facts["chosen"] = chosen_lines(config, facts)
    freeze(config | {"facts": facts}, run.folder)


def _fell_back(config: Config, summary: Config) -> bool:
    return config["model"].get("weights") == "auto" and not summary["is_pretrained"]


def _decode(config: Config, hardware: Config) -> Listed:
    source = build(config["data"])
    records = [record for record in source.records() if record.target is not None or is_reconstruction(config)]
    if not records:
        raise DataError(f"data={source.name}: no images were found under {source.root}. Check data.root.")
    partners = config["model"].get("partners", {})
    wanted: Preprocess = build(config["preprocess"])
    size = wanted.size or _preferred_size(source, partners, hardware["accelerator"])
    channels = wanted.channels or _num_channels(source, records)
    preprocess = wanted.resolved(size=size, channels=channels)
    loader = build(config["loader"])
    with progress_bar("decoding images", total=len(records)) as advance:
        images = build_cache(
            records,
            read=source.read,
            read_mask=source.read_mask,
            preprocess=preprocess,
            folder=Path(config["paths"]["cache"]),
            fingerprint=source.fingerprint(),
            progress=advance,
        )
    _refuse_too_many_bad(images.quarantined, num=len(records), limit=loader.max_quarantined_share)
    kept = [records[i] for i in images.kept]
    return Listed(source, kept, images, preprocess)


def _preferred_size(source: Any, partners: Config, accelerator: str) -> int:
    own = getattr(source, "preferred_size", None)
    return int(own or partners.get("size_gpu" if accelerator == "gpu" else "size_cpu") or 64)


def _num_channels(source: Any, records: Sequence[Record]) -> int:
    if source.color == "gray":
        return 1
    if source.color == "rgb":
        return 3
    pixels = source.read(records[0]).pixels
    return 1 if pixels.ndim == 2 else pixels.shape[2]


def _refuse_too_many_bad(bad: Sequence[Quarantined], *, num: int, limit: float) -> None:
    if not bad:
        return
    shown = "; ".join(f"{q.id}: {q.reason}" for q in bad[:3])
    log.warning("%d of %d images cannot be read and are left out (quarantine.csv), such as %s", len(bad), num, shown)
    if len(bad) > limit * num:
        raise DataError(
            f"{len(bad)} of {num} images cannot be read, more than the share of {limit:g} that is allowed "
            f"(such as {shown}). Mend or remove them, or raise loader.max_quarantined_share."
        )


def _split(config: Config, listed: Listed) -> SplitTable:
    plan: SplitPlan = build(config["split"])
    if not _wants_near_duplicates(plan, listed):
        return make_splits(listed.records, plan=plan, seed=config["seed"])
    found = near_duplicate_groups(listed.images.thumbnails)
    groups = {record.id: number for record, number in zip(listed.records, found.group_N.tolist(), strict=True)}
    table = make_splits(listed.records, plan=plan, seed=config["seed"], groups=groups)
    return SplitTable(table.rows, table.notes + found.notes)


def _wants_near_duplicates(plan: SplitPlan, listed: Listed) -> bool:
    if plan.by == "near_duplicates":
        return True
    is_sensible = getattr(listed.source, "look_for_duplicates", True)  # digits of different writers look alike
    return plan.by == "auto" and is_sensible and any(record.patient is None for record in listed.records)


def _facts(config: Config, listed: Listed, table: SplitTable, hardware: Config) -> Config:
    rows = table.rows
    names = listed.source.class_names
    by_split = {split: [row for row in rows if row.split == split] for split in SPLITS}
    counts: dict[str, dict[str, int]] = {split: _counts(by_split[split], names) for split in SPLITS}
    task = "reconstruction" if is_reconstruction(config) else "classification"
    _check_classes(config, names, counts, task)
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
    empty = [name for name in names if counts["train"][name] == 0]
    if empty:
        raise DataError(
            f"no training image of {', '.join(repr(n) for n in empty)} (training images per class: {counts['train']}). "
            "Add patients of that class, change split.fractions, or leave the class out with data.class_names."
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
