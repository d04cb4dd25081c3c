"""What is chosen on validation and judged on test, as a configuration says it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scanlens.evaluation.threshold_rules import Argmax, ExpectedCost, Rule, TargetSensitivity, Youden

RULES = ("sensitivity", "youden", "cost", "argmax")
METHODS = ("auto", "none", "temperature", "bias_and_temperature", "isotonic")
MOST_PASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class CostPlan:
    """What mistakes cost, in any unit: only their ratio counts.

    Args:
        false_negative: of a case that is missed.
        false_positive: of a false alarm.
    """

    false_negative: float = 10.0
    false_positive: float = 1.0

    def __post_init__(self) -> None:
        for name in ("false_negative", "false_positive"):
            if not 0 < getattr(self, name) < 1e9:
                raise ValueError(f"cost.{name} must be above 0 and below 1e9, got {getattr(self, name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatingPlan:
    """The threshold of the class that must not be missed.

    Args:
        positive: that class; auto for all classes beside the one that means nothing (no_tumor, normal, healthy ...); None
            for none, and then there is no operating point.
        rule: how the threshold is chosen on validation. sensitivity: the highest score that reaches `sensitivity`; youden: the
            largest sum of sensitivity and specificity; cost: the least expected cost at `prevalence`; each half way to the
            next lower score; argmax: none, the class with the highest probability is named.
        sensitivity: to reach on validation, in (0, 1].
        prevalence: share of the positive class where the network will be used, in (0, 1); None for that of the test split.
    """

    positive: str | None = "auto"
    rule: Literal["sensitivity", "youden", "cost", "argmax"] = "sensitivity"
    sensitivity: float = 0.95
    prevalence: float | None = None

    def __post_init__(self) -> None:
        if self.rule not in RULES:
            raise ValueError(f"operating_point.rule must be one of {', '.join(RULES)}, got {self.rule!r}.")
        if not 0 < self.sensitivity <= 1:
            raise ValueError(f"operating_point.sensitivity must lie in (0, 1], got {self.sensitivity}.")
        if self.prevalence is not None and not 0 < self.prevalence < 1:
            raise ValueError(f"operating_point.prevalence must lie in (0, 1), got {self.prevalence}.")
        if self.rule == "cost" and self.prevalence is None:
            raise ValueError("operating_point.rule=cost needs operating_point.prevalence, such as 0.05.")

    def threshold_rule(self, cost: CostPlan) -> Rule:
        """The rule with its numbers."""
        if self.rule == "cost" and self.prevalence is not None:
            return ExpectedCost(cost.false_negative, cost.false_positive, self.prevalence)
        if self.rule == "youden":
            return Youden()
        return Argmax() if self.rule == "argmax" else TargetSensitivity(self.sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationPlan:
    """How stated probabilities are mended on validation, and what is promised with them.

    Args:
        method: auto chooses across the patients of validation, the simplest when in doubt; none leaves them.
        coverage: share of sets of classes that hold the right one, in (0, 1).
        risk: share of errors among the images that are not referred to a person, in (0, 1).
    """

    method: Literal["auto", "none", "temperature", "bias_and_temperature", "isotonic"] = "auto"
    coverage: float = 0.9
    risk: float = 0.05

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise ValueError(f"calibration.method must be one of {', '.join(METHODS)}, got {self.method!r}.")
        for name in ("coverage", "risk"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"calibration.{name} must lie in (0, 1), got {getattr(self, name)}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class UncertaintyPlan:
    """What is asked of a network besides its probabilities.

    Args:
        mc_passes: with dropout left on, for each image; 0 for none.
    """

    mc_passes: int = 0

    def __post_init__(self) -> None:
        if self.mc_passes != 0 and not 2 <= self.mc_passes <= MOST_PASSES:
            raise ValueError(
                f"uncertainty.mc_passes must be 0 (off) or lie between 2 and {MOST_PASSES}, got {self.mc_passes}."
            )
