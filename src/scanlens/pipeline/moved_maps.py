"""The explanations of a run, with their maps moved where the run measured on validation that this helps.

`callbacks.register_maps=true` measures while the test images are explained and writes explanations/moves.json; whoever
explains with this run afterwards moves the maps in the same way.

It is off by default. Of HiResCAM maps of five LeNets trained on the MRI phantoms one was moved (its peak then lay in the
lesion in 70 % in place of 36 % of cases), the other four stayed; of five LeNets on two real data sets none was moved, and
moving them all the same would have changed hits by between -0.06 and +0.08.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

from scanlens.data.module import ScanData
from scanlens.errors import RunError
from scanlens.explain.base import Explainer
from scanlens.explain.registration import registered
from scanlens.files import write_json
from scanlens.models.base import Network
from scanlens.pipeline.build import build_explainers
from scanlens.runs import Run

log = logging.getLogger(__name__)
FILE = "moves.json"
MOST_IMAGES = 100  # of validation


def explainers_of(run: Run, network: Network) -> list[Explainer]:
    """The methods that the run was configured with, the one to be believed first, moved as the run has measured.

    Raises:
        RunError: if moves.json cannot be understood.
    """
    return _moved(build_explainers(run, network), _stored(run))


def measured_explainers(run: Run, network: Network, data: ScanData, explainers: Sequence[Explainer]) -> list[Explainer]:
    """The same methods, moved where validation supports it; what was measured is written to moves.json.

    Called when the validation images have been predicted.
    """
    from scanlens.pipeline.explanations.registration import measured_moves  # opens runs, and so needs this package
    from scanlens.pipeline.explanations.subject import Subject

    moves = measured_moves(Subject(run, network, data, MOST_IMAGES), explainers)
    run.explanations.mkdir(exist_ok=True)
    write_json(run.explanations / FILE, {"schema_version": 1, "methods": moves})
    for name, move in moves.items():
        told = f"moved by {move['shift_yx']} px" if move["is_accepted"] else f"not moved: {move['reason']}"
        log.info("maps of %s: %s", name, told)
    return _moved(explainers, moves)


def _moved(explainers: Sequence[Explainer], moves: dict[str, Any]) -> list[Explainer]:
    found = []
    for one in explainers:
        move = moves.get(one.name) or {"is_accepted": False}
        if move["is_accepted"]:
            down, right = move["shift_yx"]
            found.append(registered(one, (down, right)))
        else:
            found.append(one)
    return found


def _stored(run: Run) -> dict[str, Any]:
    path = run.explanations / FILE
    if not path.is_file():
        return {}
    try:
        methods = json.loads(path.read_text(encoding="utf-8"))["methods"]
        accepted = [one["shift_yx"] for one in methods.values() if one["is_accepted"]]
        if not all(len(way) == 2 and all(isinstance(step, int | float) for step in way) for way in accepted):
            raise ValueError(f"shifts are {accepted}")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunError(f"{path} cannot be understood ({error!r}). Restore it, or explain the run again.") from error
    return dict(methods)
