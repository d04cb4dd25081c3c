"""Sentences of the sheet of a case, each from numbers of the record by a rule, so that no sentence says more than they do.

No sentence names a disease that is not a class of the network, and none calls an answer sure. What was not measured is said
to be not assessed.
"""

from __future__ import annotations

from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import (
    NOT_ASSESSED,
    counted,
    interval,
    joined,
    number,
    percent,
    significant,
    whole,
    without_paths,
)

Record = dict[str, Any]
FEW_PATIENTS, FEW_IMAGES = 30, 30
CLOSE_LOG_ODDS = 0.5  # odds of 1.6 times as much


def answer_sentence(record: Record) -> str:
    """What the network names, and how probable it says that is."""
    answer = record["answer"]
    first = next((row for row in answer["classes"] if row["class"] == answer["predicted"]), None)
    if first is None or first["stated"] is None:
        return f"The answer of the network was {NOT_ASSESSED}."
    said = f"The network's output fits '{first['class']}' best, with a probability of {number(first['stated'], 2)}"
    if answer["is_calibrated"] and first["calibrated"] is not None:
        return f"{said}; calibrated on the validation split {number(first['calibrated'], 2)}."
    return f"{said}; calibration was {_uncalibrated(record)}."


def _uncalibrated(record: Record) -> str:
    calibrated = any(row["calibrated"] is not None for row in record["answer"]["classes"])
    return "looked at and left it as it is" if calibrated else NOT_ASSESSED


def call_sentences(record: Record) -> list[str]:
    """Score against threshold, how near it is, and what was so for about the same score."""
    found = record["decision"]
    if found["positive"] is None or found.get("score") is None or found.get("threshold") is None:
        return [f"Call at a threshold: {NOT_ASSESSED}{_because(found['reason'])}."]
    positive, score, threshold = found["positive"], found["score"], found["threshold"]
    whose = (
        f"the patient's {counted(found['num_images_of_patient'], 'image')}"
        if found["unit"] == "patient"
        else "this image"
    )
    side = "at or above" if score >= threshold else "below"
    said = [
        f"For '{positive}' the score of {whose} is {number(score, 2)}, {side} the threshold of {number(threshold, 2)}: called "
        f"{found['called']}."
    ]
    if _in_gap(record):
        low, high = (number(one, 2) for one in mapping(record["operating_point"]["chosen"])["gap"])
        said.append(
            f"No validation {found['unit']} that decided the threshold scored between {low} and {high}, where this score lies: where the "
            "threshold was put in this range is a convention, and so is this call."
        )
    elif (apart := finite(found["distance_log_odds"])) is not None and abs(apart) < CLOSE_LOG_ODDS:
        said.append("The score lies close to the threshold: a small change of the image could turn the call.")
    return said + _similar_scores(found, _unit(record))


def _in_gap(record: Record) -> bool:
    gap = [finite(one) for one in sequence(mapping(record["operating_point"].get("chosen")).get("gap"))]
    if len(gap) != 2 or gap[0] is None or gap[1] is None:
        return False
    return gap[0] < record["decision"]["score"] < gap[1]


def _unit(record: Record) -> str:
    """What stands for a person where people are unknown."""
    return "patient" if record["tested_on"]["patients_known"] else "group of near-duplicate images"


def _other(amount: object, unit: str) -> str:
    """ "5 other patients", "5 other groups of near-duplicate images"."""
    first, _, rest = unit.partition(" ")
    return f"{counted(amount, f'other {first}')}{' ' + rest if rest else ''}"


def _similar_scores(found: dict[str, Any], unit: str) -> list[str]:
    similar = mapping(found.get("similar_scores"))
    if not similar:
        return []
    if similar.get("value") is None:
        return [f"How often it was so at about this score: {NOT_ASSESSED}{_because(similar.get('reason'))}."]
    num, positive = similar["num"], similar["num_positive"]
    score = "" if found["unit"] == "image" else f" ({number(found['image_score'], 2)})"
    said = (
        f"Of {whole(num)} test images of {_other(similar['num_patients'], unit)} with about the score of this image{score}, "
        f"{whole(positive)} {'was' if positive == 1 else 'were'} '{found['positive']}': {percent(similar['value'])}"
    )
    if similar.get("low") is None:
        return [f"{said} ({similar.get('reason')})."]
    bounds = f"95 % interval {percent(similar['low'])} to {percent(similar['high'])}"
    return [f"{said} ({bounds})."] + (
        []
        if _one_side(similar, found)
        else ["This interval reaches to both sides of the threshold: the score does not settle the matter."]
    )


