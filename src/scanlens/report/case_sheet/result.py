"""What the network says of a case, how sure that is, and what its threshold means: numbers for the record."""

from __future__ import annotations

import math
from typing import Any

from scanlens.report.case_sheet.missed_lesions import missed_lesions
from scanlens.report.case_sheet.sources import Sources
from scanlens.report.folder import RunFolder, finite, mapping, sequence

_EPS = 1e-6


def answer(sources: Sources, one: dict[str, Any]) -> dict[str, Any]:
    """Classes with stated and calibrated probabilities, the most probable first, and the reference."""
    stated, call = mapping(one.get("probabilities")), sources.call(str(one.get("case")))
    calibrated = mapping(call.get("calibrated"))
    classes = [
        {"class": name, "stated": finite(stated.get(name)), "calibrated": finite(calibrated.get(name))}
        for name in sources.run.class_names
    ]
    classes.sort(key=lambda row: -(finite(row["stated"]) or 0.0))
    target, predicted = one.get("target") or None, one.get("predicted") or None
    return {
        "predicted": predicted,
        "reference": target,
        "is_right": None if not (target and predicted) else target == predicted,
        "classes": classes,
        "is_calibrated": bool(sources.calls.get("is_calibrated")),
        "calibration_error": _calibration_error(sources),
        "as_sure": mapping(call.get("as_sure")) or None,
        "runner_up": classes[1]["class"] if len(classes) > 1 else None,
        "selected_as": one.get("reason"),
    }


def _calibration_error(sources: Sources) -> dict[str, Any] | None:
    """How far stated (or calibrated) probabilities lay from what came true on the test split."""
    change = mapping(mapping(sources.run.evaluation.get("calibration")).get("change"))
    after = mapping(change.get("after")) or mapping(change.get("before"))
    value = finite(after.get("ece_debiased"))
    return None if value is None else {"value": value, "by_chance_up_to": finite(after.get("ece_by_chance_high"))}


def decision(sources: Sources, case: str) -> dict[str, Any]:
    """Score against threshold, the call, and cases with about the same score. Without a threshold only the reason."""
    call, calls = sources.call(case), sources.calls
    positive = calls.get("positive")
    if not call or positive is None:
        reason = mapping(calls.get("reasons")).get("decisions")
        return {"positive": None, "reason": reason or "what the choices of the run say of this case was not written"}
    patient = mapping(call.get("patient")) or None
    of_patient = calls.get("unit") == "patient" and patient is not None
    judged = mapping(patient) if of_patient else call
    score, threshold = finite(judged.get("score")), finite(calls.get("threshold"))
    return {
        "positive": positive,
        "members": [str(name) for name in sequence(calls.get("members"))],
        "unit": "patient" if of_patient else "image",
        "threshold": threshold,
        "score": score,
        "image_score": finite(call.get("score")),
        "called": judged.get("called"),
        "distance_log_odds": None if score is None or threshold is None else _log_odds(score) - _log_odds(threshold),
        "num_images_of_patient": None if patient is None else finite(patient.get("num_images")),
        "similar_scores": mapping(call.get("similar_scores")) or None,
        "reason": mapping(calls.get("reasons")).get("decisions"),
    }


def operating_point(sources: Sources) -> dict[str, Any]:
    """How the threshold was chosen and what it found and missed on the test split."""
    decisions = mapping(sources.run.evaluation.get("decisions"))
    chosen = mapping(decisions.get("chosen"))
    test = mapping(chosen.get("test"))
    if not test:
        return {"reason": decisions.get("reason") or chosen.get("reason") or "no threshold was chosen"}
    rates = ("sensitivity", "specificity", "ppv", "npv")
    return {
        "positive": decisions.get("positive"),
        "unit": decisions.get("unit"),
        "chosen": {name: chosen.get(name) for name in ("rule", "threshold", "gap")},
        "test": {name: mapping(test.get(name)) for name in rates},
        "num_positive": _sum(test, "true_positives", "false_negatives"),
        "num_missed": finite(test.get("false_negatives")),
        "num_called_negative": _sum(test, "true_negatives", "false_negatives"),
        "num_negative": _sum(test, "true_negatives", "false_positives"),
        "num_false_alarms": finite(test.get("false_positives")),
        "per_thousand": mapping(decisions.get("per_thousand")) or None,
        "at_prevalences": sequence(decisions.get("at_prevalences")) or None,
        "missed_lesions": missed_lesions(sources.run),
        "reason": None,
    }


def uncertainty(sources: Sources, case: str, predicted: object) -> dict[str, Any]:
    """The set of classes that should hold the right one, and whether a person should look."""
    call, evaluation = sources.call(case), sources.run.evaluation
    conformal = mapping(evaluation.get("conformal"))
    judged, rule = mapping(conformal.get("judged")), mapping(conformal.get("rule"))
    own = mapping(mapping(judged.get("per_class")).get(str(predicted)))
    referral = mapping(mapping(evaluation.get("referral")).get("rule"))
    row = next((row for row in sources.run.predictions if row.get("case") == case), {})
    return {
        "set": call.get("set"),
        "aimed_coverage": finite(rule.get("coverage")),
        "measured_coverage": mapping(judged.get("coverage")) or None,
        "measured_coverage_of_class": mapping(own.get("coverage")) or None,
        "refer": call.get("refer"),
        "refers_all": referral.get("share_referred") == 1.0,
        "referral_reason": referral.get("reason"),
        "entropy_nats": finite(row.get("entropy")),
        "mutual_information_nats": finite(row.get("mutual_information")),
        "members": _members(sources.run, finite(row.get("mutual_information"))),
        "reason": conformal.get("reason"),
    }


def _members(run: RunFolder, mutual: float | None) -> dict[str, Any] | None:
    """Who was asked several times, and the percentile of this image's disagreement among test images."""
    part = mapping(run.evaluation.get("uncertainty"))
    if not part or mutual is None:
        return None
    known = [one for one in (finite(row.get("mutual_information")) for row in run.predictions) if one is not None]
    return {
        "method": part.get("method"),
        "num": finite(part.get("members")),
        "percentile": 100 * sum(one < mutual for one in known) / len(known),
    }


def _log_odds(share: float) -> float:
    return math.log(max(share, _EPS)) - math.log(max(1 - share, _EPS))


def _sum(counts: dict[str, Any], *names: str) -> float | None:
    found = [finite(counts.get(name)) for name in names]
    return None if None in found else float(sum(one for one in found if one is not None))
