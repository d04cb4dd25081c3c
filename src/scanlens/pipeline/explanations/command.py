"""`scanlens explain`: the explanations of a finished run are put to the test, and its page is written again."""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scanlens.explain.limits_plan import LimitsPlan
from scanlens.explain.shortcut_plan import ShortcutPlan
from scanlens.files import write_json
from scanlens.pipeline import only_writer
from scanlens.pipeline.explanations.card import usefulness
from scanlens.pipeline.explanations.measured_on import measured_on
from scanlens.pipeline.explanations.stamps import renew_stamps
from scanlens.pipeline.explanations.subject import Subject, open_subject
from scanlens.report.page import write_report
from scanlens.runs import Run

log = logging.getLogger(__name__)


def explain(
    run_dir: Path,
    *,
    parts: Sequence[str],
    max_cases: int,
    methods: Sequence[str] | None = None,
    shortcut_plan: ShortcutPlan | None = None,
    limits: LimitsPlan | None = None,
) -> dict[str, Any]:
    """Put the explanations of a finished run to the test, write `explanations/<part>.json` and the page again.

    Args:
        run_dir: folder of a finished run of a classifier.
        parts: of `scanlens.explain.parts.PARTS`.
        max_cases: images looked at by parts that cost passes for each.
        methods: options of the group `explain` that the score card compares beside the run's own; None for the usual ones.
        shortcut_plan: what the part `shortcuts` is asked beyond what it always asks.
        limits: what the part `limits` tries; None for what suits the images.

    Returns:
        The contents of the files, by part.

    Raises:
        RunError: if it is no finished run of a classifier with test images.
    """
    subject = open_subject(run_dir, max_cases=max_cases, methods=methods, shortcut_plan=shortcut_plan, limits=limits)
    with only_writer(subject.run.folder):
        found = {part: _measured(subject, part) for part in parts}
        renew_stamps(subject.run)
        found |= _with_usefulness(subject.run, parts)
        if subject.run.report_file.is_file():
            write_report(subject.run.folder)
    log.info("written to %s", subject.run.explanations)
    return found


def _with_usefulness(run: Run, parts: Sequence[str]) -> dict[str, Any]:
    """The score card with what verdicts say beside its heading `usefulness`, whichever of the two was measured last."""
    card = usefulness.add_usefulness(run)
    if card is None or not {"score_card", "verdicts"} & set(parts):
        return {}
    log.info("%s\n", "\n".join(usefulness.lines(card)))
    return {"score_card": card} if "score_card" in parts else {}


def _measured(subject: Subject, part: str) -> dict[str, Any]:
    """One part; each is a module of this room with `measure(subject)` and `lines(content)`."""
    module = importlib.import_module(f"scanlens.pipeline.explanations.{part}")
    log.info("%s ...", part.replace("_", " "))
    started = time.perf_counter()
    content: dict[str, Any] = {"schema_version": 1, "measured_on": measured_on(subject.run), **module.measure(subject)}
    content["duration_s"] = round(time.perf_counter() - started, 1)
    subject.run.explanations.mkdir(exist_ok=True)
    write_json(subject.run.explanations / f"{part}.json", content)
    log.info("%s\n", "\n".join(module.lines(content)))
    return content
