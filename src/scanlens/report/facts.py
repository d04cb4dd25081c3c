"""What was trained on what, by which code and machine, as plain pairs and tables; a list of allowed fields, never all
of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import yaml

from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.sentences import lineage
from scanlens.report.words import (
    NOT_ASSESSED,
    duration,
    public_config,
    significant,
    whole,
    without_paths,
)

SPLIT_NAMES = {"train": "training", "val": "validation", "test": "test"}


def count_table(run: RunFolder) -> dict[str, Any]:
    """Images and patients of each split, and images of each class."""
    counts, patients = mapping(run.facts.get("counts")), mapping(run.facts.get("num_patients"))
    images = mapping(run.facts.get("num_images"))
    splits = [name for name in SPLIT_NAMES if name in counts or name in images]
    rows = [
        {"name": name, "cells": [whole(mapping(counts.get(split)).get(name, 0)) for split in splits]}
        for name in run.class_names
        if counts
    ]
    return {
        "splits": [SPLIT_NAMES[name] for name in splits],
        "rows": rows,
        "images": [
            whole(images.get(name, sum(finite(n) or 0 for n in mapping(counts.get(name)).values()))) for name in splits
        ],
        "patients": [whole(patients[name]) if finite(patients.get(name)) is not None else "unknown" for name in splits],
    }


def data_facts(run: RunFolder) -> list[tuple[str, str]]:
    """What the pictures are."""
    facts, data = run.facts, mapping(run.config.get("data"))
    size = facts.get("input_size")
    sides = (
        [whole(side) for side in size]
        if isinstance(size, list)
        else [whole(size)] * 2
        if finite(size) is not None
        else []
    )
    color = {
        "gray": "gray",
        "rgb": "color (RGB)",
        "channels": "channels that are not colors; the first three are shown as red, green and blue",
    }
    divided = {
        "patient": "by patient",
        "near-duplicate groups": "by groups of near-duplicate images (patients unknown)",
    }
    groups = str(facts.get("groups") or "")
    return [
        ("Data set", str(data.get("name") or NOT_ASSESSED)),
        ("Source", without_paths(facts.get("source_about") or NOT_ASSESSED)),
        ("Kind", "computer-made phantoms" if facts.get("is_phantom") else "images as read from the data folder"),
        (
            "Input",
            " × ".join(sides) + f" pixels, {color.get(str(facts.get('color')), NOT_ASSESSED)}"
            if sides
            else NOT_ASSESSED,
        ),
        (
            "Divided",
            divided.get(
                groups, "by image: patients and duplicates unknown" if groups == "image" else groups or NOT_ASSESSED
            ),
        ),
        ("Left out", f"{whole(facts.get('num_quarantined', len(run.quarantine)))} that could not be read"),
    ]


def model_facts(run: RunFolder) -> list[tuple[str, str]]:
    """What was trained, and how."""
    model, monitor = mapping(run.facts.get("model_summary")), mapping(run.evaluation.get("monitor"))
    optim = mapping(run.config.get("optim"))
    optimizer = str(optim.get("name") or optim.get("_target_") or NOT_ASSESSED).rpartition(".")[2]
    rate = finite(optim.get("lr"))
    best = finite(run.evaluation.get("best_epoch"))
    named = f"{monitor.get('name')} {significant(monitor.get('value'))}" if monitor.get("name") else ""
    chosen = f"epoch {best:.0f}" + (f" by {named}" if named else "") if best is not None else NOT_ASSESSED
    return [
        ("Network", str(model.get("name") or NOT_ASSESSED)),
        ("Parameters", f"{whole(model.get('parameters'))}, of which {whole(model.get('trainable'))} trained"),
        ("Starting weights", _starting_weights(model.get("weights_note"))),
        ("Seen before", lineage(run) or NOT_ASSESSED),
        ("Task", "classification" if run.is_classification else "reconstruction"),
        (
            "Optimizer",
            optimizer + (f", learning rate {significant(rate)}" if rate is not None else ""),
        ),
        ("Epochs", whole(len(run.epochs)) if run.epochs else NOT_ASSESSED),
        ("Best weights", chosen),
        ("Seed", _seeds(run)),
    ]


def _seeds(run: RunFolder) -> str:
    """The seed of the run, and that of the division where it has one of its own."""
    seed = str(run.config.get("seed", run.provenance.get("seed", NOT_ASSESSED)))
    of_split = mapping(run.config.get("split")).get("seed")
    return seed if of_split is None else f"{seed} (of the division: {of_split})"


def _starting_weights(note: object) -> str:
    """An empty note means what was asked for: weights drawn at random."""
    return NOT_ASSESSED if note is None else without_paths(note) or "drawn at random"


def quarantine_table(run: RunFolder) -> list[tuple[str, str]]:
    """Reasons and how many files each, most frequent first. Names of files never reach the page."""
    reasons: Counter[str] = Counter()
    for row in run.quarantine:
        text = row.get("reason", "")
        for name in {row.get("id", ""), row.get("id", "").rpartition("/")[2]} - {""}:
            text = text.replace(name, "(file)")
        reasons[without_paths(text) or "no reason given"] += 1
    return [(text, whole(count)) for text, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))]


def provenance_table(run: RunFolder) -> list[tuple[str, str]]:
    """Which code, machine, seed and data made this run."""
    known = run.provenance
    git, hardware = mapping(known.get("git")), mapping(known.get("hardware"))
    changed = ", with changes that were not committed" if git.get("dirty") else ""
    machine = [
        str(hardware.get("cpu") or ""),
        f"{whole(hardware.get('cores'))} cores",
        f"{significant(hardware.get('memory_gib'))} GiB memory",
    ]
    stages = mapping(known.get("duration_s"))
    # The page's own time is known only after it was written; with it, the same run would give another page the next time.
    times = [f"{stage} {duration(seconds)}" for stage, seconds in stages.items() if stage != "report"]
    rows = [
        ("Run", run.config.get("run_id")),
        ("Created", known.get("created")),
        ("Command", without_paths(known["command"]) if known.get("command") else None),
        ("Seed", known.get("seed")),
        ("Code", f"commit {git['commit']}{changed}" if git.get("commit") else None),
        ("Data fingerprint", known.get("data_fingerprint")),
        ("Python", known.get("python")),
        ("Platform", known.get("platform")),
        ("Processor", ", ".join(part for part in machine if part) if hardware else None),
        ("GPU", hardware.get("gpu") or "none"),
        ("Processes", known.get("num_processes")),
        ("Durations", ", ".join(times) or None),
        (
            "Packages",
            ", ".join(f"{name} {version}" for name, version in sorted(mapping(known.get("packages")).items())) or None,
        ),
    ]
    return [(name, NOT_ASSESSED if value is None else str(value)) for name, value in rows]


def configuration_text(run: RunFolder) -> str:
    """The frozen configuration as YAML, without paths."""
    return yaml.safe_dump(public_config(run.config), sort_keys=False, allow_unicode=True, width=100)
