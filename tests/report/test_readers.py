"""Files of readers, from outside: what is used, what is refused and why, and what the page says of them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from fakes.run_folder import write_run_folder
from scanlens.pipeline.readers import judge_readers
from scanlens.report.case_sheet import identity
from scanlens.report.cohort import cohort_record
from scanlens.report.folder import read_run
from scanlens.report.page import write_report
from scanlens.report.reader_files import SCHEMA, read_reader_files
from scanlens.report.readers import reader_sentences, readers_section


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run_folder(tmp_path / "run")


def cases(folder: Path) -> list[dict[str, Any]]:
    return json.loads((folder / "explanations" / "cases.json").read_text(encoding="utf-8"))["cases"]


def answer(folder: Path, place: int = 0, **changes: Any) -> dict[str, Any]:
    about = identity.model(read_run(folder))
    usual = {
        "schema": "scanlens.reader", "schema_version": 1, "case": cases(folder)[place]["case"], "run": about["run"],
        "weights_sha256": about["weights_sha256"], "answer": "agree", "reading": None, "answered_before_reveal": False,
        "comment": "", "reader": "ab", "seconds": None,
    }  # fmt: skip
    return usual | changes


def put(folder: Path, name: str, content: object) -> Path:
    path = folder / "readers" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_the_published_schema_is_a_schema_and_takes_what_the_sheet_offers(folder: Path) -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(answer(folder), schema)


BAD = {
    "words": ("no json at all", "no JSON"),
    "deep": ("[" * 60_000, "no JSON"),
    "nan": ('{"seconds": NaN}', "no JSON"),
    "list": ([1, 2], r"does not follow reader\.schema\.json"),
    "large": (" " * 70_000, "larger than 64 KiB"),
    "answer": ({"answer": "perhaps"}, "answer: 'perhaps' is not one of"),
    "more": ({"diagnosis": "x"}, "'diagnosis' was unexpected"),
    "comment": ({"comment": "x" * 2001}, "comment: "),
    "path": ({"case": "../../etc/passwd"}, "case: "),
    "other case": ({"case": "test-99999"}, "no explained case of this name"),
    "other weights": ({"weights_sha256": "0" * 12, "run": "another"}, "other weights|another run"),
    "class": ({"reading": "sarcoma"}, "class that the network does not know"),
    "late": ({"seconds": -1}, "seconds: "),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_file_is_refused_with_its_reason_and_the_good_one_is_used(folder: Path, kind: str) -> None:
    content, reason = BAD[kind]
    put(folder, "bad.json", answer(folder) | content if isinstance(content, dict) else content)
    put(folder, "good.json", answer(folder))
    found = read_reader_files(read_run(folder))
    assert list(found.readings) == ["good.json"]
    assert re.search(reason, found.refused["bad.json"])


def test_links_and_second_answers_of_a_reader_are_refused(folder: Path, tmp_path: Path) -> None:
    put(folder, "a.json", answer(folder))
    put(folder, "b.json", answer(folder, reader="AB", answer="disagree"))
    put(folder, "c.json", answer(folder, reader="cd"))
    os.symlink(put(folder, "c.json", answer(folder, reader="cd")), folder / "readers" / "d.json")
    found = read_reader_files(read_run(folder))
    assert list(found.readings) == ["a.json", "c.json"]
    assert found.refused == {
        "b.json": "the same reader has answered this case in a.json",
        "d.json": "it is a link or no file",
    }


def test_readings_come_onto_the_page_as_text_and_name_no_reader(folder: Path) -> None:
    put(folder, "a.json", answer(folder, comment="<script>alert(1)</script> see /home/jane_doe/x", reader="<b>jd"))
    put(folder, "b.json", answer(folder, 1, answer="disagree", reader="kk"))
    put(folder, "bad.json", "{}")
    judge_readers(folder)
    page = write_report(folder).read_text(encoding="utf-8")
    assert "&lt;script&gt;alert(1)&lt;/script&gt; see (path not shown)" in page
    for secret in ("<script>alert", "jane_doe", "jd<", "bad.json"):
        assert secret not in page
    assert "2 readers judged 2 cases" in page
    assert "1 file of readers not used" in page
    part = next(one for one in cohort_record(read_run(folder))["parts"] if one["name"] == "readers")
    assert part["status"] == "measured"
    assert part["content"]["answers"] == {"agree": 1, "disagree": 1, "cannot tell": 0}
    sheet = (folder / "report" / "cases" / f"{cases(folder)[0]['case']}.html").read_text(encoding="utf-8")
    assert "2 readings of 2 cases" in sheet
    assert "alert(1)" not in sheet, "no reader is told what another one said"


def test_what_is_known_of_the_reference_is_counted(folder: Path) -> None:
    for place, one in enumerate(cases(folder)):
        put(folder, f"{place}.json", answer(folder, place))
        assert one["target"]
    judge_readers(folder)
    judged = json.loads((folder / "readers.json").read_text(encoding="utf-8"))["judged"]
    num_right = sum(one["target"] == one["predicted"] for one in cases(folder))
    assert judged["right"]["value"] == judged["network_right"]["value"] == num_right / len(cases(folder))


def test_without_files_there_is_no_section_and_an_old_one_goes(folder: Path) -> None:
    path = put(folder, "a.json", answer(folder))
    assert judge_readers(folder) == folder / "readers.json"
    path.unlink()
    assert judge_readers(folder) is None
    assert not (folder / "readers.json").exists()
    assert readers_section(read_run(folder)) is None


def test_only_bad_files_leave_it_not_assessed(folder: Path) -> None:
    put(folder, "bad.json", "{}")
    judge_readers(folder)
    found = readers_section(read_run(folder))
    assert found is not None
    assert found["sentences"] == ["Whether the sheets help a reader: not assessed, no file of a reader could be used."]
    assert len(found["refused"]) == 1


def test_sentences_tell_before_from_after() -> None:
    share = {"value": 0.5, "low": 0.2, "high": 0.8, "reason": None, "num": 4}
    before = {
        "num_readings": 5, "num_cannot_tell_before": 1, "num_pairs": 4, "agreement_before": share, "agreement_after": share | {"value": 0.75},
        "right_before": share | {"value": 0.75}, "right_after": share, "num_changed": 1, "num_wrong_to_right": 0, "num_right_to_wrong": 1,
    }  # fmt: skip
    judged = {
        "num_readings": 6, "num_readers": 2, "num_unnamed": 1, "num_cases": 5, "num_patients": 5, "unit": "patients", "agreement": share,
        "cannot_tell": share | {"value": 0.0}, "right": share, "network_right": share | {"low": None}, "before_reveal": before,
    }  # fmt: skip
    said = " ".join(reader_sentences(judged)).replace("\u00a0", " ")
    assert "2 readers (and 1 reading without initials) judged 5 cases of 5 patients, in 6 readings." in said
    assert "the reference standard in 50 % (20 % to 80 %), the network itself in 50 % (no interval)." in said
    assert "50 % (20 % to 80 %) agreed with the network before and 75 % (20 % to 80 %) after; 1 changed." in said
    assert (
        "75 % (20 % to 80 %) were right before and 50 % (20 % to 80 %) after: 0 went from wrong to right, 1 from right to wrong."
        in said
    )
    assert "not over other readers" in said
    silent = " ".join(reader_sentences(judged | {"before_reveal": None}))
    assert "not assessed, nobody answered before it was shown" in silent


def test_a_sheet_that_hides_its_output_shows_nothing_of_it_before_the_reader_answers(folder: Path) -> None:
    index = write_report(folder, settings={"reveal_after_commit": True, "intended_use": "<i>Triage</i> only"})
    assert "As stated: &lt;i&gt;Triage&lt;/i&gt; only" in index.read_text(encoding="utf-8")
    page = (folder / "report" / "cases" / f"{cases(folder)[0]['case']}.html").read_text(encoding="utf-8")
    before, after = page.split('<details id="output-hidden"')
    body = before[before.index("<body") :]
    assert 'id="reader-form"' in body
    assert "As stated: &lt;i&gt;Triage&lt;/i&gt; only" in body
    for part in ('id="pictures"', 'id="answer"', 'id="verdict"', 'id="similar"', 'id="threshold"', 'id="limits"'):
        assert part not in body
        assert part in after[: after.index('</details>\n<section id="identity"')]
    assert "chosen as" not in page
    assert page.count('id="reader"') == 1
