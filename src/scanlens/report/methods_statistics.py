"""Sentences of a methods section on evaluation and explanations. Each is empty where the run holds nothing to say it from."""

from __future__ import annotations

from scanlens.report.folder import RunFolder, finite, mapping, method_title, sequence
from scanlens.report.patients import patient_rule
from scanlens.report.sentences import primary_level
from scanlens.report.tables import METRICS, RECONSTRUCTION
from scanlens.report.trust_sentences import METHOD_WORDS
from scanlens.report.words import joined, percent, whole

_RULES = {
    "sensitivity": "the highest threshold that reached a sensitivity of {target:g}",
    "youden": "the threshold with the largest sum of sensitivity and specificity",
    "cost": "the threshold with the smallest expected cost",
}


def metrics(run: RunFolder) -> str:
    """What was measured, at which levels."""
    test = run.split("test")
    level, found = primary_level(test)
    values = mapping(found.get("metrics")) or mapping(test.get("metrics"))
    labels = {key: label for key, label, *_ in (*METRICS, *RECONSTRUCTION)}
    names = [label for key, label in labels.items() if key in values]
    if not names:
        return ""
    levels = "per image and per patient" if level == "patient" else "per image"
    return f"Performance on the test partition, {levels}: {joined(names, most=12)}."


def patients(run: RunFolder) -> str:
    """How images became patients."""
    known = mapping(run.evaluation.get("patient_rule"))
    is_used = bool(mapping(run.split("test").get("patient")))
    return f"{patient_rule(run).split('. ')[0].rstrip('.')}." if known.get("words") and is_used else ""


def intervals(run: RunFolder) -> str:
    """How uncertainty was measured."""
    _, found = primary_level(run.split("test"))
    known = mapping(found.get("interval"))
    if not known.get("method"):
        return ""
    level = finite(known.get("level"))
    method = str(known["method"])
    told = f"Intervals ({percent(0.95 if level is None else level)}): {method[:1].lower()}{method[1:].rstrip('.')}"
    times = finite(known.get("num_resamples"))
    told += f"; {whole(times)} resamples of {known['resampled']}" if times and known.get("resampled") else ""
    return f"{told}."


def calibration(run: RunFolder) -> str:
    """What was done to stated probabilities."""
    choice = mapping(mapping(run.evaluation.get("calibration")).get("choice"))
    calibrator = mapping(choice.get("calibrator"))
    words = METHOD_WORDS.get(str(calibrator.get("method")))
    if words is None:
        return ""
    told = words.replace("are", "were", 1).replace("the network states", "the network stated")
    return f"{told}, fitted on validation." if calibrator.get("method") != "none" else f"{told}."


def threshold(run: RunFolder) -> str:
    """How the operating point was chosen."""
    decisions = mapping(run.evaluation.get("decisions"))
    chosen = mapping(decisions.get("chosen"))
    rule = mapping(chosen.get("rule"))
    words = _RULES.get(str(rule.get("name")))
    if words is None or not mapping(chosen.get("test")):
        return ""
    how = words.format(target=finite(rule.get("target")) or 0.0)
    if chosen.get("gap"):
        how += ", moved half way (by log odds) to the next lower score,"
    return f"The threshold for “{decisions.get('positive')}”, per {decisions.get('unit')}, was {how} on validation, and was only applied to test."


def sets_and_referral(run: RunFolder) -> str:
    """What was promised of sets and of referral."""
    told = []
    rule = mapping(mapping(run.evaluation.get("conformal")).get("rule"))
    if (share := finite(rule.get("coverage"))) is not None:
        told.append(
            f"conformal sets of classes, made on validation, should hold the right class for {percent(share)} of images"
        )
    if (risk := finite(mapping(mapping(run.evaluation.get("referral")).get("rule")).get("target"))) is not None:
        told.append(
            f"a rule that refers unsure images was chosen on validation for at most {percent(risk)} errors among the others"
        )
    text = ", and ".join(told)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def subgroups(run: RunFolder) -> str:
    """In which groups results were told apart."""
    names = list(mapping(run.evaluation.get("subgroups")))
    return f"Test results were told apart by {joined([name.replace('_', ' ') for name in names])}." if names else ""


def explanations(run: RunFolder) -> str:
    """Which maps were made, of how many cases."""
    known = mapping(run.explanations)
    names = [method_title(run, str(mapping(one).get("name"))) for one in sequence(known.get("methods"))]
    cases = len(sequence(known.get("cases")))
    if not names or not cases:
        return ""
    pointing = mapping(run.evaluation.get("localization"))
    measured = " Whether their strongest point lies in the marked lesion was compared with chance." if pointing else ""
    return f"{joined(names)} maps were made of {whole(cases)} test cases.{measured}"
