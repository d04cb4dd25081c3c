"""What is compared: runs, or folds of a cross-validation together, read and held against each other first."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.errors import RunError
from scanlens.files import read_csv
from scanlens.pipeline import stages_done
from scanlens.runs import Config, Run


@dataclass(frozen=True)
class Candidate:
    """One network (or one per fold) and what it said of every test image.

    Args:
        name: what it is called in the comparison, unique there.
        runs: its run, or those of all folds.
    """

    name: str
    runs: tuple[Run, ...]

    @cached_property
    def class_names(self) -> list[str]:
        """In the order of the first run."""
        return list(self.runs[0].facts["class_names"])

    @cached_property
    def provenance(self) -> list[Config]:
        """provenance.json of each run."""
        return [json.loads(run.provenance_file.read_text(encoding="utf-8")) for run in self.runs]

    @cached_property
    def evaluations(self) -> list[Config]:
        """evaluation.json of each run."""
        return [json.loads(run.evaluation_file.read_text(encoding="utf-8")) for run in self.runs]

    @cached_property
    def tested(self) -> dict[str, Mapping[str, str]]:
        """The row of predictions/test.csv of each image, by its id.

        Raises:
            RunError: if there is none, or folds test an image twice.
        """
        rows = [row for run in self.runs for row in _test_rows(run)]
        twice = [name for name, count in Counter(row["id"] for row in rows).items() if count > 1]
        if twice:
            raise RunError(
                f"{self.name}: {len(twice)} images are tested more than once. Give the folds of one cross-validation, in "
                "which every image is tested once, or a single run."
            )
        return {row["id"]: row for row in rows}

    def probabilities(self, ids: Sequence[str], class_names: Sequence[str]) -> NDArray[np.float64]:
        """One row an image, one column a class, in the orders given."""
        return np.array([[float(self.tested[one][f"prob_{name}"]) for name in class_names] for one in ids])

    def groups(self) -> dict[str, str]:
        """The group, in `split.csv`, of each image by its id."""
        return {row["id"]: row["group"] for row in self.runs[0].split_rows}

    def training_sets(self) -> Counter[frozenset[tuple[str, str]]]:
        """(id, class) of what a run has trained or chosen its weights on, and how many runs did so."""
        return Counter(
            frozenset((row["id"], row["target"]) for row in run.split_rows if row["split"] != "test")
            for run in self.runs
        )

    @property
    def training_s(self) -> float | None:
        """Seconds of training, of all folds together; None where one is not known."""
        found = [one.get("duration_s", {}).get("fit") for one in self.provenance]
        return None if None in found else math.fsum(found)


def read_candidates(folders: Sequence[Path]) -> list[Candidate]:
    """What lies in the given folders, in their order.

    Raises:
        RunError: a folder holds no finished run, or they cannot be compared: fewer than two, other classes, other test
            images or other labels of them.
    """
    if len(folders) < 2:
        raise RunError(f"a comparison needs at least two runs, got {len(folders)}: runs=outputs/A,outputs/B")
    given = [Path(folder).resolve() for folder in folders]
    twice = [folder for folder, count in Counter(given).items() if count > 1]
    if twice:
        raise RunError(f"{twice[0]} is given twice. Name every run once.")
    names = _names(given)
    candidates = [Candidate(name, tuple(_runs(folder))) for name, folder in zip(names, given, strict=True)]
    for other in candidates[1:]:
        _check_alike(candidates[0], other)
    return candidates


def training_warnings(candidates: Sequence[Candidate]) -> list[str]:
    """What of the training data differs from those of the first candidate, one sentence each."""
    first, warnings = candidates[0], []
    for other in candidates[1:]:
        seen, theirs = (frozenset().union(*one.training_sets()) for one in (first, other))
        if other.training_sets() != first.training_sets():
            warnings.append(
                f"{other.name} and {first.name} learned from different images ({len(theirs - seen)} only in {other.name}, "
                f"{len(seen - theirs)} only in {first.name}{'' if theirs != seen else '; folds are divided otherwise'}): "
                "a difference may come from the data as well as from the network."
            )
        if {one.get("data_fingerprint") for one in other.provenance} != {
            one.get("data_fingerprint") for one in first.provenance
        }:
            warnings.append(f"The files of the data set differ between {other.name} and {first.name}.")
    return warnings


def _names(folders: Sequence[Path]) -> list[str]:
    """The names of the folders; where two are alike, with the folder above."""
    count = Counter(folder.name for folder in folders)
    return [folder.name if count[folder.name] == 1 else f"{folder.parent.name}/{folder.name}" for folder in folders]


def _runs(folder: Path) -> list[Run]:
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}. Give a run, such as outputs/RUN_ID, or a folder of folds.")
    below = [folder] if (folder / "config.yaml").is_file() else sorted(p.parent for p in folder.glob("*/config.yaml"))
    if not below:
        raise RunError(f"{folder} holds neither a run nor folds: there is no config.yaml in it, nor in its subfolders.")
    runs = [Run(path) for path in below]
    for run in runs:
        if "judge" not in stages_done(run) or not run.evaluation_file.is_file():
            raise RunError(f"{run.folder} is not finished; let the training finish (the same command resumes it).")
        if run.facts["task"] == "reconstruction":
            raise RunError(
                f"{run.folder} rebuilds pictures and names no class; only networks that tell classes apart are compared."
            )
    return runs


def _test_rows(run: Run) -> list[dict[str, str]]:
    path = run.predictions / "test.csv"
    if not path.is_file():
        raise RunError(f"{run.folder} has no predictions of test images; train it with a test split to compare it.")
    return read_csv(path)


def _check_alike(first: Candidate, other: Candidate) -> None:
    if set(first.class_names) != set(other.class_names):
        raise RunError(
            f"{first.name} knows the classes {', '.join(first.class_names)}, and {other.name} {', '.join(other.class_names)}. "
            "Only networks that tell the same classes apart can be compared."
        )
    only_first, only_other = first.tested.keys() - other.tested.keys(), other.tested.keys() - first.tested.keys()
    if only_first or only_other:
        raise RunError(
            f"{first.name} and {other.name} were judged on different images: {len(only_first)} only in {first.name}, "
            f"{len(only_other)} only in {other.name}, {len(first.tested.keys() & other.tested.keys())} in both. Train one "
            "with the split of the other: split.file=outputs/RUN_ID/split.csv."
        )
    relabeled = [one for one, row in first.tested.items() if row["target"] != other.tested[one]["target"]]
    if relabeled:
        raise RunError(
            f"{len(relabeled)} test images have another label in {other.name} than in {first.name}. Train again on one "
            "version of the labels."
        )


def pooled_neighbor(candidate: Candidate) -> dict[str, Any] | None:
    """What 1-nearest-neighbor reaches, over folds weighted by their test images; None where it was not measured."""
    found: list[Mapping[str, float]] = [one.get("nearest_neighbor") or {} for one in candidate.evaluations]
    if not all(found):
        return None
    weights = [len(_test_rows(run)) for run in candidate.runs]
    return {
        name: float(np.average([one[name] for one in found], weights=weights))
        for name in ("accuracy", "balanced_accuracy")
    }
