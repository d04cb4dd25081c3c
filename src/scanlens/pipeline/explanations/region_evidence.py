"""What stands beside the verdict on a region: how much of the heat maps lies there, and what can be read from it alone.

Legend of axes: N images, C channels, H rows, W columns, D columns of a feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from scanlens.callbacks.case_maps import CaseMap, explain_cases
from scanlens.callbacks.predictions import index_of
from scanlens.data.module import ScanData
from scanlens.evaluation.intervals import entry, share_interval
from scanlens.evaluation.resampling import PatientGroups
from scanlens.evaluation.shortcuts import measure_shortcuts
from scanlens.explain.base import Explainer
from scanlens.explain.measure import mass_in_mask, pointing_hit
from scanlens.explain.regions import Mask, Region
from scanlens.pipeline.explanations.subject import Subject
from scanlens.runs import Run

MOST_READ = 2000  # images that the simple classifier learns from
_SMALL = 16  # cells of a side of what it sees
_LIFT = 2.0  # of chance, from which on a map points at a region
_AT_ONCE = 64
_NUMBERS = ("text", "outside")  # kinds whose outline alone would tell of the body
Row = dict[str, str]


def case_maps(subject: Subject, explainer: Explainer, rows: Sequence[Row]) -> Iterator[CaseMap]:
    """Maps of the predicted class of these images, one after the other."""
    targets = subject.classes(rows).tolist()
    for start in range(0, len(rows), _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        indices, cases = [index_of(row) for row in rows[part]], [row["case"] for row in rows[part]]
        yield from explain_cases(explainer, subject.network, indices, cases, targets[part], subject.data.image_and_mask)


def mean_evidence(subject: Subject, rows: Sequence[Row]) -> NDArray[np.float64] | None:
    """Mean over images of the positive evidence of the first method, each map with sum 1; None if all maps are blank."""
    found = []
    for explainer in subject.explainers[:1]:
        for one in case_maps(subject, explainer, rows):
            positive_HW = np.maximum(one.evidence_HW.astype(np.float64), 0)
            if not one.is_blank and positive_HW.sum() > 0:
                found.append(positive_HW / positive_HW.sum())
    return np.mean(found, axis=0) if found else None


def maps_in_regions(
    subject: Subject, rows: Sequence[Row], regions: Sequence[Region], units: PatientGroups
) -> list[list[dict[str, Any]]]:
    """Of each region, what each method says of it.

    Returns:
        Dictionaries of `method`, `title`, `mass` (mean share of the positive evidence), `chance` (mean share of the image),
        `peaks` (share of images whose strongest evidence lies there, with its interval), `num_images` (that have such a
        region) and `points_here`.
    """
    found: list[list[dict[str, Any]]] = [[] for _ in regions]
    for explainer in subject.explainers:
        table = _MapTable(len(regions), len(rows))
        for n, one in enumerate(case_maps(subject, explainer, rows)):
            for place, region in enumerate(regions):
                table.note(place, n, one, region.masks(one.scan_CHW[None])[0])
        for place, row in enumerate(found):
            row.append({"method": explainer.name, "title": explainer.title, **table.summary(place, units)})
    return found


class _MapTable:
    """Mass, hit and area of each region and image; NaN where an image has no such region."""

    def __init__(self, num_regions: int, num_images: int) -> None:
        shape = (3, num_regions, num_images)
        self.mass_GN, self.hit_GN, self.area_GN = np.full(shape, np.nan)

    def note(self, place: int, n: int, one: CaseMap, mask_HW: Mask) -> None:
        if mask_HW.any():
            self.area_GN[place, n] = mask_HW.mean()
            self.mass_GN[place, n] = 0.0 if one.is_blank else mass_in_mask(one.evidence_HW, mask_HW)
            self.hit_GN[place, n] = 0.0 if one.is_blank else pointing_hit(one.evidence_HW, mask_HW)

    def summary(self, place: int, units: PatientGroups) -> dict[str, Any]:
        is_there_N = ~np.isnan(self.area_GN[place])
        if not is_there_N.any():
            return {"mass": None, "chance": None, "peaks": None, "num_images": 0, "points_here": False}
        mass, chance, rate = (
            float(values[place][is_there_N].mean()) for values in (self.mass_GN, self.area_GN, self.hit_GN)
        )
        interval = share_interval(np.nan_to_num(self.hit_GN[place]), is_there_N, units)
        peaks_here = rate >= _LIFT * chance and (interval.low is None or interval.low > chance)
        return {
            "mass": mass,
            "chance": chance,
            "peaks": entry(rate, interval),
            "num_images": int(is_there_N.sum()),
            "points_here": bool(peaks_here or mass >= _LIFT * chance),
        }


@dataclass(frozen=True, slots=True)
class _Pixels:
    """A region as `evaluation.shortcuts` wants to see it."""

    name: str
    kind: Literal["numbers", "category", "pixels"]
    origin: Literal["file", "person", "picture"]
    values_ND: NDArray[np.float64]


def readable(run: Run, data: ScanData, regions: Sequence[Region], *, seed: int) -> list[dict[str, Any]]:
    """How well a simple classifier, cross-fitted by patients over all splits, tells the classes from each region alone.

    A fixed region is seen as at most 16 x 16 cells; of writing and of what lies outside of the body, only numbers of size,
    place and brightness are, since its outline would show the body.

    Returns:
        Dictionaries of `auroc` ({value, low, high, reason}) and `num_images`.
    """
    names = {group: number for number, group in enumerate(dict.fromkeys(row["group"] for row in run.split_rows))}
    group_N = np.array([names[row["group"]] for row in run.split_rows], dtype=np.int64)
    chosen = _drawn(group_N, data.targets_N, seed=seed)
    features = _features(data, regions, chosen)
    found = measure_shortcuts(features, data.targets_N[chosen], group_N[chosen], seed=seed)
    return [
        {
            "auroc": {"value": one.auroc, "low": one.low, "high": one.high, "reason": one.reason},
            "num_images": one.num_images,
        }
        for one in found
    ]


def _drawn(group_N: NDArray[np.int64], target_N: NDArray[np.int64], *, seed: int) -> NDArray[np.int64]:
    """Whole groups with a label, in random order, until there are enough images."""
    labeled = np.flatnonzero(target_N >= 0)
    order = np.random.default_rng(seed).permutation(int(group_N.max()) + 1)
    ranked = labeled[np.argsort(order[group_N[labeled]], kind="stable")]
    return np.sort(ranked[:MOST_READ])


def _features(data: ScanData, regions: Sequence[Region], chosen: NDArray[np.int64]) -> list[_Pixels]:
    columns: list[list[NDArray[np.float64]]] = [[] for _ in regions]
    for start in range(0, len(chosen), _AT_ONCE):
        images = [data.image_and_mask(int(index))[0] for index in chosen[start : start + _AT_ONCE]]
        x_BCHW = torch.stack(images).numpy()
        for place, region in enumerate(regions):
            masks_BHW = region.masks(x_BCHW)
            seen = _numbers if region.kind in _NUMBERS else _cells
            columns[place].append(seen(x_BCHW, masks_BHW))
    kinds = ["numbers" if region.kind in _NUMBERS else "pixels" for region in regions]
    return [
        _Pixels(region.name, kind, "picture", np.concatenate(parts))  # type: ignore[arg-type]
        for region, kind, parts in zip(regions, kinds, columns, strict=True)
    ]


def _cells(x_BCHW: NDArray[np.float32], masks_BHW: Mask) -> NDArray[np.float64]:
    """Mean over channels, zero outside of the region, its bounding box in at most 16 x 16 cells."""
    rows, columns = np.flatnonzero(masks_BHW[0].any(axis=1)), np.flatnonzero(masks_BHW[0].any(axis=0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    gray_BHW = torch.from_numpy((x_BCHW.mean(axis=1) * masks_BHW)[:, *box])
    size = (min(_SMALL, gray_BHW.shape[1]), min(_SMALL, gray_BHW.shape[2]))
    cells = torch.nn.functional.adaptive_avg_pool2d(gray_BHW[:, None], size)
    return cells.flatten(1).double().numpy()


def _numbers(x_BCHW: NDArray[np.float32], masks_BHW: Mask) -> NDArray[np.float64]:
    """Area, place, and mean, spread and highest value; NaN where there is no such region."""
    found = []
    for image_CHW, mask_HW in zip(x_BCHW, masks_BHW, strict=True):
        gray = image_CHW.mean(axis=0)[mask_HW]
        places = np.argwhere(mask_HW)
        is_there = len(gray) > 0
        of_values = [gray.mean(), gray.std(), gray.max()] if is_there else [np.nan] * 3
        found.append([mask_HW.mean(), *(places.mean(axis=0) if is_there else (np.nan, np.nan)), *of_values])
    return np.array(found, dtype=np.float64)
