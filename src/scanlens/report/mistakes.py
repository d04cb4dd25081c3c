"""What the operating point misses, and its false alarms, as rows of pictures: from `missed/cases.json` alone."""

from __future__ import annotations

from typing import Any

from scanlens.report.cases import picture
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.words import NOT_ASSESSED, counted, joined, number, whole

Group = dict[str, Any]


def mistakes(run: RunFolder) -> list[Group]:
    """Missed cases, then false alarms: title, note and rows (title, words, picture, alt, num_alike); empty where none were drawn."""
    known = mapping(run.mistakes)
    if not known:
        return []
    positive, unit = str(known.get("positive")), str(known.get("unit"))
    missed = _group(
        run, known, "missed", f"Missed {unit}s with “{positive}”", f"No {unit} with “{positive}” was missed."
    )
    alarms = _group(
        run, known, "false_alarms", f"False alarms: {unit}s called “{positive}”", "There was no false alarm."
    )
    return [missed, alarms]


def _group(run: RunFolder, known: dict[str, Any], kind: str, title: str, if_none: str) -> Group:
    total = finite(known.get(f"num_{kind}")) or 0
    rows = [_row(run, known, mapping(one), kind) for one in sequence(known.get(kind))]
    if not total:
        return {"title": title, "note": if_none, "rows": []}
    note = f"{whole(len(rows))} of {whole(total)} shown, the surest mistake first"
    if known.get("unit") == "patient":
        note += f"; of each patient the images with the highest probability of “{known.get('positive')}”"
    elif any(row["num_alike"] for row in rows):
        note += "; of images that are near-duplicates of each other one, the others counted"
    return {"title": f"{title} ({whole(total)})", "note": f"{note}.", "rows": rows}


def _row(run: RunFolder, known: dict[str, Any], one: dict[str, Any], kind: str) -> dict[str, Any]:
    shown = [mapping(each) for each in sequence(one.get("shown"))]
    case, positive = str(one.get("case") or NOT_ASSESSED), str(known.get("positive"))
    threshold = finite(known.get("threshold"))
    limit = "" if threshold is None else f" (threshold {number(threshold, 2)})"
    words = f"Probability of {positive} {number(one.get('score'), 2)}{limit}; reference {_tally(one.get('target'))}; "
    words += f"most probable {_tally(one.get('predicted'))}."
    total = finite(one.get("num_images")) or len(shown)
    if total > 1:
        words += f" {whole(len(shown))} of {counted(total, 'image')}."
    alike = round(finite(one.get("num_alike")) or 0)
    if alike:
        done = {"missed": "missed", "false_alarms": "called so"}[kind]
        words += f" {counted(alike, 'near-duplicate')} of it {'was' if alike == 1 else 'were'} {done} as well."
    return {
        "title": case,
        "words": words,
        "num_alike": alike,
        "picture": picture(run.path / "missed", one.get("picture")),
        "alt": f"Case {case}, {counted(len(shown), 'picture')} side by side. {words}",
    }


def _tally(found: object) -> str:
    """ "glioma"; "no_tumor 3 and glioma 1" where the images of a patient differ."""
    counts = mapping(found)
    if not counts:
        return NOT_ASSESSED
    return next(iter(counts)) if len(counts) == 1 else joined([f"{name} {whole(num)}" for name, num in counts.items()])
