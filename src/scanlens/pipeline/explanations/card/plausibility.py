"""Do maps point at marked lesions? Measured for all methods on the same images, right answers only.

Legend: B images, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from scanlens.evaluation.explanations import score_card
from scanlens.evaluation.explanations.numbers import Number, Whose, mean_number, ratio_number, share_number
from scanlens.explain.measure import chance, mass_in_mask, peak_distance_px, pointing_hit
from scanlens.explain.overlap import above, as_large_as, best_threshold, intersection_over_union
from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.method_maps import Mapped
from scanlens.pipeline.explanations.subject import Mask
from scanlens.seeds import derived_seed

TOLERANCE_SHARE = 1 / 32
"""Of the side of the image: the same place on a scan, whatever the size at which a network sees it."""
TOLERANCE_MM = 5.0
NUM_SIZES, LEAST_PER_SIZE = 3, 3
NO_MASKS = "no rightly named test image has a marked lesion"
Values = list[float | None]


@dataclass(slots=True)
class Pointing:
    """What was measured of one method, image by image; None where it is not defined."""

    hit: Values = field(default_factory=list)
    chance: Values = field(default_factory=list)
    hit_near: Values = field(default_factory=list)
    chance_near: Values = field(default_factory=list)
    hit_cell: Values = field(default_factory=list)
    hit_mm: Values = field(default_factory=list)
    distance_px: Values = field(default_factory=list)
    distance_mm: Values = field(default_factory=list)
    mass: Values = field(default_factory=list)
    iou_at_area: Values = field(default_factory=list)
    iou_at_threshold: Values = field(default_factory=list)
    threshold: float | None = None
    num_blank: int = 0


def tolerance_px(side_px: int) -> float:
    """The fixed tolerance in pixels, at least one."""
    return float(max(1, round(TOLERANCE_SHARE * side_px)))


def reached_by_all(maps: Sequence[Sequence[Mapped]], masks: Sequence[Mask]) -> list[bool]:
    """Of each image, whether every method's maps can speak of its lesion at all."""
    return [
        all(bool((mask[found[b].covered_HW] > 0).any()) for found in maps if b < len(found))
        for b, mask in enumerate(masks)
    ]


def pointing(maps: Sequence[Mapped], images: CardImages, is_meant_B: Sequence[bool], *, seed: int) -> Pointing:
    """All measures of one method but the overlap at a threshold; None for images that are not meant or have no map."""
    found = Pointing()
    near_px = tolerance_px(images.x_BCHW.shape[-1])
    for b, mask in enumerate(images.masks):
        one = maps[b] if b < len(maps) and is_meant_B[b] else None
        for name, value in _measured(one, mask, near_px, images.mm_per_px[b], derived_seed(seed, b)).items():
            getattr(found, name).append(value)
        found.num_blank += one is not None and one.is_blank
    return found


def _measured(
    one: Mapped | None, mask: Mask, near_px: float, mm_per_px: float | None, seed: int
) -> dict[str, float | None]:
    names = ("hit", "chance", "hit_near", "chance_near", "hit_cell", "hit_mm", "distance_px", "distance_mm", "mass")
    if one is None:
        return dict.fromkeys((*names, "iou_at_area"))
    signed_HW = np.zeros_like(one.map_HW) if one.is_blank else one.map_HW
    distance_px = peak_distance_px(signed_HW, mask)
    return {
        "hit": pointing_hit(signed_HW, mask),
        "chance": chance(mask, covered_HW=one.covered_HW),
        "hit_near": pointing_hit(signed_HW, mask, tolerance_px=near_px),
        "chance_near": chance(mask, tolerance_px=near_px, covered_HW=one.covered_HW),
        "hit_cell": pointing_hit(signed_HW, mask, tolerance_px=max(one.cell_px)),
        "hit_mm": None if mm_per_px is None else pointing_hit(signed_HW, mask, tolerance_px=TOLERANCE_MM / mm_per_px),
        "distance_px": distance_px,
        "distance_mm": None if mm_per_px is None or distance_px is None else mm_per_px * distance_px,
        "mass": mass_in_mask(signed_HW, mask),
        "iou_at_area": _iou_at_area(one, mask, seed),
    }


def _iou_at_area(one: Mapped, mask: Mask, seed: int) -> float:
    if one.is_blank:
        return 0.0
    return intersection_over_union(as_large_as(one.map_HW, mask, one.covered_HW, seed=seed), mask)


