"""The runs of a cross-validation, read and held against each other before they are put together."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from scanlens.errors import RunError
from scanlens.files import read_csv
from scanlens.paths import SEED_FOLDER
from scanlens.pipeline import STAGES, differences, stages_done
from scanlens.runs import Config, Run

_OWN = ("run_id", "run_dir", "fold", "paths", "facts")  # what folds may differ in, at the top of their configuration
_MOST_TOLD, _MOST_NAMED = 5, 12
_DEPTHS = ("config.yaml", "*/config.yaml", "*/*/config.yaml")


@dataclass(frozen=True)
class Fold:
    """One fold whose test has been judged; a run without a cross-validation is the only fold, 0 of 1.

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


def folds_in(folder: Path) -> list[Fold]:
    """All folds of the cross-validation in a folder, in order.

    Raises:
        RunError: as `read_folds`, or the folder holds several seeds.
    """
    if seeds := seed_folders(folder):
        raise RunError(
            f"{folder} holds {len(seeds)} seeds, which are judged side by side and not as one network. Give the folder of "
            f"one of them, such as {seeds[0]}."
        )
    return read_folds(sorted(path.parent for path in Path(folder).glob("*/config.yaml")))


def seed_folders(folder: Path) -> list[Path]:
    """The folders of the seeds of a study, by their number; none where a folder holds folds alone."""
    found = [path for path in Path(folder).glob(f"{SEED_FOLDER}*") if path.name[len(SEED_FOLDER) :].isdecimal()]
    return sorted(found, key=lambda path: int(path.name[len(SEED_FOLDER) :]))


def read_folds(folders: Sequence[Path]) -> list[Fold]:
    """All folds of one cross-validation, in order.

    Raises:
        RunError: a fold is absent, twice or not judged, or settings, data or division are not those of the others.
    """
    folds = sorted((_fold(Run(Path(folder).resolve())) for folder in folders), key=lambda fold: fold.number)
    if not folds:
        raise RunError("no fold to gather; train them first: scanlens folds folds=5 model=... data=...")
    check_settings(folds)
    _check_numbers(folds)
    check_data(folds)
    _check_division(folds)
    return folds


def how_to_go_on(folder: Path, names: Sequence[str], *, run_id: str) -> str:
    """Which runs of a study are finished though one stopped, and the way on.

    Args:
        folder: of the study.
        names: of all its run folders, below it.
        run_id: that the command was given, or chose.
    """
    done = [name for name in names if stages_done(Run(folder / name)) == list(STAGES)]
    noun = "folds" if names[0].isdecimal() else "runs"
    told = f" ({', '.join(done[:_MOST_NAMED])}{', ...' if len(done) > _MOST_NAMED else ''})" if done else ""
    return f"{len(done)} of {len(names)} {noun} are finished{told}. The same command with run_id={run_id} goes on with the rest."


def refuse_other_runs(folder: Path, names: Sequence[str]) -> None:
    """Keep runs of one study from getting between those of another kind: folds, seeds, and folds of seeds.

    Args:
        folder: of the study; it need not be there.
        names: its run folders will have, below it.

    Raises:
        RunError: if the folder holds a run whose name is of another kind.
    """
    found = [path.parent.relative_to(folder).as_posix() for depth in _DEPTHS for path in folder.glob(depth)]
    other = sorted(name for name in found if _kind(name) != _kind(names[0]))
    if other:
        held = "is a run folder" if other[0] == "." else f"holds the run {other[0]}"
        raise RunError(
            f"{folder} {held}, and this command would add runs such as {names[0]}, which do not go together. Choose another "
            "run_id."
        )


def _kind(name: str) -> str:
    return re.sub(r"\d+", "N", name)


def _fold(run: Run) -> Fold:
    plan: Mapping[str, Any] = run.config["split"]
    if plan.get("folds") is None:
        raise RunError(f"{run.folder} is no fold of a cross-validation: it was trained without folds=...")
    check_finished(run)
    return Fold(run, int(plan["fold"]), int(plan["folds"]))


def check_finished(run: Run) -> None:
    """Refuse a run whose test is not judged yet."""
    if "judge" not in stages_done(run) or not run.evaluation_file.is_file():
        raise RunError(f"{run.folder} is not finished; let the training finish (the same command goes on with it).")


def check_settings(folds: Sequence[Fold], *, but: Sequence[str] = ()) -> None:
    """Refuse runs that differ from the first in more than what folds differ in, and the settings named by `but`."""
    first, *others = ({key: value for key, value in fold.settings().items() if key not in but} for fold in folds)
    for fold, settings in zip(folds[1:], others, strict=True):
        changed = differences(settings, first)
        if changed:
            shown = "\n".join(f"  - {line}" for line in changed[:_MOST_TOLD])
            raise RunError(
                f"{fold.run.folder} was trained with other settings than {folds[0].run.folder}:\n{shown}\n"
                "Only runs of the same settings say something together."
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


def check_data(folds: Sequence[Fold]) -> None:
    """Refuse runs whose classes or files are not those of the first."""
    for fold in folds[1:]:
        if fold.run.facts["class_names"] != folds[0].run.facts["class_names"]:
            raise RunError(f"{fold.run.folder} has other classes than {folds[0].run.folder}; train all runs again.")
        if fold.provenance["data_fingerprint"] != folds[0].provenance["data_fingerprint"]:
            raise RunError(
                f"the images or tables changed between {folds[0].run.folder} and {fold.run.folder}; train all runs again."
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
