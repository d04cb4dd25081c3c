"""Sentences of a sheet on what stands beside the answer: the image, similar cases, known limits."""

from __future__ import annotations

from scanlens.report.case_sheet.phrases import Record, because, of_others, positives, unit_of
from scanlens.report.folder import finite
from scanlens.report.populations import missing_groups
from scanlens.report.words import NOT_ASSESSED, counted, joined, whole, without_paths

FEW_PATIENTS, FEW_IMAGES = 30, 30


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
        return f"Similar training cases: {NOT_ASSESSED}{because(found['reason'])}."
    close = [one for one in (*found["same"], *found["other"]) if one["is_close"]]
    searched = "" if found["num_searched"] is None else f" among {whole(found['num_searched'])} training images"
    compared = found["num_compared"]
    known = "" if compared is None else f" ({of_others(compared, unit_of(record)).replace('other ', '')})"
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
    num_ill = finite(record["operating_point"].get("num_positive"))
    if num_ill is not None and num_ill < FEW_PATIENTS:
        said.append(f"What is missed rests on {positives(record['operating_point'])} of the test split.")
    shortcuts = record["shortcuts"]
    if shortcuts["convicted"]:
        said.append(
            f"The network is known to be swayed by what is no disease: {joined(shortcuts['convicted'], most=6)}."
        )
    elif shortcuts["reason"]:
        said.append(f"Whether the network answers by what is no disease: {NOT_ASSESSED}.")
    said += [without_paths(warning) for warning in about["warnings"]]
    if not about["is_external"]:
        said.append(
            f"Other hospitals, scanners, sequences, stains and populations than those of the data it was made with: {NOT_ASSESSED}."
        )
    if missing := missing_groups(about["subgroups"]):
        said.append(f"Results by {joined(missing)}: {NOT_ASSESSED}.")
    said.append(_readers(record))
    return said


def _readers(record: Record) -> str:
    found = record["readers"]
    if found is None:
        return f"Whether this sheet helps a reader: {NOT_ASSESSED}, no readers took part."
    return (
        f"Whether such sheets help a reader: see the report of the run, which has {counted(found['num_readings'], 'reading')} of "
        f"{counted(found['num_cases'], 'case')}."
    )
