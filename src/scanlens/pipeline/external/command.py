"""`scanlens evaluate`: a finished run judged on a labeled set of elsewhere, written as a folder like that of a run."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens import provenance
from scanlens.callbacks.predictions import PredictionWriter, classification_columns
from scanlens.config import freeze
from scanlens.evaluation.independent import independent_difference
from scanlens.files import write_csv, write_json
from scanlens.models.base import Network
from scanlens.pipeline.audit import write_quarantine
from scanlens.pipeline.build import build_task, settle_hardware
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.division import alike_images
from scanlens.pipeline.external.classes import ClassMatch
from scanlens.pipeline.external.intake import groups_as_text, new_images, num_copies, number_of
from scanlens.pipeline.external.request import Request
from scanlens.pipeline.external.seen import SeenBefore, judge_seen
from scanlens.pipeline.external.stored import Chosen, apply_trust, read_chosen
from scanlens.pipeline.external.unlike import measure_unlike
from scanlens.pipeline.fingerprint import Fingerprint, read_fingerprint
from scanlens.pipeline.fit import plain_interrupts, silent_trainer
from scanlens.pipeline.folders import own_folder, timed_folder
from scanlens.pipeline.judge import judge_classes
from scanlens.pipeline.meta_table import public_columns, write_meta
from scanlens.pipeline.patients import places_in_volumes, read_predicted
from scanlens.pipeline.run_images import open_data
from scanlens.pipeline.subgroups import judge_groups
from scanlens.report.external import console_lines
from scanlens.report.latex import write_results
from scanlens.report.page import build_report
from scanlens.runs import Config, Run, load_run

log = logging.getLogger(__name__)
SPLIT_COLUMNS = ("index", "id", "patient", "group", "target", "split")
NO_FINGERPRINT = "the run has no fingerprint.npz (it was made by an earlier version)"
_INTERNAL_METRICS = ("unit", "num_images", "num_patients", "counts", "metrics", "per_class", "interval")


def evaluate(request: Request) -> Path:
    """Judge a run on new images and write tables, evaluation.json and a page; the folder is returned.

    Raises:
        DataError: if no image can be judged, or the network was trained on some and that is refused.
        ConfigError: if classes that were named do not exist.
        RunError: if the run folder does not hold what training writes, or the folder asked for is in use.
    """
    run, network = load_run(request.run.folder)
    chosen, known = read_chosen(run), read_fingerprint(run.fingerprint_file)
    listed, match = new_images(request)
    seen = judge_seen(run, listed, refuses=request.refuses_seen)
    group_N = alike_images(listed)
    folder = timed_folder(run.external) if request.out is None else own_folder(request.out.resolve())
    external = _folder_of(Run(folder), run, request, listed, group_N, [*match.told, *seen.told])
    _predict(external, run, network)
    drift = _drift(known, listed, network, group_N, seed=run.config["seed"])
    write_json(external.evaluation_file, _judged(external, run, chosen, listed, match, seen) | {"drift": drift})
    write_results(folder)
    page = build_report(folder)
    log.info("%s\n\n%s\nFor research, not for diagnosis.", "\n".join(console_lines(folder)), page)
    return folder


def _folder_of(
    external: Run, run: Run, request: Request, listed: Listed, group_N: NDArray[np.int64], told: list[str]
) -> Run:
    """The folder with everything but what the network says: config.yaml, provenance.json, split.csv, meta.csv ..."""
    groups = groups_as_text(group_N)
    rows = [
        {
            "index": place,
            "id": record.id,
            "patient": record.patient,
            "group": groups[place],
            "target": record.target,
            "split": "test",
        }
        for place, record in enumerate(listed.records)
    ]
    write_csv(external.split_file, SPLIT_COLUMNS, rows, private=True)
    write_quarantine(external, listed)
    if places := places_in_volumes(listed.records):
        write_csv(external.volumes_file, list(places[0]), places, private=True)
    write_meta(external, listed, index_of={record.id: place for place, record in enumerate(listed.records)})
    config = run.config | {"data": request.data, "subgroups": _subgroups(run, listed)}
    freeze(config | {"facts": _facts(run, listed, told)}, external.folder)
    write_json(
        external.provenance_file,
        provenance.collect(
            seed=run.config["seed"], num_processes=1, data_fingerprint=listed.source.fingerprint(), argv=sys.argv
        ),
    )
    return external


def _subgroups(run: Run, listed: Listed) -> list[str] | str:
    """The columns that the run was told of, as far as the new images have them."""
    wanted = run.config["subgroups"]
    if wanted == "auto":
        return "auto"
    known = public_columns(listed.records)
    return [name for name in wanted if name in known]


def _facts(run: Run, listed: Listed, told: list[str]) -> Config:
    names, patients = run.facts["class_names"], [record.patient for record in listed.records]
    counts = {name: sum(record.target == name for record in listed.records) for name in names}
    hardware = settle_hardware(run.config["trainer"] | {"accelerator": "auto", "devices": 1}, model=run.config["model"])
    return run.facts | {
        "num_images": {"test": len(listed.records)},
        "counts": {"test": counts},
        "num_patients": {"test": len(set(patients)) if all(patients) else None},
        "patients_known": all(patients),
        "num_quarantined": len(listed.images.quarantined),
        "source_about": listed.source.about,
        "is_phantom": listed.source.root is None,
        "cache": str(listed.images.folder),
        "hardware": hardware,
        "warnings": [*told, *getattr(listed.source, "notes", [])],
        "chosen": [],
    }


def _predict(external: Run, run: Run, network: Network) -> None:
    columns = classification_columns(run.facts["class_names"])
    writer = PredictionWriter(external.predictions, splits=["test"], rows=external.split_rows, to_columns=columns)
    trainer, data = silent_trainer(external, callbacks=[writer]), open_data(external)
    with plain_interrupts():
        trainer.predict(
            build_task(run.config, network), dataloaders=[data.evaluation_loader("test")], return_predictions=True
        )
    network.eval()


def _judged(
    external: Run, run: Run, chosen: Chosen, listed: Listed, match: ClassMatch, seen: SeenBefore
) -> dict[str, Any]:
    """The contents of evaluation.json: the keys of a run's, and `external`."""
    splits = judge_classes(external, ["test"], chosen.plan)
    found = {
        "schema_version": 1,
        "task": "classification",
        "class_names": run.facts["class_names"],
        "splits": splits,
        "patient_rule": chosen.judged.get("patient_rule"),
        "best_epoch": chosen.judged.get("best_epoch"),
        "monitor": chosen.judged.get("monitor"),
        "localization": None,
        "nearest_neighbor": None,
        **apply_trust(chosen, external, read_predicted(external, "test")),
        **judge_groups(external, splits),
    }
    found["external"] = {
        "run": run.folder.name,
        "data": listed.source.name,
        "classes": match.as_dict(),
        "num_left_out": number_of(match),
        "num_quarantined": len(listed.images.quarantined),
        "num_copies": num_copies(listed),
        "seen": seen.as_dict(),
        "internal": _internal(chosen.judged),
        "differences": _differences(chosen.judged, found),
    }
    return found


