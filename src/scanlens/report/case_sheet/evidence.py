"""The maps of a case for the record: what was asked, what was measured, the verdict, how fine the map is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from scanlens.report.case_sheet.arrays import MapArrays, measured, read_map
from scanlens.report.case_sheet.identity import pair
from scanlens.report.case_sheet.sources import Sources
from scanlens.report.folder import finite, mapping, sequence

DEFAULT_SHARE = 0.06
WITHHELD = "WITHHELD"
_VERDICT = ("level", "reasons", "against", "also")


def maps(sources: Sources, one: dict[str, Any], mm_per_px: list[float] | None) -> list[dict[str, Any]]:
    """Every map of a case, the one to be believed first. Of a withheld map nothing is told but why."""
    return [_map(sources, mapping(entry), one, mm_per_px) for entry in sequence(one.get("maps"))]


def outlined_share(sources: Sources) -> float:
    """Share of the covered pixels that counts as highlighted."""
    return finite(mapping(mapping(sources.run.explanations).get("verdict")).get("share")) or DEFAULT_SHARE


def against_runner_up(
    sources: Sources, case: str, mm_per_px: list[float] | None, first: dict[str, Any] | None
) -> dict[str, Any]:
    """The map of the predicted class against the second most probable one; without it only the reason.

    Args:
        sources: of the run.
        case: its name.
        mm_per_px: rows and columns of a pixel in millimeters.
        first: the first map of the record, which it may hardly differ from.
    """
    found = mapping(sources.beside(case).get("runner_up"))
    arrays = read_map(_folder(sources), found.get("npz"))
    if arrays is None:
        return {
            "class": found.get("class"),
            "reason": found.get("reason") or "the map against the runner-up was not made",
        }
    return {
        "class": found.get("class"),
        "probability": finite(found.get("probability")),
        "log_odds": finite(found.get("log_odds")),
        "scale": finite(sources.method(str(found.get("method") or "")).get("scale")),
        "npz": found.get("npz"),
        "correlation": _correlation(arrays, read_map(_folder(sources), mapping(first).get("npz"))),
        "measured": measured(arrays, share=outlined_share(sources), mm_per_px=mm_per_px),
        "reason": None,
    }


def _correlation(one: MapArrays, other: MapArrays | None) -> float | None:
    """Pearson's, over all pixels; None where a map is missing or flat."""
    if other is None or other.map_HW.shape != one.map_HW.shape:
        return None
    first, second = (np.asarray(each.known_HW, dtype=np.float64).ravel() for each in (one, other))
    if not (first.std() > 0 and second.std() > 0):
        return None
    return float(np.clip(np.corrcoef(first, second)[0, 1], -1, 1))


def resolution(sources: Sources, method: str, mm_per_px: list[float] | None) -> dict[str, Any]:
    """How fine the map can be at best, and from which size on lesions were pointed at when it was measured."""
    known = sources.method(method)
    cell = pair(known.get("cell_px"))
    limits = {name: mapping(sources.limits.get(name)) for name in ("detection", "localization")}
    return {
        "cell_px": cell,
        "cell_mm": None if cell is None or mm_per_px is None else [cell[0] * mm_per_px[0], cell[1] * mm_per_px[1]],
        "sees_px": pair(known.get("sees_px")),
        "limit_of_detection_px": _limit(limits["detection"]),
        "limit_of_localization_px": _limit(limits["localization"]),
        "reason": None if sources.limits else "limits were not measured (scanlens explain parts=limits)",
    }


def _map(sources: Sources, entry: dict[str, Any], one: dict[str, Any], mm_per_px: list[float] | None) -> dict[str, Any]:
    name = str(entry.get("method") or "")
    method, verdict = sources.method(name), mapping(entry.get("verdict"))
    told = {
        "method": name,
        "title": method.get("title") or name,
        "legend": method.get("legend"),
        "layer": method.get("layer"),
        "unit": method.get("unit"),
        "placement_note": method.get("placement_note"),
        "explained": one.get("explained"),
        "is_blank": bool(entry.get("is_blank")),
        "verdict": _verdict(verdict),
    }
    if verdict.get("level") == WITHHELD:
        return told | dict.fromkeys(("scale", "npz", "measured", "pointing_hit", "resolution"))
    arrays = read_map(_folder(sources), entry.get("npz"))
    return told | {
        "scale": finite(method.get("scale")),
        "npz": entry.get("npz") if arrays is not None else None,
        "measured": None if arrays is None else measured(arrays, share=outlined_share(sources), mm_per_px=mm_per_px),
        "pointing_hit": finite(entry.get("pointing_hit")),
        "resolution": resolution(sources, name, mm_per_px),
    }


def _verdict(verdict: dict[str, Any]) -> dict[str, Any] | None:
    if not verdict:
        return None
    region = mapping(mapping(verdict.get("measured")).get("region"))
    numbers = ("p_value", "drop", "margin", "num_as_large", "num_regions")
    return {name: verdict.get(name) for name in _VERDICT} | {name: finite(region.get(name)) for name in numbers}


def _limit(found: dict[str, Any]) -> dict[str, Any] | None:
    """A size with its interval; None where none was found."""
    return found if found.get("state") == "found" else None


def _folder(sources: Sources) -> Path:
    return sources.run.path / "explanations"
