"""The audit of shortcuts in words, and as a section of the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fakes.run_folder import write_json, write_run_folder
from scanlens.errors import RunError
from scanlens.report.explanations.shortcut_sentences import limits, shortcut_lines, shortcut_sentences
from scanlens.report.page import build_report


def effect(value: float, *, verdict: str, direction: str = "in", **further: Any) -> dict[str, Any]:
    return {
        "class": "glioma",
        "direction": direction,
        "verdict": verdict,
        "change": {"value": value, "low": value - 0.02, "high": value + 0.02, "reason": None},
        "log_odds": {"value": 10 * value, "low": 10 * value - 1, "high": 10 * value + 1, "reason": None},
        "elsewhere": None,
        "is_beyond_elsewhere": True,
        "p_adjusted": 0.001,
        "num_pairs": 25,
        "num_patients": 12,
    } | further


def maps(mass: float, peaks: float, *, here: bool, title: str = "Grad-CAM") -> dict[str, Any]:
    return {
        "method": "grad_cam",
        "title": title,
        "mass": mass,
        "chance": 0.03,
        "peaks": {"value": peaks, "low": None, "high": None, "reason": None},
        "num_images": 50,
        "points_here": here,
    }


def region(name: str, verdict: str, one: dict[str, Any], said: dict[str, Any], *, auroc: float = 0.5) -> dict[str, Any]:
    return {
        "name": name,
        "kind": "corner",
        "verdict": verdict,
        "worst": 0,
        "effects": [one],
        "disturbance": 0.01,
        "num_left_out": 0,
        "doubt": None,
        "maps": [said],
        "readable": {
            "auroc": {"value": auroc, "low": auroc - 0.05, "high": min(1, auroc + 0.05), "reason": None},
            "num_images": 400,
        },
        "picture": None,
    }


@pytest.fixture
def content() -> dict[str, Any]:
    look = region("noise level", "acquitted", effect(0.0, verdict="acquitted"), maps(0, 0, here=False))
    del look["maps"], look["readable"], look["picture"], look["kind"]
    alike = effect(
        0.3,
        verdict="not decided",
        is_beyond_elsewhere=False,
        elsewhere={"value": 0.28, "low": 0.2, "high": 0.3, "reason": None},
    )
    return {
        "schema_version": 1,
        "least_effect": 0.05,
        "class_names": ["glioma", "no_tumor"],
        "num_images": 50,
        "num_patients": 17,
        "unit": "patients",
        "num_donor_patients": 18,
        "rarest_seen": 0.185,
        "note": "Masks are not known, so the disease itself may reach into a region.",
        "regions": [
            region(
                "upper left corner",
                "convicted",
                effect(0.93, verdict="convicted", elsewhere={"value": 0.01, "low": 0, "high": 0.02, "reason": None}),
                maps(0.01, 0.0, here=False),
                auroc=0.99,
            ),
            region(
                "lower left corner",
                "acquitted",
                effect(0.001, verdict="acquitted"),
                maps(0.4, 0.86, here=True),
                auroc=0.8,
            ),
            region("upper border", "not decided", alike, maps(0.03, 0.0, here=False)),
        ],
        "looks": [look],
    }


def test_sentences_name_the_guilty_the_maps_that_are_wrong_and_what_is_open(content):
    assert shortcut_sentences(content) == [
        "CONVICTED: upper left corner. The network goes by it: given to images of other classes, that of 'glioma' moves their "
        "probability of 'glioma' by 0.93 (0.91 to 0.95) (elsewhere, a region of this size: 0.01).",
        "Grad-CAM points at lower left corner (40\u00a0% of the evidence, 86\u00a0% of the peaks, chance 3\u00a0%), though exchanging it changes nothing.",
        "Grad-CAM does not show upper left corner (1\u00a0% of the evidence, 0\u00a0% of the peaks, chance 3\u00a0%).",
        "Could be used, whether or not the network does: classes can be told apart from this alone (AUROC): upper left corner 0.99 "
        "(0.94 to 1.00) and lower left corner 0.80 (0.75 to 0.85).",
        "Acquitted: lower left corner and noise level.",
        "Not decided, because regions of this size elsewhere do as much: upper border (0.30 (0.28 to 0.32)).",
    ]


def test_where_nothing_is_convicted_it_is_said_first(content):
    content["regions"] = content["regions"][1:2]
    assert shortcut_sentences(content)[0].startswith("Nothing was convicted")


@pytest.mark.parametrize(
    "change, words",
    [
        ({"doubt": "it may be the disease"}, "Not decided, it may be the disease: upper border (0.30 (0.28 to 0.32))."),
        ({"worst": None}, "Not decided, no pair of images without a lesion in it: upper border."),
        (
            {"effects": [effect(0.3, verdict="not decided", num_patients=3)]},
            "Not decided, fewer than five patients on one side: upper border (0.30 (0.28 to 0.32)).",
        ),
        (
            {"effects": [effect(0.06, verdict="not decided")]},
            "Not decided, since what it changes may lie above or below 0.05 for some class (cases=... looks at more images): upper "
            "border (0.06 (0.04 to 0.08)).",
        ),
    ],
)
def test_why_something_is_open(content, change, words):
    content["regions"][2] |= change
    assert shortcut_sentences(content)[-1] == words


def test_where_all_is_open_for_one_reason_it_is_said_once(content):
    content["regions"] = [content["regions"][2] | {"name": str(number)} for number in range(3)]
    content["looks"] = []
    assert (
        shortcut_sentences(content)[-1] == "Not decided, because regions of this size elsewhere do as much: everything."
    )


def test_limits_say_what_may_have_been_missed(content):
    assert limits(content)[0].startswith(
        "Only what test images show was exchanged. What fewer than 19\u00a0% of the patients bear"
    )
    assert limits(content)[-1] == content["note"]
    assert len(limits(content | {"note": None})) == 3
    assert len(limits(content | {"note": None, "looks": []})) == 2, "no look was exchanged"


def test_the_terminal_shows_a_row_each(content):
    lines = shortcut_lines(content)
    assert lines[0].startswith("50 test images, 17 patients; a change of 0.05 is worth a verdict")
    assert lines[2].split()[:4] == ["upper", "left", "corner", "CONVICTED"]
    assert lines[5].split() == ["noise", "level", "ACQUITTED", "0.00", "(-0.02", "to", "0.02)", "-", "-", "-"]


def test_the_page_has_a_section_for_it(content, tmp_path: Path):
    folder = write_run_folder(tmp_path / "run")
    assert "Upper left corner".lower() not in build_report(folder).read_text(encoding="utf-8")
    write_json(folder / "explanations" / "shortcuts.json", content)
    page = build_report(folder).read_text(encoding="utf-8")
    assert '<section id="shortcuts"' in page
    assert '<span class="badge status-warning">CONVICTED</span>' in page
    assert "Grad-CAM: evidence there" in page
    assert "What this audit cannot see" in page
    assert "chart-shortcuts" in page


def test_a_file_of_another_version_says_what_to_do(content, tmp_path: Path):
    folder = write_run_folder(tmp_path / "run")
    write_json(folder / "explanations" / "shortcuts.json", content | {"schema_version": 99})
    with pytest.raises(RunError, match="parts=shortcuts"):
        build_report(folder)
