"""The section of the page on uncertainty: passes with dropout or several networks, and whether they tell errors better."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure

from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.palette import DASHES, SERIES
from scanlens.report.svg import INK, as_svg, drawing
from scanlens.report.tables import cell
from scanlens.report.words import interval, number, point, whole

ORDERS = {
    "max_probability": ("plain probability", "of the answer"),
    "mean_probability": ("mean probability", "the largest of the mean over passes"),
    "entropy": ("predictive entropy", "of the mean; all uncertainty"),
    "mutual_information": ("mutual information", "what the members disagree on; not knowing the network"),
}
METHODS = {
    "mc_dropout": ("passes with dropout left on", "Answers are those of the network itself, without dropout."),
    "ensemble": ("networks", "Answers are those of the mean probability."),
}


def uncertainty_section(run: RunFolder) -> dict[str, Any] | None:
    """What the template `uncertainty.html.j2` shows; None if the run has a single network and made no passes."""
    part = mapping(run.evaluation.get("uncertainty"))
    orders = mapping(part.get("orders"))
    if not orders:
        return None
    chart = orders_chart(part)
    members, answers = METHODS.get(str(part.get("method")), ("members", ""))
    return {
        "sentences": uncertainty_sentences(part),
        "chart": Markup(chart) if chart else None,
        "rows": [_row(name, mapping(one)) for name, one in orders.items()],
        "note": f"{whole(part.get('members'))} {members}; {whole(part.get('num_images'))} test images. {answers} Intervals are "
        "of resampled patients, those of differences paired.",
    }


def uncertainty_sentences(part: Mapping[str, Any]) -> list[str]:
    """Whether any uncertainty orders errors better than the plain probability, and whether the mean is the better forecast.

    Args:
        part: `uncertainty` of evaluation.json.
    """
    orders = {name: mapping(one) for name, one in mapping(part.get("orders")).items()}
    found = [_verdict(ORDERS.get(name, (name, ""))[0], mapping(orders[name].get("gain"))) for name in list(orders)[1:]]
    gain = mapping(part.get("log_loss_gain"))
    value, low, high = (finite(gain.get(key)) for key in ("value", "low", "high"))
    if value is not None and low is not None and high is not None:
        if low <= 0 <= high:
            found.append(
                f"The mean over passes states neither better nor worse probabilities (log loss, gain {interval(gain)})."
            )
        else:
            word = "better" if value > 0 else "worse"
            found.append(
                f"The mean over passes states {word} probabilities: the log loss changes by {number(-value)} (gain {interval(gain)})."
            )
    return found


def orders_chart(part: Mapping[str, Any], *, name: str = "uncertainty") -> str | None:
    """SVG text: errors among those answered against the share answered, for each order; None without curves."""
    orders = {key: mapping(one) for key, one in mapping(part.get("orders")).items()}
    rate = finite(part.get("error_rate"))
    if not orders or rate is None:
        return None
    with drawing():
        figure = Figure(figsize=(4.8, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.axhline(100 * rate, color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6)
        for place, (key, one) in enumerate(orders.items()):
            x, y = ([100 * (finite(cell) or 0.0) for cell in sequence(one.get(side))] for side in ("coverage", "risk"))
            label = ORDERS.get(key, (key, ""))[0]
            axes.plot(x, y, color=SERIES[place % len(SERIES)], linestyle=DASHES[place % len(DASHES)], label=label)
        axes.set(xlim=(0, 102), xlabel="share answered, surest first (%)", ylabel="errors among these (%)")
        axes.set_ylim(bottom=0)
        axes.legend(loc="best")
        said = ", ".join(
            f"{ORDERS.get(key, (key, ''))[0]} {number(point(one.get('aurc')))}" for key, one in orders.items()
        )
        return as_svg(figure, name, f"Mean errors over all shares answered, ordered by {said}")


def _row(name: str, one: Mapping[str, Any]) -> dict[str, Any]:
    label, hint = ORDERS.get(name, (name, ""))
    gain = (
        {"value": "–", "interval": "", "reason": "", "remark": ""}
        if name == "max_probability"
        else cell(one.get("gain"))
    )
    return {"name": label, "hint": hint, "aurc": cell(one.get("aurc")), "gain": gain}


def _verdict(label: str, gain: Mapping[str, Any]) -> str:
    value, low, high = (finite(gain.get(key)) for key in ("value", "low", "high"))
    if value is None:
        return f"Whether the {label} tells errors better than the plain probability was not assessed."
    if low is None or high is None or low <= 0 <= high:
        bounds = f" ({interval(gain)})" if low is not None else ""
        return f"Ordered by {label}, errors come no later or earlier than by the plain probability, as far as can be told{bounds}."
    return f"Ordered by {label}, errors come {'later' if value > 0 else 'earlier'}: the mean share of errors changes by {number(-value)} (gain {interval(gain)})."
