"""Runs side by side in words: one table, the differences, and one sentence; from comparison.json alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scanlens.report.folder import finite, mapping, sequence
from scanlens.report.tables import METRICS
from scanlens.report.words import counted, duration, interval, number, point, reason, significant, whole, with_interval

SCHEMA_VERSION = 1
Content = dict[str, Any]
TITLES = {key: label for key, label, _ in METRICS}
SHOWN = ("auroc", "auprc", "balanced_accuracy", "accuracy", "log_loss", "brier", "ece")
LEVELS = {"patient": "per patient", "slice": "per image"}
_ALIKE = 0.05  # ratios within 5 % are "as many"


def headline(content: Content) -> str:
    """One sentence: whether the best of the other runs can be told from the first, by how much, and at what cost."""
    metric, level = str(content["metric"]), str(content["level"])
    runs = {str(one["name"]): one for one in map(mapping, sequence(content["runs"]))}
    reference = next(iter(runs))
    others = [name for name in runs if name != reference and _value(runs[name], metric, level) is not None]
    title = _in_prose(metric)
    if not others:
        return f"The runs cannot be compared by {title}: {reason(_metric(runs[reference], metric, level)) or 'it is not defined here'}."
    choose = min if content["lower_is_better"] else max
    rival = choose(others, key=lambda name: _value(runs[name], metric, level) or 0.0)
    found = next(one for one in differences(content) if {one["first"], one["second"]} == {reference, rival})
    if found["better"]:
        winner, loser = found["better"], reference if found["better"] == rival else rival
        lead = f"{_named(runs, winner)} is better than {_named(runs, loser)} by {_amount(found)} {title}"
        return f"{lead} ({_bounds(found)}{_chance(content, found)}){_price(runs[winner], runs[loser])}."
    return (
        f"{_named(runs, rival)} and {_named(runs, reference)} cannot be told apart: difference {number(found['value'], 2)} "
        f"{title} ({_undecided(found)}{_chance(content, found)})."
    )


def differences(content: Content, level: str | None = None) -> list[dict[str, Any]]:
    """Of a level, or of the one to speak of."""
    return [mapping(one) for one in sequence(mapping(content["differences"]).get(level or content["level"]))]


def levels(content: Content) -> list[str]:
    """Those compared, patients first."""
    return [level for level in LEVELS if level in content["differences"]]


def run_table(content: Content, level: str) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the runs with their metrics and costs, the anchor without learning last."""
    heads = ["Run", "Model", *(TITLES[key] for key in SHOWN)]
    heads += ["Parameters", "Time per image", "Memory", "Training"]
    rows = []
    for run in map(mapping, sequence(content["runs"])):
        folds = f", {counted(run['num_folds'], 'fold')}" if run["num_folds"] > 1 else ""
        cells = [with_interval(_metric(run, key, level)) for key in SHOWN]
        cost = [whole(run["parameters"]), _short_time(run.get("seconds_per_image")), _memory(run.get("memory_mib"))]
        rows.append([f"{run['name']}{folds}", str(run["model"]), *cells, *cost, duration(run["training_s"])])
    neighbor = mapping(mapping(sequence(content["runs"])[0]).get("nearest_neighbor"))
    if neighbor and level == "slice":
        cells = [number(neighbor[key], 2) if key in neighbor else "–" for key in SHOWN]
        rows.append(["1-nearest neighbor", "no learning", *cells, "–", "–", "–", "–"])
    return heads, rows


def difference_table(content: Content, level: str) -> tuple[list[str], list[list[str]]]:
    """Heads and cells of the differences of a level, effect with interval first."""
    title = TITLES[str(content["metric"])]
    heads = ["Difference", title, "95 % interval", "p", "p, corrected", "Test", "Verdict"]
    rows = [
        [
            f"{one['first']} less {one['second']}",
            number(one["value"], 3),
            interval(one, 3) or str(one["reason"] or "–"),
            _p(one["p"]),
            _p(one["p_adjusted"]),
            str(one["test"]),
            f"{one['better']} is better" if one["better"] else "not told apart",
        ]
        for one in differences(content, level)
    ]
    return heads, rows


def judged_on(content: Content) -> str:
    """ "96 images of 24 patients"."""
    patients = finite(content["num_patients"])
    return counted(content["num_images"], "image") + (f" of {counted(patients, 'patient')}" if patients else "")


def notes(content: Content) -> list[str]:
    """How the numbers were made, one sentence each."""
    how = mapping(content["interval"])
    many = len(differences(content))
    said = [
        f"Differences: 95 % percentiles of {whole(how.get('num_resamples'))} resamples of {how.get('resampled')}, the same for "
        f"all runs; each interval is of its comparison alone. p values are corrected for {counted(many, 'comparison')} (Holm). "
        "Runs are told apart where the interval leaves out 0 and the corrected p value is below 0.05.",
        *(f"{str(one)[:1].upper()}{str(one)[1:].rstrip('.')}." for one in sequence(content["notes"])),
    ]
    checks = [one for one in differences(content) if one.get("check")]
    return said + [_checked(one) for one in checks]


