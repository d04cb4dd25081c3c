"""The summary in plain words: what was found, and what must be kept in mind, each sentence built from numbers by a
rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from scanlens.report.folder import RunFolder, finite, mapping, method_title, sequence
from scanlens.report.populations import population_sentences
from scanlens.report.words import (
    counted,
    interval,
    joined,
    number,
    percent,
    point,
    reason,
    whole,
    with_interval,
    without_paths,
)

CHANCE_AUROC = 0.5
FEW_PATIENTS = 20


def primary_level(split: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The level that the headline speaks of: patients where they are known, else images. ("patient" or "slice", METRICS)."""
    patient = mapping(split.get("patient"))
    return ("patient", patient) if patient else ("slice", mapping(split.get("slice")))


def findings(run: RunFolder) -> list[str]:
    """What the run found on its test split, most important first."""
    if not run.is_classification:
        return _reconstruction_findings(run)
    level, metrics = primary_level(run.split("test"))
    if not metrics:
        return [
            "How well the network does on images it has not seen was not assessed: the run has no evaluated test split."
        ]
    sentences = [
        _discrimination(run, level, metrics),
        _naming(run, level, metrics),
        _weakest_class(metrics, level),
        _pointing(run),
    ]
    return [one for one in sentences if one]


def cautions(run: RunFolder) -> list[str]:
    """What a reader must know before believing the numbers; without repetition, without paths."""
    given = [str(one) for one in [*sequence(run.facts.get("warnings")), *sequence(run.provenance.get("warnings"))]]
    spoken = " ".join(given).lower()
    own = list(_about_data(run, spoken))
    if run.is_classification:
        own += _about_result(run)
    return list(dict.fromkeys(without_paths(one).strip() for one in [*own, *given] if one.strip()))


def lineage(run: RunFolder) -> str:
    """What the starting weights were trained on, and how much of it is in the test split; "" if that is not recorded."""
    facts = mapping(run.facts.get("lineage"))
    runs = [mapping(one) for one in sequence(facts.get("generations"))]
    if not facts:
        return ""
    if not runs:
        known = {"random": "Weights had seen nothing before.", "public": "Weights started from published ones."}
        return known.get(
            str(facts.get("begins_with")), "What the starting weights had been trained on before is not known."
        )
    before = [f"in run {one.get('run')} on {_trained_on(one)}" for one in runs[1:]]
    told = f"Weights started from run {runs[0].get('run')}, which was trained on {_trained_on(runs[0])}"
    told += f", after training {joined(before)}" if before else ""
    told += " (and on what is not known before)" if facts.get("begins_with") == "unknown" else ""
    return without_paths(f"{told}; {_again_in_test(facts)}.")


def _trained_on(generation: dict[str, Any]) -> str:
    images = counted(generation.get("num_images"), "image")
    patients = finite(generation.get("num_patients"))
    return images if patients is None else f"{counted(patients, 'patient')} ({images})"


def _again_in_test(facts: dict[str, Any]) -> str:
    images, patients = finite(facts.get("num_seen_images")), finite(facts.get("num_seen_patients"))
    seen = [counted(num, noun) for num, noun in ((images, "image"), (patients, "patient")) if num]
    if seen:
        return f"{joined(seen)} of this test split had been seen"
    if facts.get("compares_patients"):
        return "none of them is in this test split"
    return "none of these images is in this test split, and patients could not be compared"


def judged_on(split: dict[str, Any], level: str) -> str:
    """What a level counts: "24 patients (96 images)", or "96 images of 24 patients"."""
    image, metrics = mapping(split.get("slice")), mapping(split.get(level))
    images, patients = image.get("num_images"), finite(metrics.get("num_patients"))
    if level == "patient":
        return counted(patients, "patient") + (f" ({counted(images, 'image')})" if image else "")
    return counted(images, "image") + (f" of {counted(patients, 'patient')}" if patients else "")


def baseline(split: dict[str, Any]) -> dict[str, Any]:
    """What can be had of a split without looking at the images, judged image by image."""
    return mapping(split.get("baseline")) or mapping(mapping(split.get("slice")).get("baseline"))


