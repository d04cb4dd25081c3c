"""How much each slice decides what is said of a volume: the change when it is left out.

Legend of axes: N slices, K classes.
"""

from __future__ import annotations

import numpy as np

from scanlens.evaluation.checks import Floats
from scanlens.evaluation.patient_rules import PatientRule

_SMALLEST = 1e-12


def slice_importance(probabilities_NK: Floats, rule: PatientRule, k: int, *, positive: int | None = None) -> Floats:
    """Log-odds of a class for the volume, less the log-odds when one slice is left out: importance_N.

    Positive where the slice speaks for the class, negative where it speaks against it. Of the rule "highest slice" all
    but one are zero, unless several share the highest probability: then leaving out any one of them changes nothing.

    Args:
        probabilities_NK: of the slices, each row with sum 1.
        rule: how slices become one row.
        k: number of the class.
        positive: see `PatientRule.pool`.

    Returns:
        In log-odds (natural logarithm); zero where the volume has a single slice, since there is nothing without it.
    """
    num = len(probabilities_NK)
    if num < 2:
        return np.zeros(num)
    whole = _log_odds(rule.pool(probabilities_NK, positive=positive)[k])
    without = [rule.pool(np.delete(probabilities_NK, n, axis=0), positive=positive)[k] for n in range(num)]
    return whole - np.array([_log_odds(one) for one in without])


def decisive(importance_N: Floats, num: int) -> list[int]:
    """Places of the slices that speak most for the class, the first the most; none that does not speak for it.

    Of equal slices the earlier comes first.
    """
    order = np.argsort(-importance_N, kind="stable")[: max(0, num)]
    return [int(n) for n in order if importance_N[n] > 0]


def _log_odds(probability: float) -> float:
    held = float(np.clip(probability, _SMALLEST, 1 - _SMALLEST))
    return float(np.log(held) - np.log1p(-held))
