"""The difference of a number between two samples that share nobody: its interval from the interval of each (MOVER).

References:
    Newcombe 1998, Statistics in Medicine 17:873-890 (method 10, for shares); Zou & Donner 2008, doi:10.1002/sim.3095.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from scanlens.evaluation.intervals import Interval, entry


def independent_difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """The first less the second, {value, low, high, reason}; without an interval where one of them has none.

    Args:
        first, second: {value, low, high, reason} of the same metric and confidence, each of other patients.
    """
    for name, one in (("first", first), ("second", second)):
        if one.get("value") is None:
            return entry(None, Interval(None, None), remark=str(one.get("reason") or f"the {name} is not known"))
    value = float(first["value"]) - float(second["value"])
    bounds = [one.get(end) for one in (first, second) for end in ("low", "high")]
    if None in bounds:
        return entry(value, Interval(None, None, "no interval: one of the two has none"))
    down = math.hypot(float(first["value"]) - float(first["low"]), float(second["high"]) - float(second["value"]))
    up = math.hypot(float(first["high"]) - float(first["value"]), float(second["value"]) - float(second["low"]))
    return entry(value, Interval(value - down, value + up))
