"""The score card on the page: sentences built by rules, a table with controls below, and curves."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from typing import Any

import pytest

from scanlens.report.explanations import score_card
from scanlens.report.explanations.score_card_charts import deletion_chart, randomization_chart
from scanlens.report.explanations.score_card_words import card_note, card_sentences


def entry(value: float | None, low: float | None = None, high: float | None = None, n: int = 20) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "reason": None, "num_images": n, "num_units": n}


def card_method(name: str, title: str, *, words: str, hits: float, kept: float, is_control: bool = False) -> dict:
    status = dict(zip("PFN", ("PASS", "FAIL", "NOT ASSESSED"), strict=True))
    consistency, plausibility, fidelity = ({"status": status[letter], "reason": f"Why {letter}."} for letter in words)
    ranks = [entry(0.6, 0.5, 0.7), entry(kept, kept, kept)]
    return {
        "name": name,
        "title": title,
        "is_control": is_control,
        "num_maps": 20,
        "num_blank": 2 if name == "hires_cam" else 0,
        "consistency": consistency | {"rank_correlation": entry(0.99, 0.98, 0.99)},
        "plausibility": plausibility
        | {"hit_near": entry(hits, hits - 0.1, hits + 0.1), "chance_near": 0.05, "mass_lift": entry(6.9, 5.5, 9.3)}
        | {"by_size": [{"from_px": 4, "to_px": 9, "hit_near": entry(hits, n=7), "chance": 0.02}]},
        "fidelity": fidelity
        | {"randomization": {"likeness": ranks[-1], "floor": entry(0.45, 0.4, 0.5), "rank_correlation": ranks}}
        | {
            "removal": {
                "advantage": entry(4.0, 1.0, 7.0, n=8),
                "share": [0.1, 0.3],
                "curve": [entry(2.0, 1, 3), entry(5, 4, 6)],
            }
        },
        "usefulness": {"status": "NOT ASSESSED", "reason": "Needs readers."},
    }


def card(primary: str = "PPP", sanity: str = "PASS") -> dict[str, Any]:
    return {
        "sanity": {"status": sanity, "reason": "The reason."},
        "primary": "hires_cam",
        "methods": [
            card_method("hires_cam", "HiResCAM", words=primary, hits=0.86, kept=0.05),
            card_method("grad_cam", "Grad-CAM", words="PFF", hits=0.52, kept=0.1),
            card_method("edges", "Edges", words="PFF", hits=0.08, kept=1.0, is_control=True),
            card_method("center", "Middle of the image", words="FFF", hits=0.31, kept=1.0, is_control=True),
        ],
        "left_out": [{"name": "integrated_gradients", "title": "Integrated gradients", "reason": "too dear"}],
        "rules": {"fidelity": "A rule."},
        "explained": "the class that the network named, of test images named tumor",
        "images": {"num_found": 50, "num_found_units": 14, "unit": "patients", "resampled": "patients"}
        | {"num_marked": 44, "num_marked_units": 14, "num_marked_wrong": 6},
        "randomization": {"layers": ["b", "a"], "steps": [1, 2]},
        "tolerance": {"px": 2.0, "mm": 5.0},
    }


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", text))


def test_sentences_tell_the_verdicts_the_sanity_and_the_best_control() -> None:
    assert card_sentences(card()) == [
        "HiResCAM, the map of this run to be believed first, passes consistency, plausibility and fidelity and was not assessed "
        "for usefulness.",
        "With all weights drawn anew the maps become others: their rank correlation with the real ones falls to 0.05, where maps of "
        "different images have 0.45. They depend on what the network has learned.",
        "Its peak lies at the lesion in 0.86 of the images, more than the best of the controls (middle of the image, 0.31).",
        "Other methods that fail: Grad-CAM (plausibility and fidelity).",
    ]


def test_what_verdicts_predict_stands_beside_a_heading_that_was_not_assessed() -> None:
    content = card()
    content["methods"][0]["usefulness"] |= {"correctness": entry(0.7, 0.6, 0.8, n=50), "lesion": None}
    assert (
        "No reader has used these maps; what is known instead: AUROC of the verdict on a case 0.70 (0.60 to 0.80) for a right "
        "answer (n = 50)."
    ) in card_sentences(content)
    told = plain(str(score_card.section(None, content)))  # type: ignore[arg-type]
    assert "n 8 not assessed 0.70 (0.60 to 0.80) n 50 –" in told


def test_a_failure_is_told_with_its_reason() -> None:
    told = card_sentences(card("PFF", sanity="FAIL"))
    assert told[0].endswith("passes consistency, fails plausibility and fidelity and was not assessed for usefulness.")
    assert told[1:3] == ["Plausibility: Why F.", "Fidelity: Why F."]
    assert told[3] == (
        "The maps do not depend on what the network has learned and must not be shown as its evidence. The reason."
    )


def test_nothing_to_test_is_one_sentence_and_no_table() -> None:
    nothing = {"sanity": {"status": "NOT ASSESSED", "reason": "Nothing was found."}, "methods": [], "left_out": []}
    assert card_sentences(nothing) == ["No map was put to the test: Nothing was found."]
    assert "<table" not in score_card.section(None, nothing)  # type: ignore[arg-type]


def test_the_note_counts_patients_and_what_was_left_out() -> None:
    told = card_note(card())
    assert "50 images of 14 patients drawn by the seed of the run" in told
    assert (
        "44 rightly named images of 14 patients with a marked lesion, without 6 that the network named wrongly" in told
    )


def test_the_table_has_numbers_with_interval_and_n_beside_chance_and_controls_at_the_end() -> None:
    page = str(score_card.section(None, card()))  # type: ignore[arg-type]
    told = plain(page)
    assert (
        "HiResCAM 2 of 20 maps blank PASS 0.99 (0.98 to 0.99) n 20 PASS 0.86 (0.76 to 0.96) n 20, chance 0.05" in told
    )
    assert "0.05 (0.05 to 0.05) n 20, other images 0.45 4.00 (1.00 to 7.00) n 8 not assessed" in told
    assert told.index("Controls") > told.index("Grad-CAM PASS")
    assert page.count('<tr class="small"><th scope="row">Edges') == 2  # card, and by size
    assert "Left out: Integrated gradients (too dear)." in told
    assert "4 to 9\u00a0px (chance 2\u00a0%)" in page


def test_curves_start_at_the_network_as_it_is_and_draw_controls_in_grey() -> None:
    for chart in (randomization_chart(card()), deletion_chart(card())):
        assert chart is not None
        ElementTree.fromstring(chart)
    assert "HiResCAM 0.05; Grad-CAM 0.10" in (randomization_chart(card()) or "")
    assert "#8a8a8a" in (deletion_chart(card()) or "")
    assert randomization_chart({"methods": []}) is None


@pytest.mark.parametrize("path", [("consistency",), ("plausibility",), ("fidelity",)])
def test_a_card_with_holes_is_still_shown(path: tuple[str]) -> None:
    holed = card()
    for one in holed["methods"]:
        del one[path[0]]
    assert "HiResCAM" in score_card.section(None, holed)  # type: ignore[arg-type]
