"""Does a verdict predict anything: whether the answer is right, whether the peak lies in the lesion?

A supported map of a wrong answer is still a map of a wrong answer. So the verdict is judged like any other score, and where
it says nothing of correctness, that is printed.

Legend of axes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from scanlens.evaluation.auroc import ONE_KIND, auroc_interval
from scanlens.evaluation.delong import placements
from scanlens.evaluation.explanations.verdict import LEVELS, Level
from scanlens.evaluation.intervals import Interval, entry, share_entry
from scanlens.evaluation.resampling import group_patients

_NEAR = 0.1  # of 0.5: an AUROC that would be of no use even if it were exact


def verdict_shares(
    levels: Sequence[Level], *, patients: Sequence[str | None], groups: Sequence[str | None]
) -> dict[str, dict[str, Any]]:
    """How often each verdict was given, {value, low, high, reason, num} by verdict, the best first.

    Args:
        levels: the verdict on each image.
        patients: name of the patient of each image; None or "" if unknown.
        groups: name of the group of near-duplicates, which counts where patients are unknown.
    """
    units = group_patients(patients, np.zeros(len(levels), dtype=np.int64), groups=groups)
    everyone_N, given = np.ones(len(levels), dtype=bool), np.array(levels, dtype=object)
    return {
        level: share_entry(given == level, everyone_N, units, absent="no image") | {"num": int((given == level).sum())}
        for level in reversed(LEVELS)
    }


def verdict_worth(
    levels: Sequence[Level],
    is_true: Sequence[bool | None],
    *,
    about: str,
    patients: Sequence[str | None],
    groups: Sequence[str | None],
) -> dict[str, Any]:
    """AUROC of the verdict, from the worst to the best, for something that is true of some images.

    Args:
        levels: the verdict on each image.
        is_true: what it might predict; None for images where that is not known, which are left out.
        about: what it might predict, for the sentence, such as "correctness".
        patients: name of the patient of each image; None or "" if unknown.
        groups: name of the group of near-duplicates, which counts where patients are unknown.

    Returns:
        {value, low, high, reason, num, num_true, says}: `says` is a sentence, by the interval.
    """
    known = [n for n, one in enumerate(is_true) if one is not None]
    true_N = np.array([bool(is_true[n]) for n in known], dtype=bool)
    score_N = np.array([LEVELS.index(levels[n]) for n in known], dtype=np.float64)
    units = group_patients([patients[n] for n in known], true_N.astype(np.int64), groups=[groups[n] for n in known])
    placement_N = placements(score_N, true_N)
    if placement_N is None:
        found = entry(None, Interval(None, None), remark=ONE_KIND.removeprefix("no interval: "))
    else:
        found = entry(float(placement_N[true_N].mean()), auroc_interval(score_N, true_N, units))
    found |= {"num": len(known), "num_true": int(true_N.sum())}
    is_constant = len(np.unique(score_N)) < 2
    return found | {"says": _in_words(found, about, is_constant=is_constant)}


def _in_words(found: dict[str, Any], about: str, *, is_constant: bool) -> str:
    num, value, low, high = found["num"], found["value"], found["low"], found["high"]
    if value is None:
        why = f"all of {num} images are alike in this" if num else "of no image is it known"
        return f"Whether the verdict says anything about {about}: not assessed, {why}."
    if is_constant:
        return f"The verdict carries no information about {about}: all of {num} images got the same one."
    if low is None:
        return (
            f"The verdict may say something about {about}, but {num} images are too few or too alike to tell how much."
        )
    if low <= 0.5 <= high and abs(value - 0.5) <= _NEAR:
        return f"The verdict carries no information about {about}, as far as {num} images can tell."
    if low <= 0.5 <= high:
        return f"Whether the verdict carries any information about {about}, {num} images cannot tell."
    if low > 0.5:
        return f"A better verdict goes with {about} more often than not; it guarantees nothing."
    return f"A better verdict goes with the opposite of {about}: it must not be read as a sign of it."
