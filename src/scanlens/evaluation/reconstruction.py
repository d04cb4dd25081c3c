"""The judgement of an autoencoder on one split: how well it gives images back, and whether its errors tell what is ill.

Legend of axes: N images, R resamples.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.evaluation.anomaly import AnomalyLabels, anomaly_score
from scanlens.evaluation.auroc import auroc_interval
from scanlens.evaluation.checks import Floats, check_length, checked_values
from scanlens.evaluation.intervals import Interval, described, entry, mean_interval, percentile_interval
from scanlens.evaluation.metrics import areas, roc_points
from scanlens.evaluation.ranking import Ranking
from scanlens.evaluation.resampling import PatientGroups, bootstrap, group_patients

__all__ = ["anomaly_score", "evaluate_reconstruction"]
METHOD = (
    "for means Student's, of the logarithm for errors; for AUROC the variance between patients (DeLong, Obuchowski), with "
    "Student's t on the logit scale; for AUPRC percentiles, expanded for small numbers, of a bootstrap within classes"
)
RATIO_SCALE = frozenset({"mse", "anomaly_score"})
Columns = dict[str, Floats]


def evaluate_reconstruction(
    *,
    mse_N: ArrayLike,
    psnr_N: ArrayLike,
    ssim_N: ArrayLike,
    targets: Sequence[str | None],
    normal_classes: Sequence[str] | None,
    reference_mse: ArrayLike,
    patients: Sequence[str | None],
    groups: Sequence[str | None] | None = None,
    seed: int,
    num_resamples: int = 1000,
) -> dict[str, Any]:
    """Means with intervals over patients, and how well the anomaly score tells abnormal images, without NaN.

    Args:
        mse_N: mean squared error of each image.
        psnr_N: peak signal-to-noise ratio in dB.
        ssim_N: structural similarity, -1 to 1.
        targets: name of the class of each image; None or "" if unknown.
        normal_classes: those that count as normal (the ones trained on), all others are abnormal; None if all were
            trained on.
        reference_mse: errors of the normal images of the validation split, to which anomaly scores refer.
        patients: name of the patient of each image; None or "" if unknown. Names do not appear in the result.
        groups: name of the group of near-duplicates of each image, which counts where patients are unknown.
        seed: of the resamples.
        num_resamples: of the bootstrap; 0 leaves its interval out.

    Returns:
        `num_images`, `num_patients` (None if unknown), `unit`, `counts`, `metrics` (`mse`, `psnr`, `ssim`), `anomaly`
        (`auroc`, `auprc`, `chance_auprc`, `normal_classes`, `abnormal_classes`, `num_normal`, `num_abnormal`,
        `reason`), `per_class` (means of each class, also of `anomaly_score`), `roc` ("abnormal") and `interval`. Every
        metric is {value, low, high, reason}.

    Raises:
        ValueError: names what is at fault.
    """
    if num_resamples < 0:
        raise ValueError(f"num_resamples: expected 0 or more, got {num_resamples}")
    columns = _checked_columns(mse_N, psnr_N, ssim_N)
    for name, items in (("targets", targets), ("patients", patients)):
        check_length(items, name=name, num_images=len(columns["mse"]))
    reference = checked_values(reference_mse, name="reference_mse", low=0)
    if len(reference):
        columns["anomaly_score"] = anomaly_score(columns["mse"], reference)
    labels = AnomalyLabels(targets, normal_classes=normal_classes)
    units = group_patients(patients, labels.stratum_N, groups=groups)
    samples = _resampled_precision(columns, labels, units, num_resamples=num_resamples, seed=seed)
    everything: NDArray[np.bool_] = np.ones(len(columns["mse"]), dtype=bool)
    return {
        "num_images": len(columns["mse"]),
        "num_patients": units.num_known or None,
        "unit": "image",
        "counts": labels.counts,
        "metrics": {name: _mean(name, columns, everything, units) for name in ("mse", "psnr", "ssim")},
        "anomaly": _anomaly(columns, labels, samples, units),
        "per_class": {
            label: {
                "num": int(is_member_N.sum()),
                **{name: _mean(name, columns, is_member_N, units) for name in columns},
            }
            for label, is_member_N in labels.members().items()
        },
        "roc": _curve(columns, labels),
        "interval": described(units, num_resamples=num_resamples, method=METHOD),
    }


def _checked_columns(mse_N: ArrayLike, psnr_N: ArrayLike, ssim_N: ArrayLike) -> Columns:
    columns = {
        "mse": checked_values(mse_N, name="mse_N", low=0),
        "psnr": checked_values(psnr_N, name="psnr_N"),
        "ssim": checked_values(ssim_N, name="ssim_N", low=-1.001, high=1.001),  # rounding may pass 1
    }
    if len(columns["mse"]) == 0:
        raise ValueError("mse_N: expected at least one image, got none")
    for name, values_N in columns.items():
        check_length(values_N, name=f"{name}_N", num_images=len(columns["mse"]))
    return columns


def _resampled_precision(
    columns: Columns, labels: AnomalyLabels, units: PatientGroups, *, num_resamples: int, seed: int
) -> dict[str, Floats]:
    """Average precision of the anomaly score over resamples; nothing where there is no such score."""
    if _why_no_anomaly(columns, labels) is not None:
        return {}
    is_known_N = labels.is_known_N
    ranking = Ranking(columns["anomaly_score"][is_known_N], labels.is_abnormal_N[is_known_N])

    def statistics(weights_NR: Floats) -> dict[str, Floats]:
        return {"auprc": ranking.areas(weights_NR[is_known_N])[1]}

    return bootstrap(statistics, units, num_resamples=num_resamples, seed=seed)


def _mean(name: str, columns: Columns, among_N: NDArray[np.bool_], units: PatientGroups) -> dict[str, Any]:
    interval = mean_interval(columns[name], units, among_N=among_N, is_ratio_scale=name in RATIO_SCALE)
    return entry(float(columns[name][among_N].mean()), interval)


def _anomaly(
    columns: Columns, labels: AnomalyLabels, samples: dict[str, Floats], units: PatientGroups
) -> dict[str, Any]:
    reason = _why_no_anomaly(columns, labels)
    known = {
        "normal_classes": labels.names if labels.normal is None else labels.normal,
        "abnormal_classes": labels.abnormal,
        "num_normal": int(labels.is_normal_N.sum()),
        "num_abnormal": int(labels.is_abnormal_N.sum()),
        "reason": reason,
    }
    if reason:
        nothing = entry(None, Interval(None, None), remark=reason)
        return {"auroc": nothing, "auprc": dict(nothing), "chance_auprc": None, **known}
    known_N = labels.is_known_N
    auroc, auprc = areas(columns["anomaly_score"][known_N], labels.is_abnormal_N[known_N])
    carriers = min(units.count(labels.is_abnormal_N), units.count(labels.is_normal_N))
    interval = auroc_interval(columns["anomaly_score"], labels.is_abnormal_N, units, among_N=known_N)
    return {
        "auroc": entry(auroc, interval),
        "auprc": entry(auprc, percentile_interval(samples.get("auprc"), num_patients=carriers, center=auprc)),
        "chance_auprc": float(labels.is_abnormal_N[known_N].mean()),
        **known,
    }


def _why_no_anomaly(columns: Columns, labels: AnomalyLabels) -> str | None:
    if "anomaly_score" not in columns:
        return "the validation split has no normal images that errors could be compared with"
    return labels.why_no_anomaly


def _curve(columns: Columns, labels: AnomalyLabels) -> dict[str, Any]:
    if _why_no_anomaly(columns, labels):
        return {}
    curve = roc_points(columns["anomaly_score"][labels.is_known_N], labels.is_abnormal_N[labels.is_known_N])
    return {} if curve is None else {"abnormal": curve.as_dict()}
