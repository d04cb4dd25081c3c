"""Sets of classes that hold the right one for a stated share of images: split conformal prediction.

Images of one patient are alike, so only patients can be exchanged. The promise is therefore for a random image of the
next patient: every patient of validation has the weight 1 in the quantile, divided among its images, and the next
patient has the weight 1 beyond all scores. With one image a patient, or at the patient level (one row a patient), this
is the usual rank ceil((n + 1) * coverage) among n. Taking one image of each patient would be valid too, but throws the
others away.

The promise is exact for a validation split that taught nothing. If the best epoch or a temperature was chosen on it,
scores are a little too good there: look at the coverage on test.

Legend of axes: N images, K classes.

References:
    Vovk et al. 2005 (split conformal); Lee, Barber & Willett 2023, arXiv:2306.06342 (weights of patients: HCP);
    Sadinle et al. 2019, doi:10.1080/01621459.2017.1395341 (score 1 - p: LAC, the smallest sets on average);
    Romano et al. 2020, arXiv:2006.02544 (adaptive sets, APS, randomized); Vovk 2012 (one promise for each class).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.errors import RunError, did_you_mean
from scanlens.evaluation.checks import Floats, check_length, checked_predictions, checked_probabilities
from scanlens.evaluation.resampling import PatientGroups
from scanlens.seeds import derived_seed

SCORES = ("lac", "aps")
ROUNDING = 1e-9  # of sums of weights: (19 + 1) * 0.9 is the rank 18, not 19
_VALIDATION, _NEW = 1, 2  # draws of the two are independent


@dataclass(frozen=True, slots=True)
class ConformalSets:
    """A rule that gives each image a set of classes.

    Args:
        coverage: the promised share of sets that hold the right class, in (0, 1).
        score: "lac" or "aps".
        is_by_class: whether the promise is for each class, or for all images together.
        class_names: K names.
        thresholds: the largest score that is in the set, of each class; None where validation is too small: then the
            class is in every set.
        num_patients: of validation, that carry the threshold of each class.
        seed: of the random part of "aps".
        notes: sentences for a reader: which promise is empty, and what it would take.
    """

    coverage: float
    score: str
    is_by_class: bool
    class_names: tuple[str, ...]
    thresholds: tuple[float | None, ...]
    num_patients: tuple[int, ...]
    seed: int
    notes: tuple[str, ...] = ()

    def sets(self, probabilities_NK: ArrayLike) -> NDArray[np.bool_]:
        """Whether each class is in the set of each image: (N, K). A set can be empty: no class fits such an image.

        With "aps", the row decides the draw: the same rows give the same sets.

        Raises:
            ValueError: names the first row that is at fault, or says that the number of classes differs.
        """
        given_NK = checked_probabilities(probabilities_NK)
        check_length(self.class_names, name="class_names", num_images=given_NK.shape[1])
        highest_K = np.array([np.inf if one is None else one for one in self.thresholds])
        return scores_of(given_NK, score=self.score, seed=derived_seed(self.seed, _NEW)) <= highest_K

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        return {
            "coverage": self.coverage,
            "score": self.score,
            "is_by_class": self.is_by_class,
            "class_names": list(self.class_names),
            "thresholds": list(self.thresholds),
            "num_patients": list(self.num_patients),
            "seed": self.seed,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ConformalSets:
        """What `as_dict` gave.

        Raises:
            RunError: if it is not of this form.
        """
        try:
            found = cls(
                coverage=float(values["coverage"]),
                score=str(values["score"]),
                is_by_class=bool(values["is_by_class"]),
                class_names=tuple(str(one) for one in values["class_names"]),
                thresholds=tuple(None if one is None else float(one) for one in values["thresholds"]),
                num_patients=tuple(int(one) for one in values["num_patients"]),
                seed=int(values["seed"]),
                notes=tuple(str(one) for one in values["notes"]),
            )
            _check_settings(found.coverage, found.score)
            check_length(found.thresholds, name="thresholds", num_images=len(found.class_names))
            if any(math.isnan(one) for one in found.thresholds if one is not None):
                raise ValueError("thresholds: expected numbers")
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(
                f"conformal sets: expected what judging writes, got {error!r}. Judge the run again."
            ) from error
        return found


def fit_conformal(
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    *,
    class_names: Sequence[str],
    groups: PatientGroups,
    coverage: float = 0.9,
    score: str = "lac",
    is_by_class: bool = False,
    seed: int,
) -> ConformalSets:
    """The rule that keeps its promise for a random image of the next patient.

    Args:
        probabilities_NK: of the validation split: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.
        class_names: in the order of the columns.
        groups: the patients of these images.
        coverage: promised, in (0, 1).
        score: "lac" (1 - p of the class: the smallest sets) or "aps" (probability of all likelier classes, and a random
            part of its own: sets that grow where the network is unsure).
        is_by_class: promise the coverage for each class by itself; needs enough patients of each.
        seed: of the random part of "aps".

    Raises:
        ValueError: names the first row, or the setting, that is at fault.
    """
    _check_settings(coverage, score)
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    num_images, num_classes = probabilities_NK.shape
    check_length(class_names, name="class_names", num_images=num_classes)
    check_length(groups.patient_N.tolist(), name="groups", num_images=num_images)
    score_NK = scores_of(probabilities_NK, score=score, seed=derived_seed(seed, _VALIDATION))
    score_N = score_NK[np.arange(num_images), target_N]
    among = [target_N == k for k in range(num_classes)] if is_by_class else [np.ones(num_images, dtype=bool)]
    found = [_threshold(score_N, meant_N, groups, coverage=coverage) for meant_N in among]
    counts = [groups.count(meant_N) for meant_N in among]
    repeats = 1 if is_by_class else num_classes
    return ConformalSets(
        coverage=coverage,
        score=score,
        is_by_class=is_by_class,
        class_names=tuple(class_names),
        thresholds=tuple(found * repeats),
        num_patients=tuple(counts * repeats),
        seed=seed,
        notes=_notes(found, counts, class_names if is_by_class else None, groups.unit, coverage=coverage),
    )


def num_needed(coverage: float) -> int:
    """The fewest patients with which a set can be smaller than everything: 9 for 0.9, 19 for 0.95."""
    return math.ceil(coverage / (1 - coverage) - ROUNDING)


def scores_of(probabilities_NK: Floats, *, score: str, seed: int) -> Floats:
    """How ill each class fits each image, in [0, 1]; classes of equal probability come in their order for "aps"."""
    if score == "lac":
        return 1 - probabilities_NK
    order_NK = np.argsort(-probabilities_NK, axis=1, kind="stable")
    sorted_NK = np.take_along_axis(probabilities_NK, order_NK, axis=1)
    draw_N1 = np.random.default_rng(seed).random((len(probabilities_NK), 1))
    ranked_NK = np.cumsum(sorted_NK, axis=1) - sorted_NK + draw_N1 * sorted_NK
    score_NK = np.empty_like(ranked_NK)
    np.put_along_axis(score_NK, order_NK, ranked_NK, axis=1)
    return score_NK


def _check_settings(coverage: float, score: str) -> None:
    if not 0 < coverage < 1:
        raise ValueError(f"conformal coverage: expected a share between 0 and 1, such as 0.9, got {coverage}")
    if score not in SCORES:
        raise ValueError(f"conformal score: there is none called '{score}'. {did_you_mean(score, SCORES)}")


def _threshold(score_N: Floats, meant_N: NDArray[np.bool_], groups: PatientGroups, *, coverage: float) -> float | None:
    """The smallest score below or at which the patients weigh `coverage` of all, the next one included."""
    needed = coverage * (groups.count(meant_N) + 1)
    order_N = np.argsort(score_N[meant_N], kind="stable")
    weight_N = np.cumsum(groups.shares_N(meant_N)[meant_N][order_N])
    place = int(np.searchsorted(weight_N, needed - ROUNDING))
    return None if place >= len(order_N) else float(score_N[meant_N][order_N][place])


def _notes(
    found: Sequence[float | None],
    counts: Sequence[int],
    class_names: Sequence[str] | None,
    unit: str,
    *,
    coverage: float,
) -> tuple[str, ...]:
    needed = num_needed(coverage)
    notes = []
    for place, (threshold, count) in enumerate(zip(found, counts, strict=True)):
        if threshold is None and class_names is None:
            notes.append(
                f"Every set holds all classes: {needed} {unit} of validation are needed for this promise, {count} are there."
            )
        elif threshold is None and class_names is not None:
            notes.append(
                f"Every set holds '{class_names[place]}': {needed} {unit} of validation with this class are needed for this "
                f"promise, {count} are there."
            )
    return tuple(notes)
