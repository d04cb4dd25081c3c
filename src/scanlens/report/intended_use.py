"""What a network is for, and who it was tested on: stated by those who answer for it, else a sentence made of numbers of the run."""

from __future__ import annotations

from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.people import people, people_in_words
from scanlens.report.words import NOT_ASSESSED, counted, joined, without_paths


def intended_use(run: RunFolder) -> str:
    """One sentence; that of `report.intended_use` where it was stated."""
    stated = str(mapping(run.config.get("report")).get("intended_use") or "").strip()
    if stated:
        return f"As stated: {without_paths(stated)}"
    if run.facts.get("is_phantom"):
        return (
            "For trying out the software: it was made with computer-made pictures and must not be used for any patient."
        )
    names = run.class_names
    task = (
        f"tell {joined([repr(name) for name in names], most=8)} apart"
        if run.is_classification and names
        else "rebuild images"
    )
    return (
        f"For research on whether a network can {task} in images like those it was made with; not for finding, excluding or "
        "following any disease in a patient, and not for other kinds of images."
    )


def tested_on(run: RunFolder) -> str:
    """Who it was tested on: data set, counts, sex and age where the source tells them."""
    images = finite(mapping(run.facts.get("num_images")).get("test"))
    if not images:
        return f"Who it was tested on: {NOT_ASSESSED}, there is no test split."
    patients = finite(mapping(run.facts.get("num_patients")).get("test"))
    whom = counted(images, "image") + (f" of {counted(patients, 'patient')}" if patients else " (patients unknown)")
    name = str(mapping(run.config.get("data")).get("name") or "images")
    about = without_paths(run.facts.get("source_about") or "").rstrip(". ")
    unit = "patient" if patients else "image"
    return f"Tested on {whom} of '{name}'{f' ({about})' if about else ''}; {people_in_words(people(run), unit)}."
