"""Verdicts on the maps of explained cases: measured within a bound of time, judged, and written with their pictures.

Legend: C channels, H rows, W columns.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from scanlens.callbacks.case_maps import CaseMap
from scanlens.errors import ExplainError
from scanlens.evaluation.explanations.verdict import MEANINGS, Sanity, verdict_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.explain.base import Explainer
from scanlens.explain.verdict.input_quality import Usual
from scanlens.explain.verdict.measured import Case, MadeMap, Measured, Measuring
from scanlens.report.pictures import region_png
from scanlens.seeds import derived_seed

log = logging.getLogger(__name__)

SCORE_CARD = "score_card.json"
OUT_OF_TIME = "not assessed: the time for tests of maps was used up (verdict.max_minutes)"
_TOLD_EVERY_S = 20.0
_NO_PICTURES: dict[str, str | None] = {"region": None, "removed": None}


@dataclass(frozen=True, slots=True)
class VerdictWriter:
    """Tests maps, judges them and writes what the page shows of it.

    Args:
        plan: how maps are tested, and what a verdict needs.
        seed: of everything random.
        usual: what training images look like; None where that is not known.
    """

    plan: VerdictPlan
    seed: int
    usual: Usual | None = None

    @property
    def how(self) -> Measuring:
        """How maps are measured."""
        return Measuring(self.plan.share, self.plan.num_regions, self.plan.removal, self.seed, self.usual)

    def write(
        self,
        folder: Path,
        network: nn.Module,
        explainers: Sequence[Explainer],
        maps: Mapping[str, Sequence[CaseMap]],
        targets: Sequence[int],
        places: Sequence[int],
    ) -> dict[str, list[dict[str, Any]]]:
        """Of each method, what `cases.json` says under `verdict` of the map of each case.

        The first method is tested on all cases before the second one begins; what `max_minutes` leaves undone is told.

        Args:
            folder: receives `<case>_<method>_region.png` and `<case>_<method>_removed.png`.
            network: a classifier, left as it was.
            explainers: the methods, the one to be believed first.
            maps: by the name of the method, one map for each case.
            targets: number of the explained class of each case.
            places: number of the image of each case; decides what is random about it.
        """
        sanity, clock = (
            sanity_of(folder),
            _Clock(60 * self.plan.max_minutes, sum(len(found) for found in maps.values())),
        )
        cases = [
            case_of(network, made, target, replace(self.how, seed=derived_seed(self.seed, place)))
            for made, target, place in zip(next(iter(maps.values()), ()), targets, places, strict=True)
        ]
        written: dict[str, list[dict[str, Any]]] = {}
        for explainer in explainers:
            written[explainer.name], sanity = [], sanity_of(folder, explainer.name)
            for case, made in zip(cases, maps[explainer.name], strict=True):
                written[explainer.name].append(self._one(folder, case, explainer, made, sanity, clock))
        return written

    def about(self, folder: Path, verdicts: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
        """What `cases.json` says under `verdict` of all of them."""
        every = [one for found in verdicts.values() for one in found]
        return {
            "share": self.plan.share,
            "num_regions": self.plan.num_regions,
            "removal": self.plan.removal,
            "alpha": self.plan.alpha,
            "weak_alpha": self.plan.weak_alpha,
            "meanings": MEANINGS,
            "sanity": sanity_of(folder).as_dict(),
            "num_not_tested": sum(one["level"] is None for one in every),
        }

    def _one(
        self, folder: Path, case: Case, explainer: Explainer, made: CaseMap, sanity: Sanity, clock: _Clock
    ) -> dict[str, Any]:
        if clock.is_over():
            return not_tested(OUT_OF_TIME)
        try:
            measured = case.measured(explainer, made_map(made))
        except ExplainError as error:
            return not_tested(f"not assessed: {error}")
        finally:
            clock.step()
        found = {**verdict_of(measured.as_dict(), self.plan, sanity).as_dict(), "measured": measured.as_dict()}
        return found | _pictures(folder, made, measured)


def sanity_of(folder: Path, method: str | None = None) -> Sanity:
    """What the score card of the same run says of its network; not assessed where there is none.

    Args:
        folder: of the explanations.
        method: the maps of which method; what is known of the first method stands in for one that the card does not list.
    """
    path = folder / SCORE_CARD
    try:
        card = json.loads(path.read_text(encoding="utf-8"))
        found = card["sanity"]
        for one in card.get("methods") or ():
            if one["name"] == method:
                found = one["fidelity"]["randomization"]
        return Sanity(str(found["status"]), str(found.get("reason") or ""))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Sanity()


def not_tested(reason: str) -> dict[str, Any]:
    """What `cases.json` says of a map that was not tested."""
    return {"level": None, "reasons": [reason], "against": [], "also": [], "measured": None} | _NO_PICTURES


def made_map(made: CaseMap) -> MadeMap:
    """The map of a case, to be measured."""
    return MadeMap(made.map_HW, made.covered_HW, made.grid.cell_px, made.is_blank)


def case_of(network: nn.Module, made: CaseMap, target: int, how: Measuring) -> Case:
    """The image of this map, to be asked about."""
    device = next(network.parameters()).device
    return Case(network, torch.from_numpy(made.scan_CHW).to(device), target, how)


def _pictures(folder: Path, made: CaseMap, measured: Measured) -> dict[str, str | None]:
    """The scan with the highlighted region outlined, and the scan without it."""
    if measured.region is None:
        return dict(_NO_PICTURES)
    stem = f"{made.case}_{made.method}"
    region_png(made.scan, measured.region.region_HW, folder / f"{stem}_region.png")
    without = replace(made, scan_CHW=measured.region.removed_CHW)
    region_png(without.scan, None, folder / f"{stem}_removed.png")
    return {"region": f"{stem}_region.png", "removed": f"{stem}_removed.png"}


class _Clock:
    """How much time is left, and now and then a line about it."""

    def __init__(self, limit_s: float, total: int) -> None:
        self.limit_s, self.total, self.done = limit_s, total, 0
        self.started = self.told = time.monotonic()

    def is_over(self) -> bool:
        return time.monotonic() - self.started > self.limit_s

    def step(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now - self.told > _TOLD_EVERY_S and self.done < self.total:
            log.info("tested %d of %d maps, %.0f s", self.done, self.total, now - self.started)
            self.told = now
