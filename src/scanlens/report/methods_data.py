"""Sentences of a methods section on the data: source, what was left out, preparation, division. Each is empty where the run
holds nothing to say it from."""

from __future__ import annotations

from scanlens.report.audit import leak_sentences
from scanlens.report.facts import SPLIT_NAMES
from scanlens.report.flow import data_flow
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.words import counted, joined, number, significant, whole, without_paths

_INTENSITIES = {
    "range": "from the range of the file type",
    "percentile": "from the {lower} and {upper} percentiles of the image",
    "minmax": "from the smallest and largest value of the image",
    "auto": "from the range of the file type or the given window, or, where neither says anything, from the {lower} and "
    "{upper} percentiles of the image",
}
_LEVELS = {
    "patient": "by patient, so that all images of a patient lie in one partition",
    "near-duplicate groups": "by groups of near-duplicate images, since patients were unknown",
    "image": "by image; patients were unknown",
}


def source(run: RunFolder) -> str:
    """What the images are."""
    name = str(mapping(run.config.get("data")).get("name") or "")
    about = without_paths(run.facts.get("source_about") or "").rstrip(".")
    if not name and not about:
        return ""
    kind = "computer-made phantoms, not images of people" if run.facts.get("is_phantom") else ""
    told = ": ".join(part for part in (name, about) if part)
    return f"The data were {told}" + (f" ({kind})." if kind and "not real" not in about else ".")


def left_out(run: RunFolder) -> str:
    """How many images were not used, and why."""
    flow = data_flow(run)
    if flow is None:
        return ""
    if not flow.left_out:
        return f"All {counted(flow.found, 'image')} that the source listed were used."
    lost = joined([f"{whole(num)} ({why})" for why, num in flow.left_out.items()])
    return (
        f"Of {counted(flow.found, 'image')} that the source listed, {lost} were left out, and {whole(flow.used)} used."
    )


def missing(run: RunFolder) -> str:
    """What became of missing data."""
    told = left_out(run)
    return f"{told} Nothing was imputed." if told else ""


def counts(run: RunFolder) -> str:
    """Images and patients of each partition."""
    flow = data_flow(run)
    if flow is None:
        return ""
    parts = [
        f"{counted(num, 'image')}" + (f" of {counted(who, 'patient')}" if who is not None else "") + f" for {name}"
        for name, num, who in flow.splits
    ]
    return f"There were {joined(parts)}."


def classes(run: RunFolder) -> str:
    """Classes, and how many images of each are in each partition."""
    known = mapping(run.facts.get("counts"))
    if not known or not run.class_names:
        return ""
    parts = [
        f"{name} " + " / ".join(whole(mapping(known.get(split)).get(name, 0)) for split in SPLIT_NAMES)
        for name in run.class_names
    ]
    return f"Images in {' / '.join(SPLIT_NAMES.values())}: {joined(parts, most=40)}."


def selection(run: RunFolder) -> str:
    """Which part of the data was asked for."""
    data = mapping(run.config.get("data"))
    wanted = {
        "axis": "{} slices",
        "every": "every slice number {} of a volume",
        "slice_range": "slices in the range {} of a volume",
        "min_content": "slices with at least the share {} above background",
        "modality": "modality {}",
        "class_names": "the classes {}",
    }
    told = [
        words.format(joined([str(one) for one in value], most=40) if isinstance(value, list) else value)
        for key, words in wanted.items()
        if (value := data.get(key)) not in (None, [], 1 if key == "every" else None)
    ]
    return f"Of the data were taken: {joined(told)}." if told else left_out(run)


def preprocess(run: RunFolder) -> str:
    """From a file to what the network sees."""
    known = mapping(run.facts.get("preprocess"))
    size, channels = finite(known.get("size")), finite(known.get("channels"))
    if size is None or channels is None:
        return ""
    bounds = {end: significant(known.get(f"{end}_percentile")) for end in ("lower", "upper")}
    values = _INTENSITIES.get(str(known.get("intensity")), "").format(**bounds)
    shape = "padded to a square and resized" if known.get("keeps_aspect") else "stretched to a square"
    scaled = f", and intensities scaled to [0, 1] {values}" if values else ""
    return f"Images were {shape} to {whole(size)} × {whole(size)} pixels with {counted(channels, 'channel')}{scaled}."


def standardization(run: RunFolder) -> str:
    """Mean and standard deviation that the network takes off its input."""
    arguments = mapping(run.facts.get("model_arguments"))
    mean, std = sequence(arguments.get("input_mean")), sequence(arguments.get("input_std"))
    if not mean or not std:
        return ""
    told = [
        f"{name} {joined([number(one, 3) for one in values])}"
        for name, values in (("mean", mean), ("standard deviation", std))
    ]
    return f"The network standardizes its input by {joined(told)} (of intensities in [0, 1])."


def split(run: RunFolder) -> str:
    """How images were given to the partitions."""
    plan, groups = mapping(run.config.get("split")), level(run)
    if not groups:
        return ""
    if plan.get("file"):
        return "The division into training, validation and test was read from a file."
    folds = finite(plan.get("folds"))
    if folds is not None:
        fold = finite(plan.get("fold")) or 0
        told = f"The test partition is part {fold + 1:.0f} of {folds:.0f} of a cross-validation, drawn"
    elif plan.get("by") == "site":
        told = "The test partition consists of whole sites; the rest was drawn"
    else:
        told = "Images were divided into training, validation and test"
    seed = finite(run.config.get("seed") if plan.get("seed") is None else plan["seed"])
    return f"{told} {_LEVELS.get(groups, groups)}" + (f" (seed {seed:.0f})." if seed is not None else ".")


def level(run: RunFolder) -> str:
    """What was kept together, as config.yaml says it; empty if it does not."""
    return str(run.facts.get("groups") or "")


def disjoint(run: RunFolder) -> str:
    """At which level partitions are disjoint."""
    groups = level(run)
    return f"Partitions are divided {_LEVELS.get(groups, groups)}." if groups else ""


def leaks(run: RunFolder) -> str:
    """What the audit says of copies and patients in two partitions; empty if the data were not audited."""
    if run.audit is None or not mapping(run.audit.get("duplicates")):
        return ""
    part, found = mapping(run.audit["duplicates"]), leak_sentences(run.audit)
    looked = ["exact copies"] * bool(mapping(part.get("copies"))) + ["near-duplicates"] * bool(
        mapping(part.get("near"))
    )
    looked += ["patients"] * bool(run.audit.get("num_known_patients"))
    if found:
        return f"In two partitions: {' '.join(found)}"
    return f"An automatic search for {joined(looked)} shared between partitions found none." if looked else ""


def sites(run: RunFolder) -> str:
    """Whether the test is of sites that training never saw."""
    plan = mapping(run.config.get("split"))
    return "The test partition is of sites that were not trained on." if plan.get("by") == "site" else ""
