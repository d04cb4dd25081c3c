"""CLAIM 2024 and TRIPOD+AI, filled in as far as a run can: `report/checklist.csv`, `report/checklist.md`, and on the page.

An item is filled if the run says all of it, partly if it says some, open otherwise. What a machine cannot know is left,
visibly, to the authors. Item texts are paraphrased (see `checklist_items`); the published lists have the last word.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scanlens.files import write_csv, write_text
from scanlens.report.audit import plain
from scanlens.report.checklist_items import LISTS, NAMES, Item
from scanlens.report.evidence import Evidence, evidence
from scanlens.report.folder import RunFolder
from scanlens.report.words import joined

Status = Literal["filled", "partly", "open"]
COLUMNS = ("guideline", "item", "section", "text", "status", "from_the_run", "files", "open")
TO_BE_FILLED = "Open: to be filled in by the authors"
NOTE = (
    "Item texts are paraphrased and shortened; the published lists have the last word: Tejani et al., Radiology: Artificial "
    "Intelligence 2024 (CLAIM 2024 update); Collins et al., BMJ 2024;385:e078378 (TRIPOD+AI). A filled item says that the run "
    "holds the facts, not that they are good."
)


@dataclass(frozen=True, slots=True)
class Entry:
    """One item as the run fills it.

    Args:
        item: of the guideline.
        status: see the head of this module.
        said: by the run; empty if open.
        files: of the run folder, where that is written.
        left: what is open; empty if nothing is.
    """

    item: Item
    status: Status
    said: str
    files: tuple[str, ...]
    left: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """One guideline.

    Args:
        name: of the guideline.
        entries: one an item, in order.
    """

    name: str
    entries: tuple[Entry, ...]

    @property
    def counts(self) -> str:
        """Such as "filled 27, partly 6, open 11"."""
        found = Counter(entry.status for entry in self.entries)
        return ", ".join(f"{status} {found[status]}" for status in ("filled", "partly", "open"))


def checklists(run: RunFolder) -> list[Sheet]:
    """Both guidelines as this run fills them."""
    known = evidence(run)
    return [Sheet(name, tuple(_entry(item, known) for item in items)) for name, items in LISTS.items()]


def write_checklist(run: RunFolder) -> tuple[Path, Path]:
    """Write `report/checklist.csv` and `report/checklist.md` of a run and return where they lie."""
    sheets = checklists(run)
    table, text = (run.path / "report" / f"checklist.{kind}" for kind in ("csv", "md"))
    write_csv(table, COLUMNS, (_row(sheet, entry) for sheet in sheets for entry in sheet.entries))
    write_text(text, f"# Reporting checklists\n\n{NOTE}\n\n" + "\n".join(_markdown(sheet) for sheet in sheets))
    return table, text


def _entry(item: Item, known: dict[str, Evidence]) -> Entry:
    had = [known[key] for key in item.needs if key in known]
    lacking = [NAMES.get(key, key) for key in item.needs if key not in known]
    left = [f"Not in this run: {joined(lacking, most=12)}."] if lacking else []
    if item.authors or not had:
        left.append(f"{TO_BE_FILLED}: {item.authors}." if item.authors else f"{TO_BE_FILLED}.")
    status: Status = "open" if not had else "partly" if left else "filled"
    files = tuple(dict.fromkeys(name for one in had for name in one.files))
    return Entry(item, status, " ".join(dict.fromkeys(one.text for one in had)), files, " ".join(left))


def _row(sheet: Sheet, entry: Entry) -> dict[str, object]:
    return {
        "guideline": sheet.name,
        "item": entry.item.number,
        "section": entry.item.section,
        "text": entry.item.text,
        "status": entry.status,
        "from_the_run": plain(entry.said),
        "files": "; ".join(entry.files),
        "open": entry.left,
    }


def _markdown(sheet: Sheet) -> str:
    heads = ("Item", "Section", "What to report", "Status", "From the run", "Where")
    lines = [f"## {sheet.name} ({sheet.counts})", "", f"| {' | '.join(heads)} |", "|---|---|---|---|---|---|"]
    for entry in sheet.entries:
        said = " ".join(part for part in (entry.said, f"**{entry.left}**" if entry.left else "") if part)
        cells = (entry.item.number, entry.item.section, entry.item.text, entry.status, said, ", ".join(entry.files))
        lines.append(f"| {' | '.join(_cell(str(cell)) for cell in cells)} |")
    return plain("\n".join([*lines, ""]))


def _cell(text: str) -> str:
    """Text that neither ends a cell nor is taken for markup of a page."""
    escaped = re.sub(r"([\\|\[\]`])", r"\\\1", text).replace("<", "&lt;").replace(">", "&gt;")
    return " ".join(escaped.split())
