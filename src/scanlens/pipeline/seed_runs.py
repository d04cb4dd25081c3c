"""The runs of a study of several seeds, read and held against each other: the same split, trained again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scanlens.errors import RunError
from scanlens.paths import SEED_FOLDER
from scanlens.pipeline.fold_runs import Fold, check_data, check_finished, check_settings, folds_in, seed_folders
from scanlens.runs import Run


@dataclass(frozen=True)
class Seed:
    """All runs of one seed.

    Args:
        number: the seed of the training.
        folder: that holds its folds, or is its only run.
        folds: in order; of a study without a cross-validation, the run as its only fold.
    """

    number: int
    folder: Path
    folds: tuple[Fold, ...]

    @property
    def is_one_run(self) -> bool:
        """Whether there is no cross-validation."""
        return self.folds[0].of == 1

    @property
    def page(self) -> Path:
        """Where its own results stand."""
        return self.folds[0].run.report_file if self.is_one_run else self.folder / "folds.html"


def read_seeds(folder: Path) -> list[Seed]:
    """All seeds of one study, by their number.

    Raises:
        RunError: there are fewer than two, one of them is not finished, or settings, data or division are not those of the
            others.
    """
    folders = seed_folders(folder)
    if len(folders) < 2:
        raise RunError(
            f"{folder} holds {len(folders)} seed, and a spread over seeds needs two. The same scanlens folds command again "
            "trains what is missing."
        )
    seeds = [_seed(one) for one in folders]
    first = [seed.folds[0] for seed in seeds]
    check_settings(first, but=("seed",))
    check_data(first)
    for other in seeds[1:]:
        _check_division(seeds[0], other)
    return seeds


def _seed(folder: Path) -> Seed:
    if (folder / "config.yaml").is_file():
        run = Run(folder)
        check_finished(run)
        folds = [Fold(run, 0, 1)]
    else:
        folds = folds_in(folder)
    named, number = int(folder.name[len(SEED_FOLDER) :]), int(folds[0].run.config["seed"])
    if number != named:
        raise RunError(f"{folder} was trained with seed={number}, not {named}. Call the folder {SEED_FOLDER}{number}.")
    return Seed(number, folder, tuple(folds))


def _check_division(first: Seed, other: Seed) -> None:
    """Every fold trains on, watches and tests the same images, whatever the seed."""
    for fold, others in zip(first.folds, other.folds, strict=True):
        if _division(fold) != _division(others):
            raise RunError(
                f"{others.run.folder} divides the images otherwise than {fold.run.folder}, so a spread over seeds would mix "
                "training and division. Train them with the same split.seed or split.file; scanlens folds does so by itself."
            )


def _division(fold: Fold) -> Sequence[tuple[str, ...]]:
    return sorted((row["id"], row["group"], row["target"], row["split"]) for row in fold.run.split_rows)
