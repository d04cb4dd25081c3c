"""What the page says of images that are unlike those of the training."""

from __future__ import annotations

from typing import Any

from scanlens.report.drift import apart_table, drift_sentences, drift_table


def one(name: str, known: float, new: float, difference: float | None, *, p: float | None = 0.001) -> dict[str, Any]:
    return {
        "name": name,
        "known_median": known,
        "new_median": new,
        "difference": difference,
        "ks": 0.8,
        "ks_by_chance": 0.3,
        "adjusted_p": p,
        "p": p,
        "has_drifted": p is not None and p <= 0.05,
        "reason": None if p is not None else "3 patients (or groups) of one set, at least 5 are needed",
    }


BEYOND = {"share": {"value": 0.38, "low": 0.2, "high": 0.55}, "expected": 0.01, "threshold": 1.0, "num_known": 300}
APART = [
    {"name": "brightness", "auroc": 0.98, "low": 0.95, "high": 0.99, "reason": None},
    {"name": "image size", "auroc": 0.55, "low": 0.45, "high": 0.65, "reason": None},
    {"name": "pixel spacing", "auroc": None, "low": None, "high": None, "reason": "known of no image"},
]


def test_the_largest_differences_come_first_with_their_direction() -> None:
    scores = one("unlike training pictures", 1, 3, 2.5)
    drift = {
        "numbers": [
            one("mean", 0.22, 0.41, 1.3),
            one("border_mean", 0.1, 0.02, -2.0),
            one("spread", 0.1, 0.1, 0.1, p=0.7),
            scores,
        ],
        "beyond": {"unlike training pictures": BEYOND},
        "told_apart": APART,
    }
    assert drift_sentences(drift) == [
        "The new images have a darker border (median 0.02 against 0.1, 2.0 standard deviations) and are brighter (median 0.41 "
        "against 0.22, 1.3 standard deviations).",
        "38\u00a0% of the new images lie beyond what 99 % of training pictures show (1\u00a0% were to be expected).",
        "A small classifier tells new from training images by brightness alone: AUROC 0.98 (0.95 to 0.99), 0.5 is chance.",
        "Expect other results than on the test split of the run: it holds no such images.",
    ]
    assert drift_table(drift)[0] == ["brightness", "0.22", "0.41", "1.30", "0.80", "0.30", "0.001 *"]
    assert drift_table(drift)[2][-1] == "0.700"
    assert apart_table(drift)[1:] == [["image size", "0.55 (0.45 to 0.65)"], ["pixel spacing", "known of no image"]]


def test_a_share_beyond_is_told_only_where_its_score_has_moved_and_it_is_surely_more() -> None:
    drift = {"beyond": {"unlike training pictures": BEYOND}, "told_apart": []}
    calm = "No number of the new images differs from the training by more than chance explains."
    assert drift_sentences(drift | {"numbers": [one("unlike training pictures", 1, 1, 0.1, p=0.4)]}) == [calm]
    unsure = BEYOND | {"share": {"value": 0.05, "low": 0.005, "high": 0.1}}
    moved = {"numbers": [one("unlike training pictures", 1, 3, 2.5)], "beyond": {"unlike training pictures": unsure}}
    assert drift_sentences(moved) == [
        "The new images have a higher score 'thumbnail unlike those of training' than chance explains.",
        "Expect other results than on the test split of the run: it holds no such images.",
    ]


def test_what_cannot_be_told_says_so() -> None:
    assert drift_sentences({"reason": "the run has no fingerprint.npz"}) == [
        "Whether the new images are like those of the training was not assessed: the run has no fingerprint.npz."
    ]
    few = {"numbers": [one("mean", 0.1, 0.9, 2.0, p=None)], "told_apart": []}
    assert drift_sentences(few) == ["Too few patients to tell whether the new images are like those of the training."]
    assert drift_table(few)[0][-1].startswith("3 patients")
