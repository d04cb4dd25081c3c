"""How the maps of a run are tested: what its configuration asks, and what its training images look like."""

from __future__ import annotations

import numpy as np

from scanlens.callbacks.case_verdicts import VerdictWriter
from scanlens.config import build
from scanlens.data.cache import FULL_SCALE
from scanlens.data.module import ScanData
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.explain.verdict.input_quality import Usual, usual_of
from scanlens.runs import Run

MOST_LOOKED_AT = 500


def verdict_plan(run: Run) -> VerdictPlan:
    """What the configuration asks; the defaults for runs of before there were verdicts."""
    return build(run.config["verdict"]) if "verdict" in run.config else VerdictPlan()


def verdict_writer(run: Run, data: ScanData) -> VerdictWriter | None:
    """For the explained cases of a training; None where no verdicts are wanted."""
    plan = verdict_plan(run)
    return VerdictWriter(plan, int(run.config["seed"]), usual_look(run, data)) if plan.enabled else None


def usual_look(run: Run, data: ScanData) -> Usual | None:
    """What at most 500 training images look like, as the network gets them; None without any."""
    train = np.array(run.indices("train"), dtype=np.int64)
    if not len(train):
        return None
    if len(train) > MOST_LOOKED_AT:
        train = np.sort(np.random.default_rng(int(run.config["seed"])).choice(train, MOST_LOOKED_AT, replace=False))
    return usual_of(data.cached.images[index] / np.float32(FULL_SCALE) for index in train)
