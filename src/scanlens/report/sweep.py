"""`sweep.html` and the table of the terminal: the jobs of a sweep beside each other, and what a search for settings found."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.files import write_text
from scanlens.report.folder import finite, mapping, read_sweep_file, sequence
from scanlens.report.folds import CHANCE, LABELS, LEVEL_NAMES
from scanlens.report.forest import ForestRow, forest_plot
from scanlens.report.html import rendered
from scanlens.report.words import (
    counted,
    duration,
    joined,
    point,
    public_config,
    significant,
    with_interval,
)

Content = dict[str, Any]
METRICS = ("auroc", "balanced_accuracy", "ssim", "psnr", "anomaly_auroc")
STATUSES = ("done", "running", "queued", "stopped", "cancelled", "failed")
CHOSEN = (
    "Whoever takes the best of these jobs by its test results has chosen on the test images, and its numbers are too good. "
    "Choose by the monitored value, which is of validation images."
)


def overrides_in_public(overrides: Sequence[str]) -> dict[str, str]:
    """Settings and their values, of the words of a job, without paths."""
    pairs = (word.lstrip("+").partition("=") for word in overrides)
    return {name: str(public_config(value, name.rpartition(".")[2])) for name, _, value in pairs}


def build_sweep_page(folder: Path) -> Path:
    """Write sweep.html beside sweep.json.

    Raises:
        RunError: if sweep.json is missing or cannot be understood.
    """
    path = Path(folder) / "sweep.html"
    write_text(path, render(read_sweep_file(Path(folder))))
    return path


def render(content: Content) -> str:
    """The page as text; links lead to the reports of the jobs below the same folder."""
    jobs = [mapping(one) for one in sequence(content.get("jobs"))]
    heads, rows = _cells(content)
    search = mapping(content.get("search"))
    return rendered(
        "sweep.html.j2",
        kicker="search" if search else "sweep",
        title=str(content.get("name")),
        lead=lead(content),
        common=[str(word) for word in sequence(content.get("common"))],
        heads=heads,
        rows=[{"page": job.get("page"), "cells": cells} for job, cells in zip(jobs, rows, strict=True)],
        charts=_charts(content),
        findings=findings(content),
        notes=[CHOSEN] if any(job.get("levels") for job in jobs) else [],
    )


def sweep_table(folder: Path) -> str:
    """One line a job: settings, status, monitored value, test results; then what is not done and why.

    Raises:
        RunError: if sweep.json is missing or cannot be understood.
    """
    content = read_sweep_file(Path(folder))
    heads, rows = _cells(content)
    told = [heads, *rows]
    shown = [place for place, head in enumerate(heads) if head != "Reason"]
    widths = {place: max(len(row[place]) for row in told) + 2 for place in shown}
    lines = ["".join(row[place].ljust(widths[place]) for place in shown).rstrip() for row in told]
    reasons = [
        f"job {job.get('number')} {job.get('status')}: {job.get('reason')}"
        for job in map(mapping, sequence(content.get("jobs")))
        if job.get("reason")
    ]
    return (
        "\n".join([*lines, lead(content), *reasons, *findings(content)]).replace("\u202f", ",").replace("\u00a0", " ")
    )


def lead(content: Content) -> str:
    """How many jobs came to what."""
    statuses = [str(mapping(one).get("status")) for one in sequence(content.get("jobs"))]
    counts = [f"{statuses.count(status)} {status}" for status in STATUSES if status in statuses]
    return f"{counted(len(statuses), 'job')}: {joined(counts)}."


def findings(content: Content) -> list[str]:
    """What a search found, in sentences; nothing of another sweep."""
    search = mapping(content.get("search"))
    if not search:
        return []
    best, num = mapping(search.get("best")), finite(search.get("num_complete")) or 0
    if not best:
        return ["No trial has a value, so nothing was found."]
    name = search.get("monitor") or "the monitored value"
    told = [
        f"Best of {counted(num, 'trial')} by {name} ({search.get('direction')}d on validation images): job {best.get('number')}, {significant(best.get('value'), 4)}."
    ]
    if num > 1:
        told.append(
            f"Its value is too good: it is the best of {num:.0f}, chosen by the very images that it was measured on, "
            f"and would be so if all settings were equally good. The median of the trials is {significant(search.get('median'), 4)}."
        )
    judged = [
        f"{LABELS[metric][0]} {LEVEL_NAMES[level]} {with_interval(_result(best, level, metric), LABELS[metric][1])}"
        for level, metric in _results([best])
    ]
    if judged:
        told.append(
            f"Judged on test images, it has {', '.join(judged)}. Nothing was chosen by these numbers, unless other trials were judged there too."
        )
    elif search.get("command"):
        told.append(f"No trial was judged on test images. Judge the best one there, once: {search['command']}")
    return told


def _cells(content: Content) -> tuple[list[str], list[list[str]]]:
    """Heads and rows of the table; one row a job."""
    jobs = [mapping(one) for one in sequence(content.get("jobs"))]
    varied = [str(name) for name in sequence(content.get("varied"))]
    results = _results(jobs)
    monitors = list(
        dict.fromkeys(
            str(mapping(job.get("monitor")).get("name")) for job in jobs if mapping(job.get("monitor")).get("name")
        )
    )
    best = f"best {monitors[0]}" if len(monitors) == 1 else "best"
    names = [f"{LABELS[name][0]} {LEVEL_NAMES[level]}" for level, name in results]
    reasons = ["Reason"] if any(job.get("reason") for job in jobs) else []
    heads = ["Job", *varied, "Status", *reasons, best, *names, "Training"]
    rows = []
    for job in jobs:
        values, monitor = mapping(job.get("values")), mapping(job.get("monitor"))
        told = significant(monitor.get("value"), 4)
        told += f" {monitor.get('name')}" if len(monitors) > 1 and monitor.get("name") else ""
        cells = [str(job.get("number")), *(_shown(values.get(name)) for name in varied), str(job.get("status"))]
        cells += [str(job.get("reason") or "") for _ in reasons]
        cells += [told, *(with_interval(_result(job, *one), LABELS[one[1]][1]) for one in results)]
        rows.append([*cells, duration(job.get("fit_s"))])
    return heads, rows


def _shown(value: object) -> str:
    """A setting as it was given; a number with very many digits is rounded."""
    text = "" if value is None else str(value)
    try:
        return text if len(text) <= 8 else significant(float(text), 4)
    except ValueError:
        return text


def _results(jobs: Sequence[Content]) -> list[tuple[str, str]]:
    """Level and metric of every test result that a job has."""
    found = {
        (level, name)
        for job in jobs
        for level, metrics in mapping(job.get("levels")).items()
        for name in mapping(metrics)
    }
    return [(level, name) for level in ("slice", "patient") for name in METRICS if (level, name) in found]


def _result(job: Content, level: str, name: str) -> dict[str, Any]:
    return mapping(mapping(mapping(job.get("levels")).get(level)).get(name))


def _charts(content: Content) -> list[Markup]:
    jobs = [mapping(one) for one in sequence(content.get("jobs"))]
    search = mapping(content.get("search"))
    if search:
        best = mapping(search.get("best")).get("number")
        rows = [
            ForestRow(f"trial {job.get('number')}", value, is_marked=job.get("number") == best)
            for job in jobs
            if (value := finite(mapping(job.get("monitor")).get("value"))) is not None
        ]
        svg = forest_plot(rows, axis=f"best {search.get('monitor')} of each trial", chance=None, name="trials")
        return [Markup(svg)] if svg else []
    found = []
    for level, name in _results(jobs):
        rows = [
            ForestRow(_label(job), value, finite(result.get("low")), finite(result.get("high")))
            for job in jobs
            if (value := point(result := _result(job, level, name))) is not None
        ]
        axis = f"{LABELS[name][0]} {LEVEL_NAMES[level]}"
        svg = forest_plot(rows, axis=axis, chance=CHANCE.get(name), name=f"{level}-{name}")
        found += [Markup(svg)] if svg else []
    return found


def _label(job: Content) -> str:
    values = ", ".join(_shown(value) for value in mapping(job.get("values")).values() if value is not None)
    return f"{job.get('number')}: {values}" if values else f"job {job.get('number')}"
