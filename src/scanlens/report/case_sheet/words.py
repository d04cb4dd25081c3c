"""Sentences of the sheet of a case, each from numbers of the record by a rule, so that no sentence says more than they do.

No sentence names a disease that is not a class of the network, and none calls an answer sure. What was not measured is said
to be not assessed.
"""

from __future__ import annotations

import re
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


def answer_sentences(record: Record) -> list[str]:
    """What the network names, how probable it says that is, and how often such answers were right."""
    answer = record["answer"]
    first = next((row for row in answer["classes"] if row["class"] == answer["predicted"]), None)
    if first is None or first["stated"] is None:
        return [f"The answer of the network was {NOT_ASSESSED}."]
    if answer["is_calibrated"] and first["calibrated"] is not None:
        said = [
            f"The network's output fits '{first['class']}' best: calibrated on the validation split, with a probability of "
            f"{number(first['calibrated'], 2)} (as stated by the network, {number(first['stated'], 2)})."
        ]
    else:
        said = [
            f"The network's output fits '{first['class']}' best and states {number(first['stated'], 2)} for it. This was not calibrated: "
            "do not read it as the probability of a disease."
        ]
    return said + _how_sure(record)


def _how_sure(record: Record) -> list[str]:
    """What became of probabilities on the test split."""
    answer, said = record["answer"], []
    error = mapping(answer["calibration_error"])
    if finite(error.get("value")) is not None:
        by_chance = finite(error.get("by_chance_up_to"))
        chance = "" if by_chance is None else f" (up to {number(by_chance, 2)} would be chance)"
        said.append(f"On the test split such probabilities were off by {number(error['value'], 2)} on average{chance}.")
    similar = mapping(answer["as_sure"])
    if similar.get("value") is not None:
        said.append(
            f"Of {whole(similar['num'])} test images of {_other(similar['num_patients'], _unit(record))} with an answer stated at "
            f"{_range(similar)}, {whole(similar['num_positive'])} "
            f"{_was(similar['num_positive'])} answered rightly: {_share(similar)}."
        )
    return said


def _range(found: dict[str, Any]) -> str:
    """ "0.91 to 0.97", or one number where both would be printed alike."""
    low, high = (number(found[name], 2) for name in ("lowest", "highest"))
    return low if low == high else f"{low} to {high}"


def _share(found: dict[str, Any]) -> str:
    """ "10 % (95 % interval 2 % to 30 %)"."""
    if found.get("low") is None:
        return f"{percent(found['value'])} ({found.get('reason') or 'no interval'})"
    return f"{percent(found['value'])} (95\u00a0% interval {percent(found['low'])} to {percent(found['high'])})"


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
    apart = finite(found["distance_log_odds"])
    by = "" if apart is None else f" (by {number(abs(apart), 1)} in log-odds)"
    said = [
        f"For '{positive}' the score of {whose} is {number(score, 2)}, {side} the threshold of {number(threshold, 2)}{by}: called "
        f"{found['called']}."
    ]
    if _in_gap(record):
        low, high = (number(one, 2) for one in mapping(record["operating_point"]["chosen"])["gap"])
        said.append(
            f"No validation {found['unit']} that decided the threshold scored between {low} and {high}, where this score lies: where the "
            "threshold was put in this range is a convention, and so is this call."
        )
    elif apart is not None and abs(apart) < CLOSE_LOG_ODDS:
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
    of_image = "" if found["unit"] == "image" else f"; that of this image is {number(found['image_score'], 2)}"
    said = [
        f"Of the {whole(num)} test images of {_other(similar['num_patients'], unit)} with the nearest scores "
        f"({_range(similar)}{of_image}), {whole(positive)} {_was(positive)} '{found['positive']}': {_share(similar)}."
    ]
    if found["called"] == "negative" and 2 * positive >= num:
        said.append(
            f"The call is negative, yet half or more of these were '{found['positive']}': do not take it as reassuring."
        )
    return said


def uncertainty_sentences(record: Record) -> list[str]:
    """The set of likely classes with its measured coverage, and whether a person should look."""
    found = record["uncertainty"]
    said = _set_sentences(record)
    if found["refer"] is None:
        said.append(f"Whether a person should decide: {NOT_ASSESSED}.")
    elif found["refer"] and found["refers_all"]:
        said.append(
            "No safe rule for leaving cases to the network was found on validation, so every image is referred to a person; this says "
            "nothing particular about this case."
        )
    elif found["refer"]:
        said.append("By the rule chosen on validation a person should decide this case, not the network alone.")
    if found["entropy_nats"] is None:
        said.append(f"Spread over an ensemble or dropout: {NOT_ASSESSED}.")
    return said


