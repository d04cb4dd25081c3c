"""Reporting checklists: what a run fills, what stays open, and that nothing is claimed without its file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from fakes.run_folder import write_run_folder
from scanlens.files import read_csv
from scanlens.report import evidence as evidence_module
from scanlens.report.checklist import NOTE, TO_BE_FILLED, Entry, checklists, write_checklist
from scanlens.report.checklist_items import CLAIM, LISTS, NAMES, TRIPOD_AI
from scanlens.report.evidence import evidence
from scanlens.report.folder import RunFolder, read_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_run_folder(tmp_path_factory.mktemp("checklist") / "run")


@pytest.fixture
def run(folder: Path) -> RunFolder:
    return read_run(folder)


def entry(run: RunFolder, number: int, guideline: int = 0) -> Entry:
    return checklists(run)[guideline].entries[number - 1]


def test_both_lists_have_all_their_items_in_order() -> None:
    assert [item.number for item in CLAIM] == list(range(1, 45))
    assert [item.number for item in TRIPOD_AI] == list(range(1, 28))


def test_every_item_is_left_to_somebody_and_asks_only_for_what_can_be_told() -> None:
    makers = set(evidence_module._MAKERS)
    for item in (*CLAIM, *TRIPOD_AI):
        assert item.needs or item.authors, item
        assert set(item.needs) <= makers, item
    asked = {key for item in (*CLAIM, *TRIPOD_AI) for key in item.needs}
    assert makers == asked, "nothing is told that no item asks for"
    assert set(NAMES) <= makers


def test_what_only_authors_know_stays_visibly_open(run: RunFolder) -> None:
    for number in (2, 3, 5, 11, 13, 14, 16, 18, 34, 44):
        one = entry(run, number)
        assert (one.status, one.said, one.files) == ("open", "", ())
        assert one.left.startswith(TO_BE_FILLED)
    assert entry(run, 17, 1).left == "Open: to be filled in by the authors: approval and consent."


def test_what_the_run_holds_is_filled_with_its_file(run: RunFolder) -> None:
    start = entry(run, 24)
    assert (start.status, start.files) == ("filled", ("config.yaml",))
    assert start.said == "Initial weights: from scratch."
    software = entry(run, 23)
    assert software.said == "The software was Python 3.11.9, PyTorch 2.15.0, PyTorch Lightning 2.6.6 and numpy 2.4.0."
    assert software.files == ("provenance.json",)
    assert entry(run, 26).said.startswith("The weights of the epoch with the largest val/auroc were kept (epoch 9")
    assert entry(run, 21).status == "partly"


def test_nothing_is_claimed_that_was_not_done(run: RunFolder) -> None:
    disjoint = entry(run, 20)  # neither split.csv nor audit.json lies in this folder
    assert (disjoint.status, disjoint.said) == ("open", "")
    assert disjoint.left == (
        "Not in this run: level of the partitions and audit of the partitions. Open: to be filled in by the authors."
    )
    assert entry(run, 33).status == "open"
    assert entry(run, 39).left.startswith("Not in this run: failures.")
    performance = entry(run, 37)
    assert (performance.status, performance.left) == ("partly", "Not in this run: calibration.")


def test_evidence_goes_with_its_file(folder: Path, run: RunFolder, tmp_path: Path) -> None:
    for one in evidence(run).values():
        assert one.text
        assert all((folder / name).is_file() for name in one.files)
    assert "explanations" in evidence(run)
    assert evidence(dataclasses.replace(run, path=tmp_path)) == {}


def test_an_empty_run_leaves_everything_open(tmp_path: Path, run: RunFolder) -> None:
    for name in ("config.yaml", "evaluation.json", "provenance.json", "quarantine.csv", "split.csv", "metrics.csv"):
        (tmp_path / name).write_text("", encoding="utf-8")
    empty = RunFolder(tmp_path, {}, {}, {}, {"task": "classification"}, [], [], None, [])
    claim, tripod = checklists(empty)
    said = [(one.item.number, one.said) for one in (*claim.entries, *tripod.entries) if one.said]
    assert said == []
    assert (claim.counts, tripod.counts) == ("filled 0, partly 0, open 44", "filled 0, partly 0, open 27")


def test_a_leak_that_the_audit_found_is_said(run: RunFolder, folder: Path, tmp_path: Path) -> None:
    found = [{"kind": "copy", "earlier": "train", "later": "test", "num_images": 5, "of": 20}]
    audit = {
        "schema_version": 1,
        "num_known_patients": 24,
        "duplicates": {
            "copies": {"num_groups": 2, "num_images": 10, "largest": 5},
            "near": {"num_groups": 0},
            "leaks": {"final": [], "given": None},
        },
    }
    for name in ("split.csv", "audit.json", "config.yaml"):
        (tmp_path / name).write_text("", encoding="utf-8")
    clean = dataclasses.replace(run, path=tmp_path, audit=audit)
    assert entry(clean, 20).status == "filled"
    assert entry(clean, 20).said.endswith(
        "An automatic search for exact copies, near-duplicates and patients shared between partitions found none."
    )
    audit = json.loads(json.dumps(audit))
    audit["duplicates"]["leaks"]["final"] = found
    leaky = entry(dataclasses.replace(run, path=tmp_path, audit=audit), 20)
    assert "found none" not in leaky.said
    assert "In two partitions: 5 of 20 test images (25 %) have an exact copy in train." in leaky.said


def test_the_files_say_what_the_page_says(folder: Path) -> None:
    table, text = write_checklist(read_run(folder))
    rows = read_csv(table)
    assert [(row["guideline"], int(row["item"])) for row in rows] == [
        (name, item.number) for name, items in LISTS.items() for item in items
    ]
    for row in rows:
        assert row["status"] in ("filled", "partly", "open")
        assert bool(row["open"]) == (row["status"] != "filled")
        assert bool(row["from_the_run"]) == bool(row["files"]) == (row["status"] != "open")
        assert all((folder / name).is_file() for name in row["files"].split("; ") if name)
    written = text.read_text(encoding="utf-8")
    assert NOTE in written
    counts = checklists(read_run(folder))[0].counts
    assert f"## CLAIM 2024 ({counts})" in written
    lines = [line for line in written.splitlines() if line.startswith("| ")]
    assert len(lines) == 44 + 27 + 2
    assert "jane" not in written.lower()


def test_odd_names_neither_break_the_table_nor_become_markup(run: RunFolder, tmp_path: Path) -> None:
    evil = "a|b\n<img src=x>"
    text = json.dumps([run.facts, run.evaluation]).replace('"glioma"', json.dumps(evil))
    facts, evaluation = json.loads(text)
    (tmp_path / "config.yaml").write_text("", encoding="utf-8")
    _, path = write_checklist(dataclasses.replace(run, path=tmp_path, facts=facts, evaluation=evaluation))
    written = path.read_text(encoding="utf-8")
    lines = [line for line in written.splitlines() if line.startswith("| ")]
    assert "a\\|b &lt;img src=x&gt;" in written
    assert {line.replace("\\|", "").count("|") for line in lines} == {7}
