"""Verdicts given within a training are given anew when more is known of the network; nothing is measured again."""

from __future__ import annotations

import json

from scanlens.callbacks.case_verdicts import sanity_of
from scanlens.evaluation.explanations.verdict import verdict_of
from scanlens.files import write_json
from scanlens.pipeline.explanations.asked import verdict_plan
from scanlens.runs import Run


def renew_stamps(run: Run) -> None:
    """Judge the maps of `explanations/cases.json` again by what the score card of the run now says of its network."""
    path = run.explanations / "cases.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if "verdict" not in content:
        return
    plan = verdict_plan(run)
    for case in content["cases"]:
        for entry in case["maps"]:
            if (entry.get("verdict") or {}).get("measured"):
                sanity = sanity_of(run.explanations, entry["method"])
                entry["verdict"] |= verdict_of(entry["verdict"]["measured"], plan, sanity).as_dict()
    content["verdict"]["sanity"] = sanity_of(run.explanations).as_dict()
    write_json(path, content)
