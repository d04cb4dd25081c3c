"""How large the marked lesions of missed and of found cases are, from masks of the test split."""

from __future__ import annotations

from statistics import median
from typing import Any

from scanlens.report.folder import RunFolder, finite, mapping, sequence

NO_MASKS = "no lesion of the test split is marked"


def missed_lesions(run: RunFolder) -> dict[str, Any]:
    """Median share of the image that the lesion takes, of missed and of found units (of a patient: in the image with the largest).

    Returns:
        `missed` and `found`, each {num, num_marked, median_share}, and `reason`, where there are none.
    """
    decisions = mapping(run.evaluation.get("decisions"))
    chosen, members = mapping(decisions.get("chosen")), sequence(decisions.get("members"))
    test = mapping(chosen.get("test"))
    rows = run.predictions
    share = {row.get("index"): finite(row.get("lesion_share")) for row in run.meta_rows}
    shares = [share.get(str(int(row["case"].rpartition("-")[2]))) if _is_case(row) else None for row in rows]
    if not any(shares):
        return {"missed": None, "found": None, "reason": NO_MASKS}
    of_patient = decisions.get("unit") == "patient"
    units: dict[str, list[int]] = {}
    for place, row in enumerate(rows):
        units.setdefault(row.get("patient", "") if of_patient else str(place), []).append(place)
    ill = {name: places for name, places in units.items() if any(rows[n].get("target") in members for n in places)}
    missed_rows = {int(n) for unit in sequence(chosen.get("missed_images")) for n in sequence(unit)}
    missed = {name for name, places in ill.items() if missed_rows & set(places)}
    counts = [finite(test.get(name)) for name in ("false_negatives", "true_positives")]
    if counts != [len(missed), len(ill) - len(missed)]:
        return {"missed": None, "found": None, "reason": "those who were missed cannot be told from the predictions"}
    sizes = {name: max((s for n in places if (s := shares[n])), default=None) for name, places in ill.items()}
    return {
        "missed": _sizes([sizes[name] for name in ill if name in missed]),
        "found": _sizes([sizes[name] for name in ill if name not in missed]),
        "reason": None,
    }


def _is_case(row: dict[str, str]) -> bool:
    return row.get("case", "").rpartition("-")[2].isdigit()


def _sizes(given: list[float | None]) -> dict[str, Any]:
    known = [one for one in given if one]
    return {"num": len(given), "num_marked": len(known), "median_share": median(known) if known else None}
