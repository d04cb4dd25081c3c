"""After training, in one process: the best weights predict val and test once, evaluation and explanations follow."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from functools import partial

import pytorch_lightning as pl

from scanlens.callbacks.case_choice import choose_classified, choose_scored
from scanlens.callbacks.explanations import ExplanationWriter
from scanlens.callbacks.predictions import PredictionWriter, classification_columns, named_columns
from scanlens.config import build
from scanlens.data.degradation_kinds import RobustnessPlan
from scanlens.data.module import ScanData
from scanlens.data.thumbnail_rows import ThumbnailRows
from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.nearest import nearest_neighbor_scores
from scanlens.evaluation.reconstruction import evaluate_reconstruction
from scanlens.explain.base import Explainer
from scanlens.explain.contrast import Contrast
from scanlens.files import read_csv, write_json
from scanlens.models.base import Network
from scanlens.models.weights import load_weights
from scanlens.pipeline.build import build_explainers, build_task, rebuild_network
from scanlens.pipeline.case_calls import write_case_calls
from scanlens.pipeline.context import add_context
from scanlens.pipeline.explanations.asked import verdict_writer
from scanlens.pipeline.fingerprint import write_fingerprint
from scanlens.pipeline.fit import plain_interrupts, silent_trainer
from scanlens.pipeline.mistakes import write_mistakes
from scanlens.pipeline.monitored import best_epoch, best_value
from scanlens.pipeline.moved_maps import measured_explainers
from scanlens.pipeline.patients import PatientPlan, groups_in_split, patient_plan, read_predicted, write_patients
from scanlens.pipeline.robustness import write_robustness
from scanlens.pipeline.run_images import open_data
from scanlens.pipeline.subgroups import judge_groups
from scanlens.pipeline.trust import judge_trust
from scanlens.pipeline.uncertainty import add_passes, judge_passes, passes_of
from scanlens.runs import Config, Run
from scanlens.tasks.reconstruction import OUTPUT_NAMES

log = logging.getLogger(__name__)


def judge(run: Run) -> None:
    """Write predictions, explanations, mistakes and evaluation.json of a run with finished training."""
    network = rebuild_network(run.config)
    load_weights(run.weights_file, network)
    data = open_data(run)
    splits = [split for split in ("val", "test") if run.indices(split)]
    trainer = silent_trainer(run, callbacks=_writers(run, network, data, splits))
    task = build_task(run.config, network)
    with plain_interrupts():
        trainer.predict(task, dataloaders=[data.evaluation_loader(split) for split in splits], return_predictions=True)
    if passes_of(run.config):
        add_passes(run, network, data, splits)
    evaluation = evaluate(run, splits, data)
    write_mistakes(run, evaluation, lambda index: data.image_and_mask(index)[0].numpy())
    write_json(run.evaluation_file, evaluation)
    write_case_calls(run)
    if run.facts["task"] == "classification":
        write_fingerprint(run, network, data)
        add_context(run, network, data)
    _make_worse(run, network, data)


def _make_worse(run: Run, network: Network, data: ScanData) -> None:
    """The robustness of a classifier, where it is asked for."""
    plan: RobustnessPlan = build(run.config["robustness"]) if "robustness" in run.config else RobustnessPlan()
    if not plan.enabled:
        return
    if run.facts["task"] == "reconstruction" or not run.indices("test"):
        log.warning("robustness.enabled has no effect: only answers of a classifier to test images can be judged")
        return
    write_robustness(run, network, data, kinds=plan.chosen)


def _writers(run: Run, network: Network, data: ScanData, splits: list[str]) -> list[pl.Callback]:
    names = None if run.facts["task"] == "reconstruction" else run.facts["class_names"]
    columns = named_columns(OUTPUT_NAMES) if names is None else classification_columns(names)
    writers: list[pl.Callback] = [
        PredictionWriter(run.predictions, splits=splits, rows=run.split_rows, to_columns=columns)
    ]
    explainers = build_explainers(run, network)
    settings = run.config["callbacks"]
    if explainers and "test" in splits:
        choose = (
            partial(choose_scored, column="mse", num=settings["num_explained_cases"], seed=run.config["seed"])
            if names is None
            else partial(choose_classified, num=settings["num_explained_cases"], seed=run.config["seed"])
        )
        writers.append(
            ExplanationWriter(
                run.explanations,
                explainers=explainers,
                choose=choose,
                predictions=run.predictions / "test.csv",
                group_of={int(row["index"]): row["group"] for row in run.split_rows},
                class_names=names,
                read=data.image_and_mask,
                place_of=run.place_of,
                note=_note(names, explainers[0]),
                seed=run.config["seed"],
                verdicts=None if names is None else verdict_writer(run, data),
                register=_registering(run, network, data, explainers, splits),
            )
        )
    return writers


def _registering(
    run: Run, network: Network, data: ScanData, explainers: Sequence[Explainer], splits: list[str]
) -> Callable[[], list[Explainer]] | None:
    """Moves the maps where validation supports it, if that is asked for."""
    if not run.config["callbacks"].get("register_maps", False):
        return None
    if run.facts["task"] == "reconstruction" or "val" not in splits:
        log.warning("callbacks.register_maps has no effect: it needs a classifier and validation images")
        return None
    return partial(measured_explainers, run, network, data, explainers)


def _note(class_names: list[str] | None, explainer: Explainer) -> str:
    if explainer.is_control:
        return "A control explains nothing: it shows what a map has to beat that does."
    if class_names is None:
        return "Maps show where the reconstruction differs from the image; they know nothing of classes."
    if not explainer.needs_class:
        return "Each map shows where the network is active, for whatever class."
    against = "one rival" if isinstance(explainer, Contrast) else "all others"
    return f"Each map explains the predicted class: evidence for it against {against}, in log-odds."


def evaluate(run: Run, splits: list[str], data: ScanData) -> Config:
    """The contents of evaluation.json."""
    is_reconstruction = run.facts["task"] == "reconstruction"
    plan = None if is_reconstruction else patient_plan(run)
    judged = _reconstruction(run, splits) if plan is None else judge_classes(run, splits, plan)
    return {
        "schema_version": 1,
        "task": run.facts["task"],
        "class_names": run.facts["class_names"],
        "splits": judged,
        "patient_rule": None
        if plan is None
        else plan.as_dict(run.facts["class_names"], noun="slice" if run.place_of else "image"),
        "best_epoch": best_epoch(run),
        "monitor": {"name": run.facts["monitor"]["name"], "value": best_value(run)},
        "localization": _localization(run),
        "nearest_neighbor": None if is_reconstruction else _nearest_neighbor(run, data),
        **({} if plan is None else judge_trust(run, plan)),
        **({} if plan is None else judge_groups(run, judged)),
        **({} if plan is None else judge_passes(run)),
    }


def judge_classes(run: Run, splits: list[str], plan: PatientPlan) -> Config:
    """`splits` of evaluation.json of a classifier, from its predictions; tables of patients are written."""
    judged = {}
    for split in splits:
        found = read_predicted(run, split)
        write_patients(run, split, found, plan)
        judged[split] = evaluate_classification(
            found.probabilities_NK,
            found.target_N,
            class_names=run.facts["class_names"],
            patients=found.patients,
            groups=found.groups,
            seed=run.config["seed"],
            num_resamples=run.config["callbacks"]["bootstrap_resamples"],
            patient_rule=plan.choice.rule,
            positive=plan.positive,
        )
    return judged


def _reconstruction(run: Run, splits: list[str]) -> Config:
    normal = run.config["task"].get("train_on")
    tables = {split: read_csv(run.predictions / f"{split}.csv") for split in splits}
    reference = [float(r["mse"]) for r in tables.get("val", []) if not normal or r["target"] in normal]
    return {
        split: evaluate_reconstruction(
            mse_N=[float(row["mse"]) for row in rows],
            psnr_N=[float(row["psnr"]) for row in rows],
            ssim_N=[float(row["ssim"]) for row in rows],
            targets=[row["target"] or None for row in rows],
            normal_classes=normal,
            reference_mse=reference,
            patients=[row["patient"] or None for row in rows],
            groups=groups_in_split(run, rows),
            seed=run.config["seed"],
            num_resamples=run.config["callbacks"]["bootstrap_resamples"],
        )
        for split, rows in tables.items()
    }


def _nearest_neighbor(run: Run, data: ScanData) -> Config | None:
    """What 1-nearest-neighbor on small thumbnails, brightness and contrast aside, reaches: no learning at all."""
    train, test = run.indices("train"), run.indices("test")
    if not train or not test:
        return None
    rows, target = partial(ThumbnailRows, data.cached.thumbnails), data.targets_N
    return nearest_neighbor_scores(rows(train), target[train], rows(test), target[test])


def _localization(run: Run) -> Config | None:
    path = run.explanations / "localization.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
