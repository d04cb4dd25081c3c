"""How images became patients, in a sentence."""

from __future__ import annotations

from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.words import counted, joined, number


def patient_rule(run: RunFolder) -> str:
    """Such as "Patient probability: mean of the 3 highest slices, chosen on 18 validation patients (...)."; empty if unknown."""
    known = mapping(run.evaluation.get("patient_rule"))
    if not known.get("words"):
        return ""
    scores = [(_named(one), finite(one.get("val_log_loss"))) for one in map(mapping, sequence(known.get("candidates")))]
    told = joined([f"{name} {number(score)}" for name, score in scores if score is not None], most=12)
    measured = f" Log loss of the candidates there: {told}." if told else ""
    positive = known.get("positive_class")
    any_image = f" One {known.get('unit') or 'image'} of {positive} makes the patient {positive}." if positive else ""
    return f"Patient probability: {known['words']}, {_why(known)}.{measured}{any_image}"


def _why(known: dict[str, object]) -> str:
    reason, num = str(known.get("reason") or "for reasons not told"), finite(known.get("num_val_patients"))
    if reason == "as set":
        return "as set"
    is_chosen = known.get("name") != "mean" or reason.startswith("no rule")
    return (
        f"chosen on {counted(num, 'validation patient')} ({reason})" if num and is_chosen else f"not chosen ({reason})"
    )


def _named(rule: dict[str, object]) -> str:
    k = finite(rule.get("k"))
    if k is None:
        return str(rule.get("name"))
    return f"{k:g} highest" if k >= 1 else f"highest {100 * k:g} %"
