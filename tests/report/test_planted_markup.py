"""Names and sentences of a run that try to be more than text stay text: in pages, in tables of numbers, in LaTeX."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from fakes.full_report import cells
from fakes.hostile import ALL, CLASSES, FORMULAS, LATEX, MARK, write_hostile_run
from scanlens.files import from_cell, read_csv
from scanlens.report.folder import read_run
from scanlens.report.latex import escaped, latex_table
from scanlens.report.page import write_report

NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?"
OWN_COMMANDS = {
    "usepackage", "begin", "end", "centering", "caption", "label", "toprule", "midrule", "bottomrule", "textbackslash",
    "textasciitilde", "textasciicircum", "textless", "textgreater", "textbar",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was written by an enemy, with its report."""
    run = write_hostile_run(tmp_path_factory.mktemp("hostile") / "run")
    write_report(run)
    return run


class Tags(HTMLParser):
    """Tags and attributes, and text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_pages_hold_no_element_and_no_attribute_that_was_planted(folder: Path) -> None:
    pages = sorted((folder / "report").rglob("*.html"))
    assert len(pages) == 8, "the page of the run, of the audit, and six sheets"
    for path in pages:
        found = Tags(path.read_text(encoding="utf-8"))
        assert not {tag for tag, _ in found.tags} & {"iframe", "object", "embed", "form", "base"}
        assert not [attrs for _, attrs in found.tags if any(name.startswith("on") for name in attrs)]
        assert not [attrs for tag, attrs in found.tags if tag == "meta" and attrs.get("http-equiv") == "refresh"]
        assert {attrs["href"] for tag, attrs in found.tags if tag == "link"} <= {"data:,"}
        assert not [attrs for tag, attrs in found.tags if tag == "img" and not str(attrs["src"]).startswith("data:")]
        assert not [attrs for tag, attrs in found.tags if tag == "a" and ":" in str(attrs["href"])]
        scripts = re.findall(r"<script>(.*?)</script>", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not [script for script in scripts if MARK in script]
        assert [name for name in CLASSES.values() if name in "".join(found.text)], "shown as it is, not run"


def test_no_cell_of_a_table_is_a_formula(folder: Path) -> None:
    tables = [folder / "results.csv", *(folder / "report").glob("*.csv"), *(folder / "predictions").glob("*.csv")]
    assert len(tables) == 4
    for path in tables:
        runs = [cell for cell in cells(path) if re.match(r"[=+\-@\t\r\n＝＋－＠]", cell)]
        assert not [cell for cell in runs if not re.fullmatch(NUMBER, cell)], path.name
    assert [cell for cell in cells(folder / "results.csv") if cell == f"'{CLASSES['meningioma']}'"[:-1]]


def test_tables_give_the_same_text_back(folder: Path) -> None:
    targets = {row["target"] for row in read_csv(folder / "predictions" / "test.csv")}
    assert targets == set(CLASSES.values())
    run = read_run(folder)
    assert {row["target"] for row in run.predictions} == targets
    assert set(run.predictions[0]) >= {f"prob_{name}" for name in CLASSES.values()}
    assert run.quarantine[0]["reason"] in ALL


def test_latex_holds_no_command_but_those_of_a_table(folder: Path) -> None:
    text = (folder / "results.tex").read_text(encoding="utf-8")
    assert "input" in text
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= OWN_COMMANDS
    assert text.count(r"\end{tabular}") == text.count(r"\begin{tabular}") == 1
    assert not re.search(r"\n\s*\n(?!$)", text.removesuffix("\n")), "no paragraph ends within the table"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)
    bare = re.sub(r"\\[&%$#_{}\\]", "", text)
    assert bare.count("{") == bare.count("}")
    assert "^" not in bare
    assert not [line for line in bare.splitlines() if "%" in line and not line.startswith("% needs ")]


@pytest.mark.parametrize("planted", [*LATEX, *FORMULAS])
def test_a_planted_cell_stays_one_cell(planted: str) -> None:
    text = latex_table([planted, planted], [[planted, "1"], [f" {planted}", planted]], caption=planted, label="tab:x")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")].splitlines()
    rows = [line for line in body if line.endswith(r" \\")]
    assert [len(re.findall(r"(?<!\\)&", row)) for row in rows] == [1, 1, 1]
    assert not [row for row in rows if row.lstrip().startswith(("[", "*"))]
    assert set(re.findall(r"\\([A-Za-z]+)", text)) <= OWN_COMMANDS


def test_signs_that_end_a_paragraph_or_a_run_of_latex_become_spaces() -> None:
    assert escaped("a\fb\x00c\x1bd\u2028e\x7ff\n\ng") == "a b c d e f  g"


def test_markdown_of_the_checklist_holds_neither_markup_nor_links(folder: Path) -> None:
    text = (folder / "report" / "checklist.md").read_text(encoding="utf-8")
    assert "<" not in text
    assert not re.search(r"(?<!\\)\]\(", text)


def test_an_apostrophe_is_taken_back_only_where_it_was_put() -> None:
    assert [from_cell(text) for text in ("'=a", "''=a", "'tis", "''tis", "=a")] == ["=a", "'=a", "'tis", "''tis", "=a"]
