"""Calls of new images and patients in sentences: how many are positive, how many are referred, by which choices of which run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from scanlens.evaluation.operating_point import OperatingPoint
from scanlens.pipeline.calls import Call, Calls
from scanlens.pipeline.new_patients import Judged
from scanlens.report.decision_words import threshold_origin
from scanlens.report.folder import mapping
from scanlens.report.words import counted, joined, number, percent, point

PART_WORDS = {
    "calibration": "calibrated probabilities",
    "decisions": "calls",
    "conformal": "sets of classes",
    "referral": "referral",
}


def summary(
    calls: Calls, run_name: str, judged: Sequence[Judged], images: Mapping[str, Call], patients: Iterable[Call]
) -> list[str]:
    """A sentence for each choice of the run that was used, and for each that it does not have.

    Args:
        calls: the choices.
        run_name: name of the folder of the run.
        judged: all images.
        images: their calls, by case.
        patients: calls of the patients.
    """
    if not images:
        return []
    told = [
        _calibrated(calls, run_name),
        _called(calls, run_name, judged, images, patients),
        _referred(calls, run_name, images),
        _sets(calls, images),
    ]
    return [sentence for sentence in [*told, *_missing(calls, run_name)] if sentence]


def call_words(call: Call) -> str:
    """What follows the class and its probability: "; called positive; refer to a person"."""
    called = None if call.is_called is None else f"called {'positive' if call.is_called else 'negative'}"
    told = [called, "refer to a person" if call.is_referred else None]
    return "".join(f"; {one}" for one in told if one)


def _calibrated(calls: Calls, run_name: str) -> str:
    fitted = calls.chosen.calibrator
    if fitted is None:
        return ""
    if not calls.is_calibrating:
        return f"Probabilities are shown as the network states them: run {run_name} found that no calibration helps."
    how = {
        "temperature": f"temperature {number(fitted.temperature, 2)}",
        "bias_and_temperature": "biases and a temperature",
    }
    return (
        f"Probabilities shown are calibrated by run {run_name} ({how.get(fitted.method, fitted.method)}); those that the "
        "network states are in the columns prob_."
    )


def _called(
    calls: Calls, run_name: str, judged: Sequence[Judged], images: Mapping[str, Call], patients: Iterable[Call]
) -> str:
    point = calls.point
    if point is None:
        return ""
    among = [_share([one for one in patients if one.is_called is not None], "patient")] if calls.is_of_patients else []
    alone = [images[one.case] for one in judged if one.case in images and images[one.case].is_called is not None]
    if calls.is_of_patients:
        among += [_share(alone, "picture") + " of nobody known, each as a patient with one image"] if alone else []
    else:
        among = [_share(alone, "image")]
    counts = joined([one for one in among if not one.startswith("0 of 0")]) or "nobody"
    return f"Called positive ('{point.positive}'): {counts}. Run {run_name}: {_origin(point)}"


def _share(calls: Sequence[Call], noun: str) -> str:
    return f"{sum(bool(one.is_called) for one in calls)} of {counted(len(calls), noun)}"


def _origin(point: OperatingPoint) -> str:
    return threshold_origin(point.as_dict(), point.unit)


def _referred(calls: Calls, run_name: str, images: Mapping[str, Call]) -> str:
    rule = calls.chosen.referral
    known = [one.is_referred for one in images.values() if one.is_referred is not None]
    if rule is None or not known:
        return ""
    told = f"Referred to a person: {sum(known)} of {counted(len(known), 'image')}. Run {run_name}: "
    if rule.threshold is None:
        return f"{told}{rule.reason}."
    return (
        f"{told}those whose most probable class has less than {number(rule.threshold, 3)}, so that at most "
        f"{percent(rule.target, 1)} of the others were wrong on validation."
    )


def _sets(calls: Calls, images: Mapping[str, Call]) -> str:
    rule = calls.chosen.sets
    sizes = [len(one.likely) for one in images.values() if one.likely is not None]
    if rule is None or not sizes:
        return ""
    notes = "".join(f" {note}" for note in rule.notes)
    return (
        f"Sets of classes that should hold the right one in {percent(rule.coverage)} of images like those of the run{_held(calls)}: "
        f"{sum(size == 1 for size in sizes)} of one class, {sum(size > 1 for size in sizes)} of several, "
        f"{sum(size == 0 for size in sizes)} empty (no class fits).{notes}"
    )


def _held(calls: Calls) -> str:
    """What such sets held on the test split of the run; nothing where that is not known."""
    judged = mapping(mapping(calls.chosen.judged.get("conformal")).get("judged")).get("coverage")
    if point(judged) is None:
        return ""
    low, high = (mapping(judged).get(name) for name in ("low", "high"))
    bounds = "" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return f" (on its test split {percent(point(judged))}{bounds})"


def _missing(calls: Calls, run_name: str) -> list[str]:
    """One sentence a reason."""
    parts_of: dict[str, list[str]] = {}
    for key, words in PART_WORDS.items():
        if key in calls.reasons:
            parts_of.setdefault(calls.reasons[key].rstrip("."), []).append(words)
    return [f"No {joined(parts, most=9)}: {reason} (run {run_name})." for reason, parts in parts_of.items()]
