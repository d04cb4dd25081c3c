"""Limits in the lesion's own unit: the smallest inserted lesion that is called, and the smallest that the map points at.

Lesions are drawn into the run's own negatives: test images without the finding that are rightly called negative at the
frozen operating point. Nothing is fitted on them.

Legend: C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.callbacks.case_choice import random_order
from scanlens.callbacks.predictions import index_of
from scanlens.data.physical_size import pixel_mm
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.explanations.limits import limits_summary, own_contrast
from scanlens.evaluation.intervals import share_entry
from scanlens.evaluation.resampling import PatientGroups, group_patients
from scanlens.explain.ground import solid_body
from scanlens.explain.lesions import Lesion, contrast_of, inserted, lesions_at, places_in
from scanlens.explain.limits_plan import CONTRAST
from scanlens.pipeline.explanations.calls import Caller, open_caller
from scanlens.pipeline.explanations.card.budget import affordable, prices
from scanlens.pipeline.explanations.card.compared import counted_passes
from scanlens.pipeline.explanations.insertion import Insertion, as_trials
from scanlens.pipeline.explanations.subject import Subject
from scanlens.pipeline.patients import groups_in_split
from scanlens.pipeline.progress import progress_bar
from scanlens.report.explanations.limits import sentences
from scanlens.report.sheets import row_png
from scanlens.seeds import derived_seed

MOST_PLACES = 4  # in one image, where there are few
MOST_LESIONS = 200  # marked ones whose contrast is looked at
MOST_GRID_S = 1200.0  # nominal, of all further contrasts together; see `card.budget`
LEAST_IN_GRID = 10  # images, whatever they cost: fewer say nothing
PICTURE = "limits.png"
_OF_PLACES, _OF_SHAPES = 31, 32  # parts of seeds

Row = dict[str, str]


def measure(subject: Subject) -> dict[str, Any]:
    """The contents of limits.json, or `reason` alone."""
    caller, reason = open_caller(subject)
    if caller is None:
        return {"reason": f"no operating point: {reason}"}
    if not subject.explainers:
        return {"reason": "the run was configured without explanations (explain=none)"}
    negatives, false_alarms = _negatives(subject, caller)
    if not negatives:
        return {"reason": "no test image without the finding is rightly called negative", "false_alarms": false_alarms}
    rows, plan = subject.drawn(negatives), _Plan(subject, caller)
    contrasts, of_grid = [plan.insertion.contrast_C, *plan.further_contrasts], plan.drawn_for_grid(rows)
    with progress_bar("limits", total=len(rows) + len(plan.further_contrasts) * len(of_grid)) as advance:
        by_contrast = [
            plan.summary_at(contrast_C, rows if place == 0 else of_grid, num_places=plan.num_places(rows), step=advance)
            for place, contrast_C in enumerate(contrasts)
        ]
    _write_picture(plan, rows[0])
    return by_contrast[0] | {
        "positive": caller.target.name,
        "unit": caller.point.unit,
        "threshold": caller.point.threshold,
        "method": subject.explainers[0].name,
        "method_title": subject.explainers[0].title,
        "tolerance_px": plan.insertion.tolerance_px,
        "contrast_source": plan.contrast_source,
        "own_lesions": plan.own_lesions,
        "by_contrast": sorted(by_contrast, key=_strength) if plan.further_contrasts else [],
        "false_alarms": false_alarms,
        "num_negatives": len(negatives),
        "num_places": plan.num_places(rows),
        "num_grid_images": len(of_grid) if plan.further_contrasts else None,
        "image_px": list(plan.image_hw),
        "pixel_mm": pixel_mm_of(subject, rows),
        "picture": PICTURE,
    }


def lines(content: dict[str, Any]) -> list[str]:
    """What the terminal says."""
    return sentences(content)


def _negatives(subject: Subject, caller: Caller) -> tuple[list[Row], dict[str, Any]]:
    """Test images without the finding that are rightly called negative, and how often others are called by mistake."""
    test = subject.test
    is_called_N = caller.is_called(caller.calibrator.apply(test.probabilities_NK))
    is_negative_N = np.array(caller.is_negative([row["target"] for row in test.rows], subject.class_names))
    alarms = share_entry(is_called_N, is_negative_N, test.units, absent="no test image is without the finding")
    found = [row for row, fits in zip(test.rows, is_negative_N & ~is_called_N, strict=True) if fits]
    return found, alarms | {"num_images": int(is_negative_N.sum())}


def _strength(summary: dict[str, Any]) -> float:
    """Contrast averaged over channels: from dark to bright."""
    return float(np.mean(summary["contrast"]))


def _units(subject: Subject, rows: Sequence[Row]) -> PatientGroups:
    return group_patients(
        [row["patient"] or None for row in rows],
        np.zeros(len(rows), dtype=np.int64),
        groups=groups_in_split(subject.run, rows),
    )


class _Plan:
    """Sizes, places, contrast and tolerance for one run."""

    def __init__(self, subject: Subject, caller: Caller) -> None:
        self.subject = subject
        example_1CHW, _ = subject.images(subject.test.rows[:1])
        self.image_hw = (example_1CHW.shape[2], example_1CHW.shape[3])
        self.sizes_px = list(subject.limits.sizes_for(self.image_hw))
        own_C, self.own_lesions = own_contrast(list(_own_contrasts(subject, caller)))
        asked = subject.limits.contrast
        self.contrast_source = "asked for" if asked is not None else "default" if own_C is None else "own lesions"
        even_C = np.full(example_1CHW.shape[1], CONTRAST if asked is None else asked)
        contrast_C = own_C if asked is None and own_C is not None else even_C
        self.insertion = Insertion(
            caller, subject.explainers[0], contrast_C, subject.limits.tolerance_for(self.image_hw)
        )

        self.further_contrasts = [
            further_C
            for one in subject.limits.contrasts
            if not np.allclose(further_C := np.full_like(contrast_C, one), contrast_C)
        ]

    def drawn_for_grid(self, rows: list[Row]) -> list[Row]:
        """As many of these images, from the first on, as the further contrasts can be tried on in the time they may take."""
        facts, network = self.subject.run.facts, self.subject.network
        costs = prices(network, input_size=facts["input_size"], in_channels=facts["in_channels"])
        x_1CHW, _ = self.subject.images(rows[:1])
        one_s = (counted_passes(self.insertion.explainer, network, x_1CHW) or 1) * costs.map_s
        one_s *= len(self.sizes_px) * self.num_places(rows) * max(1, len(self.further_contrasts))
        return rows[: affordable(one_s, MOST_GRID_S, least=LEAST_IN_GRID, most=len(rows))]

    def summary_at(
        self, contrast_C: Floats, rows: Sequence[Row], *, num_places: int, step: Callable[[int], None]
    ) -> dict[str, Any]:
        """Both limits at one contrast, with the `contrast` itself and how much of it is left after clipping."""
        insertion, answers = replace(self.insertion, contrast_C=contrast_C), []
        for row in rows:
            x_CHW = self.image(row)
            for lesions in self.lesions(row, x_CHW, num=num_places):
                answers.append(insertion.asked(x_CHW, lesions, device=self.subject.device))
            step(1)
        units = _units(self.subject, [row for row in rows for _ in range(num_places)])
        summary = limits_summary(as_trials(self.sizes_px, answers), units, seed=self.subject.seed)
        kept = float(np.mean([one.kept_S for one in answers]))
        return summary | {"contrast": contrast_C.tolist(), "contrast_kept": kept}

    def num_places(self, rows: Sequence[Row]) -> int:
        """In each image: more than one where there are few images."""
        return max(1, min(MOST_PLACES, self.subject.max_cases // len(rows)))

    def image(self, row: Row) -> NDArray[np.float32]:
        x_1CHW, _ = self.subject.images([row])
        return np.asarray(x_1CHW[0].cpu().numpy())

    def lesions(self, row: Row, x_CHW: NDArray[np.float32], *, num: int) -> list[list[Lesion]]:
        """At each place one of each size; the largest fits into the body, if the body is large enough."""
        seed = derived_seed(self.subject.seed, index_of(row))
        deep_px = self.sizes_px[-1] / 2
        places = places_in(solid_body(x_CHW), num=num, depth_px=deep_px, seed=derived_seed(seed, _OF_PLACES))
        return lesions_at(places, self.sizes_px, seed=derived_seed(seed, _OF_SHAPES))


def _own_contrasts(subject: Subject, caller: Caller) -> Iterator[Floats]:
    """Of marked lesions of the class that must not be missed, outside of the test split, drawn at random."""
    masked = subject.data.cached.has_mask
    members = {subject.class_names[k] for k in caller.target.members}
    candidates = [
        {"case": f"{row['split']}-{int(row['index']):05d}"}
        for row in subject.run.split_rows
        if row["split"] in ("train", "val") and row["target"] in members and masked[int(row["index"])]
    ]
    for row in sorted(candidates, key=random_order(subject.seed))[:MOST_LESIONS]:
        x_CHW, mask_HW = subject.data.image_and_mask(index_of(row))
        contrast_C = None if mask_HW is None else contrast_of(x_CHW.numpy(), mask_HW)
        if contrast_C is not None:
            yield contrast_C


def pixel_mm_of(subject: Subject, rows: Sequence[Row]) -> dict[str, float] | None:
    """Millimeters of a pixel: median, smallest and largest over these images; None where they are not known of all."""
    facts_NF = subject.data.cached.facts[[index_of(row) for row in rows]]
    config, size = subject.run.config, subject.data.cached.images.shape[-1]
    mm_N = pixel_mm(facts_NF, size=size, preprocess=config["preprocess"], axis=config["data"].get("axis") or "axial")
    if not np.isfinite(mm_N).all():
        return None
    return {"median": float(np.median(mm_N)), "smallest": float(mm_N.min()), "largest": float(mm_N.max())}


def _write_picture(plan: _Plan, row: Row) -> None:
    """One negative as it is, and with a lesion of every size."""
    x_CHW = plan.image(row)
    (lesions,) = plan.lesions(row, x_CHW, num=1)
    shown = [inserted(x_CHW, one.cover_HW(plan.image_hw), plan.insertion.contrast_C) for one in lesions]
    plan.subject.run.explanations.mkdir(exist_ok=True)
    row_png([x_CHW, *shown], plan.subject.run.explanations / PICTURE)
