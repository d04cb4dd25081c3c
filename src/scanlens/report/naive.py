"""How much an interval that takes images for independent would claim, in one sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scanlens.report.tables import METRICS
from scanlens.report.words import interval, number, whole

_TITLES = {key: label for key, label, _ in METRICS}


def naive_note(effect: Mapping[str, Any]) -> str:
    """The honest interval beside the naive one, and how many independent images the images are worth.

    Args:
        effect: metric, low, high, naive_low, naive_high, factor, num_images, num_independent.
    """
    title = _TITLES.get(str(effect["metric"]), str(effect["metric"]))
    naive = interval({"low": effect["naive_low"], "high": effect["naive_high"]}, 3)
    return (
        f"{title}: were the {whole(effect['num_images'])} images taken for independent, the interval would be {naive}; it is "
        f"{interval(effect, 3)}, since images of one patient are alike. They are worth about "
        f"{whole(effect['num_independent'])} independent images (design effect {number(effect['factor'], 1)})."
    )