def _set_sentences(record: Record) -> list[str]:
    found, predicted = record["uncertainty"], record["answer"]["predicted"]
    if found["set"] is None:
        return [f"Set of likely classes: {NOT_ASSESSED}{_because(found['reason'])}."]
    names = (
        joined([f"'{name}'" for name in found["set"]], most=8) if found["set"] else "none, the image fits no class well"
    )
    measured, aim = mapping(found["measured_coverage"]), finite(found["aimed_coverage"])
    high = finite(measured.get("high"))
    failed = aim is not None and high is not None and high < aim
    held = f"it was {_percents(measured)} there"
    said = [
        f"Set of likely classes: {names}."
        + (
            f" Do not rely on it: the right class should lie in such sets in {percent(aim)} of images, and on the test split {held}."
            if failed
            else f" The right class should lie in such sets in {percent(aim)} of images like those of the test split; {held}."
        )
    ]
    own = mapping(found["measured_coverage_of_class"])
    if finite(own.get("value")) is not None:
        said.append(f"For test images that are '{predicted}' it did in {_percents(own)}.")
    return said


def _percents(found: dict[str, Any]) -> str:
    """ "88 % (80 % to 94 %)"."""
    low, high = finite(found.get("low")), finite(found.get("high"))
    bounds = "" if low is None or high is None else f" ({percent(low)} to {percent(high)})"
    return f"{percent(found.get('value'))}{bounds}"


def miss_sentences(record: Record) -> list[str]:
    """Of a negative call: how many called so had it, and how many who had it were called so; empty for other calls."""
    found, point = record["decision"], record["operating_point"]
    if found.get("called") != "negative" or point.get("num_positive") is None:
        return []
    test, positive, unit = mapping(point["test"]), point["positive"], point["unit"]
    missed = point["num_missed"]
    said = ["Negative does not mean healthy."]
    if finite(mapping(test.get("npv")).get("value")) is not None:
        said.append(
            f"Of {counted(point['num_called_negative'], f'{unit}')} of the test split that were called negative, {whole(missed)} {_was(missed)} "
            f"'{positive}': {_percents(_rest(test['npv']))}; fewer where '{positive}' is rarer than there."
        )
    share = _percents(_rest(test.get("sensitivity")))
    return [*said, f"Of {_positives(point)} {whole(missed)} {_was(missed)} called negative: {share}."]


def threshold_sentence(record: Record) -> str | None:
    """Whether the aim of the threshold was reached on the test split; None where it was, or there is no such aim."""
    point = record["operating_point"]
    aim = finite(mapping(mapping(point.get("chosen")).get("rule")).get("target"))
    reached = mapping(mapping(point.get("test")).get("sensitivity"))
    value = finite(reached.get("value"))
    if aim is None or value is None or value >= aim:
        return None
    bounds = f" ({interval(reached, 2)})" if interval(reached, 2) else ""
    return f"The sensitivity that was aimed at, {number(aim, 2)}, was not reached on the test split: {number(value, 2)}{bounds}."


def _rest(share: object) -> dict[str, Any]:
    """One less a share with its interval."""
    found = mapping(share)
    value, low, high = (finite(found.get(name)) for name in ("value", "low", "high"))
    return {
        "value": None if value is None else 1 - value,
        "low": None if high is None else 1 - high,
        "high": None if low is None else 1 - low,
    }


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
            f"{percent(quadrant['share'])} of the evidence for it lies in the {quadrant['name']} quarter of the picture (25\u00a0% if spread evenly)."
        )
    area = f"{whole(found['outlined_px'])} pixels" + (
        "" if found["outlined_mm2"] is None else f", {significant(found['outlined_mm2'] / 100, 2)} cm²"
    )
    row, column = found["peak_yx"]
    said.append(
        f"Outlined: the strongest {percent(found['share'])} of the map ({area}), with {percent(found['evidence_in_outline'])} of the evidence "
        f"for it. Largest value at row {row}, column {column} of the network's input, counted from the upper left."
    )
    if entry["pointing_hit"] is not None:
        where = {0.0: "outside", 1.0: "inside"}.get(entry["pointing_hit"], "partly inside")
        said.append(f"The largest value lies {where} the marked lesion.")
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
        "good": "Nothing about the image is unusual among those of the training. This does not say that the result is right.",
        "odd": "The image is unlike those of the training: the result may not hold.",
        "bad": "The image is not one that the network can be asked about: no result should be drawn from it.",
    }
    said = [words.get(str(found["status"]), f"Quality of the image: {NOT_ASSESSED}.")]
    unusual = [one["name"] for one in found["checks"] if one["is_inside"] is False]
    if unusual:
        lowered = [name[:1].lower() + name[1:] for name in unusual]
        said.append(
            f"{whole(len(unusual))} of {counted(len(found['checks']), 'check')} outside of the usual: {joined(lowered)}."
        )
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
        said.append(f"Whether the network answers by what is no disease: {NOT_ASSESSED}.")
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


def without_commands(text: object) -> str:
    """Without what a clinician cannot type: sentences and brackets that hold a command."""
    kept = re.sub(r"\s*\(scanlens [^)]*\)", "", str(text))
    return re.sub(r"\s*\bscanlens [a-z]+ [^.]*\.", "", kept).strip()


def _because(reason: object) -> str:
    return f", {without_paths(without_commands(reason).rstrip('.'))}" if reason else ""