def _one_side(similar: dict[str, Any], found: dict[str, Any]) -> bool:
    return not similar["low"] < found["threshold"] < similar["high"]


def uncertainty_sentences(record: Record) -> list[str]:
    """The set of likely classes with its measured coverage, and whether a person should look."""
    found, said = record["uncertainty"], []
    if found["set"] is None:
        said.append(f"Set of likely classes: {NOT_ASSESSED}{_because(found['reason'])}.")
    else:
        names = (
            joined([f"'{name}'" for name in found["set"]], most=8)
            if found["set"]
            else "empty: the image is unlike what was seen"
        )
        measured = mapping(found["measured_coverage"])
        bounds = f" ({interval(measured, 2)})" if interval(measured, 2) else ""
        said.append(
            f"Set of likely classes: {names}. Such sets should hold the right class in {percent(found['aimed_coverage'])} of images "
            f"like those of the test split; there they did in {number(measured.get('value'), 2)}{bounds}."
        )
    if found["refer"] is None:
        said.append(f"Whether a person should decide: {NOT_ASSESSED}.")
    elif found["refer"]:
        said.append(
            f"By its own rule the network should not decide this case alone{_because(found['referral_reason'])}."
        )
    return said


def miss_sentence(record: Record) -> str | None:
    """Of an answer that is negative: how many of those who had it were missed in the test; None for other answers."""
    found, point = record["decision"], record["operating_point"]
    if found.get("called") != "negative" or point.get("num_positive") is None:
        return None
    rate = mapping(mapping(point["test"]).get("sensitivity"))
    low, high, value = (finite(rate.get(name)) for name in ("low", "high", "value"))
    share = "" if value is None else f": {percent(1 - value)}"
    bounds = "" if low is None or high is None else f" (95 % interval {percent(1 - high)} to {percent(1 - low)})"
    of = _positives(point)
    return (
        f"Negative does not mean healthy: at this threshold {whole(point['num_missed'])} of "
        f"{of} of the test split {_was(point['num_missed'])} missed{share}{bounds}."
    )


def _positives(point: dict[str, Any]) -> str:
    """ "14 'tumor' patients"."""
    return counted(point["num_positive"], f"'{point['positive']}' {point['unit']}")


def _was(amount: object) -> str:
    return "was" if finite(amount) == 1 else "were"


def map_sentences(entry: dict[str, Any]) -> list[str]:
    """What was measured on a map that is shown."""
    if entry["is_blank"]:
        return ["The map is the same everywhere and tells nothing."]
    found = mapping(entry.get("measured"))
    if not found:
        return [f"Measures of the map: {NOT_ASSESSED}."]
    if found["level_for"] is None:
        return [f"Nothing on the map speaks for '{entry['explained']}'."]
    said = []
    if found["share_for"] is not None:
        said.append(
            f"{percent(found['share_for'])} of the evidence on the map speaks for '{entry['explained']}', the rest against it."
        )
    quadrant = mapping(found["quadrant"])
    if quadrant:
        said.append(
            f"{percent(quadrant['share'])} of the evidence for it lies in the {quadrant['name']} quarter of the picture."
        )
    area = f"{whole(found['outlined_px'])} pixels" + (
        "" if found["outlined_mm2"] is None else f", {significant(found['outlined_mm2'] / 100, 2)} cm²"
    )
    row, column = found["peak_yx"]
    said.append(
        f"Outlined: the strongest {percent(found['share'])} of the map ({area}), with {percent(found['evidence_in_outline'])} of the evidence "
        f"for it. Largest value at row {row}, column {column}."
    )
    return said


