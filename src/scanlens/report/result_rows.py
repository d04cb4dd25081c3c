"""Every number of evaluation.json as a row: value, interval, level, and how many images and patients it is of.

Curves (ROC, decision curve, reliability, predictive values by prevalence) stay in evaluation.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import point

Row = dict[str, object]
COLUMNS = (
    "part", "split", "level", "class", "metric", "value", "low", "high", "interval", "num_images", "num_patients",
    "num_of_class", "reason",
)  # fmt: skip
_LEVELS = {"patient": "patient", "slice": "image"}
_OF_ANOTHER_KIND = {"num", "counts", "interval"}


def result_rows(evaluation: dict[str, Any]) -> list[Row]:
    """One row a number, with the keys `COLUMNS`; `class` is empty for what is of all classes."""
    parts = (_performance, _decisions, _trust, _subgroups, _localization)
    return [row for part in parts for row in part(evaluation)]


def _performance(evaluation: dict[str, Any]) -> Iterator[Row]:
    for split, judged in mapping(evaluation.get("splits")).items():
        levels = {name: mapping(judged.get(key)) for key, name in _LEVELS.items() if mapping(judged.get(key))}
        for level, found in (levels or {"image": mapping(judged)}).items():
            fixed = {"part": "performance", "split": split, "level": level, **_size(evaluation, split, found)}
            for name, one in mapping(found.get("metrics")).items():
                yield _row(fixed, name, one)
            for label, metrics in mapping(found.get("per_class")).items():
                own = {**fixed, "class": label, "num_of_class": metrics.get("num")}
                for name, one in _entries(metrics):
                    yield _row(own, name, one)
            for name, one in _entries(mapping(found.get("baseline"))):
                yield _row({**fixed, "part": "baseline"}, name, one)


def _decisions(evaluation: dict[str, Any]) -> Iterator[Row]:
    part = mapping(evaluation.get("decisions"))
    level = {"level": part.get("unit"), "class": part.get("positive")}
    points = [mapping(part.get("chosen")), *(mapping(one) for one in sequence(part.get("compared")))]
    for place, one in enumerate(points):
        name = str(mapping(one.get("rule")).get("name"))
        head = {"part": f"threshold ({name}{'' if place else ', chosen'})", **level}
        if finite(one.get("threshold")) is not None:
            yield _row({**head, "split": "val"}, "threshold", one["threshold"])
        for split, key in (("val", "validation"), ("test", "test")):
            for metric, value in _entries(mapping(one.get(key))):
                yield _row({**head, "split": split, **_size(evaluation, split, part)}, metric, value)
        if point(one.get("net_benefit")) is not None:
            yield _row({**head, "split": "test", **_size(evaluation, "test", part)}, "net_benefit", one["net_benefit"])


def _trust(evaluation: dict[str, Any]) -> Iterator[Row]:
    """Calibration, sets and referral on test, image by image."""
    for name, keys in (("calibration", ("change",)), ("conformal", ("judged",)), ("referral", ("outcome", "curve"))):
        part = mapping(evaluation.get(name))
        fixed = {"part": name, "split": "test", "level": "image", **_size(evaluation, "test")}
        for key in keys:
            for metric, value in _entries(mapping(part.get(key))):
                yield _row(fixed, metric, value)


def _subgroups(evaluation: dict[str, Any]) -> Iterator[Row]:
    for column, found in mapping(evaluation.get("subgroups")).items():
        fixed = {"part": f"subgroup {column}", "split": "test", "level": "image", **_size(evaluation, "test")}
        for group in map(mapping, sequence(mapping(found).get("groups"))):
            size = {key: group.get(key) for key in ("num_images", "num_patients")}
            for metric, value in _entries(mapping(group.get("metrics"))):
                yield _row({**fixed, **size}, f"{group.get('name')}: {metric}", value)
        gap = mapping(mapping(found).get("gap"))
        if gap:
            yield _row(fixed, f"largest gap: {mapping(found).get('metric')}", gap)


def _localization(evaluation: dict[str, Any]) -> Iterator[Row]:
    for method, found in mapping(evaluation.get("localization")).items():
        one = mapping(found)
        fixed = {"part": f"pointing {method}", "split": "test", "level": "image", "interval": _level(one)}
        fixed |= {key: one.get(key) for key in ("num_images", "num_patients")}
        for metric in ("hit_rate", "chance", "excess", "p_value"):
            if metric in one:
                yield _row(fixed, metric, one[metric])


def _entries(found: dict[str, Any], before: str = "") -> Iterator[tuple[str, object]]:
    """Numbers, and values with intervals, of nested mappings, by their path; lists are curves and passed over."""
    for key, value in found.items():
        if key in _OF_ANOTHER_KIND:
            continue
        if isinstance(value, dict) and "value" in value:
            yield f"{before}{key}", value
        elif isinstance(value, dict):
            yield from _entries(value, f"{before}{key}.")
        elif finite(value) is not None and not isinstance(value, str):
            yield f"{before}{key}", value


def _size(evaluation: dict[str, Any], split: str, found: dict[str, Any] | None = None) -> Row:
    """Images and patients of a split, and the level of its intervals."""
    judged = mapping(mapping(evaluation.get("splits")).get(split))
    images = mapping(judged.get("slice")) or judged
    return {
        "interval": _level(found or images),
        "num_images": images.get("num_images"),
        "num_patients": images.get("num_patients"),
    }


def _level(found: dict[str, Any]) -> object:
    return mapping(found.get("interval")).get("level")


def _row(fixed: Row, metric: str, found: object) -> Row:
    bounds = {key: finite(mapping(found).get(key)) for key in ("low", "high")}
    row = {**dict.fromkeys(COLUMNS), **fixed, "metric": metric, "value": point(found), **bounds}
    has_interval = None not in bounds.values()
    return {**row, "interval": row["interval"] if has_interval else None, "reason": mapping(found).get("reason")}
