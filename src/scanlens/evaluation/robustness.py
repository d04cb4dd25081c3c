"""What is left of a network's answers when its images get worse: metrics at every strength, and what was lost.

Every loss is paired: the same resampled patients judge the images as they are and the worse ones.

Legend of axes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.evaluation.calibration import MIN_IMAGES, expected_calibration_error
from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.comparison import compare_networks
from scanlens.evaluation.intervals import Interval, entry, mean_interval, share_entry
from scanlens.evaluation.metrics import log_loss_per_image
from scanlens.evaluation.resampling import PatientGroups, group_patients

PAIRED = {"auroc": "stated", "balanced_accuracy": "stated", "log_loss": "calibrated"}


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedImages:
    """The images that are judged again and again.

    Args:
        target_N: class numbers in 0..K-1.
        class_names: K names.
        patients: name of the patient of each image, None if unknown.
        groups: name of its group of near-duplicates.
        seed: of the resamples.
        num_resamples: of the bootstrap.
    """

    target_N: Ints
    class_names: Sequence[str]
    patients: Sequence[str | None]
    groups: Sequence[str]
    seed: int
    num_resamples: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What a network says of all images at one strength.

    Args:
        stated_NK: probabilities as it states them.
        calibrated_NK: the same, calibrated as the run does.
    """

    stated_NK: Floats
    calibrated_NK: Floats


def robustness_point(
    answers: Answers, plain: Answers, tested: JudgedImages, *, is_plain: bool = False
) -> dict[str, Any]:
    """Metrics at one strength, for JSON.

    Args:
        answers: of the worse images.
        plain: of the images as they are.
        tested: the images.
        is_plain: both are the same, so that nothing is lost.

    Returns:
        `auroc` and `balanced_accuracy` of the stated, `log_loss` (nats) and `ece` of the calibrated probabilities, as
        {value, low, high, reason} over patients; `loss` of auroc and balanced_accuracy (as they are less worse) and of
        log_loss (worse less as they are), each above 0 where the network does worse; `changed`, the share of images
        that get another answer. Images weigh the same.
    """
    is_changed_N = answers.stated_NK.argmax(axis=1) != plain.stated_NK.argmax(axis=1)
    units = group_patients(tested.patients, tested.target_N, groups=tested.groups)
    everything_N = np.ones(len(is_changed_N), dtype=bool)
    return {
        **_ranking(answers.stated_NK, tested),
        **_forecast(answers.calibrated_NK, tested.target_N, units),
        "changed": share_entry(is_changed_N, everything_N, units, absent="no images"),
        "loss": {name: _nothing() if is_plain else _loss(name, answers, plain, tested) for name in PAIRED},
    }


def _named(answers: Answers) -> dict[str, Floats]:
    return {"stated": answers.stated_NK, "calibrated": answers.calibrated_NK}


def _ranking(stated_NK: Floats, tested: JudgedImages) -> dict[str, Any]:
    judged = evaluate_classification(
        stated_NK,
        tested.target_N,
        class_names=tested.class_names,
        patients=tested.patients,
        groups=tested.groups,
        seed=tested.seed,
        num_resamples=tested.num_resamples,
    )
    return {name: judged["slice"]["metrics"][name] for name in ("auroc", "balanced_accuracy")}


def _forecast(calibrated_NK: Floats, target_N: Ints, units: PatientGroups) -> dict[str, Any]:
    loss_N = log_loss_per_image(calibrated_NK, target_N)
    few = None if len(target_N) >= MIN_IMAGES else f"fewer than {MIN_IMAGES} predictions for bins"
    error = None if few else expected_calibration_error(calibrated_NK, target_N)
    return {
        "log_loss": entry(float(loss_N.mean()), mean_interval(loss_N, units, is_ratio_scale=True)),
        "ece": {"value": error, "low": None, "high": None, "reason": few},
    }


def _loss(metric: str, answers: Answers, plain: Answers, tested: JudgedImages) -> dict[str, Any]:
    """How much worse, above 0 for worse."""
    which = PAIRED[metric]
    ordered = (plain, answers) if metric == "log_loss" else (answers, plain)
    (found,) = compare_networks(
        {name: _named(one)[which] for name, one in zip(("less", "more"), ordered, strict=True)},
        tested.target_N,
        group_patients(tested.patients, tested.target_N, groups=tested.groups),
        metric=metric,
        pairs="first",
        seed=tested.seed,
        num_resamples=tested.num_resamples,
    )
    return {"value": found.value, "low": found.low, "high": found.high, "reason": found.reason}


def _nothing() -> dict[str, Any]:
    return entry(0.0, Interval(None, None, "the images as they are"))
