"""The runs of a cross-validation, read and held against each other before they are put together."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scanlens.errors import RunError
from scanlens.files import read_csv
from scanlens.pipeline import STAGES, differences, stages_done
from scanlens.runs import Config, Run

_OWN = ("run_id", "run_dir", "fold", "paths", "facts")  # what folds may differ in, at the top of their configuration
_MOST_TOLD = 5


@dataclass(frozen=True)
class Fold:
    """One fold whose test has been judged.

    Args:
        run: its folder.
        number: from 0.
        of: number of folds.
    """

    run: Run
    number: int
    of: int

    @cached_property
    def evaluation(self) -> Config:
        """The contents of its evaluation.json."""
        content: Config = json.loads(self.run.evaluation_file.read_text(encoding="utf-8"))
        return content

    @cached_property
    def provenance(self) -> Config:
        """The contents of its provenance.json."""
        content: Config = json.loads(self.run.provenance_file.read_text(encoding="utf-8"))
        return content

    @cached_property
    def tested(self) -> list[dict[str, str]]:
        """The rows of its predictions/test.csv."""
        return read_csv(self.run.predictions / "test.csv")

    def settings(self) -> Config:
        """Its configuration without what is its own."""
        config = {key: value for key, value in self.run.config.items() if key not in _OWN}
        return config | {"split": {key: value for key, value in config["split"].items() if key != "fold"}}


def read_folds(folders: Sequence[Path]) -> list[Fold]:
    """All folds of one cross-validation, in order.

    Raises:
        RunError: a fold is absent, twice or not judged, or settings, data or division are not those of the others.
    """
    folds = sorted((_fold(Run(Path(folder).resolve())) for folder in folders), key=lambda fold: fold.number)
    if not folds:
        raise RunError("no fold to gather; train them first: scanlens folds folds=5 model=... data=...")
    _check_settings(folds)
    _check_numbers(folds)
    _check_data(folds)
    _check_division(folds)
    return folds


def how_to_go_on(folder: Path, num: int, *, run_id: str) -> str:
    """Which folds are finished though one stopped, and the way on.

    Args:
        folder: that holds one run folder for each fold, called by its number.
        num: of folds.
        run_id: that the command was given, or chose.
    """
    done = [fold for fold in range(num) if stages_done(Run(folder / str(fold))) == list(STAGES)]
    numbers = f" ({', '.join(map(str, done))})" if done else ""
    return f"{len(done)} of {num} folds are finished{numbers}. The same command with run_id={run_id} goes on with the rest."


def _fold(run: Run) -> Fold:
    plan: Mapping[str, Any] = run.config["split"]
    if plan.get("folds") is None:
        raise RunError(f"{run.folder} is no fold of a cross-validation: it was trained without folds=...")
    if "judge" not in stages_done(run):
        raise RunError(f"{run.folder} is not finished; the same command again goes on with it")
    return Fold(run, int(plan["fold"]), int(plan["folds"]))


def _check_settings(folds: Sequence[Fold]) -> None:
    first = folds[0].settings()
    for fold in folds[1:]:
        changed = differences(fold.settings(), first)
        if changed:
            shown = "\n".join(f"  - {line}" for line in changed[:_MOST_TOLD])
            raise RunError(
                f"{fold.run.folder} was trained with other settings than {folds[0].run.folder}:\n{shown}\n"
                "Only folds of the same settings say something together."
            )


def _check_numbers(folds: Sequence[Fold]) -> None:
    counts = Counter(fold.number for fold in folds)
    absent = [number for number in range(folds[0].of) if number not in counts]
    twice = [number for number, count in sorted(counts.items()) if count > 1]
    problems = [
        f"{_named(numbers)} {what}"
        for numbers, what in ((absent, "absent"), (twice, "there more than once"))
        if numbers
    ]
    if problems:
        raise RunError(
            f"{folds[0].of} folds are expected below {folds[0].run.folder.parent}: {'; '.join(problems)}. "
            "The same scanlens folds command again trains what is missing."
        )


def _named(numbers: Sequence[int]) -> str:
    return f"fold {numbers[0]} is" if len(numbers) == 1 else f"folds {', '.join(map(str, numbers))} are"


def _check_data(folds: Sequence[Fold]) -> None:
    for fold in folds[1:]:
        if fold.run.facts["class_names"] != folds[0].run.facts["class_names"]:
            raise RunError(f"{fold.run.folder} has other classes than {folds[0].run.folder}; train all folds again.")
        if fold.provenance["data_fingerprint"] != folds[0].provenance["data_fingerprint"]:
            raise RunError(
                f"the images or tables changed between {folds[0].run.folder} and {fold.run.folder}; train all folds again."
            )


def _check_division(folds: Sequence[Fold]) -> None:
    """Every image is tested in exactly one fold, and so is every group that is never divided."""
    facts = [{(row["id"], row["group"], row["target"]) for row in fold.run.split_rows} for fold in folds]
    if any(one != facts[0] for one in facts[1:]):
        raise RunError(f"folds below {folds[0].run.folder.parent} divide different images or groups; train them again.")
    counts = Counter(row["id"] for fold in folds for row in fold.tested)
    expected = {row["id"] for row in folds[0].run.split_rows}
    problems = {
        "are never tested": sorted(expected - counts.keys()),
        "are tested more than once": sorted(name for name, count in counts.items() if count > 1),
        "are tested and not in split.csv": sorted(counts.keys() - expected),
    }
    mistakes = [f"{len(names)} images {what}, such as '{names[0]}'" for what, names in problems.items() if names]
    group_of = {row["id"]: row["group"] for row in folds[0].run.split_rows}
    tested_in = {(group_of.get(row["id"]), fold.number) for fold in folds for row in fold.tested}
    divided = [group for group, num in Counter(group for group, _ in tested_in).items() if num > 1]
    if divided:
        mistakes.append(f"{len(divided)} patients or groups are tested in more than one fold")
    if mistakes:
        raise RunError(f"the folds below {folds[0].run.folder.parent} do not fit together: {'; '.join(mistakes)}.")
