"""A score card as flat rows: one a method (score_card.csv), and one for each image of each method (score_card_cases.csv)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from scanlens.pipeline.explanations.card.images import CardImages
from scanlens.pipeline.explanations.card.measuring import Measured

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
    "verdict_correctness": ("usefulness", "correctness"),
    "verdict_lesion": ("usefulness", "lesion"),
}
VERDICTS = ("consistency", "plausibility", "fidelity", "usefulness")
COLUMNS = (
    "method",
    "is_control",
    *VERDICTS,
    *(f"{name}{part}" for name in NUMBERS for part in ("", "_low", "_high", "_images")),
)
OF_LESIONS = (
    "hit", "hit_near", "hit_cell", "hit_mm", "chance", "chance_near", "distance_px", "distance_mm", "mass", "iou_at_area",
    "iou_at_threshold",
)  # fmt: skip
OF_FINDINGS = (
    "stability", "random_weights", "structure", "other_images", "random_labels", "deletion", "insertion", "road", "gap",
    "log_odds",
)  # fmt: skip
CASE_COLUMNS = ("method", "case", "patient", "group", "is_blank", *OF_FINDINGS, *OF_LESIONS)


def case_rows(
    measured: Sequence[Measured],
    found: CardImages,
    marked: CardImages,
    *,
    pseudonym: Callable[[str | None], str | None],
) -> list[dict[str, Any]]:
    """What was measured of each image; empty where it was not. Several runs are pooled from this.

    Args:
        measured: of each method.
        found, marked: the images, and those with a marked lesion.
        pseudonym: of a patient, and of a group, which may be called after one.
    """
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for one in measured:
        for images, values in ((found, _of_findings(one)), (marked, _of_lesions(one))):
            for b, row in enumerate(images.rows):
                here = {name: column[b] for name, column in values.items() if b < len(column) and column[b] is not None}
                if here:
                    whom = {
                        "patient": pseudonym(images.whose.patients[b]),
                        "group": pseudonym(images.whose.groups[b]),
                    }
                    start = {"method": one.method.name, "case": row["case"]} | whom
                    rows.setdefault((one.method.name, row["case"]), start).update(here)
    return list(rows.values())


def _of_findings(one: Measured) -> dict[str, Sequence[Any]]:
    ranks, structure = one.randomized.ranks_DB, one.randomized.structure_DB
    return {
        "is_blank": [int(found.is_blank) for found in one.maps],
        "stability": one.likeness_B,
        "random_weights": ranks[-1] if ranks else [],
        "structure": structure[-1] if structure else [],
        "other_images": one.floor_B,
        "random_labels": one.with_random_labels_B or [],
        "deletion": one.removed.advantage_B,
        "insertion": one.removed.held_B,
        "road": one.imputed.advantage_B,
        "gap": [None if found.gap is None else abs(found.gap) for found in one.maps],
        "log_odds": [None if found.gap is None else abs(found.score) for found in one.maps],
    }


def _of_lesions(one: Measured) -> dict[str, Sequence[Any]]:
    return {name: getattr(one.pointing, name) for name in OF_LESIONS}


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
