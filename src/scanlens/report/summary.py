"""The closing table of the terminal: what was trained on what, how well it does, and where the report lies."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from scanlens.report.charts import shortened
from scanlens.report.folder import RunFolder, finite, mapping, read_run, sequence
from scanlens.report.sentences import baseline, cautions, localization, num_rebuilt, rebuilt
from scanlens.report.words import NOT_ASSESSED, counted, duration, number, point, significant, whole, with_interval

COLUMNS = 100
_LABEL = 12


def console_table(run_dir: Path) -> str:
    """At most 16 lines of at most 100 columns (only the path of the report may be longer).

    Raises:
        RunError: if the run folder, or a file that it needs, is missing or damaged.
    """
    run = read_run(Path(run_dir))
    lines = [
        *_data_lines(run),
        *_model_lines(run),
        *(_result_lines(run) if run.is_classification else _reconstruction_lines(run)),
    ]
    lines += [*_explained_lines(run), ("warnings", _warnings(run))]
    text = [f"{label:<{_LABEL}}{shortened(words, COLUMNS - _LABEL)}" for label, words in lines]
    return "\n".join([*text, f"{'report':<{_LABEL}}{_report_path(run)}"]).replace("\u202f", ",").replace("\u00a0", " ")


def _data_lines(run: RunFolder) -> list[tuple[str, str]]:
    facts = run.facts
    images, patients, counts = (mapping(facts.get(name)) for name in ("num_images", "num_patients", "counts"))
    name = str(mapping(run.config.get("data")).get("name") or NOT_ASSESSED) + (
        " (built-in phantoms)" if facts.get("is_phantom") else ""
    )
    splits = " · ".join(f"{split} {whole(images.get(split))}" for split in ("train", "val", "test"))
    known = [finite(patients.get(split)) for split in ("train", "val", "test")]
    people = " · ".join(whole(n) for n in known) + " patients" if None not in known else "patients unknown"
    totals = {name: sum(finite(mapping(one).get(name)) or 0 for one in counts.values()) for name in run.class_names}
    classes = ", ".join(f"{name} ({whole(total)})" if counts else name for name, total in totals.items())
    return [("data", name), ("images", f"{splits}  ({people})"), ("classes", f"{len(run.class_names)}: {classes}")]


def _model_lines(run: RunFolder) -> list[tuple[str, str]]:
    model, monitor = mapping(run.facts.get("model_summary")), mapping(run.evaluation.get("monitor"))
    note = f", {model['weights_note']}" if model.get("weights_note") else ""
    best = finite(run.evaluation.get("best_epoch"))
    epochs = f"{len(run.epochs)}" + (f", best {best:.0f}" if best is not None else "")
    if monitor.get("name"):
        epochs += f" ({monitor['name']} {significant(monitor.get('value'))})"
    fit = mapping(run.provenance.get("duration_s")).get("fit")
    epochs += f" in {duration(fit)}" if finite(fit) is not None else ""
    return [
        ("model", f"{model.get('name') or NOT_ASSESSED}, {whole(model.get('parameters'))} parameters{note}"),
        ("epochs", epochs),
    ]


def _result_lines(run: RunFolder) -> list[tuple[str, str]]:
    split = run.split("test")
    lines = [("test", f"{'':<24}{'AUROC':<26}balanced accuracy")]
    for key, name, count in (("slice", "image", "num_images"), ("patient", "patient", "num_patients")):
        metrics = mapping(split.get(key))
        values = mapping(metrics.get("metrics"))
        if metrics:
            scores = f"{with_interval(values.get('auroc')):<26}{with_interval(values.get('balanced_accuracy'))}"
            lines.append(("", f"{f'per {name} ({whole(metrics.get(count))})':<24}{scores}"))
        else:
            why = split.get("patient_reason") if key == "patient" else None
            lines.append(("", f"{f'per {name}':<24}{NOT_ASSESSED}" + (f": {why}" if why else "")))
    baselines = (("without looking", baseline(split)), ("1-nearest neighbor", run.evaluation.get("nearest_neighbor")))
    return lines + [("", f"{name:<50}{_balanced(values)}") for name, values in baselines]


def _balanced(values: Any) -> str:
    return number(point(mapping(values).get("balanced_accuracy")), 2)


def _reconstruction_lines(run: RunFolder) -> list[tuple[str, str]]:
    split = run.split("test")
    values, anomaly = rebuilt(split)
    scores = f"SSIM {with_interval(values.get('ssim'))}, PSNR {with_interval(values.get('psnr'), 1)} dB on {counted(num_rebuilt(split), 'image')}"
    return [("test", scores), ("anomaly", f"AUROC {with_interval(anomaly.get('auroc'))}")]


def _explained_lines(run: RunFolder) -> list[tuple[str, str]]:
    known = mapping(run.explanations)
    names = ", ".join(str(mapping(one).get("name")) for one in sequence(known.get("methods")))
    blank = finite(known.get("blank_maps"))
    explained = f"{len(sequence(known.get('cases')))} cases by {names}" if names else NOT_ASSESSED
    explained += f", {counted(blank, 'blank map')}" if names and blank is not None else ""
    found = localization(run)
    if not found:
        return [("explained", explained), ("pointing", NOT_ASSESSED)]
    hits = [f"{one['name']} {with_interval(one['hit_rate'])}" for one in found]
    return [("explained", explained), ("pointing", f"{', '.join(hits)}; chance {number(point(found[0]['chance']), 2)}")]


def _warnings(run: RunFolder) -> str:
    count = len(cautions(run))
    return "none" if count == 0 else f"{count}, see the report"


def _report_path(run: RunFolder) -> str:
    path = (run.path / "report" / "index.html").absolute()
    below = os.path.relpath(path)
    shown = below if not below.startswith("..") and len(below) < len(str(path)) else str(path)
    return shown if path.is_file() else f"{NOT_ASSESSED}: not written"
