"""What an audit found, in words: one check a line, from audit.json alone.

A check is `clear` (looked for, not found), `mended` (found, and kept out of the result), `notice` (worth a look),
`warning` (the result may be better than the network), or `not assessed`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from scanlens.errors import RunError
from scanlens.report.folder import finite, mapping, read_audit, sequence, understood
from scanlens.report.words import NOT_ASSESSED, counted, interval, joined, number, percent, whole, without_paths

Status = Literal["clear", "mended", "notice", "warning", "not assessed"]
Audit = dict[str, Any]
KINDS = {"copy": "an exact copy", "near": "a near-duplicate", "patient": "the same patient"}
PLURALS = {"copy": "exact copies", "near": "near-duplicates"}


@dataclass(frozen=True, slots=True)
class Check:
    """One line of an audit.

    Args:
        anchor: the section of the page that shows more.
        name: what was looked for, in a few words.
        status: see the head of this module.
        sentence: what was found.
    """

    anchor: str
    name: str
    status: Status
    sentence: str


def checks(audit: Audit) -> list[Check]:
    """All checks, in the order in which they are shown."""
    makers: list[Callable[[Audit], list[Check]]] = [
        _division, _leaks, _patients, _hidden_patients, _shortcuts, _label_columns, _conflicts, _doubtful, _odd, _classes
    ]  # fmt: skip
    return [check for maker in makers for check in maker(audit)]


def console_audit(run_dir: Path) -> str:
    """The lines that `scanlens audit` prints."""
    audit = read_audit(run_dir)
    if audit is None:
        raise RunError(f"{run_dir} holds no audit.json. Run scanlens audit, or train with audit.enabled=true.")
    marks = {"clear": "ok", "mended": "mended", "notice": "look", "warning": "WARNING", "not assessed": "-"}
    with understood(run_dir / "audit.json"):
        lines = [f"{marks[check.status]:<8} {check.name}: {check.sentence}" for check in checks(audit)]
        lines += [f"{'override':<8} {text}" for text in sequence(audit.get("overrides"))]
        return plain("\n".join([head(audit), "", *lines]))


def head(audit: Audit) -> str:
    """What was looked at."""
    patients = finite(audit.get("num_patients"))
    some = finite(audit.get("num_known_patients"))
    who = f" of {counted(some, 'known patient')} and of unknown ones" if some else ", patients unknown"
    who = f" of {counted(patients, 'patient')}" if patients else who
    bad = finite(audit.get("num_quarantined"))
    left = f", {counted(bad, 'file')} left out as unreadable" if bad else ""
    return f"{audit.get('name') or 'images'}: {counted(audit.get('num_images'), 'image')}{who}{left}"


def warnings(audit: Audit) -> list[str]:
    """What the summary of a run must not keep to itself: results may be better than the network."""
    told = [check.sentence for check in checks(audit) if check.status == "warning"]
    return [*told, *(f"Override: {text}" for text in sequence(audit.get("overrides")))]


def leak_sentences(audit: Audit) -> list[str]:
    """What lies in two splits of this run: copies, near-duplicates, patients; empty if nothing does. For a terminal."""
    leaks = mapping(mapping(audit.get("duplicates")).get("leaks")).get("final")
    return [plain(f"{_shared(found, what)}.") for kind, what in KINDS.items() if (found := _of_kind(leaks, kind))]


def plain(text: str) -> str:
    """Text for a terminal, without the spaces that a page keeps from breaking."""
    return text.replace("\u202f", ",").replace("\u00a0", " ")


def _division(audit: Audit) -> list[Check]:
    problem = audit.get("not_divided")
    return [Check("classes", "Split", "warning", f"Not made: {without_paths(problem)}")] if problem else []


def _leaks(audit: Audit) -> list[Check]:
    part = mapping(audit.get("duplicates"))
    leaks = mapping(part.get("leaks"))
    found = []
    for kind, name in (("copy", "Exact copies"), ("near", "Near-duplicates")):
        known = mapping(part.get("copies" if kind == "copy" else "near"))
        if not known:
            found.append(Check("copies", name, "not assessed", f"{name} were not looked for in this kind of data."))
            continue
        final = _of_kind(leaks.get("final"), kind)
        given = _of_kind(leaks.get("given"), kind)
        is_chance = kind == "near" and bool(audit.get("num_patients"))
        status: Status = "warning" if final else "mended" if given else "notice" if known["num_groups"] else "clear"
        told = _leak_sentence(kind, known, final, given, is_chance=is_chance)
        found.append(Check("copies", name, "notice" if is_chance and status == "warning" else status, told))
    return found


def _leak_sentence(kind: str, known: Audit, final: list[Audit], given: list[Audit], *, is_chance: bool) -> str:
    """What was found of one kind; `is_chance`: all patients are known, so that a likeness need not be a leak."""
    what = KINDS[kind]
    if not known["num_groups"]:
        return f"No image has {what}."
    size = f"{counted(known['num_images'], 'image')} in {counted(known['num_groups'], 'group')} of {PLURALS[kind]}"
    parts = [f"{size}, the largest of {whole(known['largest'])}."]
    if given:
        parts.append(f"In the split that the data set brings, {_shared(given, what)}.")
    if final:
        meaning = (
            "all patients are known and on one side, so these may just look alike"
            if is_chance
            else "results there are too good"
        )
        parts.append(f"In the split of this run, {_shared(final, what)}: {meaning}.")
    else:
        parts.append("In the split of this run, none lies on both sides.")
    return " ".join(parts)


def _shared(leaks: list[Audit], what: str) -> str:
    return joined(
        [
            f"{whole(leak['num_images'])} of {whole(leak['of'])} {leak['later']} images ({percent(leak['num_images'] / leak['of'])}) "
            f"{'has' if leak['num_images'] == 1 else 'have'} {what} in {leak['earlier']}"
            for leak in leaks
        ]
    )


def _of_kind(leaks: object, kind: str) -> list[Audit]:
    return [mapping(leak) for leak in sequence(leaks) if mapping(leak).get("kind") == kind]


def _patients(audit: Audit) -> list[Check]:
    leaks = mapping(mapping(audit.get("duplicates")).get("leaks"))
    final, given = (_of_kind(leaks.get(name), "patient") for name in ("final", "given"))
    if not audit.get("num_known_patients"):
        return [
            Check(
                "patients",
                "Patients",
                "not assessed",
                "No patient is known, so that patients in two splits cannot be told.",
            )
        ]
    status: Status = "warning" if final else "mended" if given else "clear"
    parts = [f"In the split that the data set brings, {_shared(given, KINDS['patient'])}."] if given else []
    parts.append(
        f"In the split of this run, {_shared(final, KINDS['patient'])}."
        if final
        else "No known patient lies in two splits of this run."
    )
    found = [Check("patients", "Patients", status, " ".join(parts))]
    shared = mapping(mapping(audit.get("duplicates")).get("patients_who_share"))
    for kind, words in (("copies", "exactly the same picture"), ("near", "nearly the same picture")):
        if num := finite(shared.get(kind)):
            shows = "shows" if num == 1 else "show"
            text = f"{counted(num, 'group')} of images of different patients {shows} {words}: is one person there under two names?"
            found.append(Check("patients", "One patient, two names", "warning" if kind == "copies" else "notice", text))
    return found


def _hidden_patients(audit: Audit) -> list[Check]:
    part = mapping(audit.get("hidden_patients"))
    if not part:
        return []
    if not part.get("num_chains"):
        return [Check("hidden", "Hidden patients", "clear", str(part.get("sentence")))]
    divided = finite(part.get("num_divided"))
    fate = (
        f"{counted(divided, 'chain')} of them {'lies' if divided == 1 else 'lie'} in two splits of this run: results there are too good."
        if divided
        else "Each lies in one split of this run."
    )
    return [Check("hidden", "Hidden patients", "warning" if divided else "mended", f"{part.get('sentence')} {fate}")]


def _shortcuts(audit: Audit) -> list[Check]:
    if "shortcuts" not in audit:
        return []
    rows = [mapping(one) for one in sequence(audit["shortcuts"])]
    told = [row for row in rows if row.get("verdict") in ("warning", "notice")]
    found = [
        Check(
            "shortcuts",
            f"Shortcut: {row['name']}",
            "warning" if row["verdict"] == "warning" else "notice",
            f'"{row["name"]}" alone tells the classes apart with an AUROC of {number(row["auroc"], 2)} '
            f"({interval(row, 2) or 'no interval'}; chance 0.50). {row.get('meaning') or ''}".strip(),
        )
        for row in told
    ]
    num = sum(row.get("auroc") is not None for row in rows)
    if not num:
        return [Check("shortcuts", "Shortcuts", "not assessed", "No shortcut could be measured.")]
    rest = num - len(told)
    text = f"{counted(rest, 'property') if rest == 1 else f'{rest} properties'} of files and pictures {'does' if rest == 1 else 'do'} not tell the classes apart beyond the margin."
    return [*found, Check("shortcuts", "Other shortcuts" if told else "Shortcuts", "clear", text)] if rest else found


def _label_columns(audit: Audit) -> list[Check]:
    names = [str(name) for name in sequence(audit.get("label_columns"))]
    if not names:
        return []
    what = "a column of the table that equals" if len(names) == 1 else "columns of the table that each equal"
    text = f"{joined(names)}: {what} the label one to one. No network sees the table."
    return [Check("shortcuts", "Columns that give the label away", "notice", text)]


def _conflicts(audit: Audit) -> list[Check]:
    part = mapping(audit.get("conflicts"))
    if not part:
        return []
    exact, near = finite(part.get("num_exact")) or 0, finite(part.get("num_near")) or 0
    if not exact and not near:
        return [Check("copies", "Conflicting labels", "clear", "Images that show the same carry the same label.")]
    told = [(exact, "exact copies"), (near, "near-duplicates")]
    groups = joined([f"{counted(num, 'group')} of {words}" for num, words in told if num])
    carries = "carries" if exact + near == 1 else "carry"
    text = f"{groups} {carries} more than one label ({counted(part.get('num_images'), 'image')})."
    return [Check("copies", "Conflicting labels", "warning" if exact else "notice", text)]


def _doubtful(audit: Audit) -> list[Check]:
    part = mapping(audit.get("doubtful"))
    if not part:
        return []
    num = finite(part.get("num"))
    if num is None:
        return [Check("labels", "Doubtful labels", "not assessed", _sentence(str(part.get("reason") or NOT_ASSESSED)))]
    if not num:
        return [
            Check("labels", "Doubtful labels", "clear", "No label is contradicted by all of the most similar images.")
        ]
    return [
        Check(
            "labels",
            "Doubtful labels",
            "notice",
            f"The most similar images of others contradict the label of {counted(num, 'image')}.",
        )
    ]


ODD = {
    "blank": ("Empty images", "{} one value everywhere or nothing but noise", "warning"),
    "outliers": ("Outliers", "{} unlike the rest of the set", "notice"),
    "frames": ("Frames", "{} a frame of one value around the picture", "notice"),
    "text": ("Burnt-in text", "{} what looks like letters or a scale bar burnt in (text can name a patient, and can give the class away)", "notice"),
}  # fmt: skip


def _odd(audit: Audit) -> list[Check]:
    part = mapping(audit.get("odd"))
    found = []
    for key, (name, words, status) in ODD.items():
        one = mapping(part.get(key))
        num = finite(one.get("num"))
        if not one:
            continue
        verb = {"outliers": ("is", "are")}.get(key, ("has", "have"))
        if num is None:
            found.append(Check("odd", name, "not assessed", str(one.get("reason") or NOT_ASSESSED)))
        elif not num:
            found.append(Check("odd", name, "clear", "None found."))
        else:
            text = f"{counted(num, 'image')} {words.format(verb[num != 1])}."
            found.append(Check("odd", name, "warning" if status == "warning" else "notice", text))
    return found


def _classes(audit: Audit) -> list[Check]:
    part = mapping(audit.get("classes"))
    if not part.get("rows"):
        return []
    are_known = part.get("unit") == "patient"
    thin = [f"{one['name']} ({whole(one['num'])})" for one in map(mapping, sequence(part.get("thin")))]
    if thin:
        return [
            Check(
                "classes",
                "Thin classes",
                "warning",
                f"Carried by fewer than five patients{'' if are_known else ' (or images of unknown ones)'}, and so hardly to "
                f"be judged: {joined(thin)}.",
            )
        ]
    who = "patients" if are_known else "patients (or images of unknown ones)"
    return [Check("classes", "Thin classes", "clear", f"Every class is carried by at least five {who}.")]


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}."
