"""From numbers to a verdict, and what a verdict is worth."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from scanlens.evaluation.explanations.verdict import LEVELS, MEANINGS, Sanity, verdict_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.evaluation.explanations.verdict_worth import verdict_shares, verdict_worth

GOOD: dict[str, Any] = {
    "quality": {"status": "good", "faults": []},
    "blank": None,
    "region": {
        "p_value": 0.04,
        "drop": 2.5,
        "margin": 4.0,
        "num_as_large": 0,
        "num_regions": 24,
        "body_share": 1.0,
        "body_share_elsewhere": 0.98,
    },
    "agreement": {
        "other": "Integrated gradients",
        "overlap": 0.6,
        "overlap_by_chance": 0.03,
        "overlap_p": 0.01,
        "rank_correlation": 0.4,
        "rank_correlation_p": 0.02,
    },
    "stability": {
        "probability": 0.98,
        "changes": [
            {"name": "noise", "kept": 0.8, "rank_correlation": 0.9, "probability": 0.97, "is_same_answer": True},
            {"name": "shift", "kept": 0.6, "rank_correlation": 0.7, "probability": 0.9, "is_same_answer": True},
        ],
    },
}
PASSED = Sanity("PASS", "Checked on 5 draws.")


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with one value changed; `path` with dots."""
    found = deepcopy(GOOD)
    *parents, last = path.split(".")
    inner: Any = found
    for name in parents:
        inner = inner[int(name)] if isinstance(inner, list) else inner[name]
    inner[last] = value
    return found


def words(measured: dict[str, Any], sanity: Sanity | None = PASSED, plan: VerdictPlan | None = None) -> tuple[str, str]:
    found = verdict_of(measured, plan or VerdictPlan(), sanity)
    return found.level, " ".join((*found.reasons, *found.against))


def test_a_map_that_passes_everything_is_supported_and_says_by_how_much() -> None:
    found = verdict_of(GOOD, VerdictPlan(), PASSED)
    assert found.level == "SUPPORTED"
    assert found.against == ()
    assert found.reasons == (
        "Without the highlighted region the log-odds of the explained class fall by 2.50 (from 4.00, 62 % of it), more than without any of "
        "24 regions of the same shape elsewhere (p = 0.04).",
    )
    assert "Integrated gradients highlights 60 % of the same region too" in found.also[0]
    assert "70 % of the region stays highlighted on average (at worst 60 %: shift)" in found.also[1]
    assert "moves by at most 0.08" in found.also[1]
    assert found.also[2] == "Maps of this network depend on what it has learned. Checked on 5 draws."


@pytest.mark.parametrize(
    ("path", "value", "level", "said"),
    [
        ("region.p_value", 0.08, "WEAK", "p = 0.08"),
        ("region.p_value", 0.2, "WEAK", "This may be chance: where an answer rests on no region, about 20 of 100 maps would"),
        ("region.p_value", 0.24, "NOT SUPPORTED", "p = 0.24"),
        ("region.drop", -0.3, "NOT SUPPORTED", "rise by 0.30 (from 4.00): no sign that the answer rests on it"),
        ("region.drop", 0.0, "NOT SUPPORTED", "do not fall"),
        ("region.p_value", None, "WITHHELD", "cannot be compared"),
        ("region.drop", None, "WITHHELD", "no finite number"),
        ("region.margin", None, "WITHHELD", "no finite number"),
        ("region.body_share_elsewhere", 0.5, "WEAK", "the comparison is not fair"),
        ("region", None, "WITHHELD", "was not tried"),
        ("blank", "the map is the same everywhere", "WITHHELD", "Nothing is highlighted: the map is the same everywhere."),
        ("quality", {"status": "bad", "faults": ["is nearly black"]}, "WITHHELD", "The image is nearly black."),
        ("quality", {"status": "odd", "faults": ["is a", "is b"]}, "WEAK", "The image is a and is b."),
        ("stability.changes.1.is_same_answer", False, "WITHHELD", "another class when the image is hardly changed (shift)"),
        ("stability.changes.1.kept", 0.1, "WEAK", "45 % of the region stays highlighted"),
        ("stability", None, "SUPPORTED", "p = 0.04"),
        ("agreement", None, "SUPPORTED", "p = 0.04"),
        ("agreement.overlap_p", 0.9, "SUPPORTED", "p = 0.04"),
    ],
)  # fmt: skip
def test_each_number_can_lower_the_verdict_and_says_so(path: str, value: Any, level: str, said: str) -> None:
    found, text = words(changed(path, value))
    assert found == level
    assert said in text


