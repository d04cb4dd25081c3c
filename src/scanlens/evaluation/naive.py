"""How wrong an interval is that takes every image for an independent one: shown once, beside the honest one.

Legend of axes: N images, K classes.

References:
    Kish 1965, section 8.2 (design effect); Obuchowski, Biometrics 53:567-578, 1997.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from numpy.typing import ArrayLike

from scanlens.evaluation.classification import evaluate_classification


@dataclass(frozen=True, slots=True)
class DesignEffect:
    """What patients with several images do to the interval of a metric.

    Args:
        metric: its name.
        value: of the metric.
        low: of the honest interval, over patients.
        high: its other end.
        naive_low: of the interval that takes images for independent.
        naive_high: its other end.
        factor: square of the ratio of the two widths: how many times more patients the naive interval pretends to have.
        num_images: images judged.
        num_independent: independent images that would be as certain (`num_images` / `factor`).
    """

    metric: str
    value: float
    low: float
    high: float
    naive_low: float
    naive_high: float
    factor: float
    num_images: int
    num_independent: float

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def naive_interval(
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    *,
    class_names: Sequence[str],
    metric: str = "auroc",
    seed: int,
    num_resamples: int = 1000,
) -> dict[str, Any]:
    """{value, low, high, reason} of a metric as if every image were of another patient.

    For comparison only: slices of one patient are alike, so this interval is too narrow. Arguments are those of
    `evaluate_classification`.

    Raises:
        KeyError: if there is no such metric.
        ValueError: names the first row that is at fault.
    """
    num_images = len(target_N)  # type: ignore[arg-type]
    judged = evaluate_classification(
        probabilities_NK,
        target_N,
        class_names=class_names,
        patients=[None] * num_images,
        seed=seed,
        num_resamples=num_resamples,
    )
    found: dict[str, Any] = judged["slice"]["metrics"][metric]
    return found


def design_effect(
    honest: Mapping[str, Any], naive: Mapping[str, Any], *, metric: str, num_images: int
) -> DesignEffect | None:
    """The honest interval held against the naive one; None where either is missing.

    Args:
        honest: {value, low, high} over patients.
        naive: the same as if images were independent.
        metric: its name.
        num_images: images judged.
    """
    if None in (honest["value"], honest["low"], naive["low"]) or naive["high"] <= naive["low"]:
        return None
    factor = ((honest["high"] - honest["low"]) / (naive["high"] - naive["low"])) ** 2
    return DesignEffect(
        metric=metric,
        value=honest["value"],
        low=honest["low"],
        high=honest["high"],
        naive_low=naive["low"],
        naive_high=naive["high"],
        factor=factor,
        num_images=num_images,
        num_independent=num_images / factor,
    )
