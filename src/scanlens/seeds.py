"""One way to derive seeds: everything random in a run is a pure function of numbers like (seed, epoch, image).

A resumed run, a run on two processes and a run with other workers therefore draw the same numbers.

References:
    Steele, Lea, Flood: Fast splittable pseudorandom number generators, OOPSLA 2014 (the mixing function).
"""

from __future__ import annotations

_MASK_64 = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15


def derived_seed(*parts: int) -> int:
    """A well-mixed seed in 0 .. 2**63-1 from any whole numbers; other parts, or another order, give another seed."""
    state = 0
    for part in parts:
        state = _mix((state + (part & _MASK_64) + _GOLDEN) & _MASK_64)
    return state >> 1


def _mix(z: int) -> int:
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK_64
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK_64
    return z ^ (z >> 31)
