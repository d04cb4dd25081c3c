"""How well a run does in groups of its test images, and how much its images are worth: parts of evaluation.json."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from scanlens.data.shortcut_features import is_place
from scanlens.errors import ConfigError, did_you_mean
from scanlens.evaluation.bands import as_numbers, in_bands
from scanlens.evaluation.classification import FEW_PATIENTS
from scanlens.evaluation.naive import design_effect, naive_interval
from scanlens.evaluation.subgroups import evaluate_subgroups
from scanlens.files import read_csv
from scanlens.pipeline.patients import Predicted, read_predicted
from scanlens.runs import Config, Run

MOST_COLUMNS = 6
MOST_GROUPS = 12
INDEX = "index"
_FIRST = (
    "site",
    "center",
    "centre",
    "hospital",
    "institution",
    "scanner",
    "manufacturer",
    "stain",
    "sex",
    "gender",
    "age",
)


def judge_groups(run: Run, judged: Config) -> dict[str, Any]:
    """`subgroups` (column to groups with metrics and the largest gap) and `design_effect` of the test split.

    Args:
        run: with predictions.
        judged: `splits` of evaluation.json.

    Raises:
        ConfigError: a column is asked for that there is not.
    """
    test = read_predicted(run, "test")
    if not test.rows:
        return {}
    return {"subgroups": _subgroups(run, test), "design_effect": _design_effect(run, test, judged["test"]["slice"])}


def _subgroups(run: Run, test: Predicted) -> dict[str, Any]:
    columns = _columns(run, test)
    found: dict[str, Any] = {}
    for name, cells in columns.items():
        numbers = as_numbers(cells)
        labels, order = (cells, None) if numbers is None else in_bands(numbers)
        if not 2 <= len({label for label in labels if label}) <= MOST_GROUPS:
            continue
        found[name] = evaluate_subgroups(
            test.probabilities_NK,
            test.target_N,
            labels,
            class_names=run.facts["class_names"],
            patients=test.patients,
            groups=test.groups,
            order=order,
            seed=run.config["seed"],
            num_resamples=run.config["callbacks"]["bootstrap_resamples"],
        ).as_dict()
    return found


def _columns(run: Run, test: Predicted) -> dict[str, list[str]]:
    """Cells of the columns that make groups, one an image of test."""
    wanted: Sequence[str] | str = run.config["subgroups"]
    rows = {row[INDEX]: row for row in read_csv(run.meta_file)} if run.meta_file.is_file() else {}
    known = [name for name in next(iter(rows.values()), {}) if name != INDEX]
    if wanted != "auto" and (absent := [name for name in wanted if name not in known]):
        raise ConfigError([f"subgroups: there is no column '{absent[0]}'. {did_you_mean(absent[0], known)}"])
    chosen = [name for name in known if not is_place(name)] if wanted == "auto" else list(wanted)
    of_index = [rows.get(str(int(row["case"].rpartition("-")[2])), {}) for row in test.rows] if chosen else []
    cells = {name: [row.get(name, "") for row in of_index] for name in chosen}
    if wanted != "auto":
        return cells
    telling = [pair for pair in cells.items() if _is_telling(pair[1], test)]
    return dict(sorted(telling, key=lambda pair: not is_asked_first(pair[0]))[:MOST_COLUMNS])


def is_asked_first(name: str) -> bool:
    """Whether a column says where, or of whom, an image was taken: guidelines ask for these before all others."""
    return any(word in _FIRST for word in re.split(r"[^a-z]+", name.lower()))


def _is_telling(cells: Sequence[str], test: Predicted) -> bool:
    """Numbers, or few words of which two are of enough patients each to be compared."""
    if as_numbers(cells) is not None:
        return True
    words = {cell for cell in cells if cell}
    if not 2 <= len(words) <= MOST_GROUPS:
        return False
    unit_N = test.units.patient_N
    counts = [len({int(u) for u, cell in zip(unit_N, cells, strict=True) if cell == word}) for word in words]
    return sum(count >= FEW_PATIENTS for count in counts) >= 2


def _design_effect(run: Run, test: Predicted, images: Config) -> dict[str, Any] | None:
    """The interval over patients beside one that takes every image for another patient."""
    metric = "auroc"
    naive = naive_interval(
        test.probabilities_NK,
        test.target_N,
        class_names=run.facts["class_names"],
        metric=metric,
        seed=run.config["seed"],
        num_resamples=run.config["callbacks"]["bootstrap_resamples"],
    )
    found = design_effect(images["metrics"][metric], naive, metric=metric, num_images=len(test.rows))
    return None if found is None or not images["num_patients"] else asdict(found)
