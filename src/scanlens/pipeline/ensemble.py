"""`scanlens ensemble`: runs judged on the same test images, taken together: the mean of their probabilities.

References:
    Lakshminarayanan et al. 2017, arXiv:1612.01474.
"""

from __future__ import annotations

import copy
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scanlens import provenance
from scanlens.config import freeze
from scanlens.errors import RunError
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.uncertainty import Together, together
from scanlens.files import read_csv, write_bytes, write_csv, write_json
from scanlens.pipeline.candidates import Candidate, read_candidates, training_warnings
from scanlens.pipeline.judge import judge_classes
from scanlens.pipeline.patients import patient_plan, read_predicted, verdict
from scanlens.pipeline.subgroups import judge_groups
from scanlens.pipeline.trust import judge_trust
from scanlens.pipeline.uncertainty import ENTROPY, INFORMATION, PLAIN, judge_orders
from scanlens.report.page import write_report
from scanlens.report.summary import console_table
from scanlens.runs import Config, Run

log = logging.getLogger(__name__)
FACTS = ("case", "id", "patient", "target")
COPIED = ("split.csv", "volumes.csv", "meta.csv", "quarantine.csv")


def ensemble(folders: Sequence[Path], *, out: Path) -> Path:
    """Write a folder that looks like a run, whose probabilities are the mean of those of the runs given.

    Validation counts only where all runs chose on the same images; else there is no calibration and no threshold.

    Args:
        folders: run folders, at least two, judged on the same test images.
        out: the folder to write; it must not hold anything yet.

    Returns:
        The folder.

    Raises:
        RunError: a folder holds no finished run, they cannot be taken together, or `out` holds something.
    """
    members = read_candidates(folders)
    _refuse_folds(members)
    run = Run(out.resolve())
    if run.folder.exists() and any(run.folder.iterdir()):
        raise RunError(f"{run.folder} is not empty. Give a new folder: out=outputs/NAME")
    run.folder.mkdir(parents=True, exist_ok=True)
    _write_head(run, members)
    found = {split: joined for split in ("val", "test") if (joined := _write_split(run, members, split))}
    write_json(run.evaluation_file, _evaluation(run, members, found))
    _note_end(run, members)
    write_report(run.folder)
    log.info("\n%s", console_table(run.folder))
    return run.folder


def _refuse_folds(members: Sequence[Candidate]) -> None:
    studies = [one.name for one in members if len(one.runs) > 1]
    if studies:
        raise RunError(
            f"{studies[0]} is a cross-validation: each image is tested by one of its networks, and the others were trained on "
            "it, so their mean says nothing about it. Give single runs, or take its networks together on new images: "
            "scanlens ensemble run=FOLDER path=FILES"
        )


def _write_head(run: Run, members: Sequence[Candidate]) -> None:
    """config.yaml, the tables of the first run, and who the members are."""
    first = members[0].runs[0]
    config = copy.deepcopy(first.config)
    facts = config["facts"]
    summaries = [one.runs[0].facts["model_summary"] for one in members]
    models = ", ".join(dict.fromkeys(str(one["name"]) for one in summaries))
    facts["model_summary"] = {
        "name": f"Ensemble of {len(members)} ({models})",
        "parameters": sum(one["parameters"] for one in summaries),
        "trainable": sum(one["trainable"] for one in summaries),
        "weights_note": None,
        "is_pretrained": any(one["is_pretrained"] for one in summaries),
    }
    facts["warnings"] = [*facts["warnings"], *training_warnings(members)]
    for part, off in (("robustness", {"enabled": False}), ("uncertainty", {"mc_passes": 0})):
        config[part] = config.get(part, {}) | off  # they ask a network, and here is none
    freeze(config | {"run_id": run.folder.name, "run_dir": str(run.folder)}, run.folder)
    for name in COPIED:
        if (first.folder / name).is_file():
            write_bytes(run.folder / name, (first.folder / name).read_bytes(), private=True)
    write_json(
        run.members_file, {"schema_version": 1, "rule": "mean of probabilities", "members": [m.name for m in members]}
    )


def _write_split(run: Run, members: Sequence[Candidate], split: str) -> Together | None:
    """Write predictions/<split>.csv; nothing where the runs judged other images of that split, or none."""
    tables = [_table(member, split) for member in members]
    first, names = tables[0], run.facts["class_names"]
    if not first or any(_labels(table) != _labels(first) for table in tables):
        if split == "val":
            log.warning("The runs have no validation images in common: no calibration and no threshold can be chosen.")
        return None
    found = together([_probabilities(table, list(first), names) for table in tables])
    rows = [
        {name: row[name] for name in FACTS}
        | verdict(found.probabilities_NK[n], names)
        | {ENTROPY: f"{found.entropy_N[n]:.9g}", INFORMATION: f"{found.mutual_information_N[n]:.9g}"}
        for n, row in enumerate(first.values())
    ]
    write_csv(run.predictions / f"{split}.csv", list(rows[0]), rows, private=True)
    return found


def _table(member: Candidate, split: str) -> dict[str, Mapping[str, str]]:
    """Rows of the predictions of one split by the id of their image."""
    path = member.runs[0].predictions / f"{split}.csv"
    return {row["id"]: row for row in read_csv(path)} if path.is_file() else {}


def _labels(table: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {name: row["target"] for name, row in table.items()}


def _probabilities(table: Mapping[str, Mapping[str, str]], ids: Sequence[str], names: Sequence[str]) -> Floats:
    return np.array([[float(table[one][f"prob_{name}"]) for name in names] for one in ids])


def _evaluation(run: Run, members: Sequence[Candidate], found: Mapping[str, Together]) -> Config:
    """The contents of evaluation.json: as a run's, without what only a single network has."""
    plan, names = patient_plan(run), run.facts["class_names"]
    judged = judge_classes(run, list(found), plan)
    return {
        "schema_version": 1,
        "task": "classification",
        "class_names": names,
        "splits": judged,
        "patient_rule": plan.as_dict(names, noun="slice" if run.place_of else "image"),
        "best_epoch": None,
        "monitor": {"name": run.facts["monitor"]["name"], "value": None},
        "localization": None,
        "nearest_neighbor": members[0].evaluations[0].get("nearest_neighbor"),
        **judge_trust(run, plan),
        **judge_groups(run, judged),
        "uncertainty": _uncertainty(run, found["test"], num_members=len(members)),
    }


def _uncertainty(run: Run, found: Together, *, num_members: int) -> dict[str, Any]:
    """Which uncertainty tells the errors of the mean."""
    confidences = {
        PLAIN: found.probabilities_NK.max(axis=1),
        ENTROPY: -found.entropy_N,
        INFORMATION: -found.mutual_information_N,
    }
    judged = judge_orders(read_predicted(run, "test"), found.probabilities_NK, confidences, run.config)
    return {"method": "ensemble", "members": num_members} | judged


def _note_end(run: Run, members: Sequence[Candidate]) -> None:
    """provenance.json: what was trained, by whom the time was spent, and that all is judged."""
    first = members[0].provenance[0]
    content = provenance.collect(
        seed=run.config["seed"], num_processes=1, data_fingerprint=first["data_fingerprint"], argv=sys.argv
    )
    spent = [one.training_s for one in members]
    content["duration_s"] = {} if None in spent else {"fit": float(np.sum(np.array(spent, dtype=np.float64)))}
    content["stages"] = ["prepare", "fit", "judge", "report"]
    content["warnings"] = run.facts["warnings"]
    write_json(run.provenance_file, content)
