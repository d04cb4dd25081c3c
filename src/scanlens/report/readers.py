"""The section of the page on readers: who agreed with the network, who was right, and what seeing its output changed."""

from __future__ import annotations

from collections import Counter
from typing import Any

from scanlens.report.folder import RunFolder, finite, mapping, optional_versioned, sequence
from scanlens.report.words import NOT_ASSESSED, counted, percent, whole, without_paths

NAME = "readers.json"
SCHEMA_VERSION = 1
MOST_REASONS = 8


def read_readers(run: RunFolder) -> dict[str, Any]:
    """The contents of `readers.json`; empty if no reader took part.

    Raises:
        RunError: if it cannot be understood.
    """
    return optional_versioned(run.path / NAME, SCHEMA_VERSION, remedy="Write the report again with this version.")


def readers_section(run: RunFolder) -> dict[str, Any] | None:
    """What the template `readers.html.j2` shows; None if no reader took part."""
    content = read_readers(run)
    if not content:
        return None
    reasons = Counter(str(mapping(one).get("reason")) for one in sequence(content.get("refused")))
    return {
        "sentences": reader_sentences(mapping(content.get("judged"))),
        "rows": [_row(mapping(one)) for one in sequence(content.get("readings"))],
        "num_refused": counted(content.get("num_refused"), "file"),
        "refused": [f"{without_paths(why)} ({whole(num)})" for why, num in reasons.most_common(MOST_REASONS)],
    }


def reader_sentences(judged: dict[str, Any]) -> list[str]:
    """What readers made of the explained cases, by the numbers of `evaluation.readers`."""
    if not judged:
        return [f"Whether the sheets help a reader: {NOT_ASSESSED}, no file of a reader could be used."]
    told = [_who(judged), _agreement(judged), _rightness(judged), *_before(mapping(judged.get("before_reveal")))]
    told.append(
        "The cases were chosen to be explained, worst mistakes among them: these shares are not those of the test split, and "
        f"intervals are over {judged.get('unit')}, not over other readers."
    )
    return [one for one in told if one]


def _who(judged: dict[str, Any]) -> str:
    named, unnamed = finite(judged.get("num_readers")) or 0, finite(judged.get("num_unnamed")) or 0
    who = counted(named, "reader") if named else "Readers without initials"
    alone = f" (and {counted(unnamed, 'reading')} without initials)" if named and unnamed else ""
    cases = f"{counted(judged.get('num_cases'), 'case')} of {whole(judged.get('num_patients'))} {judged.get('unit')}"
    return f"{who}{alone} judged {cases}, in {counted(judged.get('num_readings'), 'reading')}."


def _agreement(judged: dict[str, Any]) -> str:
    agreed, unsure = mapping(judged.get("agreement")), mapping(judged.get("cannot_tell"))
    told = (
        f"Of {counted(agreed.get('num'), 'reading')} with a yes or no, {_share(agreed)} agree with the network's output"
    )
    if finite(agreed.get("value")) is None:
        told = "No reading says yes or no to the network's output"
    return f"{told}; in {_share(unsure)} the reader could not tell."


def _rightness(judged: dict[str, Any]) -> str:
    right, network = mapping(judged.get("right")), mapping(judged.get("network_right"))
    if finite(right.get("value")) is None:
        return f"Agreement with the reference standard: {NOT_ASSESSED}, it is not known for any of these readings."
    return (
        f"Where it and the reader's class are known ({counted(right.get('num'), 'reading')}), the reader who saw the output agrees with the reference standard in "
        f"{_share(right)}, the network itself in {_share(network)}."
    )


def _before(found: dict[str, Any]) -> list[str]:
    if not found:
        return [
            f"Whether seeing the output changes what readers say: {NOT_ASSESSED}, nobody answered before it was shown."
        ]
    told = [
        f"Of {counted(found.get('num_readings'), 'reading')} given before the output was shown, {whole(found.get('num_cannot_tell_before'))} named "
        f"no class. Of {whole(found.get('num_pairs'))} with a class before and after, {_share(mapping(found.get('agreement_before')))} agreed with the "
        f"network before and {_share(mapping(found.get('agreement_after')))} after; {whole(found.get('num_changed'))} changed."
    ]
    before, after = mapping(found.get("right_before")), mapping(found.get("right_after"))
    if finite(before.get("value")) is not None:
        told.append(
            f"Against the reference standard {_share(before)} were right before and {_share(after)} after: "
            f"{whole(found.get('num_wrong_to_right'))} went from wrong to right, {whole(found.get('num_right_to_wrong'))} from right to wrong."
        )
    return told


def _share(found: dict[str, Any]) -> str:
    if finite(found.get("value")) is None:
        return NOT_ASSESSED
    low, high = finite(found.get("low")), finite(found.get("high"))
    bounds = " (no interval)" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return f"{percent(found.get('value'))}{bounds}"


def _row(one: dict[str, Any]) -> dict[str, str]:
    reader = finite(one.get("reader"))
    return {
        "case": str(one.get("case")),
        "reader": "without initials" if reader is None else f"reader {whole(reader)}",
        "answer": str(one.get("answer")),
        "reading": str(one.get("reading") or "–"),
        "first": "yes" if one.get("answered_before_reveal") else "no",
        "comment": without_paths(one.get("comment") or ""),
    }
