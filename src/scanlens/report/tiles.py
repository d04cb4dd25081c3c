"""The headline numbers on top of the page, each with its unit, interval or chance."""

from __future__ import annotations

from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.sentences import localization, num_rebuilt, primary_level, rebuilt
from scanlens.report.words import NOT_ASSESSED, counted, interval, number, percent, point, whole

Tile = dict[str, str]


def tiles(run: RunFolder) -> list[Tile]:
    """Four tiles: name, value, unit (small, beside the value) and a line below."""
    return _classification(run) if run.is_classification else _reconstruction(run)


def _classification(run: RunFolder) -> list[Tile]:
    split = run.split("test")
    level, metrics = primary_level(split)
    values, patients = mapping(metrics.get("metrics")), finite(metrics.get("num_patients"))
    unit = "per patient" if level == "patient" else "per image"
    images = counted(mapping(split.get("slice")).get("num_images"), "image")
    return [
        _metric("AUROC", values.get("auroc"), 2, unit=unit),
        _metric("Balanced accuracy", values.get("balanced_accuracy"), 2, unit=unit),
        _pointing(run),
        _tile("Test patients", whole(patients) if patients else NOT_ASSESSED, below=f"{images} not used for training"),
    ]


def _reconstruction(run: RunFolder) -> list[Tile]:
    split = run.split("test")
    values, anomaly = rebuilt(split)
    return [
        _metric("SSIM", values.get("ssim"), 2),
        _metric("PSNR", values.get("psnr"), 1, unit="dB"),
        _metric("Anomaly AUROC", anomaly.get("auroc"), 2),
        _tile("Test images", whole(num_rebuilt(split)), below="not used for training"),
    ]


def _pointing(run: RunFolder) -> Tile:
    known = [one for one in localization(run) if point(one["hit_rate"]) is not None]
    if not known:
        return _tile("Peak inside the lesion", NOT_ASSESSED, below="no marked lesions")
    first = known[0]
    below = f"{first['title']}; chance {number(point(first['chance']), 2)}"
    return _tile("Peak inside the lesion", number(point(first["hit_rate"]), 2), unit="of images", below=below)


def _metric(name: str, metric: object, digits: int, *, unit: str = "") -> Tile:
    bounds = interval(metric, digits)
    below = f"{percent(0.95)} interval {bounds}" if bounds else f"interval {NOT_ASSESSED}"
    return _tile(name, number(point(metric), digits), unit=unit, below=below)


def _tile(name: str, value: str, *, unit: str = "", below: str) -> Tile:
    return {"name": name, "value": value, "unit": "" if value == NOT_ASSESSED else unit, "below": below}
