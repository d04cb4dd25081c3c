"""The words and the page of an audit, from audit.json as it is and as someone may have left it."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scanlens.errors import RunError
from scanlens.report.audit import Check, checks, console_audit, head
from scanlens.report.audit_page import build_audit_page

LEAK = {"kind": "copy", "earlier": "train", "later": "test", "num_images": 1, "of": 4}
MEMBER = {"index": 3, "target": "a", "split": "test", "given": None}
ODD = {"num": 1, "listed": [MEMBER | {"score": 0.5, "picture": "x.png"}]}
AUDIT: dict[str, Any] = {
    "schema_version": 1,
    "name": "scans",
    "num_images": 12,
    "num_quarantined": 0,
    "num_patients": None,
    "num_known_patients": 3,
    "overrides": [],
    "duplicates": {
        "copies": {"num_groups": 1, "num_images": 2, "largest": 2},
        "near": None,
        "leaks": {"final": [LEAK], "given": None},
        "patients_who_share": {"copies": 1, "near": None},
        "num_groups": 1,
        "groups": [{"kind": "copy", "group": 0, "num": 2, "crosses": True, "members": [MEMBER], "picture": "x.png"}],
    },
    "hidden_patients": {
        "num_chains": 1,
        "num_divided": 1,
        "sentence": "One chain.",
        "listed": [{"num": 3, "members": []}],
    },
    "shortcuts": [
        {"name": "site", "auroc": 1.0, "low": None, "high": None, "verdict": "warning", "meaning": "Look."},
        {"name": "border", "auroc": 0.5, "low": 0.4, "high": 0.6, "verdict": None},
    ],
    "label_columns": ["grade"],
    "conflicts": {"num_exact": 1, "num_near": 0, "num_images": 2},
    "doubtful": {"num": None, "reason": "too few images", "listed": []},
    "odd": {"outliers": ODD, "blank": ODD},
    "classes": {
        "heads": ["Class", "train"],
        "rows": [["a", "12"]],
        "images_per_patient": [1, 2, 3],
        "num_mixed_patients": 1,
        "thin": [{"name": "b", "num": 1}],
        "unit": "image or patient",
    },
}


def said(audit: dict[str, Any], name: str) -> Check:
    (found,) = (check for check in checks(audit) if check.name == name)
    return found


def test_one_of_a_thing_is_told_in_the_singular() -> None:
    assert "1 of 4 test images (25\u00a0%) has an exact copy in train" in said(AUDIT, "Exact copies").sentence
    assert said(AUDIT, "One patient, two names").sentence.startswith(
        "1 group of images of different patients shows exactly"
    )
    assert (
        said(AUDIT, "Conflicting labels").sentence == "1 group of exact copies carries more than one label (2 images)."
    )
    assert "grade: a column of the table that equals" in said(AUDIT, "Columns that give the label away").sentence


def test_several_columns_are_told_in_the_plural() -> None:
    told = said(AUDIT | {"label_columns": ["grade", "stage"]}, "Columns that give the label away").sentence
    assert told.startswith("grade and stage: columns of the table that each equal the label")


def test_a_perfect_shortcut_without_an_interval_says_so() -> None:
    told = said(AUDIT, "Shortcut: site").sentence
    assert told == '"site" alone tells the classes apart with an AUROC of 1.00 (no interval; chance 0.50). Look.'


def test_patients_who_are_known_in_part_are_not_called_unknown() -> None:
    assert head(AUDIT) == "scans: 12 images of 3 known patients and of unknown ones"
    assert head(AUDIT | {"num_known_patients": 0}) == "scans: 12 images, patients unknown"
    assert head(AUDIT | {"num_patients": 3}) == "scans: 12 images of 3 patients"


def test_a_reason_is_a_sentence() -> None:
    assert said(AUDIT, "Doubtful labels").sentence == "Too few images."


def test_nothing_is_said_of_classes_and_labels_where_there_are_none() -> None:
    audit = AUDIT | {"conflicts": None, "classes": AUDIT["classes"] | {"rows": [], "thin": []}}
    assert not {check.name for check in checks(audit)} & {"Conflicting labels", "Thin classes"}


def places(value: Any, where: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*where, key)
        yield from places(one, (*where, key))


WRONG = (None, "x", [], {}, [None], [[1]], {"a": 1}, -1, 0, True, 10**400, float("nan"))


@pytest.mark.parametrize("where", list(places(AUDIT)), ids=str)
def test_a_tampered_audit_is_shown_or_refused_with_a_remedy(where: tuple[Any, ...], tmp_path: Path) -> None:
    refused = []
    for wrong in (*WRONG, KeyError):
        audit = copy.deepcopy(AUDIT)
        inner = audit
        for key in where[:-1]:
            inner = inner[key]
        if wrong is KeyError:
            del inner[where[-1]]
        else:
            inner[where[-1]] = wrong
        (tmp_path / "audit.json").write_text(json.dumps(audit), encoding="utf-8")
        for show in (console_audit, build_audit_page):
            try:
                show(tmp_path)
            except RunError as error:
                refused.append(str(error))
    assert all("audit.json" in one and "again" in one for one in refused)
