"""Passes with dropout on in a run: columns of the predictions, and whether they tell errors better than probabilities do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from scanlens.callbacks.predictions import index_of
from scanlens.config import build
from scanlens.data.module import ScanData
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.intervals import entry, mean_interval
from scanlens.evaluation.metrics import log_loss_per_image
from scanlens.evaluation.plans import UncertaintyPlan
from scanlens.evaluation.selective import compare_confidences, risk_coverage
from scanlens.evaluation.uncertainty import Together, together
from scanlens.files import read_csv, write_csv
from scanlens.models.base import Network
from scanlens.models.mc_dropout import mc_probabilities
from scanlens.pipeline.patients import Predicted, read_predicted
from scanlens.pipeline.progress import progress_bar
from scanlens.runs import Config, Run

PLAIN = "max_probability"
ENTROPY, INFORMATION, MEAN = "entropy", "mutual_information", "mean_prob"  # columns of the predictions


def passes_of(config: Config) -> int:
    """Passes with dropout on that a run asks for; 0 where it is of a version that knew none."""
    plan: UncertaintyPlan = build(config["uncertainty"]) if "uncertainty" in config else UncertaintyPlan()
    return plan.mc_passes


def add_passes(run: Run, network: Network, data: ScanData, splits: Sequence[str]) -> None:
    """Add mean probabilities, entropy and mutual information of the passes to `predictions/<split>.csv`.

    Raises:
        ModelError: the network has no dropout.
    """
    passes = passes_of(run.config)
    for split in splits:
        path = run.predictions / f"{split}.csv"
        rows = read_csv(path)
        found = _together(run, network, data, [index_of(row) for row in rows], passes=passes)
        table = [row | new for row, new in zip(rows, columns_of(found, run.facts["class_names"]), strict=True)]
        write_csv(path, list(table[0]), table)


def columns_of(found: Together, class_names: Sequence[str]) -> list[dict[str, str]]:
    """Columns of each image: `mean_prob_<class>`, `entropy` and `mutual_information`, in nats."""
    return [
        {
            **{f"{MEAN}_{name}": f"{p:.9g}" for name, p in zip(class_names, found.probabilities_NK[n], strict=True)},
            ENTROPY: f"{found.entropy_N[n]:.9g}",
            INFORMATION: f"{found.mutual_information_N[n]:.9g}",
        }
        for n in range(len(found.entropy_N))
    ]


def judge_passes(run: Run) -> dict[str, Any]:
    """`uncertainty` of evaluation.json; nothing where the run made no passes.

    Answers are those of the network itself; what is judged is whether the passes tell which of them are wrong.
    """
    passes, test = passes_of(run.config), read_predicted(run, "test")
    if not passes or not test.rows:
        return {}
    names = run.facts["class_names"]
    mean_NK = np.array([[float(row[f"{MEAN}_{name}"]) for name in names] for row in test.rows])
    confidences = {
        PLAIN: test.probabilities_NK.max(axis=1),
        "mean_probability": mean_NK.max(axis=1),
        ENTROPY: -_column(test, ENTROPY),
        INFORMATION: -_column(test, INFORMATION),
    }
    losses = [log_loss_per_image(one, test.target_N) for one in (test.probabilities_NK, mean_NK)]
    gain_N = losses[0] - losses[1]
    judged = judge_orders(test, test.probabilities_NK, confidences, run.config)
    told = {"method": "mc_dropout", "members": passes}
    return {
        "uncertainty": told | judged | {"log_loss_gain": entry(float(gain_N.mean()), mean_interval(gain_N, test.units))}
    }


def judge_orders(
    test: Predicted, answers_NK: Floats, confidences: Mapping[str, Floats], config: Config
) -> dict[str, Any]:
    """How well each confidence orders the same answers: curves, areas, and the paired gain over the first.

    Args:
        test: targets, and who the images are of.
        answers_NK: probabilities whose largest is the answer.
        confidences: name to confidence_N, higher is surer.
        config: of the run: seed and number of resamples.
    """
    how = {"groups": test.units, "seed": config["seed"]}
    curves = {
        name: risk_coverage(answers_NK, test.target_N, num_resamples=0, confidence_N=given, **how)
        for name, given in confidences.items()
    }
    compared = compare_confidences(
        confidences,
        answers_NK.argmax(axis=1) != test.target_N,
        num_resamples=config["callbacks"]["bootstrap_resamples"],
        **how,
    )
    orders = {name: compared[name] | {"coverage": curve.coverage, "risk": curve.risk} for name, curve in curves.items()}
    return {"orders": orders, "error_rate": curves[next(iter(curves))].error_rate, "num_images": len(test.rows)}


def _column(test: Predicted, name: str) -> Floats:
    return np.array([float(row[name]) for row in test.rows])


def _together(run: Run, network: Network, data: ScanData, index_N: Sequence[int], *, passes: int) -> Together:
    seed, found = run.config["seed"], []
    with progress_bar("passes with dropout", total=len(index_N)) as advance:
        for index in index_N:
            x_CHW, _ = data.image_and_mask(index)
            found.append(mc_probabilities(network, x_CHW, passes=passes, seed=seed, index=index).numpy())
            advance(1)
    return together(np.stack(found, axis=1))
