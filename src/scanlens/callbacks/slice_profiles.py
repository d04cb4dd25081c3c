"""What the network says along the slices of the volume that an explained slice belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from scanlens.callbacks.predictions import index_of

Prediction = Mapping[str, str]


def slice_profile(
    prediction: Prediction, rows: Sequence[Prediction], place_of: Mapping[int, tuple[str, int]]
) -> dict[str, Any] | None:
    """Probability of the predicted class of every slice of the volume, in the order of the slices.

    Args:
        prediction: a row of `predictions/test.csv`.
        rows: all of them.
        place_of: volume, and slice in it, by index of the image.

    Returns:
        `class`, `slice`, `slices`, `probabilities` and `is_class` (what the reference says); None where the image is no
        slice of a volume, or there are no classes.
    """
    place, name = place_of.get(index_of(prediction)), prediction.get("predicted")
    if place is None or name is None:
        return None
    placed = ((place_of.get(index_of(row)), row) for row in rows)
    along = sorted(((at[1], row) for at, row in placed if at and at[0] == place[0]), key=lambda pair: pair[0])
    return {
        "class": name,
        "slice": place[1],
        "slices": [number for number, _ in along],
        "probabilities": [float(row[f"prob_{name}"]) for _, row in along],
        "is_class": [row["target"] == name for _, row in along],
    }
