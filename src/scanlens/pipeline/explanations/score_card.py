"""The score card of a run's explanations: methods beside controls, under consistency, plausibility, fidelity, usefulness."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from scanlens.evaluation.explanations import score_card as rules
from scanlens.explain.randomization import depths, layers_from_top
from scanlens.files import write_csv
from scanlens.pipeline.explanations.card.budget import Prices, prices
from scanlens.pipeline.explanations.card.compared import Method, compared_methods
from scanlens.pipeline.explanations.card.content import Setting, method_content
from scanlens.pipeline.explanations.card.images import CardImages, images_with_a_finding, images_with_a_lesion
from scanlens.pipeline.explanations.card.labels import shuffled_labels_network
from scanlens.pipeline.explanations.card.measuring import (
    STEPS_OF_PROGRESS,
    Measured,
    mapped,
    measure_consistency,
    measure_labels,
    measure_plausibility,
    measure_randomization,
    measure_removal,
)
from scanlens.pipeline.explanations.card.plan import (
    MOST_PASSES_S,
    MOST_STEPS,
    MethodPlan,
    RemovalPlan,
    method_plan,
    removal_plan,
)
from scanlens.pipeline.explanations.card.plausibility import TOLERANCE_MM, tolerance_px
from scanlens.pipeline.explanations.card.randomization import NUM_SEEDS
from scanlens.pipeline.explanations.card.rows import CASE_COLUMNS, COLUMNS, card_rows, case_rows
from scanlens.pipeline.explanations.subject import Subject
from scanlens.pipeline.progress import progress_bar
from scanlens.pipeline.shown_patients import pseudonym_of_patient

TRAINING_RUNS_FILE = "seeds.json"
"""Of other training runs; under `methods`, by name, {status, reason} on whether they point to the same places."""
WORDS = {"PASS": "passes", "FAIL": "FAILS", "NOT ASSESSED": "not assessed"}


@dataclass(frozen=True, slots=True)
class _Study:
    """What is looked at, settled before anything is measured.

    Args:
        found, marked, val: images with a finding; test and validation images with a lesion.
        methods, plans: what is compared, and on how many images each.
        left_out: methods that are not, and why.
        layers, steps: names from the output down, and depths to which weights are drawn anew.
        removing: deletion and ROAD, alike for all methods.
        costs: of this network.
    """

    found: CardImages
    marked: CardImages
    val: CardImages
    methods: list[Method]
    plans: list[MethodPlan]
    left_out: list[dict[str, Any]]
    layers: list[str]
    steps: list[int]
    removing: RemovalPlan
    costs: Prices


def measure(subject: Subject) -> dict[str, Any]:
    """The content of score_card.json; score_card.csv and score_card_cases.csv are written beside it.

    Returns:
        `sanity` (randomization of the primary method, {status, reason}), `primary`, `methods` (each with the four headings, a
        status, a reason and numbers {value, low, high, reason, num_images, num_units}), `left_out`, `rules`, and what was
        looked at.
    """
    found, words = images_with_a_finding(subject)
    if not len(found):
        return _empty(f"the network found nothing in any test image ({words}).")
    study = _study(subject, found)
    measured, setting, num_not_reached = _measured(subject, study)
    own = subject.explainers
    content = {
        "sanity": rules.not_assessed("the run shows no maps.").as_dict(),
        "primary": own[0].name if own else None,
        "methods": [method_content(one, measured, setting) for one in measured],
        "left_out": study.left_out,
        "rules": rules.RULES,
        "explained": f"the class that the network named, of test images {words}",
        "images": _images(study, num_not_reached),
        "randomization": {"layers": study.layers, "steps": study.steps, "num_seeds": NUM_SEEDS},
        "removal": study.removing.as_dict(),
        "tolerance": _tolerance(subject.run.facts["input_size"]),
        "cost": _cost(study.costs),
    }
    content["sanity"] = _sanity(content)
    subject.run.explanations.mkdir(exist_ok=True)
    write_csv(subject.run.explanations / "score_card.csv", COLUMNS, card_rows(content))
    rows = case_rows(measured, found, study.marked, pseudonym=pseudonym_of_patient(subject.run))
    write_csv(subject.run.explanations / "score_card_cases.csv", CASE_COLUMNS, rows)
    return content


def lines(content: dict[str, Any]) -> list[str]:
    """For the terminal: one line a method, then what is to be known of the primary one."""
    if not content["methods"]:
        return [f"score card  {content['sanity']['reason']}"]
    width = max(len(method["title"]) for method in content["methods"])
    head = f"{'score card':<{width + 4}}" + "".join(f"{heading:<14}" for heading in rules.HEADINGS)
    rows = [("  " if method["is_control"] else "") + method["title"] for method in content["methods"]]
    found = [head]
    for name, method in zip(rows, content["methods"], strict=True):
        found.append(f"{name:<{width + 4}}" + "".join(f"{WORDS[method[h]['status']]:<14}" for h in rules.HEADINGS))
    found += [f"left out    {one['title']}: {one['reason']}" for one in content["left_out"]]
    found.append(
        f"sanity      {content['primary']}: {WORDS[content['sanity']['status']]}. {content['sanity']['reason']}"
    )
    return [line.rstrip() for line in found]


def _study(subject: Subject, found: CardImages) -> _Study:
    """As much as the network allows in the time that a card may take."""
    facts, network = subject.run.facts, subject.network
    costs = prices(network, input_size=facts["input_size"], in_channels=facts["in_channels"])
    most_passes = max(1, int(MOST_PASSES_S / costs.map_s))
    methods, left_out = compared_methods(
        network, found.x_BCHW[:1], own=subject.explainers, wanted=subject.methods, most_passes=most_passes
    )
    marked, val = images_with_a_lesion(subject, "test"), images_with_a_lesion(subject, "val")
    layers = layers_from_top(network, found.x_BCHW[:1])
    steps = depths(len(layers), MOST_STEPS)
    nums = {"num_found": len(found), "num_marked": len(marked), "num_val": len(val), "num_steps": len(steps)}
    return _Study(
        found=found,
        marked=marked,
        val=val,
        methods=methods,
        plans=[method_plan(method, costs, **nums) for method in methods],
        left_out=left_out,
        layers=layers,
        steps=steps,
        removing=removal_plan(costs, num_found=len(found)),
        costs=costs,
    )


def _measured(subject: Subject, study: _Study) -> tuple[list[Measured], Setting, int]:
    """Every measure of every method, what they have in common, and how many lesions lie where not all maps reach."""
    seed, network, found = subject.seed, subject.network, study.found
    with progress_bar("score card", total=STEPS_OF_PROGRESS * len(study.methods) + NUM_SEEDS) as advance:
        measured = mapped(network, study.methods, study.plans, found, advance)
        change_B = measure_consistency(measured, network, found, seed=seed, advance=advance)
        measure_randomization(
            measured, network, found, layers=study.layers, steps=study.steps, seed=seed, advance=advance
        )
        shuffled = shuffled_labels_network(subject, study.costs)
        measure_labels(measured, shuffled, found)
        measure_removal(measured, network, found, study.removing, seed=seed, advance=advance)
        num_not_reached = measure_plausibility(
            measured, network, found, study.marked, study.val, seed=seed, advance=advance
        )
    of_other_runs = _stored(subject, TRAINING_RUNS_FILE, "methods")
    return measured, Setting(found, study.marked, shuffled, change_B, seed, of_other_runs), num_not_reached


def _images(study: _Study, num_not_reached: int) -> dict[str, Any]:
    """How many of each kind, of whom, and how many were left out."""
    found, marked = study.found, study.marked
    units, units_marked = found.whose.units(), marked.whose.units()
    return {
        "num_found": len(found),
        "num_found_units": units.num_patients,
        "num_found_not_drawn": found.num_not_drawn,
        "num_marked": len(marked),
        "num_marked_units": units_marked.num_patients,
        "num_marked_wrong": marked.num_wrong,
        "num_marked_not_drawn": marked.num_not_drawn,
        "num_marked_not_reached": num_not_reached,
        "num_val_marked": len(study.val),
        "unit": units.unit,
        "resampled": units.resampled,
    }


def _tolerance(side_px: int) -> dict[str, float]:
    return {"px": tolerance_px(side_px), "mm": TOLERANCE_MM, "side_px": side_px}


def _sanity(content: dict[str, Any]) -> dict[str, str]:
    """The verdict of randomization on the primary method."""
    own = [method for method in content["methods"] if method["name"] == content["primary"]]
    if not own:
        return dict(content["sanity"])
    part = own[0]["fidelity"]["randomization"]
    return {"status": part["status"], "reason": part["reason"]}


def _stored(subject: Subject, name: str, key: str) -> dict[str, Any] | None:
    """What another part of the test has found, if it was done."""
    path = subject.run.explanations / name
    found = json.loads(path.read_text(encoding="utf-8")).get(key) if path.is_file() else None
    return found if isinstance(found, dict) else None


def _empty(reason: str) -> dict[str, Any]:
    return {
        "sanity": rules.not_assessed(reason).as_dict(),
        "primary": None,
        "methods": [],
        "left_out": [],
        "rules": rules.RULES,
    }


def _cost(costs: Prices) -> dict[str, float]:
    return {"nominal_s_per_pass": costs.forward_s, "nominal_s_per_map": costs.map_s}
