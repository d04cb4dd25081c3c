"""`explanations/calls.json`: what the choices of a run say of its own explained test cases, as they would of new ones.

Nothing is chosen here: calibration, threshold, sets and referral come from evaluation.json, which chose them on validation.

Legend of axes: N images, K classes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.errors import RunError
from scanlens.evaluation.checks import Floats
from scanlens.evaluation.similar_scores import similar_scores
from scanlens.files import write_json
from scanlens.pipeline.calls import WORDS, Call, Calls, read_calls
from scanlens.pipeline.intake import NewImage
from scanlens.pipeline.new_patients import Judged, NewPatient
from scanlens.pipeline.patients import Predicted, read_predicted
from scanlens.pipeline.shown_patients import pseudonym_of_patient
from scanlens.runs import Run

log = logging.getLogger(__name__)


def write_case_calls(run: Run) -> None:
    """Write the file for the cases in explanations/cases.json; nothing where there are none, or no classes.

    A file that cannot be made is told in a line and costs nothing else.
    """
    cases = run.explanations / "cases.json"
    if run.facts["task"] != "classification" or not cases.is_file() or not run.evaluation_file.is_file():
        return
    try:
        listed = [str(one["case"]) for one in json.loads(cases.read_text(encoding="utf-8"))["cases"]]
        write_json(run.explanations / "calls.json", case_calls(run, listed))
    except (RunError, ValueError, KeyError, TypeError) as error:
        log.warning("explanations/calls.json was not written: %s", error)


def case_calls(run: Run, cases: Sequence[str]) -> dict[str, Any]:
    """The contents of the file.

    Args:
        run: judged.
        cases: names of test images.

    Returns:
        `positive` (the class not to miss), `unit` that is called, `threshold`, `reasons` (why a part is missing) and `cases`: of each
        calibrated probabilities, score, call, set, referral, the same of its `patient`, `similar_scores`, and `as_sure`: of test images of
        others whose predicted class was stated about as probable, how many answers were right.
    """
    test, calls, pseudonym_of = read_predicted(run, "test"), read_calls(run), pseudonym_of_patient(run)
    judged = [
        Judged(row["case"], NewImage("", _unread, patient=row["patient"]), row_K)
        for row, row_K in zip(test.rows, test.probabilities_NK, strict=True)
    ]
    found = calls.of_images(judged)
    place, units = {row["case"]: n for n, row in enumerate(test.rows)}, test.units
    score_N, is_positive_N = _scores(test, found, calls)
    top_N, is_right_N = (
        np.clip(test.probabilities_NK.max(axis=1), 0, 1),
        test.probabilities_NK.argmax(axis=1) == test.target_N,
    )
    return {
        "schema_version": 1,
        "positive": None if calls.target is None else calls.target.name,
        "members": [] if calls.target is None else [calls.names[k] for k in calls.target.members],
        "unit": None if calls.point is None else calls.point.unit,
        "threshold": None if calls.point is None else calls.point.threshold,
        "is_calibrated": calls.is_calibrating,
        "reasons": calls.reasons,
        "cases": {
            case: {"pseudonym": pseudonym_of(test.patients[place[case]])}
            | _as_dict(found[case], calls)
            | {"patient": _patient(place[case], test, judged, found, calls)}
            | {
                "similar_scores": None
                if score_N is None
                else similar_scores(place[case], score_N, is_positive_N, units)
            }
            | {"as_sure": similar_scores(place[case], top_N, is_right_N, units)}
            for case in cases
            if case in place
        },
    }


def _as_dict(call: Call, calls: Calls) -> dict[str, Any]:
    calibrated_K = call.calibrated_K
    return {
        "calibrated": None
        if calibrated_K is None
        else dict(zip(calls.names, (float(p) for p in calibrated_K), strict=True)),
        "score": call.score,
        "called": None if call.is_called is None else WORDS[call.is_called],
        "set": None if call.likely is None else list(call.likely),
        "refer": call.is_referred,
    }


def _patient(
    n: int, test: Predicted, judged: Sequence[Judged], found: dict[str, Call], calls: Calls
) -> dict[str, Any] | None:
    """All images of the patient together; None where the patient is unknown."""
    name = test.patients[n]
    if name is None:
        return None
    own = [one for one, patient in zip(judged, test.patients, strict=True) if patient == name]
    call = calls.of_patient(NewPatient(name, own, [], None), found)
    return {
        "num_images": len(own),
        "score": call.score,
        "called": None if call.is_called is None else WORDS[call.is_called],
    }


def _scores(test: Predicted, found: dict[str, Call], calls: Calls) -> tuple[Floats | None, NDArray[np.bool_]]:
    """Of each image the score and whether it is positive; no scores where no class was named as the one not to miss."""
    scores = [found[row["case"]].score for row in test.rows]
    members = () if calls.target is None else calls.target.members
    is_positive_N = np.isin(test.target_N, members)
    if calls.target is None or any(score is None for score in scores):
        return None, is_positive_N
    return np.array(scores, dtype=np.float64), is_positive_N


def _unread() -> Any:
    raise RunError("This image was judged before and is not read again.")
