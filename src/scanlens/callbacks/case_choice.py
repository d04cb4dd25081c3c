"""Which images a report explains: the worst misses first, then the best hits, every class, and some at random.

Neighboring slices look alike, so of equal wishes a patient who has no case yet goes before one who has.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from scanlens.callbacks.predictions import index_of
from scanlens.seeds import derived_seed

Prediction = Mapping[str, str]


def choose_classified(predictions: Sequence[Prediction], *, num: int, seed: int) -> list[tuple[Prediction, str]]:
    """Up to `num` predictions with the reason for each, every image at most once.

    Args:
        predictions: rows of `predictions/test.csv`.
        num: how many in all; a third goes to the worst misses (the most confident wrong answers), the rest is shared by
            the best hit of each class and random cases.
        seed: of the random cases.
    """
    wrong = [p for p in predictions if p["predicted"] != p["target"]]
    right = [p for p in predictions if p["predicted"] == p["target"]]
    classes = sorted({p["target"] for p in predictions})
    best = [max(hits, key=_confidence) for name in classes if (hits := [p for p in right if p["target"] == name])]
    per_class = [
        min(rows, key=random_order(seed))
        for name in classes
        if (rows := [p for p in predictions if p["target"] == name])
    ]
    misses = _spread(sorted(wrong, key=_confidence, reverse=True))[: max(1, num // 3)]
    wishes = [(p, "worst miss") for p in misses]
    wishes += [(p, "best hit") for p in sorted(best, key=_confidence, reverse=True)]
    wishes += [(p, "per class") for p in per_class]
    at_random = sorted(predictions, key=random_order(seed + 1))
    wishes += [(p, "random") for p in _spread(at_random, taken=[p for p, _ in _unique(wishes)])]
    return _unique(wishes)[:num]


def choose_scored(
    predictions: Sequence[Prediction], *, column: str, num: int, seed: int
) -> list[tuple[Prediction, str]]:
    """Up to `num` predictions: a third with the highest `column`, the lowest one, then random ones."""
    ranked = sorted(predictions, key=lambda p: float(p[column]), reverse=True)
    wishes = [(p, "highest score") for p in _spread(ranked)[: max(1, num // 3)]]
    wishes += [(p, "lowest score") for p in ranked[-1:]]
    at_random = sorted(predictions, key=random_order(seed))
    wishes += [(p, "random") for p in _spread(at_random, taken=[p for p, _ in _unique(wishes)])]
    return _unique(wishes)[:num]


def random_order(seed: int) -> Callable[[Prediction], int]:
    """Sorting by this is a draw at random that depends on nothing but the seed and the numbers of the images."""

    def key(prediction: Prediction) -> int:
        return derived_seed(seed, index_of(prediction))

    return key


def _confidence(prediction: Prediction) -> float:
    return float(prediction[f"prob_{prediction['predicted']}"])


def _spread(ranked: Sequence[Prediction], *, taken: Sequence[Prediction] = ()) -> list[Prediction]:
    """In the same order, but everyone's first image before anyone's second; those in `taken` count as had."""
    had = Counter(p.get("patient") for p in taken)
    cases = {p["case"] for p in taken}
    rounds = []
    for prediction in ranked:
        patient = prediction.get("patient")
        rounds.append(had[patient] if patient else 0)
        if patient and prediction["case"] not in cases:
            had[patient] += 1
    return [ranked[i] for i in sorted(range(len(ranked)), key=rounds.__getitem__)]


def _unique(wishes: list[tuple[Prediction, str]]) -> list[tuple[Prediction, str]]:
    seen: set[str] = set()
    kept = []
    for prediction, reason in wishes:
        if prediction["case"] not in seen:
            seen.add(prediction["case"])
            kept.append((prediction, reason))
    return kept
