"""`missed/`: pictures of what the operating point misses and of its false alarms on the test split, surest mistake first.

Units are patients where they are known, else images; of images that are near-duplicates of each other one is drawn, and the others
are counted. Nothing here names a patient or a file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.callbacks.predictions import index_of
from scanlens.evaluation.calibrator import Calibrator
from scanlens.evaluation.checks import Floats
from scanlens.files import write_json
from scanlens.pipeline.patients import groups_in_split, read_predicted
from scanlens.report.sheets import row_png
from scanlens.runs import Config, Run

MOST_MISSED = 24
MOST_FALSE_ALARMS = 12
MOST_IN_A_ROW = 6
_KINDS = {"missed": ("missed", MOST_MISSED), "false_alarms": ("false_alarm", MOST_FALSE_ALARMS)}
Picture = Callable[[int], NDArray[np.floating]]


@dataclass(frozen=True, slots=True)
class _Images:
    """The test images.

    Args:
        rows: of predictions/test.csv.
        score_N: probability of the positive class of each, calibrated like that which meets the threshold, in [0, 1].
        group_N: of near-duplicates, the name of that of each; None where units are patients.
    """

    rows: Sequence[Mapping[str, str]]
    score_N: Floats
    group_N: Sequence[str] | None


def write_mistakes(run: Run, evaluation: Config, picture: Picture) -> None:
    """Write pictures and `cases.json` into `missed/` of a run; nothing where there is no operating point.

    Args:
        run: with predictions of the test split.
        evaluation: contents of evaluation.json.
        picture: gives the image at a place of split.csv, (C, H, W) in [0, 1].
    """
    for former in run.mistakes.glob("*.png"):
        former.unlink()
    (run.mistakes / "cases.json").unlink(missing_ok=True)
    decisions = evaluation.get("decisions") or {}
    chosen = decisions.get("chosen") or {}
    if chosen.get("test") is None:
        return
    images = _test_images(run, evaluation)
    listed = {kind: _listed(chosen, images, kind, folder=run.mistakes, picture=picture) for kind in _KINDS}
    content = {
        "schema_version": 1,
        "positive": decisions["positive"],
        "unit": decisions["unit"],
        "threshold": chosen["threshold"],
        **{f"num_{kind}": len(chosen[f"{key}_images"]) for kind, (key, _) in _KINDS.items()},
        **listed,
    }
    write_json(run.mistakes / "cases.json", content)


def _test_images(run: Run, evaluation: Config) -> _Images:
    test, names = read_predicted(run, "test"), run.facts["class_names"]
    calibrator = Calibrator.from_dict(evaluation["calibration"]["choice"]["calibrator"])
    members = [names.index(name) for name in evaluation["decisions"]["members"]]
    is_by_image = evaluation["decisions"]["unit"] == "image"
    score_N = calibrator.apply(test.probabilities_NK)[:, members].sum(axis=1)
    return _Images(test.rows, score_N, groups_in_split(run, test.rows) if is_by_image else None)


def _listed(chosen: Config, images: _Images, kind: str, *, folder: Path, picture: Picture) -> list[dict[str, Any]]:
    key, most = _KINDS[kind]
    units = list(zip(chosen[f"{key}_images"], chosen[f"{key}_scores"], strict=True))
    alike: dict[object, list[tuple[Sequence[int], float]]] = {}
    for place, (rows, score) in enumerate(units):
        alike.setdefault(place if images.group_N is None else images.group_N[rows[0]], []).append((rows, score))
    return [
        _unit(*first, images, kind, num_alike=len(others), folder=folder, picture=picture)
        for first, *others in list(alike.values())[:most]
    ]


def _unit(
    rows: Sequence[int],
    score: float,
    images: _Images,
    kind: str,
    *,
    num_alike: int,
    folder: Path,
    picture: Picture,
) -> dict[str, Any]:
    """One mistake: a row of pictures, those most like the positive class first."""
    ordered = sorted(rows, key=lambda row: (-images.score_N[row], row))
    shown = [images.rows[row] for row in ordered[:MOST_IN_A_ROW]]
    case = shown[0]["case"]
    name = f"{kind.replace('_', '-')}_{case}.png"
    row_png([picture(index_of(one)) for one in shown], folder / name)
    return {
        "case": case,
        "score": score,
        "target": _distinct(rows, images, "target"),
        "predicted": _distinct(rows, images, "predicted"),
        "num_images": len(rows),
        "num_alike": num_alike,
        "shown": [
            {"case": one["case"], "score": round(float(images.score_N[row]), 6), "predicted": one["predicted"]}
            for one, row in zip(shown, ordered, strict=False)
        ],
        "picture": name,
    }


def _distinct(rows: Sequence[int], images: _Images, column: str) -> dict[str, int]:
    """How many images of a unit say what, the most frequent first."""
    said = [images.rows[row][column] for row in rows]
    return {name: said.count(name) for name in sorted(set(said), key=lambda one: (-said.count(one), one))}
