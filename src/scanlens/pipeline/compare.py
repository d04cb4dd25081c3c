"""`scanlens compare`: runs judged on the same images, side by side, with the differences that can be told from chance."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.errors import ConfigError, did_you_mean
from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.comparison import COMPARED, LOWER_IS_BETTER, Pairs, compare_networks
from scanlens.evaluation.patients import patient_level
from scanlens.evaluation.resampling import group_patients
from scanlens.files import write_json
from scanlens.pipeline.candidates import Candidate, read_candidates, training_warnings
from scanlens.pipeline.explanations.measured_on import measured_on
from scanlens.pipeline.folds import pooled_neighbor
from scanlens.pipeline.inference_cost import METHOD as COST_METHOD
from scanlens.pipeline.inference_cost import inference_cost
from scanlens.report.comparison import SCHEMA_VERSION, console_comparison
from scanlens.report.comparison_page import write_comparison
from scanlens.report.explanations import SCHEMA_VERSION as CARD_VERSION
from scanlens.report.folder import optional_versioned
from scanlens.report.frontier import explanation_scores
from scanlens.runs import Config

log = logging.getLogger(__name__)
NUM_RESAMPLES = 2000
PAIRS: tuple[Pairs, ...] = ("first", "all")


def compare(folders: Sequence[Path], *, metric: str, pairs: str, out: Path) -> Config:
    """Compare runs, print the table, and write comparison.{json,csv,tex,html} into a folder.

    Args:
        folders: run folders, or folders of folds (of one seed), at least two; differences are to the first.
        metric: what is compared, one of `evaluation.comparison.COMPARED`.
        pairs: "first" for every other run less the first, "all" for every pair.
        out: the folder to write, made if absent.

    Returns:
        The contents of comparison.json (see `compared`).

    Raises:
        ConfigError: for an unknown metric or choice of pairs.
        RunError: if a folder holds no finished run, or they cannot be compared.
    """
    mistakes = [
        f"{name}={given} is not known. {did_you_mean(given, known)}"
        for name, given, known in (("metric", metric, COMPARED), ("pairs", pairs, PAIRS))
        if given not in known
    ]
    if mistakes:
        raise ConfigError(mistakes)
    candidates = read_candidates(folders)
    content = compared(candidates, metric=metric, pairs="all" if pairs == "all" else "first")
    for number, candidate in enumerate(candidates):
        content["runs"][number] |= _cost(candidate)
    write_json(out / "comparison.json", content)
    page = write_comparison(content, out)
    log.info("%s\n\n%s", console_comparison(content), page)
    return content


def _cost(candidate: Candidate) -> Config:
    """What a prediction costs; not known of an ensemble, whose folder holds no network."""
    run = candidate.runs[0]
    if not run.weights_file.is_file() and run.members_file.is_file():
        return {"seconds_per_image": None, "memory_mib": None}
    return inference_cost(run.folder)


def compared(
    candidates: Sequence[Candidate], *, metric: str, pairs: Pairs, num_resamples: int = NUM_RESAMPLES
) -> Config:
    """The contents of comparison.json, without what must be measured.

    Returns:
        `metric`, `lower_is_better`, `class_names`, `num_images`, `runs` (name, model, number of folds, `metrics` by level,
        1-nearest-neighbor, parameters, seconds of training, `explanations`: scores of its maps, or None), `differences` by level (see `Difference`), `level` (the one
        to speak of), `interval`, `warnings` and `notes`. Neither images nor patients are named.
    """
    first = candidates[0]
    ids, names = sorted(first.tested), first.class_names
    target_N = np.array([names.index(first.tested[one]["target"]) for one in ids])
    patients = [first.tested[one]["patient"] or None for one in ids]
    group_of, seed = first.groups(), first.runs[0].config["seed"]
    groups = [group_of[one] for one in ids]
    probabilities = {one.name: one.probabilities(ids, names) for one in candidates}
    judged = {
        name: evaluate_classification(
            given, target_N, class_names=names, patients=patients, groups=groups, seed=seed, num_resamples=num_resamples
        )
        for name, given in probabilities.items()
    }
    how: dict[str, Any] = {"metric": metric, "pairs": pairs, "seed": seed, "num_resamples": num_resamples}
    units = group_patients(patients, target_N, groups=groups)
    differences = {"slice": [one.as_dict() for one in compare_networks(probabilities, target_N, units, **how)]}
    if judged[first.name]["patient"]:
        differences["patient"] = _of_patients(probabilities, target_N, patients, how)
    level = "patient" if "patient" in differences else "slice"
    return {
        "schema_version": SCHEMA_VERSION,
        "metric": metric,
        "lower_is_better": metric in LOWER_IS_BETTER,
        "class_names": names,
        "level": level,
        "num_images": len(ids),
        "num_patients": judged[first.name][level]["num_patients"],
        "runs": [_about(one, judged[one.name]) for one in candidates],
        "differences": differences,
        "interval": judged[first.name][level]["interval"],
        "warnings": training_warnings(candidates),
        "notes": [*_notes(candidates), COST_METHOD],
    }


def _of_patients(
    probabilities: dict[str, NDArray[np.float64]],
    target_N: NDArray[np.int64],
    patients: Sequence[str | None],
    how: Config,
) -> list[Config]:
    """Differences where the images of a patient are joined; who is joined does not depend on the network."""
    joined = {name: patient_level(given, target_N, patients)[0] for name, given in probabilities.items()}
    known = {name: level for name, level in joined.items() if level is not None}
    one = next(iter(known.values()))
    units = group_patients(one.patients, one.target_P)
    found = compare_networks(
        {name: level.probabilities_PK for name, level in known.items()}, one.target_P, units, **how
    )
    return [difference.as_dict() for difference in found]


def _about(candidate: Candidate, judged: Config) -> Config:
    facts = candidate.runs[0].facts
    return {
        "name": candidate.name,
        "model": facts["model_summary"]["name"],
        "num_folds": len(candidate.runs),
        "metrics": {level: judged[level]["metrics"] for level in ("slice", "patient") if judged[level]},
        "nearest_neighbor": pooled_neighbor(candidate.folds),
        "parameters": facts["model_summary"]["parameters"],
        "training_s": candidate.training_s,
        "explanations": _explanations(candidate),
    }


def _explanations(candidate: Candidate) -> Config | None:
    """Scores of the maps of a single run; None of folds, of a run without a score card, or where it is of other weights."""
    run = candidate.runs[0]
    path = run.explanations / "score_card.json"
    if len(candidate.runs) > 1 or not path.is_file() or not run.weights_file.is_file():
        return None
    card = optional_versioned(path, CARD_VERSION, remedy="Make the score card again with this version.")
    return explanation_scores(card) if card.get("measured_on") == measured_on(run) else None


def _notes(candidates: Sequence[Candidate]) -> list[str]:
    notes = []
    if any(len(one.runs) > 1 for one in candidates):
        notes.append(
            "Folds: test predictions of all folds together, every image once; areas under curves then compare scores of "
            "different networks. Seconds of training are those of all folds."
        )
    machines = {
        (one.get("hardware", {}).get("cpu"), one.get("hardware", {}).get("gpu"), one.get("num_processes"))
        for candidate in candidates
        for one in candidate.provenance
    }
    if len(machines) > 1:
        notes.append("Runs were trained on different machines: their seconds of training do not compare.")
    return notes
