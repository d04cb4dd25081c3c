"""A rule that refers unsure images to a person: its threshold is chosen on validation, its outcome told on test.

Legend of axes: N images, K classes.

References:
    Geifman & El-Yaniv 2017, arXiv:1705.08500 (a bound in place of the observed risk).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.errors import RunError
from scanlens.evaluation.checks import Floats, check_length, checked_predictions, checked_probabilities
from scanlens.evaluation.intervals import share_entry, share_interval
from scanlens.evaluation.resampling import PatientGroups

ONE_SIDED = 0.90  # the upper end of a 90 % interval is too low in one of 20 cases
MAX_CANDIDATES = 200
AIMS = ("risk", "referred")


@dataclass(frozen=True, slots=True)
class Referral:
    """The rule.

    Args:
        aim: "risk": at most this share of errors among the answered; "referred": at most this share referred.
        target: that share.
        threshold: images whose most probable class has less are referred; None: all are.
        share_referred: of validation.
        reason: why all are referred, None otherwise.
    """

    aim: str
    target: float
    threshold: float | None
    share_referred: float
    reason: str | None = None

    def refers(self, probabilities_NK: ArrayLike) -> NDArray[np.bool_]:
        """Which images go to a person: (N,).

        Raises:
            ValueError: names the first row that is at fault.
        """
        confidence_N = checked_probabilities(probabilities_NK).max(axis=1)
        return confidence_N < (np.inf if self.threshold is None else self.threshold)

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` reads it."""
        return {
            "aim": self.aim,
            "target": self.target,
            "threshold": self.threshold,
            "share_referred": self.share_referred,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Referral:
        """What `as_dict` gave.

        Raises:
            RunError: if it is not of this form.
        """
        try:
            threshold, reason = values["threshold"], values["reason"]
            found = cls(
                aim=str(values["aim"]),
                target=float(values["target"]),
                threshold=None if threshold is None else float(threshold),
                share_referred=float(values["share_referred"]),
                reason=None if reason is None else str(reason),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"referral: expected what judging writes, got {error!r}. Judge the run again.") from error
        if found.aim not in AIMS or not 0 <= found.target <= 1 or not 0 <= (found.threshold or 0.0) <= 1:
            raise RunError(f"referral: expected an aim of {AIMS} and shares in 0..1, got {found}. Judge the run again.")
        return found


def referral_for_share(probabilities_NK: ArrayLike, *, share: float) -> Referral:
    """The rule that refers as many images of validation as it can, but at most this share; truth is not needed.

    Raises:
        ValueError: names the first row that is at fault, or the share outside 0..1.
    """
    _check_share(share, name="share")
    confidence_N = checked_probabilities(probabilities_NK).max(axis=1)
    values, first = np.unique(np.sort(confidence_N), return_index=True)  # `first` images lie below each value
    allowed = int(np.searchsorted(first, share * len(confidence_N) + 1e-9, side="right")) - 1
    return Referral("referred", share, float(values[allowed]), float(first[allowed] / len(confidence_N)))


def referral_for_risk(
    probabilities_NK: ArrayLike, target_N: ArrayLike, *, groups: PatientGroups, risk: float
) -> Referral:
    """The rule that answers as many images as it can with at most this share of errors among them.

    What must stay at or below `risk` is not the share seen on validation but the upper end of its interval over
    patients (one-sided, 95 %), so that small validation sets promise less. It is not corrected for the search among
    thresholds: the outcome on test has the last word.

    Args:
        probabilities_NK: of the validation split: finite, in [0, 1], rows with sum 1.
        target_N: class numbers in 0..K-1.
        groups: the patients of these images.
        risk: in 0..1.

    Raises:
        ValueError: names the first row that is at fault, or the risk outside 0..1.
    """
    _check_share(risk, name="risk")
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(groups.patient_N.tolist(), name="groups", num_images=len(target_N))
    confidence_N, is_wrong_N = probabilities_NK.max(axis=1), probabilities_NK.argmax(axis=1) != target_N
    for threshold in _candidates(confidence_N):
        bound = share_interval(is_wrong_N, confidence_N >= threshold, groups, level=ONE_SIDED).high
        if bound is not None and bound <= risk:
            return Referral("risk", risk, float(threshold), float((confidence_N < threshold).mean()))
    reason = (
        f"no share of validation ({groups.num_patients} {groups.unit}) is sure to have at most {100 * risk:g} % errors, "
        "so that all images are referred"
    )
    return Referral("risk", risk, None, 1.0, reason)


@dataclass(frozen=True, slots=True)
class ReferralOutcome:
    """What the rule did on a split; every entry is {value, low, high, reason}.

    Args:
        referred: share of images that go to a person.
        accuracy: of all images, if the network answered all.
        accuracy_answered: of the others.
        accuracy_referred: that the network would have had on the referred ones.
        errors_caught: share of the network's errors that are referred.
        num: images, `answered`, `referred`, and errors among each: `errors_answered`, `errors_referred`.
        referred_per_class: share referred of each class: who has to wait for a person.
    """

    referred: dict[str, Any]
    accuracy: dict[str, Any]
    accuracy_answered: dict[str, Any]
    accuracy_referred: dict[str, Any]
    errors_caught: dict[str, Any]
    num: Mapping[str, int]
    referred_per_class: Mapping[str, dict[str, Any]]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "referred": self.referred,
            "accuracy": self.accuracy,
            "accuracy_answered": self.accuracy_answered,
            "accuracy_referred": self.accuracy_referred,
            "errors_caught": self.errors_caught,
            "num": dict(self.num),
            "referred_per_class": dict(self.referred_per_class),
        }


