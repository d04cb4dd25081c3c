"""What the folds of a cross-validation say together: folds.json, folds.csv and folds.html beside their run folders."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from scanlens.errors import RunError
from scanlens.evaluation.classification import evaluate_classification
from scanlens.evaluation.patient_rules import PatientRule
from scanlens.evaluation.patients import MIXED, join_images
from scanlens.evaluation.reconstruction import evaluate_reconstruction
from scanlens.evaluation.spread import fold_spread
from scanlens.files import write_csv, write_json
from scanlens.pipeline.fold_runs import Fold, folds_in
from scanlens.pipeline.levels import LEVELS, levels_of
from scanlens.pipeline.patients import Predicted, read_predicted, rule_of
from scanlens.report.folder import FOLDS_VERSION
from scanlens.report.folds import build_folds_page, fold_table
from scanlens.runs import Config

log = logging.getLogger(__name__)
NO_STANDARD_ERROR = (
    "The networks of two folds share most of their training images, so the standard deviation over folds is no standard "
    "error of the mean, and no interval can be made of it (Bengio & Grandvalet, JMLR 5:1089-1105, 2004). Intervals are "
    "of the pooled test predictions; they do not cover what another training would change."
)
POOLED_RANKING = (
    "AUROC and AUPRC of pooled predictions compare scores of different networks, which need not be on one scale (Forman "
    "& Scholz, SIGKDD Explorations 12(1):49-57, 2010); the mean over folds compares within each network."
)
NOT_POOLED = "Anomaly scores refer to the validation errors of their own fold, so they are not pooled."
OTHER_RULES = "Folds chose different rules for patients on their validation patients; each patient is judged by the rule of his fold."
OTHER_CODE = "Runs were trained by different versions of the code; see git in their provenance.json."


def gather(folder: Path) -> Config:
    """Put the folds in a folder together; folds.json, folds.csv and folds.html are written into it.

    Args:
        folder: whose subfolders are the run folders of all folds.

    Returns:
        The contents of folds.json (see `gathered`).

    Raises:
        RunError: a fold is missing or unfinished, or they do not fit together.
    """
    folder = Path(folder).resolve()
    if not folder.is_dir():
        raise RunError(f"no folder {folder}. Give the one that scanlens folds printed, such as outputs/<RUN_ID>.")
    content = gathered(folds_in(folder))
    page = write_folds(content, folder)
    log.info("\n%s\n%s", fold_table(folder), page)
    return content


def write_folds(content: Config, folder: Path) -> Path:
    """Write folds.json, folds.csv and folds.html into a folder of folds; the page is returned."""
    write_json(folder / "folds.json", content)
    write_csv(folder / "folds.csv", *_table(content))
    return build_folds_page(folder)


def gathered(folds: Sequence[Fold]) -> Config:
    """The contents of folds.json.

    Args:
        folds: all of one cross-validation (see `read_folds`), or a run without one as the only fold.

    Returns:
        `folds` (fold, page, numbers of test images and patients), `levels` (level to metric to `each` (value and
        interval of every fold), `spread` (see `fold_spread`) and `pooled`), `pooled` (the judgement of all test
        predictions together, every image once), `nearest_neighbor` and `notes`. Neither images nor patients are named.
    """
    task = folds[0].evaluation["task"]
    is_reconstruction = task == "reconstruction"
    judged = [levels_of(fold.evaluation["splits"]["test"], task) for fold in folds]
    notes = []
    if len(folds) == 1:
        pooled = folds[0].evaluation["splits"]["test"]
    else:
        pooled = _pooled_reconstruction(folds) if is_reconstruction else _pooled_classification(folds)
        notes = [NO_STANDARD_ERROR, NOT_POOLED if is_reconstruction else POOLED_RANKING]
    if are_of_other_code(folds):
        notes.append(OTHER_CODE)
    if len({rule_of(fold.evaluation, folds[0].run.facts["class_names"]) for fold in folds}) > 1:
        notes.append(OTHER_RULES)
    return {
        "schema_version": FOLDS_VERSION,
        "task": task,
        "model": folds[0].run.facts["model_summary"]["name"],
        "data": folds[0].run.config["data"].get("name") or folds[0].run.config["data"].get("phantom"),
        "class_names": folds[0].run.facts["class_names"],
        "folds": [_about(fold) for fold in folds],
        "levels": _joined(judged, levels_of(pooled, task)),
        "pooled": pooled,
        "nearest_neighbor": pooled_neighbor(folds),
        "notes": notes,
    }


def are_of_other_code(folds: Sequence[Fold]) -> bool:
    """Whether runs were trained by more than one version of the code."""
    return len({(fold.provenance["git"] or {}).get("commit") for fold in folds}) > 1


def pooled_neighbor(folds: Sequence[Fold]) -> dict[str, float] | None:
    """What 1-nearest-neighbor reaches over all folds, weighted by their test images; None where it was not asked."""
    found = [fold.evaluation.get("nearest_neighbor") for fold in folds]
    if any(one is None for one in found):
        return None
    weights = [len(fold.tested) for fold in folds]
    return {
        name: float(np.average([one[name] for one in found], weights=weights))  # type: ignore[index]
        for name in ("accuracy", "balanced_accuracy")
    }


def _about(fold: Fold) -> Config:
    patients = fold.run.facts["num_patients"]["test"]
    return {
        "fold": fold.number,
        "page": fold.run.report_file.relative_to(fold.run.folder.parent).as_posix()
        if fold.run.report_file.is_file()
        else None,
        "num_images": len(fold.tested),
        "num_patients": patients,
        "best_epoch": fold.evaluation["best_epoch"],
        "fit_s": fold.provenance["duration_s"].get("fit"),
    }


def _joined(judged: Sequence[Mapping[str, Any]], pooled: Mapping[str, Any]) -> Config:
    """Level to metric to values over folds; a level that a fold lacks has None there."""
    names = {
        level: list(dict.fromkeys(metric for one in judged for metric in one.get(level, {})))
        for level in LEVELS
        if any(level in one for one in judged)
    }
    absent = {"value": None, "low": None, "high": None, "reason": None}
    joined: Config = {}
    for level, metrics in names.items():
        joined[level] = {}
        for metric in metrics:
            each = [one.get(level, {}).get(metric, absent) for one in judged]
            joined[level][metric] = {
                "each": each,
                "spread": fold_spread([one["value"] for one in each]),
                "pooled": pooled.get(level, {}).get(metric),
            }
    return joined


def _pooled_classification(folds: Sequence[Fold]) -> Config:
    """All test images together; patients by the rule of their fold."""
    names = folds[0].run.facts["class_names"]
    found = [read_predicted(fold.run, "test") for fold in folds]
    rules = [rule_of(fold.evaluation, names) for fold in folds]
    everybody = _of_everybody(folds, [row for one in found for row in one.rows])
    rule, positive = rules[0]
    judged = evaluate_classification(
        np.concatenate([one.probabilities_NK for one in found]),
        np.concatenate([one.target_N for one in found]),
        class_names=names,
        patient_rule=rule,
        positive=positive,
        **everybody,
    )
    if judged["patient"] is None or all(one == rules[0] for one in rules):
        return judged
    return judged | {"patient": _patients_by_their_rules(found, rules, names, judged["patient"], everybody)}


def _patients_by_their_rules(
    found: Sequence[Predicted],
    rules: Sequence[tuple[PatientRule, int | None]],
    names: Sequence[str],
    first: Mapping[str, Any],
    everybody: Mapping[str, Any],
) -> Config:
    """The judgement of patients, each joined by the rule that the validation of his own fold chose."""
    joined = [
        join_images(one.probabilities_NK, one.target_N, one.patients, rule=rule, positive=positive)
        for one, (rule, positive) in zip(found, rules, strict=True)
    ]
    target_P = np.concatenate([one.target_P for one in joined])
    is_judged_P = target_P != MIXED
    judged = evaluate_classification(  # whose rows are patients here, so its level of single rows is theirs
        np.concatenate([one.probabilities_PK for one in joined])[is_judged_P],
        target_P[is_judged_P],
        class_names=names,
        patients=[str(number) for number in range(int(is_judged_P.sum()))],
        seed=everybody["seed"],
        num_resamples=everybody["num_resamples"],
    )["slice"]
    return {**judged, "unit": "patient", "num_images": first["num_images"], "excluded": first["excluded"]}


def _pooled_reconstruction(folds: Sequence[Fold]) -> Config:
    rows = [row for fold in folds for row in fold.tested]
    judged = evaluate_reconstruction(
        mse_N=[float(row["mse"]) for row in rows],
        psnr_N=[float(row["psnr"]) for row in rows],
        ssim_N=[float(row["ssim"]) for row in rows],
        targets=[row["target"] or None for row in rows],
        normal_classes=folds[0].run.config["task"].get("train_on"),
        reference_mse=[],
        **_of_everybody(folds, rows),
    )
    return {key: value for key, value in judged.items() if key not in ("anomaly", "roc")}


def _of_everybody(folds: Sequence[Fold], rows: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """Who the pooled images belong to, and how often they are resampled."""
    group_of = {row["id"]: row["group"] for row in folds[0].run.split_rows}
    config = folds[0].run.config
    return {
        "patients": [row["patient"] or None for row in rows],
        "groups": [group_of[row["id"]] for row in rows],
        "seed": config["seed"],
        "num_resamples": config["callbacks"]["bootstrap_resamples"],
    }


def _table(content: Config) -> tuple[list[str], list[Config]]:
    """Columns and rows of folds.csv: one row a metric."""
    numbers = [f"fold_{one['fold']}" for one in content["folds"]]
    columns = [
        "level",
        "metric",
        "mean",
        "std",
        "min",
        "max",
        "num_folds",
        "pooled",
        "pooled_low",
        "pooled_high",
        *numbers,
    ]
    rows = []
    for level, metrics in content["levels"].items():
        for name, metric in metrics.items():
            pooled = metric["pooled"] or {}
            row = {"level": "image" if level == "slice" else level, "metric": name, **metric["spread"]}
            row |= {"pooled": pooled.get("value"), "pooled_low": pooled.get("low"), "pooled_high": pooled.get("high")}
            rows.append(row | dict(zip(numbers, (one["value"] for one in metric["each"]), strict=True)))
    return columns, rows
