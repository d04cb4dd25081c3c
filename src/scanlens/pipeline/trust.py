"""What is chosen on validation and judged on test: calibration, sets, referral, operating point. Nothing is fitted on test."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from scanlens.config import build
from scanlens.errors import ConfigError
from scanlens.evaluation.binary_view import Join, Predictions
from scanlens.evaluation.calibration_judgement import compare_calibration
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.calibrator_choice import fit_calibrator
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.conformal import ConformalSets, fit_conformal
from scanlens.evaluation.conformal_check import judge_sets
from scanlens.evaluation.decisions import evaluate_decisions
from scanlens.evaluation.patient_rules import PatientRule
from scanlens.evaluation.patients import patient_level
from scanlens.evaluation.plans import CalibrationPlan, CostPlan, OperatingPlan
from scanlens.evaluation.referral import Referral, judge_referral, referral_for_risk
from scanlens.evaluation.selective import risk_coverage
from scanlens.evaluation.target_class import TargetClass, target_class
from scanlens.pipeline.patients import PatientPlan, Predicted, read_predicted
from scanlens.runs import Config, Run


def judge_trust(run: Run, plan: PatientPlan) -> dict[str, Any]:
    """`calibration`, `conformal`, `referral` and `decisions` of evaluation.json; a part that cannot be had is a `reason`."""
    test, val = read_predicted(run, "test"), read_predicted(run, "val")
    if not test.rows:
        return {}
    if not val.rows:
        reason = "there is no validation split to choose anything on"
        return {name: {"reason": reason} for name in ("calibration", "conformal", "referral", "decisions")}
    settings: CalibrationPlan = build(run.config["calibration"])
    seed, names = run.config["seed"], run.facts["class_names"]
    choice = fit_calibrator(val.probabilities_NK, val.target_N, groups=val.units, method=settings.method, seed=seed)
    val_NK, test_NK = (choice.calibrator.apply(split.probabilities_NK) for split in (val, test))
    sets = fit_conformal(
        val_NK, val.target_N, class_names=names, groups=val.units, coverage=settings.coverage, seed=seed
    )
    rule = referral_for_risk(val_NK, val.target_N, groups=val.units, risk=settings.risk)
    return {
        "calibration": {"choice": choice.as_dict()} | applied_calibration(choice.calibrator, run, test),
        "conformal": applied_sets(sets, run, test, test_NK),
        "referral": applied_referral(rule, run, test, test_NK),
        "decisions": _decisions(run, plan, val, test, (val_NK, test_NK)),
    }


def applied_calibration(calibrator: Calibrator, run: Run, test: Predicted) -> dict[str, Any]:
    """What a calibration does to predictions that it was not fitted on."""
    change = compare_calibration(
        calibrator,
        test.probabilities_NK,
        test.target_N,
        class_names=run.facts["class_names"],
        groups=test.units,
        seed=run.config["seed"],
    )
    return {"change": change.as_dict()}


def applied_sets(sets: ConformalSets, run: Run, test: Predicted, calibrated_NK: Floats) -> dict[str, Any]:
    """What a rule for sets of classes gives on calibrated predictions that it was not fitted on."""
    judged = judge_sets(
        sets.sets(calibrated_NK), test.target_N, class_names=run.facts["class_names"], groups=test.units
    )
    return {"rule": sets.as_dict(), "judged": judged.as_dict()}


def applied_referral(rule: Referral, run: Run, test: Predicted, calibrated_NK: Floats) -> dict[str, Any]:
    """What a rule for referral gives on calibrated predictions that it was not fitted on."""
    outcome = judge_referral(
        rule, calibrated_NK, test.target_N, class_names=run.facts["class_names"], groups=test.units
    )
    curve = risk_coverage(
        calibrated_NK,
        test.target_N,
        groups=test.units,
        seed=run.config["seed"],
        num_resamples=run.config["callbacks"]["bootstrap_resamples"],
    )
    return {"rule": rule.as_dict(), "outcome": outcome.as_dict(), "curve": curve.as_dict()}


def _decisions(
    run: Run, plan: PatientPlan, val: Predicted, test: Predicted, calibrated: tuple[Floats, Floats]
) -> dict[str, Any]:
    settings: OperatingPlan = build(run.config["operating_point"])
    cost: CostPlan = build(run.config["cost"])
    target, reason = named_class(run.config, run.facts["class_names"])
    if target is None:
        return {"reason": reason}
    found = evaluate_decisions(
        binary_predictions(val, target, calibrated[0]),
        binary_predictions(test, target, calibrated[1]),
        class_names=target.names,
        positive=target.name,
        rule=settings.threshold_rule(cost),
        prevalence=settings.prevalence,
        join=joined_by(plan.choice.rule, plan.positive),
    )
    return found | {"members": [run.facts["class_names"][k] for k in target.members]}


def joined_by(rule: PatientRule, positive: int | None) -> Join:
    """How images become patients where there are two columns, the positive class last."""
    return partial(patient_level, rule=rule, positive=None if positive is None else 1)


def binary_predictions(split: Predicted, target: TargetClass, probabilities_NK: Floats) -> Predictions:
    """The class that must not be missed against all others, from (calibrated) probabilities of the images of a split."""
    probabilities_N2, target_N = target.against_others(probabilities_NK, split.target_N)
    return Predictions(probabilities_N2, target_N, split.patients, split.groups)


def named_class(config: Config, class_names: Sequence[str]) -> tuple[TargetClass | None, str | None]:
    """The class that must not be missed, or why there is none.

    Raises:
        ConfigError: if the class that was named does not exist.
    """
    try:
        return target_class(class_names, config["operating_point"]["positive"])
    except ValueError as error:
        raise ConfigError([str(error)]) from error