def overlap_at_threshold(
    found: Pointing,
    maps: Sequence[Mapped],
    images: CardImages,
    is_meant_B: Sequence[bool],
    *,
    val_maps: Sequence[Mapped],
    val: CardImages,
) -> None:
    """Add the overlap at the threshold that validation images choose; none without validation images."""
    found.threshold = best_threshold([one.map_HW for one in val_maps], val.masks[: len(val_maps)])
    for b, mask in enumerate(images.masks):
        is_measured = found.threshold is not None and b < len(maps) and is_meant_B[b]
        region = above(maps[b].map_HW, found.threshold or 0.0) if is_measured and not maps[b].is_blank else np.zeros(1)
        value = None if not is_measured else 0.0 if maps[b].is_blank else intersection_over_union(region, mask)
        found.iou_at_threshold.append(value)


def plausibility_content(
    found: Pointing,
    controls: Mapping[str, Pointing],
    images: CardImages,
    *,
    seed: int,
) -> dict[str, Any]:
    """Numbers and verdict of one method.

    Args:
        found: of the method.
        controls: of the controls to compare with, by title.
        images: what was measured.
        seed: of resamples.
    """
    whose = images.whose
    hit_near = share_number(found.hit_near, whose, absent=NO_MASKS)
    excess = mean_number(_less(found.hit_near, found.chance_near), whose, absent=NO_MASKS)
    against = {
        title: mean_number(_less(found.hit_near, other.hit_near), whose, absent=NO_MASKS)
        for title, other in controls.items()
    }
    near_px = tolerance_px(images.x_BCHW.shape[-1])
    verdict = score_card.plausibility(hit_near, excess, against, tolerance=f"{near_px:g} px")
    return verdict.as_dict() | {
        "hit": share_number(found.hit, whose, absent=NO_MASKS),
        "hit_near": hit_near,
        "hit_cell": share_number(found.hit_cell, whose, absent=NO_MASKS),
        "hit_mm": share_number(found.hit_mm, whose, absent="the size of a pixel is not known"),
        "chance": _mean(found.chance),
        "chance_near": _mean(found.chance_near),
        "excess": excess,
        "distance_px": mean_number(found.distance_px, whose, absent="no map has a peak", is_distance=True),
        "distance_mm": mean_number(
            found.distance_mm, whose, absent="the size of a pixel is not known", is_distance=True
        ),
        "mass": share_number(found.mass, whose, absent=NO_MASKS),
        "mass_lift": ratio_number(found.mass, found.chance, whose, seed=seed, absent=NO_MASKS),
        "iou_at_area": share_number(found.iou_at_area, whose, absent=NO_MASKS),
        "iou_at_threshold": share_number(
            found.iou_at_threshold, whose, absent="no rightly named validation image has a marked lesion"
        ),
        "threshold": found.threshold,
        "against": against,
        "by_size": _by_size(found, images, whose),
        "num_blank": found.num_blank,
    }


def _by_size(found: Pointing, images: CardImages, whose: Whose) -> list[dict[str, Any]]:
    """Hits within the tolerance by size of the lesion, in thirds of the images; none where they are too few."""
    is_known = [value is not None for value in found.hit_near]
    area_B = np.array([int((mask > 0).sum()) for mask in images.masks])
    known = area_B[is_known] if len(area_B) else area_B
    if len(known) < NUM_SIZES * LEAST_PER_SIZE:
        return []
    edges = np.quantile(known, [share / NUM_SIZES for share in range(1, NUM_SIZES)])
    third_B = np.searchsorted(edges, area_B, side="left")
    rows: list[dict[str, Any]] = []
    for third in range(NUM_SIZES):
        is_meant = [bool(k) and int(t) == third for k, t in zip(is_known, third_B, strict=True)]
        if not any(is_meant):
            continue
        hits = [value for value, meant in zip(found.hit_near, is_meant, strict=True) if meant]
        chances = [value for value, meant in zip(found.chance_near, is_meant, strict=True) if meant]
        sizes = area_B[is_meant]
        number: Number = share_number(hits, whose.among(is_meant))
        rows.append(
            {"from_px": int(sizes.min()), "to_px": int(sizes.max()), "hit_near": number, "chance": _mean(chances)}
        )
    return rows


def _less(first: Values, second: Values) -> Values:
    return [None if a is None or b is None else a - b for a, b in zip(first, second, strict=True)]


def _mean(values: Values) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
