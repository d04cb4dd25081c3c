"""What a run can say for itself about the items of a reporting guideline, and in which of its files it is written.

Nothing is claimed whose file is not there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scanlens.report import methods_data as data
from scanlens.report import methods_learning as learning
from scanlens.report import methods_statistics as statistics
from scanlens.report.audit import checks
from scanlens.report.decision_words import decision_sentences
from scanlens.report.flow import data_flow, flow_words
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.robustness_sentences import robustness_sentences
from scanlens.report.sentences import cautions, findings, primary_level
from scanlens.report.trust_sentences import calibration_sentences
from scanlens.report.words import joined, percent, point, whole, with_interval


@dataclass(frozen=True, slots=True)
class Evidence:
    """What a run says of one matter.

    Args:
        text: one or two sentences.
        files: of the run folder, where it is written.
    """

    text: str
    files: tuple[str, ...]


def evidence(run: RunFolder) -> dict[str, Evidence]:
    """Matter to what the run says of it; matters that it says nothing of are left out."""
    found = {
        key: Evidence(maker(run), files)
        for key, (maker, files) in _MAKERS.items()
        if all((run.path / name).is_file() for name in files)
    }
    return {key: one for key, one in found.items() if one.text}


def _input(run: RunFolder) -> str:
    prepared = data.preprocess(run)
    return f"The pixels of the image are all that the network is given. {prepared}" if prepared else ""


def _internal(run: RunFolder) -> str:
    return (
        ""
        if data.sites(run) or not run.split("test")
        else f"The test partition is of the same source. {data.counts(run)}"
    )


def _output(run: RunFolder) -> str:
    if not run.class_names or not run.is_classification:
        return ""
    return f"A probability of each class ({joined(run.class_names, most=40)}), which sum to 1."


def _flow(run: RunFolder) -> str:
    flow = data_flow(run)
    return "" if flow is None else flow_words(flow)


def _shortcuts(run: RunFolder) -> str:
    told = [
        one.sentence for one in checks(run.audit or {}) if one.anchor == "shortcuts" and one.status != "not assessed"
    ]
    return " ".join(told[:3])


def _result(run: RunFolder) -> str:
    told = findings(run) if mapping(run.split("test")) else []
    return " ".join(told[:2])


def _calibration(run: RunFolder) -> str:
    part = mapping(run.evaluation.get("calibration"))
    change = mapping(part.get("change"))
    return " ".join(calibration_sentences(mapping(part.get("choice")), change)) if change else ""


def _threshold(run: RunFolder) -> str:
    decisions = mapping(run.evaluation.get("decisions"))
    has_rates = bool(mapping(mapping(decisions.get("chosen")).get("test")))
    return " ".join(decision_sentences(decisions)[:2]) if has_rates else ""


def _curve(run: RunFolder) -> str:
    decisions = mapping(run.evaluation.get("decisions"))
    curve = mapping(decisions.get("decision_curve"))
    values = [one for one in sequence(curve.get("model")) if point(one) is not None]
    return f"Net benefit was measured at {whole(len(values))} thresholds (decision curve)." if values else ""


def _per_class(run: RunFolder) -> str:
    _, metrics = primary_level(run.split("test"))
    parts = [
        f"{name} {with_interval(one.get('sensitivity'))} and {with_interval(one.get('specificity'))}"
        for name, one in mapping(metrics.get("per_class")).items()
        if point(mapping(one).get("sensitivity")) is not None
    ]
    return f"Sensitivity and specificity: {joined(parts, most=40)}." if parts else ""


def _failures(run: RunFolder) -> str:
    known = mapping(run.mistakes)
    missed, alarms = finite(known.get("num_missed")), finite(known.get("num_false_alarms"))
    if missed is None or alarms is None:
        return ""
    unit = known.get("unit")
    return f"Pictures and probabilities of {whole(missed)} missed {unit}s and {whole(alarms)} false alarms, the surest first."


def _limits(run: RunFolder) -> str:
    return " ".join(cautions(run)[:4])


def _details(run: RunFolder) -> str:
    return "All settings of the run are written down." if run.config.get("model") else ""


def _weights(run: RunFolder) -> str:
    return "The weights lie in the run folder; they open with the frozen configuration beside them."


def _robustness(run: RunFolder) -> str:
    return " ".join(robustness_sentences(run.robustness)[:3]) if run.robustness else ""


def _subgroups(run: RunFolder) -> str:
    told = statistics.subgroups(run)
    small = [
        name
        for name, one in mapping(run.evaluation.get("subgroups")).items()
        if any(mapping(group).get("is_small") for group in sequence(mapping(one).get("groups")))
    ]
    return f"{told} Groups of few patients: {joined([name.replace('_', ' ') for name in small])}." if small else told


def _intervals(run: RunFolder) -> str:
    effect = finite(mapping(run.evaluation.get("design_effect")).get("factor"))
    return statistics.intervals(run) + (f" Design effect of patients: {effect:.1f}." if effect is not None else "")


def _missing(run: RunFolder) -> str:
    limit = finite(mapping(run.config.get("loader")).get("max_quarantined_share"))
    told = data.missing(run)
    return f"{told} A run stops if more than {percent(limit)} cannot be read." if told and limit is not None else told


_CONFIG, _EVALUATION, _PROVENANCE = "config.yaml", "evaluation.json", "provenance.json"
_MAKERS: dict[str, tuple[Callable[[RunFolder], str], tuple[str, ...]]] = {
    "source": (data.source, (_CONFIG,)),
    "excluded": (data.left_out, ("quarantine.csv", _CONFIG)),
    "preprocess": (data.preprocess, (_CONFIG,)),
    "selection": (data.selection, (_CONFIG,)),
    "missing": (_missing, ("quarantine.csv", _CONFIG)),
    "split": (data.split, ("split.csv", _CONFIG)),
    "level": (data.disjoint, ("split.csv",)),
    "leaks": (data.leaks, ("audit.json",)),
    "sites": (data.sites, (_CONFIG,)),
    "counts": (data.counts, (_CONFIG,)),
    "classes": (data.classes, (_CONFIG,)),
    "flow": (_flow, ("split.csv", _CONFIG)),
    "input": (_input, (_CONFIG,)),
    "network": (learning.network, (_CONFIG,)),
    "software": (learning.software, (_PROVENANCE,)),
    "start": (learning.start, (_CONFIG,)),
    "training": (learning.training, (_CONFIG,)),
    "augment": (learning.augment, (_CONFIG,)),
    "balance": (learning.balance, (_CONFIG,)),
    "choice": (learning.choice, ("metrics.csv", _EVALUATION)),
    "ensemble": (learning.ensemble, (_CONFIG,)),
    "code": (learning.code, (_PROVENANCE,)),
    "metrics": (statistics.metrics, (_EVALUATION,)),
    "intervals": (_intervals, (_EVALUATION,)),
    "internal": (_internal, (_EVALUATION,)),
    "result": (_result, (_EVALUATION,)),
    "calibration": (_calibration, (_EVALUATION,)),
    "threshold": (_threshold, (_EVALUATION,)),
    "curve": (_curve, (_EVALUATION,)),
    "per_class": (_per_class, (_EVALUATION,)),
    "subgroups": (_subgroups, (_EVALUATION,)),
    "output": (_output, (_EVALUATION,)),
    "shortcuts": (_shortcuts, ("audit.json",)),
    "robustness": (_robustness, ("robustness.json",)),
    "explanations": (statistics.explanations, ("explanations/cases.json",)),
    "failures": (_failures, ("missed/cases.json",)),
    "limits": (_limits, (_CONFIG, _EVALUATION)),
    "details": (_details, (_CONFIG,)),
    "weights": (_weights, ("weights.safetensors",)),
}
