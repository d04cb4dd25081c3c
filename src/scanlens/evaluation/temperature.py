"""One number, or one and a shift for each class, that turns probabilities into ones that come true.

Logits are known up to a constant from probabilities: z = log p, with p kept above 2.2e-16 as in the log loss. The
network's answer becomes softmax(z / T + b). Every image weighs the same, as in the log loss that the page reports:
weighing patients alike would change the mix of classes wherever patients of one class have more images, and biases
would follow that mix. What patients have in common enters the interval, and the folds by which a method is chosen.

Legend of axes: N images, K classes, P patients (or what stands for them).

References:
    Guo et al. 2017, arXiv:1706.04599 (temperature and vector scaling; here with one temperature for all classes and,
    for the second, a bias for each, as in Alexandari et al. 2020, arXiv:1901.06852);
    Liang & Zeger 1986 (variance between patients).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import log_softmax, softmax
from scipy.stats import t

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.intervals import LEVEL, Interval
from scanlens.evaluation.resampling import PatientGroups

MIN_PROBABILITY = float(np.finfo(np.float64).eps)
MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
BIAS_DEVIATION = 1.0
NEAR_BOUND = 1e-3  # of the logarithm of the temperature


@dataclass(frozen=True, slots=True)
class Scaling:
    """What was fitted.

    Args:
        temperature: above 1 where the network is too sure; 1 where it cannot be told.
        biases_K: added to the logits after division, sum 0; all 0 for temperature alone.
        interval: of the temperature, from the variance between patients; bounds None where there is none.
        reason: why the temperature cannot be told, None if it can.
    """

    temperature: float
    biases_K: Floats
    interval: Interval
    reason: str | None = None


def logits_of(probabilities_NK: Floats) -> Floats:
    """Logits, up to a constant for each image: log p, with p at least 2.2e-16."""
    return np.log(np.maximum(probabilities_NK, MIN_PROBABILITY))


def scaled(probabilities_NK: Floats, *, temperature: float, biases_K: Floats) -> Floats:
    """softmax(log p / temperature + bias): rows with sum 1."""
    return softmax(logits_of(probabilities_NK) / temperature + biases_K, axis=1)


def fit_temperature(probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> Scaling:
    """The temperature in [0.05, 20] of the smallest log loss.

    Args:
        probabilities_NK: checked probabilities of the validation split.
        target_N: checked class numbers.
        groups: the patients of these images.
    """
    logits_NK = logits_of(probabilities_NK)
    unchanged = partial(_unchanged, probabilities_NK.shape[1])
    if groups.num_patients < 2:
        return unchanged("validation is of a single patient (or image)")
    if float(np.ptp(logits_NK, axis=1).max()) < 1e-9:
        return unchanged("the network gives every class the same probability, which no temperature changes")
    found = minimize_scalar(
        lambda log_t: _loss(logits_NK / math.exp(log_t), target_N),
        bounds=(math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)),
        method="bounded",
        options={"xatol": 1e-7},
    )
    temperature = math.exp(found.x)
    if found.x - math.log(MIN_TEMPERATURE) < NEAR_BOUND:
        return unchanged(
            "the log loss on validation falls down to the lowest temperature: hardly any error to learn from"
        )
    if math.log(MAX_TEMPERATURE) - found.x < NEAR_BOUND:
        return unchanged("the log loss on validation falls up to the highest temperature: no better than chance there")
    interval = _interval(logits_NK, target_N, groups, temperature=temperature)
    return Scaling(temperature, np.zeros(probabilities_NK.shape[1]), interval)


def fit_bias_and_temperature(probabilities_NK: Floats, target_N: Ints, groups: PatientGroups) -> Scaling:
    """Temperature, and a bias for each class, of the smallest log loss.

    Biases are held back by a normal prior of deviation 1 (a factor of 2.7 in the odds), which many patients outweigh
    and few do not. Where a temperature alone cannot be told, biases are not fitted either.

    Args: as for `fit_temperature`, whose interval is not given here.
    """
    alone, num_classes = fit_temperature(probabilities_NK, target_N, groups), probabilities_NK.shape[1]
    if alone.reason is not None:
        return alone
    if len(np.unique(target_N)) < num_classes:
        return _unchanged(num_classes, "validation has no image of some class, so that its bias cannot be told")
    logits_NK = logits_of(probabilities_NK)
    goal = partial(_goal, logits_NK, target_N, 1 / (BIAS_DEVIATION**2 * groups.num_patients))
    bounds = [(1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE), *[(None, None)] * num_classes]
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-8}
    start = np.r_[1 / alone.temperature, np.zeros(num_classes)]
    found = minimize(goal, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    if min(abs(math.log(found.x[0] * one)) for one in (MIN_TEMPERATURE, MAX_TEMPERATURE)) < NEAR_BOUND:
        return _unchanged(num_classes, "with biases, the temperature goes to its bound on validation")
    return Scaling(1 / float(found.x[0]), found.x[1:] - found.x[1:].mean(), Interval(None, None))


def _goal(logits_NK: Floats, target_N: Ints, penalty: float, values: Floats) -> tuple[float, Floats]:
    """Log loss plus penalty at (1/T, biases), which is convex, and its slope."""
    scores_NK = values[0] * logits_NK + values[1:]
    error_NK = (softmax(scores_NK, axis=1) - np.eye(logits_NK.shape[1])[target_N]) / len(target_N)
    slope = np.r_[(error_NK * logits_NK).sum(), error_NK.sum(axis=0) + penalty * values[1:]]
    return _loss(scores_NK, target_N) + penalty / 2 * float(np.square(values[1:]).sum()), slope


def _unchanged(num_classes: int, reason: str) -> Scaling:
    return Scaling(1.0, np.zeros(num_classes), Interval(None, None, reason), reason)


def _loss(scores_NK: Floats, target_N: Ints) -> float:
    return float(-log_softmax(scores_NK, axis=1)[np.arange(len(target_N)), target_N].mean())


def _interval(logits_NK: Floats, target_N: Ints, groups: PatientGroups, *, temperature: float) -> Interval:
    """Of the logarithm of the temperature: slopes summed by patient over the curvature (sandwich), Student's t."""
    stated_NK = softmax(logits_NK / temperature, axis=1)
    mean_N = (stated_NK * logits_NK).sum(axis=1)
    slope_N = mean_N - logits_NK[np.arange(len(target_N)), target_N]
    curvature = float((stated_NK * np.square(logits_NK - mean_N[:, None])).sum())
    num_patients = groups.num_patients
    slope_P = np.bincount(groups.patient_N, weights=slope_N, minlength=num_patients)
    error = math.sqrt(num_patients / (num_patients - 1) * float(np.square(slope_P).sum())) / curvature
    half = float(t.ppf((1 + LEVEL) / 2, num_patients - 1)) * error * temperature  # of log T, whose slope in 1/T is -T
    if half > math.log(MAX_TEMPERATURE / MIN_TEMPERATURE):
        return Interval(None, None, "no interval: validation hardly tells the temperature")
    return Interval(temperature * math.exp(-half), temperature * math.exp(half))