def console_comparison(content: Content) -> str:
    """The comparison for a terminal: metrics of the level to speak of, differences, sentence, warnings."""
    level = str(content["level"])
    heads, rows = run_table(content, level)
    shown = [
        heads.index(one) for one in ("Run", "Model", "Balanced accuracy", "Parameters", "Time per image", "Training")
    ]
    asked = TITLES[str(content["metric"])]
    if heads.index(asked) not in shown:
        shown.insert(2, heads.index(asked))
    about = f"{judged_on(content)}, {LEVELS[level]}"
    parts = [about, _aligned([[row[place] for place in shown] for row in [heads, *rows]])]
    difference_heads, difference_rows = difference_table(content, level)
    parts += [_aligned([row[:5] for row in [difference_heads, *difference_rows]]), headline(content)]
    parts += [f"warning: {one}" for one in sequence(content["warnings"])]
    return "\n\n".join(parts).replace("\u202f", ",").replace("\u00a0", " ")


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


def _metric(run: dict[str, Any], metric: str, level: str) -> dict[str, Any]:
    return mapping(mapping(mapping(run["metrics"]).get(level)).get(metric))


def _value(run: dict[str, Any], metric: str, level: str) -> float | None:
    return point(_metric(run, metric, level))


def _named(runs: dict[str, dict[str, Any]], name: str) -> str:
    """The network's name where every run has another one, else the run's."""
    models = [str(one["model"]) for one in runs.values()]
    return str(runs[name]["model"]) if len(set(models)) == len(models) else name


def _in_prose(metric: str) -> str:
    title = TITLES[metric]
    return title if title.isupper() else title[0].lower() + title[1:]


def _amount(one: dict[str, Any]) -> str:
    return number(abs(one["value"]), 2)


def _bounds(one: dict[str, Any]) -> str:
    """The interval of a gain, which is positive whichever run stands first."""
    low, high = (one["low"], one["high"]) if one["value"] >= 0 else (-one["high"], -one["low"])
    return interval({"low": low, "high": high}, 2)


def _chance(content: Content, one: dict[str, Any]) -> str:
    if one["p_adjusted"] is None:
        return ""
    many = len(differences(content))
    p = _p(one["p_adjusted"])
    stated = f"p {p}" if p.startswith("<") else f"p={p}"
    return f"; {stated}" + (f" after correction for {many} comparisons" if many > 1 else "")


def _undecided(one: dict[str, Any]) -> str:
    if one["low"] is None or one["high"] is None:
        return str(one["reason"] or "no interval")
    return f"{interval(one, 2)}, interval {'includes 0' if one['low'] <= 0 <= one['high'] else 'leaves out 0'}"


def _price(winner: dict[str, Any], loser: dict[str, Any]) -> str:
    said = [
        _times(winner.get("parameters"), loser.get("parameters"), "the parameters"),
        _times(winner.get("seconds_per_image"), loser.get("seconds_per_image"), "the time per image"),
    ]
    known = [one for one in said if one]
    return f" at {' and '.join(known)}" if known else ""


def _times(one: object, other: object, what: str) -> str:
    """ "360 times the parameters", "1/25 of the time per image", "about the same time per image"."""
    above, below = finite(one), finite(other)
    if not above or not below:
        return ""
    ratio = above / below
    if abs(ratio - 1) <= _ALIKE:
        return f"about {what.replace('the ', 'the same ', 1)}"
    return f"{_rounded(ratio)} times {what}" if ratio > 1 else f"1/{_rounded(1 / ratio)} of {what}"


def _rounded(ratio: float) -> str:
    """Two digits; a ratio of measured times deserves no more."""
    return f"{float(f'{ratio:.2g}'):g}"


def _p(value: object) -> str:
    p = finite(value)
    return "–" if p is None else number(p, 2 if p >= 0.01 else 3)


def _short_time(seconds: object) -> str:
    amount = finite(seconds)
    return number(None) if amount is None else f"{significant(1000 * amount)} ms"


def _memory(mib: object) -> str:
    amount = finite(mib)
    return number(None) if amount is None else f"{amount:.0f} MiB"


def _checked(one: dict[str, Any]) -> str:
    found = mapping(one["check"])
    return (
        f"Check by DeLong's variance, {one['first']} less {one['second']}: {number(found.get('value'), 3)} "
        f"({interval(found, 3) or found.get('reason')})."
    )
