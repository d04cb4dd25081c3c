"""The part `verdicts`: how test images fare in the test that decides a verdict, and whether a verdict predicts anything.

Maps at random are tested beside those of the network: how often luck alone is called SUPPORTED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from scanlens.callbacks.case_maps import CaseMap, explain_cases
from scanlens.callbacks.case_verdicts import case_of, made_map, sanity_of
from scanlens.callbacks.predictions import index_of
from scanlens.errors import ExplainError
from scanlens.evaluation.explanations.verdict import PASS, Level, Sanity, verdict_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.evaluation.explanations.verdict_worth import verdict_shares, verdict_worth
from scanlens.evaluation.resampling import group_patients
from scanlens.explain.base import Explainer
from scanlens.explain.controls import RandomMap
from scanlens.explain.verdict.measured import Case, Measuring
from scanlens.pipeline.explanations.asked import usual_look, verdict_plan
from scanlens.pipeline.explanations.subject import Subject
from scanlens.pipeline.patients import groups_in_split
from scanlens.pipeline.progress import progress_bar
from scanlens.seeds import derived_seed

Row = dict[str, str]
_MOSTLY = 0.5  # of a peak that is shared by several pixels


@dataclass(frozen=True, slots=True)
class _Tested:
    """One map of one test image."""

    case: str
    level: Level
    p_value: float | None
    drop: float | None
    is_right: bool
    is_on_lesion: bool | None

    def as_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


def measure(subject: Subject) -> dict[str, Any]:
    """The contents of explanations/verdicts.json.

    Returns:
        `methods`: of each, `shares` (how often each verdict was given), `correctness` and `lesion` (AUROC of the verdict for
        a right answer, and for a peak inside the lesion), and `cases`; `auroc`, the `correctness` of the method to be believed
        first; numbers of images and patients, and what was asked.
        What is known of the network as a whole (its sanity) is left out here: it is the same for all images.
    """
    plan = verdict_plan(subject.run)
    rows = subject.drawn(subject.test.rows)
    explainers = [*subject.explainers, RandomMap(seed=derived_seed(subject.seed, 0))]
    maps = {one.name: _maps(subject, one, rows) for one in explainers}
    cases = _cases(subject, plan, rows, maps[explainers[0].name])
    patients, groups = [row["patient"] or None for row in rows], groups_in_split(subject.run, rows)
    found = []
    with progress_bar("verdicts", total=len(rows) * len(explainers)) as step:
        for one in explainers:
            tested = []
            for case, row, made in zip(cases, rows, maps[one.name], strict=True):
                tested.append(_tested(case, row, made, one, plan))
                step(1)
            found.append(_method(one, tested, patients, groups))
    units = group_patients(patients, np.zeros(len(rows), dtype=np.int64), groups=groups)
    return {
        "methods": found,
        "auroc": found[0]["correctness"],
        "num_images": len(rows),
        "num_patients": units.num_known or None,
        "resampled": units.resampled,
        "num_regions": plan.num_regions,
        "share": plan.share,
        "alpha": plan.alpha,
        "weak_alpha": plan.weak_alpha,
        "sanity": sanity_of(subject.run.explanations).as_dict(),
    }


def lines(content: dict[str, Any]) -> list[str]:
    """What the terminal says."""
    found = [f"verdicts on the maps of {content['num_images']} test images"]
    for method in content["methods"]:
        shares = "  ".join(f"{one['num']} {level}" for level, one in method["shares"].items() if one["num"])
        found.append(f"  {method['title']:<24} {shares}")
        if not method["is_control"]:
            found += [f"      {method[name]['says']}{_area(method[name])}" for name in ("correctness", "lesion")]
    return found


def _area(one: dict[str, Any]) -> str:
    if one["value"] is None:
        return ""
    bounds = "" if one["low"] is None else f" ({one['low']:.2f} to {one['high']:.2f})"
    return f" AUROC {one['value']:.2f}{bounds}, n = {one['num']}"


def _maps(subject: Subject, explainer: Explainer, rows: Sequence[Row]) -> list[CaseMap]:
    return explain_cases(
        explainer,
        subject.network,
        [index_of(row) for row in rows],
        [row["case"] for row in rows],
        subject.classes(rows).tolist(),
        subject.data.image_and_mask,
    )


def _cases(subject: Subject, plan: VerdictPlan, rows: Sequence[Row], maps: Sequence[CaseMap]) -> list[Case]:
    how = Measuring(plan.share, plan.num_regions, plan.removal, subject.seed, usual_look(subject.run, subject.data))
    targets = subject.classes(rows).tolist()
    return [
        case_of(subject.network, made, target, replace(how, seed=derived_seed(subject.seed, index_of(row))))
        for row, made, target in zip(rows, maps, targets, strict=True)
    ]


def _tested(case: Case, row: Row, made: CaseMap, explainer: Explainer, plan: VerdictPlan) -> _Tested:
    hit = made.hit()
    told = partial(
        _Tested,
        row["case"],
        is_right=row["predicted"] == row["target"],
        is_on_lesion=None if hit is None else hit > _MOSTLY,
    )
    try:
        measured = case.measured(explainer, made_map(made)).as_dict()
    except ExplainError:
        return told("WITHHELD", None, None)
    region = measured["region"] or {}
    return told(verdict_of(measured, plan, Sanity(PASS)).level, region.get("p_value"), region.get("drop"))


def _method(
    explainer: Explainer, tested: Sequence[_Tested], patients: Sequence[str | None], groups: Sequence[str]
) -> dict[str, Any]:
    levels = [one.level for one in tested]
    about = {"patients": patients, "groups": groups}
    return {
        "name": explainer.name,
        "title": explainer.title,
        "is_control": explainer.is_control,
        "shares": verdict_shares(levels, **about),
        "correctness": verdict_worth(levels, [one.is_right for one in tested], about="correctness", **about),
        "lesion": verdict_worth(levels, [one.is_on_lesion for one in tested], about="a peak on the lesion", **about),
        "cases": [one.as_dict() for one in tested],
    }
