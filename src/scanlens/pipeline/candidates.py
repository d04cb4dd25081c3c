"""What is compared: runs, or folds of a cross-validation together, read and held against each other first."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlens.errors import RunError
from scanlens.pipeline.fold_runs import Fold, check_finished, folds_in, seed_folders
from scanlens.runs import Config, Run


@dataclass(frozen=True)
class Candidate:
    """One network (or one per fold) and what it said of every test image.

    Args:
        name: what it is called in the comparison, unique there.
        folds: of its cross-validation; its run as the only one where there is none.
    """

    name: str
    folds: tuple[Fold, ...]

    @property
    def runs(self) -> list[Run]:
        """Its run, or those of all folds."""
        return [fold.run for fold in self.folds]

    @cached_property
    def class_names(self) -> list[str]:
        """In the order of the first run."""
        return list(self.runs[0].facts["class_names"])

    @property
    def provenance(self) -> list[Config]:
        """provenance.json of each run."""
        return [fold.provenance for fold in self.folds]

    @property
    def evaluations(self) -> list[Config]:
        """evaluation.json of each run."""
        return [fold.evaluation for fold in self.folds]

    @cached_property
    def tested(self) -> dict[str, Mapping[str, str]]:
        """The row of predictions/test.csv of each image, by its id."""
        return {row["id"]: row for fold in self.folds for row in fold.tested}

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
    candidates = [Candidate(name, tuple(_folds(folder))) for name, folder in zip(names, given, strict=True)]
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


def _folds(folder: Path) -> list[Fold]:
    if not folder.is_dir():
        raise RunError(f"there is no folder {folder}. Give a run, such as outputs/RUN_ID, or a folder of folds.")
    if (folder / "config.yaml").is_file():
        folds = [_only_fold(Run(folder))]
    elif any(folder.glob("*/config.yaml")) or seed_folders(folder):
        folds = folds_in(folder)
    else:
        raise RunError(f"{folder} holds neither a run nor folds: there is no config.yaml in it, nor in its subfolders.")
    if folds[0].run.facts["task"] == "reconstruction":
        raise RunError(
            f"{folds[0].run.folder} rebuilds pictures and names no class; only networks that tell classes apart are compared."
        )
    return folds


def _only_fold(run: Run) -> Fold:
    """A run without a cross-validation."""
    check_finished(run)
    if not (run.predictions / "test.csv").is_file():
        raise RunError(f"{run.folder} has no predictions of test images; train it with a test split to compare it.")
    return Fold(run, 0, 1)


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
