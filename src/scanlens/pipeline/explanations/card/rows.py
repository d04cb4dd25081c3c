"""The numbers of a score card as flat rows, one a method: for score_card.csv, and for tables over several runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NUMBERS = {  # column: where it lies in a method's part of the card
    "stability": ("consistency", "rank_correlation"),
    "hit": ("plausibility", "hit"),
    "hit_near": ("plausibility", "hit_near"),
    "distance_px": ("plausibility", "distance_px"),
    "distance_mm": ("plausibility", "distance_mm"),
    "mass_lift": ("plausibility", "mass_lift"),
    "iou_at_area": ("plausibility", "iou_at_area"),
    "iou_at_threshold": ("plausibility", "iou_at_threshold"),
    "random_weights": ("fidelity", "randomization", "likeness"),
    "other_images": ("fidelity", "randomization", "floor"),
    "kept": ("fidelity", "randomization", "kept"),
    "deletion": ("fidelity", "removal", "advantage"),
    "insertion": ("fidelity", "removal", "held"),
    "road": ("fidelity", "road", "advantage"),
    "completeness_gap": ("fidelity", "completeness", "gap"),
}
VERDICTS = ("consistency", "plausibility", "fidelity", "usefulness")
COLUMNS = (
    "method",
    "is_control",
    *VERDICTS,
    *(f"{name}{part}" for name in NUMBERS for part in ("", "_low", "_high", "_images")),
)


def card_rows(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row for each method of a card, in its order."""
    return [_row(method) for method in content["methods"]]


def number_at(method: Mapping[str, Any], path: tuple[str, ...]) -> dict[str, Any]:
    """A number of a method's part of the card; empty if it is not there."""
    found: Any = method
    for key in path:
        found = found.get(key) if isinstance(found, Mapping) else None
    return dict(found) if isinstance(found, Mapping) else {}


def _row(method: Mapping[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = {"method": method["name"], "is_control": int(method["is_control"])}
    row |= {heading: (method.get(heading) or {}).get("status") for heading in VERDICTS}
    for name, path in NUMBERS.items():
        number = number_at(method, path)
        row |= {name: number.get("value"), f"{name}_low": number.get("low"), f"{name}_high": number.get("high")}
        row[f"{name}_images"] = number.get("num_images")
    return row
