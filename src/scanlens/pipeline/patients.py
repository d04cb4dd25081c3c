"""Images joined to patients in a run: the rule that validation chooses, and the tables of patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from scanlens.callbacks.predictions import index_of
from scanlens.errors import ConfigError
from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.patient_rules import PatientRule
from scanlens.evaluation.patients import MIXED, join_images, positive_of
from scanlens.evaluation.resampling import PatientGroups, group_patients
from scanlens.evaluation.rule_choice import RuleChoice, candidates_of, choose_rule
from scanlens.files import read_csv, write_csv
from scanlens.runs import Config, Run
from scanlens.types import Record


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the network said of the images of one split.

    Args:
        rows: of `predictions/<split>.csv`.
        probabilities_NK, target_N: of the images, in this order.
        patients: name of the patient of each image, None if unknown.
        groups: group of each image in `split.csv`.
    """

    rows: list[dict[str, str]]
    probabilities_NK: Floats
    target_N: Ints
    patients: list[str | None]
    groups: list[str]

    @property
    def units(self) -> PatientGroups:
        """Who is resampled together."""
        return group_patients(self.patients, self.target_N, groups=self.groups)


@dataclass(frozen=True, slots=True)
class PatientPlan:
    """How images become patients in one run.

    Args:
        choice: the rule, and why it is this one.
        positive: number of the class that one image is enough for; None for none.
    """

    choice: RuleChoice
    positive: int | None

    def as_dict(self, class_names: Sequence[str], *, noun: str) -> dict[str, Any]:
        """For `evaluation.json`."""
        positive = None if self.positive is None else class_names[self.positive]
        return {
            **self.choice.as_dict(),
            "positive_class": positive,
            "unit": noun,
            "words": self.choice.rule.words(noun),
        }


def read_predicted(run: Run, split: str) -> Predicted:
    """The predictions of one split; none if there is no such table."""
    path, names = run.predictions / f"{split}.csv", run.facts["class_names"]
    rows = read_csv(path) if path.is_file() else []
    probabilities = np.array([[float(row[f"prob_{name}"]) for name in names] for row in rows])
    return Predicted(
        rows,
        probabilities.reshape(len(rows), len(names)),
        np.array([names.index(row["target"]) for row in rows], dtype=np.int64),
        [row["patient"] or None for row in rows],
        groups_in_split(run, rows),
    )


def groups_in_split(run: Run, rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The group, in `split.csv`, of each image of a table of predictions."""
    group_of = {row["index"]: row["group"] for row in run.split_rows}
    return [group_of[str(index_of(row))] for row in rows]


def patient_plan(run: Run) -> PatientPlan:
    """The rule of this run; where it may be chosen, by validation patients alone."""
    settings, val = run.config["callbacks"], read_predicted(run, "val")
    positive = positive_class(run.config, run.facts["class_names"])
    candidates = candidates_of(settings["patient_rule"], settings["patient_top_k"])
    choice = choose_rule(candidates, val.probabilities_NK, val.target_N, val.patients, positive=positive)
    return PatientPlan(choice, positive)


def positive_class(config: Config, class_names: Sequence[str]) -> int | None:
    """Number of the class that one image is enough for; None for none.

    Raises:
        ConfigError: the setting does not fit the classes.
    """
    try:
        return positive_of(class_names, config["callbacks"]["positive_class"])
    except ValueError as error:
        raise ConfigError([f"callbacks.positive_class={config['callbacks']['positive_class']}: {error}."]) from error


def write_patients(run: Run, split: str, predicted: Predicted, plan: PatientPlan) -> None:
    """`predictions/<split>_patients.csv`, if any patient is known; a target is empty where his images are of several classes."""
    names = run.facts["class_names"]
    known = join_images(
        predicted.probabilities_NK,
        predicted.target_N,
        predicted.patients,
        rule=plan.choice.rule,
        positive=plan.positive,
    )
    rows = [
        {
            "patient": name,
            "target": None if known.target_P[p] == MIXED else names[known.target_P[p]],
            **verdict(known.probabilities_PK[p], names),
            "num_images": int(known.num_images_P[p]),
        }
        for p, name in enumerate(known.names)
    ]
    if rows:
        write_csv(run.predictions / f"{split}_patients.csv", list(rows[0]), rows, private=True)


def verdict(probabilities_K: Floats, class_names: Sequence[str]) -> dict[str, Any]:
    """Columns `predicted` and `prob_<class>`."""
    named = {f"prob_{name}": f"{p:.9g}" for name, p in zip(class_names, probabilities_K.tolist(), strict=True)}
    return {"predicted": class_names[int(probabilities_K.argmax())], **named}


def rule_of(judged: Config, class_names: Sequence[str]) -> tuple[PatientRule, int | None]:
    """The rule, and the positive class, that a run's `evaluation.json` holds; the mean if it holds none.

    Raises:
        ValueError: if what it holds makes no sense.
    """
    known = judged.get("patient_rule") or {}
    rule = PatientRule(known.get("name", "mean"), known.get("k"))
    return rule, positive_of(class_names, known.get("positive_class"))


def places_in_volumes(records: Sequence[Record]) -> list[dict[str, Any]]:
    """Rows index, volume and slice of `volumes.csv`: where in its volume each slice lies; none for pictures."""
    return [
        {"index": index, "volume": record.meta["volume"], "slice": record.meta["slice"]}
        for index, record in enumerate(records)
        if "volume" in record.meta and isinstance(record.meta.get("slice"), int)
    ]