def resolution_sentences(entry: dict[str, Any]) -> list[str]:
    """How fine the map can be, and from which size on it was seen to point at lesions."""
    found = mapping(entry.get("resolution"))
    cell, mm = found.get("cell_px"), found.get("cell_mm")
    if not cell:
        return [f"Resolution of the map: {NOT_ASSESSED}."]
    size = f"{significant(cell[0], 2)} × {significant(cell[1], 2)} pixels"
    size += f" ({significant(mm[0], 2)} × {significant(mm[1], 2)} mm)" if mm else ""
    said = [f"One cell of the map is {size}: nothing smaller can be outlined by it."]
    for name, words in (
        ("limit_of_detection_px", "called by the network"),
        ("limit_of_localization_px", "pointed at by the map in half of the cases"),
    ):
        limit = mapping(found.get(name))
        if finite(limit.get("value")) is not None:
            bounds = f" ({interval(limit, 1)})" if interval(limit, 1) else ""
            share = " in 90 % of the cases" if name == "limit_of_detection_px" else ""
            said.append(
                f"Inserted lesions were {words}{share} from a diameter of {number(limit['value'], 1)} pixels{bounds} on."
            )
        else:
            said.append(f"From which size on lesions are {words}: {NOT_ASSESSED}{_because(found.get('reason'))}.")
    return said


def quality_sentences(record: Record) -> list[str]:
    """What is known of the image before any answer."""
    found = record["quality"]
    words = {
        "good": "Nothing about the image is unusual among those of the training.",
        "odd": "The image is unlike those of the training: the result may not hold.",
        "bad": "The image is not one that the network can be asked about: no result should be drawn from it.",
    }
    said = [words.get(str(found["status"]), f"Quality of the image: {NOT_ASSESSED}.")]
    return said + [without_paths(reason) for reason in found["reasons"]]


def similar_sentence(record: Record) -> str:
    """How to read the similar training cases."""
    found = record["similar"]
    if not found["same"] and not found["other"]:
        return f"Similar training cases: {NOT_ASSESSED}{_because(found['reason'])}."
    close = [one for one in (*found["same"], *found["other"]) if one["is_close"]]
    searched = "" if found["num_searched"] is None else f" among {whole(found['num_searched'])} training images"
    compared = found["num_compared"]
    known = "" if compared is None else f" ({_other(compared, _unit(record)).replace('other ', '')})"
    if not close:
        return f"No close case{searched}: the nearest are farther away than those of 95 % of validation images{known}."
    missing = f" Missing: {without_paths(found['reason'])}." if found["reason"] else ""
    return (
        f"Nearest{searched} by what the network sees; it was trained on them, so its answers to them prove nothing. Percentiles are among "
        f"distances of validation images{known}.{missing}"
    )


def known_limits(record: Record) -> list[str]:
    """What is known to limit this answer, and what nobody looked at."""
    about, predicted = record["tested_on"], record["answer"]["predicted"]
    said = []
    if record["image"]["is_phantom"]:
        said.append("Network and case are made of computer-made pictures: nothing here holds for a real patient.")
    rare = finite(about["train_counts"].get(str(predicted)))
    if rare is not None and rare < FEW_IMAGES:
        said.append(f"'{predicted}' is rare in the training: {counted(rare, 'image')}.")
    if not about["patients_known"]:
        said.append(
            "Patients of the training data are unknown, so images of one patient may stand on both sides of the division."
        )
    positives = finite(record["operating_point"].get("num_positive"))
    if positives is not None and positives < FEW_PATIENTS:
        said.append(f"What is missed rests on {_positives(record['operating_point'])} of the test split.")
    shortcuts = record["shortcuts"]
    if shortcuts["convicted"]:
        said.append(
            f"The network is known to be swayed by what is no disease: {joined(shortcuts['convicted'], most=6)}."
        )
    elif shortcuts["reason"]:
        said.append(f"Shortcuts: {NOT_ASSESSED}.")
    said += [without_paths(warning) for warning in about["warnings"]]
    if not about["is_external"]:
        source = "" if not about["source"] else f" ({str(about['source']).rstrip('.')})"
        said.append(
            f"Other hospitals, scanners, sequences, stains and populations than those of the data it was made with{source}: {NOT_ASSESSED}."
        )
    if not about["subgroups"]:
        said.append(f"Results by sex, age or other groups: {NOT_ASSESSED}.")
    said.append(f"Whether this sheet helps a reader: {NOT_ASSESSED}, no readers took part.")
    return said


def _because(reason: object) -> str:
    return f", {without_paths(str(reason).rstrip('.'))}" if reason else ""