def rebuilt(split: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Metrics of a network that rebuilds pictures, and of its error as a mark of the unusual (auroc, normal_classes, reason)."""
    if "metrics" in split:
        return mapping(split.get("metrics")), mapping(split.get("anomaly"))
    level = mapping(split.get("slice"))
    metrics = mapping(level.get("metrics"))
    return metrics, {"auroc": metrics.get("anomaly_auroc"), "normal_classes": level.get("normal_classes")}


def num_rebuilt(split: dict[str, Any]) -> object:
    """How many pictures were rebuilt."""
    return split.get("num_images", mapping(split.get("slice")).get("num_images"))


def localization(run: RunFolder) -> list[dict[str, Any]]:
    """One entry a method: name, title, hit_rate and excess (metrics), chance, num, num_blank, p_value, left_out."""
    methods = mapping(run.evaluation.get("localization"))
    return [
        {
            "name": str(name),
            "title": method_title(run, str(name)),
            "left_out": _left_out(value),
            "hit_rate": value.get("hit_rate"),
            "excess": value.get("excess"),
            "chance": value.get("chance"),
            "num": value.get("num_images"),
            "num_blank": value.get("num_blank"),
            "p_value": value.get("p_value"),
        }
        for name, value in methods.items()
        if isinstance(value, dict)
    ]


def _left_out(value: dict[str, Any]) -> str:
    """Marked lesions that were not looked at: "9 that the network named wrongly"."""
    counts = {
        "that the network named wrongly": value.get("num_wrong"),
        "that were not drawn": value.get("num_not_drawn"),
        "outside of what the map covers": value.get("num_not_covered"),
    }
    return joined([f"{whole(count)} {why}" for why, count in counts.items() if finite(count)])


def _discrimination(run: RunFolder, level: str, metrics: dict[str, Any]) -> str:
    auroc = mapping(metrics.get("metrics")).get("auroc")
    names = run.class_names
    apart = f"told {names[0]} from {names[1]}" if len(names) == 2 else f"told the {len(names)} classes apart"
    where = f"On {judged_on(run.split('test'), level)} not used for training, the network"
    if point(auroc) is None:
        because = f" ({reason(auroc)})" if reason(auroc) else ""
        return f"{where} was judged, but how well it {apart} was not assessed{because}."
    bounds = (
        f" ({_level_of(metrics)} interval {interval(auroc, 2)})" if interval(auroc, 2) else " (interval not assessed)"
    )
    stated = number(point(auroc), 2).replace("> ", "above ")
    return f"{where} {apart} with an AUROC {'' if stated.startswith('above') else 'of '}{stated}{bounds}; 0.50 is guessing, 1.00 is perfect."


def _naming(run: RunFolder, level: str, metrics: dict[str, Any]) -> str:
    balanced = mapping(metrics.get("metrics")).get("balanced_accuracy")
    if point(balanced) is None:
        return ""
    known = finite(baseline(run.split("test")).get("balanced_accuracy"))
    guess = known if known is not None else 1 / max(1, len(run.class_names))
    text = f"With every class counted alike, it named the right class in {percent(point(balanced))} of {'patients' if level == 'patient' else 'images'}"
    bounds = balanced if isinstance(balanced, dict) else {}
    if interval(bounds):
        text += f" ({percent(bounds['low'])} to {percent(bounds['high'])})"
    text += f"; always naming the most frequent class gives {percent(guess)}"
    neighbor = finite(mapping(run.evaluation.get("nearest_neighbor")).get("balanced_accuracy"))
    return text + (
        f", copying the most similar training image {percent(neighbor)} of images." if neighbor is not None else "."
    )


def _weakest_class(metrics: dict[str, Any], level: str) -> str:
    rated = {name: point(mapping(one).get("sensitivity")) for name, one in mapping(metrics.get("per_class")).items()}
    known = {name: value for name, value in rated.items() if value is not None}
    if not known or min(known.values()) == 1:
        return ""
    name = min(known, key=lambda key: known[key])
    one = metrics["per_class"][name]
    judged = counted(one.get("num"), "patient" if level == "patient" else "image")
    return f"The class it missed most often is {name}: sensitivity {with_interval(one.get('sensitivity'))} on {judged}."


def _pointing(run: RunFolder) -> str:
    known = [one for one in localization(run) if point(one["hit_rate"]) is not None]
    if not known:
        return ""
    one = known[0]
    kind = "rightly named image" if run.is_classification else "image"
    num = counted(one["num"], kind) if finite(one["num"]) is not None else f"the {kind}s"
    chance = f"; a random place would in {percent(one['chance'])}" if finite(one["chance"]) is not None else ""
    return (
        f"In {percent(point(one['hit_rate']))} of {num} with a marked lesion, the peak of the {one['title']} map lay inside "
        f"the lesion{chance}."
    )


def _reconstruction_findings(run: RunFolder) -> list[str]:
    split = run.split("test")
    metrics, anomaly = rebuilt(split)
    if not metrics:
        return [
            "How well the network rebuilds images it has not seen was not assessed: the run has no evaluated test split."
        ]
    first = (
        f"On {counted(num_rebuilt(split), 'image')} not used for training, the network rebuilt the picture with a structural "
        f"similarity (SSIM) of {with_interval(metrics.get('ssim'))} and a PSNR of {with_interval(metrics.get('psnr'), 1)} dB."
    )
    auroc = anomaly.get("auroc")
    normal = joined([str(one) for one in sequence(anomaly.get("normal_classes"))])
    if point(auroc) is None:
        because = anomaly.get("reason") or reason(auroc)
        return [first, "Whether its error marks the unusual was not assessed" + (f": {because}." if because else ".")]
    second = (
        f"How far its error lies from that of {normal or 'normal'} validation images, to either side, told images that are "
        f"not {normal or 'normal'} from those that are with an AUROC of {with_interval(auroc)}."
    )
    return [first, second]


def _about_data(run: RunFolder, spoken: str) -> Iterable[str]:
    facts = run.facts
    yield from population_sentences(run)
    if facts.get("is_phantom") and "phantom" not in spoken:
        yield "The pictures are computer-made phantoms, not scans of people: the numbers show that the program works and nothing else."
    if facts.get("patients_known") is False and "patient" not in spoken:
        kept = "Near-duplicate images were kept together, but " if "duplicate" in str(facts.get("groups")) else ""
        told = "which images belong to the same patient is not known"
        yield f"{kept + told if kept else told.capitalize()}: one patient may lie in training and test, and the numbers may be too good."
    note = str(mapping(facts.get("model_summary")).get("weights_note") or "")
    if (
        mapping(run.config.get("model")).get("weights") == "auto"
        and "scratch" in note.lower()
        and "weights" not in spoken
    ):
        yield f"Pretrained weights were asked for but could not be had: {note}."
    if (count := finite(facts.get("num_quarantined"))) and "quarantine" not in spoken:
        yield f"{counted(count, 'file')} could not be read and {'was' if count == 1 else 'were'} left out (see Data)."


def _about_result(run: RunFolder) -> Iterable[str]:
    split = run.split("test")
    level, metrics = primary_level(split)
    values = mapping(metrics.get("metrics"))
    auroc = mapping(values.get("auroc"))
    low, high = finite(auroc.get("low")), finite(auroc.get("high"))
    if low is not None and high is not None and low <= CHANCE_AUROC <= high:
        yield "The interval of the AUROC includes 0.50: this result cannot be told from guessing."
    elif high is not None and high < CHANCE_AUROC:
        yield "The AUROC is below 0.50, worse than guessing: are labels or classes mixed up?"
    elif point(auroc) is not None and low is None:
        yield "The AUROC has no interval: how far it may be off is not assessed."
    patients = finite(metrics.get("num_patients"))
    if level == "patient" and patients is not None and patients < FEW_PATIENTS:
        yield f"The test split holds only {counted(patients, 'patient')}: expect other numbers on other patients."
    own = point(mapping(mapping(split.get("slice")).get("metrics")).get("balanced_accuracy"))
    neighbor = finite(mapping(run.evaluation.get("nearest_neighbor")).get("balanced_accuracy"))
    if own is not None and neighbor is not None and own <= neighbor:
        yield f"Copying the label of the most similar training image does as well (balanced accuracy {number(neighbor, 2)} against {number(own, 2)})."
    for one in localization(run):
        low = finite(mapping(one["excess"]).get("low"))
        if low is not None and low <= 0:
            yield f"The peaks of the {one['title']} maps do not lie in marked lesions more often than chance would put them there."
    never = [
        str(name)
        for name, one in mapping(metrics.get("per_class")).items()
        if point(mapping(one).get("sensitivity")) == 0
    ]
    if never:
        yield f"Never recognized in the test split: {joined(never)}."


def _level_of(metrics: dict[str, Any]) -> str:
    level = finite(mapping(metrics.get("interval")).get("level"))
    return percent(level if level is not None else 0.95)
