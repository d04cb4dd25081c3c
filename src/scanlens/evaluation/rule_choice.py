"""Which rule makes patients of images: the one that the validation patients speak for, and the mean when in doubt.

Candidates are compared by log loss, a proper score, on validation patients; test patients are never looked at. Another
rule than the first is taken only if the mean of the patients' differences in log loss exceeds 0 by a one-sided paired
t-test at 5 %, shared by the candidates (Bonferroni).

Legend of axes: N images, K classes, P patients, C candidates.

References:
    Gneiting & Raftery 2007, doi:10.1198/016214506000001437 (proper scores).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import t

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.patient_rules import MEAN, PatientRule
from scanlens.evaluation.patients import MIXED, join_images

MIN_PATIENTS = 12  # below, a choice on validation is a draw by lot
LEAST_PROBABILITY = 1e-4  # no patient costs more than 9.2 nats
NOISE_LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class RuleChoice:
    """The rule to use, and why.

    Args:
        rule: to use.
        reason: as a clause.
        num_patients: validation patients with a class that were looked at; 0 if none.
        scores: log loss of every candidate on them, lower is better; empty if none was computed.
    """

    rule: PatientRule
    reason: str
    num_patients: int = 0
    scores: tuple[tuple[PatientRule, float], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            **self.rule.as_dict(),
            "reason": self.reason,
            "num_val_patients": self.num_patients,
            "candidates": [{**rule.as_dict(), "val_log_loss": score} for rule, score in self.scores],
        }


def candidates_of(wanted: str, top_k: Sequence[int | float]) -> list[PatientRule]:
    """The rules that the settings leave to choose from; the first is taken when in doubt.

    Args:
        wanted: auto, mean, max or top_k.
        top_k: candidates for k, at least one.
    """
    several = [PatientRule("top_k", k) for k in top_k]
    if wanted == "auto":
        return [MEAN, *several, PatientRule("max")]
    return several if wanted == "top_k" else [PatientRule("max") if wanted == "max" else MEAN]


def choose_rule(
    candidates: Sequence[PatientRule],
    probabilities_NK: Floats,
    target_N: Ints,
    patients: Sequence[str | None],
    *,
    positive: int | None = None,
) -> RuleChoice:
    """The candidate with the lowest log loss, if it beats the first by more than noise; else the first.

    Args:
        candidates: at least one.
        probabilities_NK: of the validation images, (0, K) if there are none.
        target_N: their class numbers.
        patients: name of the patient of each image; None or "" if unknown.
        positive: the class of two that one image is enough for; None for none.
    """
    if len(candidates) == 1:
        return RuleChoice(candidates[0], "as set")
    joined = [join_images(probabilities_NK, target_N, patients, rule=rule, positive=positive) for rule in candidates]
    is_kept_P = joined[0].target_P != MIXED
    target_P = joined[0].target_P[is_kept_P]
    why_not = _why_not(target_P, num_several=int((joined[0].num_images_P[is_kept_P] > 1).sum()))
    if len(target_P) == 0:
        return RuleChoice(candidates[0], why_not)
    losses_CP = np.stack([_log_loss(known.probabilities_PK[is_kept_P], target_P) for known in joined])
    scores = tuple(zip(candidates, losses_CP.mean(axis=1).tolist(), strict=True))
    best = None if why_not else _clearly_best(losses_CP)
    if best is None:
        reason = why_not or f"no rule beats the {candidates[0].words()} by more than noise"
        return RuleChoice(candidates[0], reason, len(target_P), scores)
    return RuleChoice(candidates[best], "lowest log loss, by more than noise", len(target_P), scores)


def _why_not(target_P: Ints, *, num_several: int) -> str:
    """Why these patients cannot decide; empty if they can."""
    for num, what in ((len(target_P), "with a class"), (num_several, "with a class and several images")):
        if num < MIN_PATIENTS:
            return f"{num} validation patients {what}, at least {MIN_PATIENTS} are needed to choose"
    return "all validation patients are of one class" if len(np.unique(target_P)) < 2 else ""


def _log_loss(probabilities_PK: Floats, target_P: Ints) -> Floats:
    return -np.log(np.maximum(probabilities_PK[np.arange(len(target_P)), target_P], LEAST_PROBABILITY))


def _clearly_best(losses_CP: Floats) -> int | None:
    """Number of the candidate with the lowest mean among those that beat the first by more than noise."""
    level = NOISE_LEVEL / (len(losses_CP) - 1)
    better = [c for c in range(1, len(losses_CP)) if _is_above_noise(losses_CP[0] - losses_CP[c], level)]
    return min(better, key=lambda c: float(losses_CP[c].mean()), default=None)


def _is_above_noise(gain_P: Floats, level: float) -> bool:
    mean, error = float(gain_P.mean()), float(gain_P.std(ddof=1)) / math.sqrt(len(gain_P))
    return mean > 1e-9 and mean > float(t.ppf(1 - level, len(gain_P) - 1)) * error
