"""How many images a measure can afford: decided by what the network costs, not by a clock, so that it is the same anywhere.

Seconds here are nominal: of a machine that does 10^11 operations a second (two cores of a laptop do somewhat more).
"""

from __future__ import annotations

from dataclasses import dataclass

from scanlens.models.base import Network
from scanlens.models.summary import describe

OPERATIONS_PER_S = 1e11
LEAST_PASS_S = 1e-3  # a pass of the smallest network is calls of functions, not arithmetic
REMOVAL_S_PER_PIXEL = 2e-6  # blur and noise in one region of one image
IMPUTATION_S_PER_PIXEL = 5e-6  # linear equations of one region of one image


@dataclass(frozen=True, slots=True)
class Prices:
    """Nominal seconds of what measures do.

    Args:
        forward_s: one image through the network.
        map_s: one image through the network and back.
        removal_s: one region taken out of one image.
        imputation_s: one region of one image filled in by linear equations.
    """

    forward_s: float
    map_s: float
    removal_s: float
    imputation_s: float


def prices(network: Network, *, input_size: int, in_channels: int) -> Prices:
    """What this network costs at its own image size."""
    operations = 2 * sum(row.num_multiply_adds for row in describe(network, input_size, in_channels))
    forward_s = max(LEAST_PASS_S, operations / OPERATIONS_PER_S)
    return Prices(
        forward_s=forward_s,
        map_s=3 * forward_s,
        removal_s=REMOVAL_S_PER_PIXEL * input_size**2,
        imputation_s=IMPUTATION_S_PER_PIXEL * input_size**2,
    )


def affordable(seconds_per_image: float, budget_s: float, *, least: int, most: int) -> int:
    """Images within the budget, but at least `least` (a measure of fewer says nothing) and at most `most`."""
    within = most if seconds_per_image <= 0 else int(budget_s / seconds_per_image)
    return min(max(within, least), most)