def judge_referral(
    rule: Referral,
    probabilities_NK: ArrayLike,
    target_N: ArrayLike,
    *,
    class_names: Sequence[str],
    groups: PatientGroups,
) -> ReferralOutcome:
    """The outcome on a split that the rule was not chosen on, with intervals over patients.

    Raises:
        ValueError: names the first row that is at fault.
    """
    probabilities_NK, target_N = checked_predictions(probabilities_NK, target_N)
    check_length(class_names, name="class_names", num_images=probabilities_NK.shape[1])
    check_length(groups.patient_N.tolist(), name="groups", num_images=len(target_N))
    referred_N = rule.refers(probabilities_NK)
    is_right_N = probabilities_NK.argmax(axis=1) == target_N
    every_N = np.ones(len(target_N), dtype=bool)
    return ReferralOutcome(
        referred=share_entry(referred_N, every_N, groups, absent=""),
        accuracy=share_entry(is_right_N, every_N, groups, absent=""),
        accuracy_answered=share_entry(is_right_N, ~referred_N, groups, absent="all images are referred"),
        accuracy_referred=share_entry(is_right_N, referred_N, groups, absent="no image is referred"),
        errors_caught=share_entry(referred_N, ~is_right_N, groups, absent="the network makes no error here"),
        num={
            "images": len(target_N),
            "answered": int((~referred_N).sum()),
            "referred": int(referred_N.sum()),
            "errors_answered": int((~referred_N & ~is_right_N).sum()),
            "errors_referred": int((referred_N & ~is_right_N).sum()),
        },
        referred_per_class={
            name: share_entry(referred_N, target_N == k, groups, absent=f"nothing of class '{name}' here")
            for k, name in enumerate(class_names)
        },
    )


def _candidates(confidence_N: Floats) -> Floats:
    """At most 200 thresholds, from one that answers all to one that answers the surest alone."""
    values = np.unique(confidence_N)
    return values[np.unique(np.linspace(0, len(values) - 1, min(len(values), MAX_CANDIDATES)).round().astype(int))]


def _check_share(share: float, *, name: str) -> None:
    if not 0 <= share <= 1:
        raise ValueError(f"{name}: expected a share between 0 and 1, got {share}")
