"""Sentences of a sheet on what the network says, each from numbers of the record by a rule, so that no sentence says more than they do.

No sentence names a disease that is not a class of the network, and none calls an answer sure. What was not measured is said
to be not assessed.
"""

from __future__ import annotations

from typing import Any

from scanlens.report.case_sheet.phrases import Record, because, of_others, percents, positives, unit_of, was
from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.words import NOT_ASSESSED, counted, interval, joined, number, percent, whole

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
            f"Of {whole(similar['num'])} test images of {of_others(similar['num_patients'], unit_of(record))} with an answer stated at "
            f"{_range(similar)}, {whole(similar['num_positive'])} "
            f"{was(similar['num_positive'])} answered rightly: {_share(similar)}."
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
        return [f"Call at a threshold: {NOT_ASSESSED}{because(found['reason'])}."]
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
    return said + _similar_scores(found, unit_of(record))


def _in_gap(record: Record) -> bool:
    gap = [finite(one) for one in sequence(mapping(record["operating_point"].get("chosen")).get("gap"))]
    if len(gap) != 2 or gap[0] is None or gap[1] is None:
        return False
    return gap[0] < record["decision"]["score"] < gap[1]


def _similar_scores(found: dict[str, Any], unit: str) -> list[str]:
    similar = mapping(found.get("similar_scores"))
    if not similar:
        return []
    if similar.get("value") is None:
        return [f"How often it was so at about this score: {NOT_ASSESSED}{because(similar.get('reason'))}."]
    num, positive = similar["num"], similar["num_positive"]
    of_image = "" if found["unit"] == "image" else f"; that of this image is {number(found['image_score'], 2)}"
    said = [
        f"Of the {whole(num)} test images of {of_others(similar['num_patients'], unit)} with the nearest scores "
        f"({_range(similar)}{of_image}), {whole(positive)} {was(positive)} '{found['positive']}': {_share(similar)}."
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
    return [*said, _spread(record)]


def _spread(record: Record) -> str:
    """How far the members of an ensemble, or passes with dropout, lie apart for this image."""
    found = record["uncertainty"]
    mutual, entropy = finite(found["mutual_information_nats"]), finite(found["entropy_nats"])
    if mutual is None or entropy is None:
        return f"Spread over an ensemble, dropout or seeds: {NOT_ASSESSED}."
    members = mapping(found["members"])
    who = {"ensemble": "networks", "mc_dropout": "passes with dropout"}.get(str(members.get("method")), "members")
    num = finite(members.get("num"))
    said = f"Over {whole(num) if num else 'several'} {who} the answers to this image differ by {number(mutual, 3)} nats (mutual information)"
    total = f"of {number(entropy, 3)} nats of uncertainty in all"
    rank = finite(members.get("percentile"))
    more = "" if rank is None else f"; more than in {percent(rank / 100)} of the test images"
    return f"{said}, {total}{more}. 0 is no difference."


def _set_sentences(record: Record) -> list[str]:
    found, predicted = record["uncertainty"], record["answer"]["predicted"]
    if found["set"] is None:
        return [f"Set of likely classes: {NOT_ASSESSED}{because(found['reason'])}."]
    names = (
        joined([f"'{name}'" for name in found["set"]], most=8) if found["set"] else "none, the image fits no class well"
    )
    measured, aim = mapping(found["measured_coverage"]), finite(found["aimed_coverage"])
    high = finite(measured.get("high"))
    failed = aim is not None and high is not None and high < aim
    held = f"it was {percents(measured)} there"
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
        said.append(f"For test images that are '{predicted}' it did in {percents(own)}.")
    return said


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
            f"Of {counted(point['num_called_negative'], f'{unit}')} of the test split that were called negative, {whole(missed)} {was(missed)} "
            f"'{positive}': {percents(_rest(test['npv']))}; fewer where '{positive}' is rarer than there."
        )
    share = percents(_rest(test.get("sensitivity")))
    said.append(f"Of {positives(point)} {whole(missed)} {was(missed)} called negative: {share}.")
    return [*said, _missed_sizes(record), f"How many of this image's quality were missed: {NOT_ASSESSED}."]


def _missed_sizes(record: Record) -> str:
    """Median size of the lesions of missed and of found cases."""
    point = record["operating_point"]
    known = mapping(point.get("missed_lesions"))
    missed, found = mapping(known.get("missed")), mapping(known.get("found"))
    sizes = {"missed": missed, "found": found}
    if known.get("reason") or not any(finite(one.get("median_share")) for one in sizes.values()):
        return f"Size of missed lesions: {NOT_ASSESSED}{because(known.get('reason'))}."
    told = [f"{_size(record, one)} where {name} ({_marked(one, point['unit'])})" for name, one in sizes.items()]
    if not missed.get("num"):
        told = [told[1], "none was missed"]
    return f"Median size of the marked lesion: {'; '.join(told)}."


def _marked(one: dict[str, Any], unit: str) -> str:
    num, marked = finite(one.get("num")) or 0, finite(one.get("num_marked")) or 0
    return counted(num, unit) if num == marked else f"marked in {whole(marked)} of {counted(num, unit)}"


def _size(record: Record, one: dict[str, Any]) -> str:
    """ "1.2 % of the image (49 px, about 310 mm² at the pixels of this image)"."""
    share, sides, spacing = (
        finite(one.get("median_share")),
        record["image"]["network_size_px"],
        record["image"]["mm_per_px"],
    )
    if share is None:
        return NOT_ASSESSED
    shown = percent(share, 1)
    if not sides:
        return shown
    area_px = share * sides[0] * sides[1]
    area = "" if not spacing else f", {whole(area_px * spacing[0] * spacing[1])} mm² at the pixels of this image"
    return f"{shown} of the image ({whole(area_px)} px{area})"


def prevalence_sentences(record: Record) -> list[str]:
    """What a call is worth where fewer, or more, are ill: predictive values at three prevalences."""
    point = record["operating_point"]
    rows = [mapping(one) for one in sequence(point.get("at_prevalences"))]
    if not rows:
        return [f"Predictive values at other prevalences: {NOT_ASSESSED}."]
    said = [_at(one, point) for one in rows]
    stated = any(one.get("source") == "stated" for one in rows)
    whence = (
        "half and twice the odds of the stated prevalence are asked about too"
        if stated
        else "a third and a tenth of the odds of the test split, where the ill are more frequent than in most practice"
    )
    return [
        f"Share of positive calls that are '{point['positive']}' (PPV), and of negative ones that are not (NPV): {'; '.join(said)}; {whence}."
    ]


def _at(one: dict[str, Any], point: dict[str, Any]) -> str:
    ppv, npv = (percents(mapping(one.get(name))) for name in ("ppv", "npv"))
    whose = {"stated": " (stated)", "test split": " (test split)"}.get(str(one.get("source")), "")
    return f"where {percent(one.get('prevalence'), 1)} are{whose}, PPV {ppv}, NPV {npv}"


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