def _internal(judged: Config) -> dict[str, Any]:
    """What the run reached on its own test split, as far as it is shown beside the new images."""
    test = (judged.get("splits") or {}).get("test") or {}
    levels = {
        level: {name: test[level][name] for name in _INTERNAL_METRICS}
        for level in ("slice", "patient")
        if test.get(level)
    }
    parts = {name: judged.get(name) or {} for name in ("calibration", "decisions", "conformal", "referral")}
    return {
        "levels": levels,
        "calibration": parts["calibration"].get("change"),
        "rates": parts["decisions"].get("chosen", {}).get("test"),
        "sets": parts["conformal"].get("judged"),
        "referral": parts["referral"].get("outcome"),
    }


def _differences(before: Config, found: Config) -> dict[str, Any]:
    """New less own test split, by level, of every metric and of the rates at the threshold; patients are others."""
    own, new = (before.get("splits") or {}).get("test") or {}, found["splits"]["test"]
    differences = {
        level: {
            name: independent_difference(value, own[level]["metrics"][name])
            for name, value in new[level]["metrics"].items()
            if name in own[level]["metrics"]
        }
        for level in ("slice", "patient")
        if new.get(level) and own.get(level)
    }
    rates = [(one.get("decisions") or {}).get("chosen", {}).get("test") for one in (found, before)]
    if all(rates):
        names = ("sensitivity", "specificity", "ppv", "npv", "accuracy")
        differences["rates"] = {name: independent_difference(rates[0][name], rates[1][name]) for name in names}  # type: ignore[index]
    return differences


def _drift(
    known: Fingerprint | None, listed: Listed, network: Network, group_N: NDArray[np.int64], *, seed: int
) -> dict[str, Any]:
    if known is None:
        return {"reason": NO_FINGERPRINT}
    return measure_unlike(known, listed, network, group_N, seed=seed)
