"""What several seeds say together, in sentences: how much another training and other patients would change."""

from __future__ import annotations

from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.folds import LABELS, LEVEL_NAMES, Content
from scanlens.report.words import counted, interval, joined, number

SPOKEN_OF = ("balanced_accuracy", "ssim")


def size(content: Content) -> str:
    """ "3 seeds × 5 folds", or "3 seeds"."""
    seeds = counted(len(sequence(content.get("seeds"))), "seed")
    return f"{seeds} × {counted(num_folds(content), 'fold')}" if num_folds(content) else seeds


def num_folds(content: Content) -> int:
    """Folds of each seed; 0 without a cross-validation."""
    return len(sequence(content.get("folds")))


def lead(content: Content) -> str:
    """Which randomness is meant."""
    seed = finite(content.get("split_seed"))
    division = f"that of seed {seed:.0f}" if seed is not None else "that of split.file"
    seeds = joined([str(mapping(one).get("seed")) for one in sequence(content.get("seeds"))], most=12)
    people = finite(content.get("num_patients"))
    whose = f" of {counted(people, 'patient')}" if people is not None else ""
    return (
        f"Each seed ({seeds}) trains anew on the same division ({division}) and is tested on the same "
        f"{counted(content.get('num_images'), 'image')}{whose}. What differs is initial weights, order of images, augmentation "
        "and dropout, never who is tested."
    )


def sentence(content: Content, level: str) -> str:
    """What another training and other patients would change; empty where no metric can be spoken of."""
    metrics = mapping(mapping(content.get("levels")).get(level))
    key = next((name for name in SPOKEN_OF if finite(over_seeds(metrics, name).get("std")) is not None), None)
    if key is None:
        return ""
    (label, digits), metric = LABELS[key], mapping(metrics[key])
    told = f"{label} {LEVEL_NAMES[level]} is {_training(over_seeds(metrics, key), digits)}"
    error, people = finite(metric.get("over_patients")), finite(content.get("num_patients"))
    if error is not None:
        units = counted(people, "patient") if people is not None else "images or groups of near-duplicates"
        told += f"; other patients would move it by about {number(error, digits)} (standard error over {units})"
    return f"{told}.{_parts(mapping(metric.get('parts')), digits)}"


def over_seeds(metrics: dict[str, Any], key: str) -> dict[str, Any]:
    """The spread of a metric over seeds."""
    return mapping(mapping(metrics.get(key)).get("over_seeds"))


def std_with_bounds(over: dict[str, Any], digits: int) -> str:
    """The standard deviation of the seeds, with its interval where there is one."""
    bounds = interval({"low": over.get("std_low"), "high": over.get("std_high")}, digits)
    return number(over.get("std"), digits) + (f" ({bounds})" if bounds else "")


def _training(over: dict[str, Any], digits: int) -> str:
    mean, seeds = number(over.get("mean"), digits), counted(over.get("num_seeds"), "seed")
    if not finite(over.get("std")):
        return (
            f"{mean} for each of {seeds}, which happens where few cases are tested or nothing was learned; what another training "
            "run would change cannot be told"
        )
    how = f"standard deviation of {seeds}" + (", with its 95 % interval" if finite(over.get("std_low")) else "")
    moved = f"Another training run on the same division would move it by about {std_with_bounds(over, digits)}, {how}"
    return f"{mean} (mean of {seeds}). {moved}"


def _parts(parts: dict[str, Any], digits: int) -> str:
    if not finite(parts.get("total")):
        return ""
    told = joined([f"{name} {number(parts.get(name), digits)}" for name in ("seed", "fold", "rest")])
    zero = [str(name) for name in sequence(parts.get("below_zero"))]
    why = f" The estimate for {joined(zero)} came out below 0 and is told as 0." if zero else ""
    size_of = f"{counted(parts.get('num_seeds'), 'seed')} × {counted(parts.get('num_folds'), 'fold')}"
    total = number(parts.get("total"), digits)
    return f" One network on one fold varies by {total} (standard deviation, {size_of}): {told}.{why}"
