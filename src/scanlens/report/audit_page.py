"""`report/audit.html`: what an audit found, with pictures; self-contained like the page of the run, and beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.errors import RunError
from scanlens.files import make_private_folder, write_text
from scanlens.report.audit import ODD, Audit, checks, head
from scanlens.report.cases import picture
from scanlens.report.folder import finite, mapping, read_audit, sequence, understood
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import rendered
from scanlens.report.words import NOT_ASSESSED, counted, interval, number, whole

Group = dict[str, Any]


def build_audit_page(run_dir: Path) -> Path | None:
    """Write the page of an audit; None if the run was not audited.

    Raises:
        RunError: if audit.json or a picture cannot be understood.
    """
    audit = read_audit(run_dir)
    if audit is None:
        return None
    path = run_dir / "report" / "audit.html"
    make_private_folder(path.parent)
    if path.parent.is_symlink():
        raise RunError(f"{path.parent} is a link, and the page would land elsewhere. Remove the link.")
    with understood(run_dir / "audit.json"):
        page = render(audit, run_dir / "audit")
    write_text(path, page)
    return path


def render(audit: Audit, pictures: Path) -> str:
    """The page as text; pictures are looked for in a folder by the names that audit.json gives."""
    found = [group for make in _GROUPS if (group := make(audit, pictures)) is not None]
    return rendered(
        "audit.html.j2",
        title=f"Audit of {audit.get('name') or 'images'}",
        lead=head(audit),
        contents=[("checks", "What was found"), *((group["anchor"], group["title"]) for group in found)],
        checks=checks(audit),
        overrides=[str(one) for one in sequence(audit.get("overrides"))],
        groups=found,
    )


def _group(anchor: str, title: str, note: str, **more: Any) -> Group:
    return {"anchor": anchor, "title": title, "note": note, "chart": None, "table": None, "rows": [], "more": ""} | more


def _copies(audit: Audit, pictures: Path) -> Group | None:
    listed = [mapping(one) for one in sequence(mapping(audit.get("duplicates")).get("groups"))]
    if not listed:
        return None
    total = finite(mapping(audit.get("duplicates")).get("num_groups")) or len(listed)
    note = (
        "Groups that lie in two splits or carry two labels come first. Near-duplicates are images that look alike at 48 x 48 "
        "pixels, also turned, mirrored, resized or compressed again; in a series of slices, neighbors look alike too."
    )
    rows = [_row(one, pictures, _group_title(one), _members(one)) for one in listed]
    return _group("copies", "Copies and near-duplicates", note, rows=rows, more=_more(total, len(listed), "copies.csv"))


def _group_title(one: Audit) -> str:
    kind = "Exact copies" if one.get("kind") == "copy" else "Near-duplicates"
    told = (("crosses", "in two splits"), ("crosses_given", "in two splits as given"), ("conflict", "two labels"))
    marks = [words for key, words in told if one.get(key)]
    return f"{kind}, {counted(one.get('num'), 'image')}" + (f": {', '.join(marks)}" if marks else "")


def _members(one: Audit) -> str:
    return "; ".join(_image(mapping(member)) for member in sequence(one.get("members")))


def _image(member: Audit) -> str:
    facts = [str(member[key]) for key in ("split", "target") if member.get(key)]
    given = member.get("given")
    if given and given != member.get("split"):
        facts.append(f"given as {given}")
    if member.get("likeness"):
        facts.append(f"{member['likeness']} as {whole(member.get('partner'))}, {number(member.get('correlation'), 2)}")
    return f"{whole(member.get('index'))}" + (f" ({', '.join(facts)})" if facts else "")


def _row(one: Audit, pictures: Path, title: str, words: str) -> dict[str, Any]:
    return {
        "picture": picture(pictures, one.get("picture")),
        "alt": f"{title}: {words}",
        "title": title,
        "words": words,
    }


def _more(total: float, shown: int, file: str) -> str:
    return f"{whole(total - shown)} more; all are in audit/{file}." if total > shown else f"Listed in audit/{file}."


def _hidden(audit: Audit, pictures: Path) -> Group | None:
    part = mapping(audit.get("hidden_patients"))
    if not part.get("num_chains"):
        return None
    rows = [
        _row(one, pictures, f"Chain of {counted(one.get('num'), 'image')}", _members(one))
        for one in map(mapping, sequence(part.get("listed")))
    ]
    note = "Chains of images that each look like the next, as neighboring slices of one head do. Who they are is not known."
    return _group("hidden", "Hidden patients", note, rows=rows, more=_more(part["num_chains"], len(rows), "chains.csv"))


def _shortcuts(audit: Audit, pictures: Path) -> Group | None:
    rows = [mapping(one) for one in sequence(audit.get("shortcuts"))]
    if not rows:
        return None
    note = (
        "How well a single property tells the classes apart, by a small model that is cross-validated by patient (or group of "
        "near-duplicates). 0.50 is guessing. A property of the file should not depend on the disease, unless pictures were cut out along what they show; what is in the picture may."
    )
    cells = [
        [
            str(row.get("name")),
            number(row.get("auroc"), 2) if row.get("auroc") is not None else NOT_ASSESSED,
            interval(row, 2) or "–",
            whole(row.get("num_images")),
            whole(row.get("num_groups")),
            str(row.get("verdict") or row.get("reason") or ""),
        ]
        for row in rows
    ]
    table = {"heads": ["Property", "AUROC", "95 % interval", "Images", "Patients or groups", "Verdict"], "rows": cells}
    drawn = [
        ForestRow(str(row["name"]), row["auroc"], row.get("low"), row.get("high"), row.get("verdict") == "warning")
        for row in rows
        if finite(row.get("auroc")) is not None
    ]
    svg = forest_plot(drawn, axis="AUROC of one property alone", chance=0.5, name="shortcuts", limits=(0, 1.02))
    return _group("shortcuts", "Shortcuts", note, table=table, chart=Markup(svg) if svg else None)


def _labels(audit: Audit, pictures: Path) -> Group | None:
    part = mapping(audit.get("doubtful"))
    listed = [mapping(one) for one in sequence(part.get("listed"))]
    if not listed:
        return None
    note = "The label of each, beside what the most similar images of other patients or groups are labeled."
    rows = [
        _row(one, pictures, f"{whole(one.get('index'))}: {one.get('target')}", str(one.get("words") or ""))
        for one in listed
    ]
    return _group(
        "labels", "Doubtful labels", note, rows=rows, more=_more(part["num"], len(rows), "doubtful_labels.csv")
    )


def _odd(audit: Audit, pictures: Path) -> Group | None:
    rows = [
        _row(one, pictures, ODD[key][0], _image(one))
        for key in ODD
        for one in map(mapping, sequence(mapping(mapping(audit.get("odd")).get(key)).get("listed")))
    ]
    if not rows:
        return None
    note = "Images that differ from the others, most first of each kind. None was left out; whether they belong here is for a reader to say."
    return _group("odd", "Odd images", note, rows=rows, more="Listed in audit/odd_images.csv.")


def _classes(audit: Audit, pictures: Path) -> Group | None:
    part = mapping(audit.get("classes"))
    rows = [[str(cell) for cell in row] for row in sequence(part.get("rows"))]
    if not rows:
        return None
    note = "Images of each class in each split, with the number of patients where they are known."
    if per := sequence(part.get("images_per_patient")):
        note += f" A patient has {number(per[0], 0)} to {number(per[2], 0)} images, {number(per[1], 1)} in the middle."
    if mixed := finite(part.get("num_mixed_patients")):
        note += f" {counted(mixed, 'patient')} {'has' if mixed == 1 else 'have'} images of several classes."
    return _group("classes", "Classes", note, table={"heads": sequence(part.get("heads")), "rows": rows})


_GROUPS: tuple[Callable[[Audit, Path], Group | None], ...] = (_copies, _hidden, _shortcuts, _labels, _odd, _classes)