def test_a_second_method_that_points_elsewhere_makes_it_weak() -> None:
    apart = changed("agreement.overlap_p", 0.9)
    apart["agreement"]["rank_correlation_p"] = 0.85
    assert words(apart)[0] == "WEAK"
    assert "hardly more than by chance or less" in words(apart)[1]
    assert words(apart, plan=VerdictPlan(agreement_alpha=0.9))[0] == "SUPPORTED"
    assert words(GOOD, plan=VerdictPlan(agreement_alpha=0.005))[0] == "WEAK"


def test_the_sanity_of_the_network_can_take_but_never_give() -> None:
    assert words(GOOD, Sanity("FAIL", "Maps stay the same."))[0] == "WITHHELD"
    assert (
        "do not depend on what it has learned. Maps stay the same."
        in words(GOOD, Sanity("FAIL", "Maps stay the same."))[1]
    )
    for unknown in (None, Sanity("not assessed"), Sanity("UNCLEAR", "Too few cases.")):
        level, text = words(GOOD, unknown)
        assert level == "WEAK"
        assert "not assessed" in text
        assert words(GOOD, unknown, VerdictPlan(needs_sanity=False))[0] == "SUPPORTED"
    assert words(changed("region.p_value", 0.5), PASSED)[0] == "NOT SUPPORTED"


def test_a_worse_number_never_improves_the_verdict() -> None:
    for path, values in {
        "region.p_value": [0.01, 0.04, 0.05, 0.06, 0.2, 0.21, 1.0],
        "agreement.overlap_p": [0.01, 0.5, 0.51, 1.0],
        "stability.changes.0.kept": [1.0, 0.5, 0.4, 0.0],
    }.items():
        ranks = [LEVELS.index(verdict_of(changed(path, value), VerdictPlan(), PASSED).level) for value in values]
        assert ranks == sorted(ranks, reverse=True), path


def test_no_verdict_speaks_of_a_diagnosis() -> None:
    assert set(MEANINGS) == set(LEVELS)
    for text in MEANINGS.values():
        assert not {"diagnosis", "tumor", "proves", "shows that the patient"} & set(text.split())
    assert "does not say" in MEANINGS["SUPPORTED"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"num_regions": 9}, "Take at least 19 regions"),
        ({"alpha": 0.3}, "alpha <= weak_alpha"),
        ({"share": 0.5}, "at most 0.25"),
        ({"removal": "black"}, "blur_noise, inpaint"),
        ({"least_kept": 2.0}, "least_kept"),
        ({"max_minutes": 0}, "max_minutes"),
        ({"num_regions": 0}, "between 1 and"),
    ],
)
def test_a_plan_that_cannot_work_is_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        VerdictPlan(**settings)


def test_the_worth_of_a_verdict_is_its_auroc_by_patients() -> None:
    rng = np.random.default_rng(1)
    is_right = rng.random(120) < 0.7
    rank = np.clip(np.rint(1.5 + is_right + rng.normal(0, 1, 120)), 0, 3).astype(int)
    levels = [LEVELS[k] for k in rank]
    patients = [f"p{n // 3}" for n in range(120)]
    found = verdict_worth(levels, is_right.tolist(), about="correctness", patients=patients, groups=[""] * 120)
    assert found["value"] == pytest.approx(roc_auc_score(is_right, rank))
    assert found["low"] < found["value"] < found["high"]
    assert (found["num"], found["num_true"]) == (120, int(is_right.sum()))
    assert "goes with correctness" in found["says"]


def test_a_verdict_that_says_nothing_is_told_to_say_nothing() -> None:
    rng = np.random.default_rng(2)
    names = [f"p{n}" for n in range(400)]
    about: dict[str, Any] = {"about": "correctness", "patients": names, "groups": names}
    levels = [LEVELS[k] for k in rng.integers(0, 4, 400)]
    is_right = (rng.random(400) < 0.8).tolist()
    assert verdict_worth(levels, is_right, **about)["says"].startswith(
        "The verdict carries no information about correctness"
    )
    same = verdict_worth(["WEAK"] * 400, is_right, **about)
    assert "carries no information about correctness: all of 400 images got the same one" in same["says"]
    assert "not assessed, all of 400 images are alike" in verdict_worth(levels, [True] * 400, **about)["says"]
    assert "of no image is it known" in verdict_worth(levels, [None] * 400, **about)["says"]


def test_shares_of_verdicts_add_up_and_have_intervals() -> None:
    levels = ["SUPPORTED"] * 6 + ["WEAK"] * 3 + ["WITHHELD"]
    names = [f"p{n}" for n in range(10)]
    found = verdict_shares(levels, patients=names, groups=names)  # type: ignore[arg-type]
    assert list(found) == ["SUPPORTED", "WEAK", "NOT SUPPORTED", "WITHHELD"]
    assert [one["num"] for one in found.values()] == [6, 3, 0, 1]
    assert sum(one["value"] for one in found.values()) == pytest.approx(1)
    assert found["SUPPORTED"]["low"] < 0.6 < found["SUPPORTED"]["high"]
