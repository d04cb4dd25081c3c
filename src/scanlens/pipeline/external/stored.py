"""What a run chose on its validation split, read from its evaluation.json to be used on other images as it is."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scanlens.errors import RunError
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.conformal import ConformalSets
from scanlens.evaluation.decisions import apply_decisions, stored_points
from scanlens.evaluation.patient_rules import MEAN
from scanlens.evaluation.referral import Referral
from scanlens.evaluation.rule_choice import RuleChoice
from scanlens.pipeline.patients import PatientPlan, Predicted, rule_of
from scanlens.pipeline.trust import (
    applied_calibration,
    applied_referral,
    applied_sets,
    binary_predictions,
    joined_by,
    named_class,
)
from scanlens.runs import Config, Run

OLD = "the run was judged by a version that chose nothing of this kind"
PARTS = ("calibration", "conformal", "referral", "decisions")


@dataclass(frozen=True, slots=True)
class Chosen:
    """Everything that is used again; a part that the run does not have is None, and `reasons` says why.

    Args:
        judged: contents of evaluation.json.
        plan: how images become patients.
        calibrator, sets, referral: of calibrated probabilities.
        reasons: why a part is not there, by its key.
    """

    judged: Config
    plan: PatientPlan
    calibrator: Calibrator | None
    sets: ConformalSets | None
    referral: Referral | None
    reasons: dict[str, str]


def read_chosen(run: Run) -> Chosen:
    """What a run chose.

    Raises:
        RunError: if evaluation.json does not hold what judging writes.
    """
    try:
        judged = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
        if judged["class_names"] != run.facts["class_names"]:
            raise ValueError(f"class_names {judged['class_names']} are not those of config.yaml")
        rule, positive = rule_of(judged, run.facts["class_names"])
        calibration, reasons = judged.get("calibration") or {}, {}
        for key in PARTS:
            part = judged.get(key) or {"reason": OLD}
            if "reason" in part:
                reasons[key] = str(part["reason"])
        found = Chosen(
            judged,
            PatientPlan(RuleChoice(rule, "as the run chose on its validation patients"), positive),
            None if "calibration" in reasons else Calibrator.from_dict(calibration["choice"]["calibrator"]),
            None if "conformal" in reasons else ConformalSets.from_dict(judged["conformal"]["rule"]),
            None if "referral" in reasons else Referral.from_dict(judged["referral"]["rule"]),
            reasons,
        )
        _check_classes(found, run)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError, RunError) as error:
        raise RunError(f"{run.evaluation_file} cannot be understood ({error}). Restore it from a copy.") from error
    return found


def nothing_chosen(reason: str) -> Chosen:
    """Of a run that chose nothing: images are joined by their mean, and every part is missing for this reason."""
    return Chosen({}, PatientPlan(RuleChoice(MEAN, reason), None), None, None, None, dict.fromkeys(PARTS, reason))


def _check_classes(found: Chosen, run: Run) -> None:
    names = run.facts["class_names"]
    if found.calibrator is not None and found.calibrator.num_classes != len(names):
        raise ValueError(f"a calibration of {found.calibrator.num_classes} classes, the run has {len(names)}")
    if found.sets is not None and list(found.sets.class_names) != names:
        raise ValueError("sets of other classes than those of the run")
    if "decisions" not in found.reasons:
        target, _ = named_class(run.config, names)
        positive = {found.judged["decisions"]["positive"], stored_points(found.judged["decisions"])[0].positive}
        if target is None or positive != {target.name}:
            raise ValueError("decisions about another class than operating_point.positive")


def apply_trust(chosen: Chosen, run: Run, test: Predicted) -> dict[str, Any]:
    """`calibration`, `conformal`, `referral` and `decisions` of other images; a part that cannot be had is a `reason`.

    Args:
        chosen: by the run.
        run: folder of the other images, with predictions and the configuration of the run.
        test: its predictions.
    """
    parts: dict[str, Any] = {key: {"reason": reason} for key, reason in chosen.reasons.items()}
    if chosen.calibrator is None:
        return parts
    calibrated_NK = chosen.calibrator.apply(test.probabilities_NK)
    parts["calibration"] = {
        "choice": chosen.judged["calibration"]["choice"],
        **applied_calibration(chosen.calibrator, run, test),
    }
    if chosen.sets is not None:
        parts["conformal"] = applied_sets(chosen.sets, run, test, calibrated_NK)
    if chosen.referral is not None:
        parts["referral"] = applied_referral(chosen.referral, run, test, calibrated_NK)
    if "decisions" not in parts:
        parts["decisions"] = _decisions(chosen, run, test, calibrated_NK)
    return parts


def _decisions(chosen: Chosen, run: Run, test: Predicted, calibrated_NK: Floats) -> dict[str, Any]:
    names = run.facts["class_names"]
    target, reason = named_class(run.config, names)
    if target is None:
        return {"reason": reason}
    found = apply_decisions(
        chosen.judged["decisions"],
        binary_predictions(test, target, calibrated_NK),
        class_names=target.names,
        prevalence=run.config["operating_point"]["prevalence"],
        join=joined_by(chosen.plan.choice.rule, chosen.plan.positive),
    )
    return found if "reason" in found else found | {"members": [names[k] for k in target.members]}
