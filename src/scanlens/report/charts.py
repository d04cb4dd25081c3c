"""Charts of the page: learning curves, class counts, ROC, confusion matrix, calibration, color bar of evidence.

Series differ in dash and marker as well as in color. Each returns SVG text, or None where there is nothing to draw.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from scanlens.report.folder import Row, finite, mapping, sequence
from scanlens.report.palette import DASHES, SERIES, evidence_alpha, evidence_rgb
from scanlens.report.svg import GROUND, INK, as_svg, drawing
from scanlens.report.words import number, significant

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
MAX_POINTS = 240


def learning_curves(epochs: Sequence[Row], *, best_epoch: int | None) -> list[str]:
    """Charts by epoch: the losses, the validation metrics between 0 and 1, and one for each other metric; none without numbers."""
    columns = [name for name in (epochs[0] if epochs else []) if _points(epochs, name)[0]]
    losses = [name for name in columns if name.endswith("/loss")]
    metrics = [name for name in columns if name.startswith("val/") and name not in losses]
    shares = [name for name in metrics if all(0 <= y <= 1 for y in _points(epochs, name)[1])][: len(SERIES)]
    panels = [("loss", "Loss", losses), ("metrics", "Validation metrics", shares)]
    panels += [(f"metrics-{i}", "Validation metric", [name]) for i, name in enumerate(metrics) if name not in shares]
    return [_curve_panel(epochs, names, best_epoch, chart, title) for chart, title, names in panels[:6] if names]


def roc_curves(curves: Mapping[str, Any], aurocs: Mapping[str, float | None], *, name: str = "roc") -> str | None:
    """One ROC curve a class, each against all others; None without curves."""
    drawn = {label: curve for label, curve in curves.items() if _is_curve(curve)}
    if not drawn:
        return None
    with drawing():
        figure = Figure(figsize=(4.4, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6)
        axes.text(0.5, 0.53, "chance", fontsize=9, rotation=45, rotation_mode="anchor")
        for i, (class_name, curve) in enumerate(drawn.items()):
            x, y = _thinned(curve["false_positive_rate"], curve["true_positive_rate"])
            label = f"{shortened(class_name)}: {number(aurocs.get(class_name), 2)}"
            axes.plot(x, y, color=SERIES[i % len(SERIES)], linestyle=DASHES[i % len(DASHES)], label=label)
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), aspect="equal", xlabel="1 − specificity", ylabel="sensitivity")
        axes.legend(loc="lower right", title="AUROC", alignment="left", handlelength=2.6)
        said = ", ".join(f"{label} {number(aurocs.get(label), 2)}" for label in drawn)
        return as_svg(figure, name, f"ROC curves of the test split; area under each curve: {said}")


def confusion_matrix(
    matrix: Sequence[Sequence[float]], class_names: Sequence[str], *, name: str = "confusion"
) -> str | None:
    """Counts, shaded by share of the row (the reference class); None if the matrix does not fit the classes."""
    num = len(class_names)
    cells = [[finite(one) for one in row] for row in matrix if isinstance(row, Sequence)]
    if num == 0 or [len(row) for row in cells] != [num] * num or any(one is None for row in cells for one in row):
        return None
    counts = np.array(cells, dtype=float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.2, min(9.0, 1.7 + 0.55 * num))
    with drawing():
        figure = Figure(figsize=(side + 0.2, side), layout="constrained")
        axes = figure.subplots()
        for (row, column), share in np.ndenumerate(shares):
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=_shade(share), edgecolor=GROUND, linewidth=2))
            text = f"{counts[row, column]:.0f}"
            axes.text(
                column + 0.5,
                row + 0.5,
                text,
                color=_ink_on(share),
                ha="center",
                va="center",
                fontsize=11 if num < 8 else 8,
            )
        axes.set(xlim=(0, num), ylim=(num, 0), aspect="equal", xlabel="predicted", ylabel="reference")
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        names = [shortened(one, 16) for one in class_names]
        axes.set_xticks(
            np.arange(num) + 0.5,
            names,
            rotation=35 if max(map(len, names)) > 5 else 0,
            ha="right",
            rotation_mode="anchor",
        )
        if max(map(len, names)) <= 5:
            axes.set_xticks(np.arange(num) + 0.5, names, rotation=0, ha="center")
        axes.set_yticks(np.arange(num) + 0.5, names)
        axes.tick_params(length=0)
        right = int(np.trace(counts))
        return as_svg(
            figure, name, f"Confusion matrix of the test split: {right} of {counts.sum():.0f} on the diagonal"
        )


def class_counts(counts: Mapping[str, Mapping[str, int]], class_names: Sequence[str]) -> str | None:
    """Images of each class as one bar, divided into training, validation and test (striped); None without counts."""
    splits = [name for name in ("train", "val", "test") if mapping(counts.get(name))]
    if not splits or not class_names:
        return None
    with drawing():
        figure = Figure(figsize=(5.4, 0.85 + 0.36 * len(class_names)), layout="constrained")
        axes = figure.subplots()
        left = np.zeros(len(class_names))
        labels = {"train": "training", "val": "validation", "test": "test"}
        for split, color in zip(splits, (SERIES[0], "#56b4e9", "#e69f00"), strict=False):
            width = np.array([finite(counts[split].get(name)) or 0.0 for name in class_names])
            axes.barh(
                range(len(class_names)),
                width,
                left=left,
                height=0.62,
                color=color,
                label=labels[split],
                hatch="////" if split == "test" else None,  # in gray it would look like validation
                edgecolor=GROUND,
            )
            left += width
        for row, total in enumerate(left):
            axes.annotate(
                f"{total:.0f}", (total, row), xytext=(5, 0), textcoords="offset points", va="center", fontsize=9.5
            )
        axes.set_yticks(range(len(class_names)), [shortened(name, 24) for name in class_names])
        axes.set(ylim=(len(class_names) - 0.5, -0.5), xlim=(0, max(1.0, left.max() * 1.12)), xlabel="images")
        axes.tick_params(axis="y", length=0)
        axes.spines["left"].set_visible(False)
        axes.grid(axis="y", visible=False)
        figure.legend(loc="outside upper left", ncols=3, handlelength=1.2, columnspacing=1.4)
        said = ", ".join(f"{name} {total:.0f}" for name, total in zip(class_names, left, strict=True))
        return as_svg(figure, "counts", f"Images of each class: {said}")


def calibration(confidence: Sequence[float], is_right: Sequence[bool], *, num_bins: int = 8) -> str | None:
    """Share of right answers against the stated probability, in bins of equal counts; None below 20 images."""
    if len(confidence) < 20:
        return None
    order = np.argsort(np.asarray(confidence, dtype=float), kind="stable")
    stated = np.asarray(confidence, dtype=float)[order]
    right = np.asarray(is_right, dtype=float)[order]
    bins = np.array_split(np.arange(len(order)), min(num_bins, len(order) // 10 or 1))
    x, y = [float(stated[b].mean()) for b in bins], [float(right[b].mean()) for b in bins]
    low = max(0.0, min([*x, *y]) - 0.08)
    with drawing():
        figure = Figure(figsize=(4.4, 4.2), layout="constrained")
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=INK, linewidth=1, linestyle=(0, (2, 3)), alpha=0.6)
        axes.text(
            low + 0.1 * (1 - low),
            low + 0.135 * (1 - low),
            "well calibrated",
            fontsize=9,
            rotation=45,
            rotation_mode="anchor",
        )
        axes.plot(x, y, color=SERIES[0], marker="o", markersize=6)
        axes.set(xlim=(low, 1.02), ylim=(low, 1.02), aspect="equal")
        axes.set(xlabel="stated probability of the predicted class", ylabel="share of right answers")
        said = ", ".join(f"stated {number(a, 2)}: right {number(b, 2)}" for a, b in zip(x, y, strict=True))
        return as_svg(figure, "calibration", f"Calibration in {len(bins)} bins of equal counts: {said}")


def color_bar(*, scale: float, unit: str, ends: tuple[str, str] = ("against", "for")) -> str:
    """The colors of evidence over mid-gray, from -scale to +scale, with the unit; the same for all cases of a method."""
    strengths = np.linspace(-1, 1, 21)
    alpha = evidence_alpha(strengths)[:, None]
    colors = np.rint((0.45 * (1 - alpha) + evidence_rgb(strengths) * alpha) * 255).astype(int)
    cells = "".join(
        f'<rect x="{20 + 14 * i}" y="18" width="14.5" height="12" fill="rgb({r},{g},{b})"/>'
        for i, (r, g, b) in enumerate(colors)
    )
    ticks = "".join(
        f'<text x="{x}" y="45" text-anchor="middle">{label}</text>'
        for x, label in ((27, f"−{significant(scale, 2)}"), (167, "0"), (307, f"+{significant(scale, 2)}"))
    )
    words = f'<text x="20" y="12">{ends[0]}</text><text x="314" y="12" text-anchor="end">{ends[1]}</text>'
    middle = f'<text x="167" y="12" text-anchor="middle">{html.escape(shortened(unit, 34))}</text>'
    label = html.escape(
        f"Color bar from −{significant(scale, 2)} (blue, {ends[0]}) to +{significant(scale, 2)} (orange, {ends[1]}); unit: {unit}",
        quote=True,
    )
    return (
        f'<svg class="bar" viewBox="0 0 334 50" role="img" aria-label="{label}" font-size="11" fill="currentColor">'
        f"{cells}{ticks}{words}{middle}</svg>"
    )


def shortened(text: str, most: int = 22) -> str:
    """Text cut to `most` characters with an ellipsis."""
    return text if len(text) <= most else text[: most - 1] + "…"


def _curve_panel(epochs: Sequence[Row], names: Sequence[str], best_epoch: int | None, chart: str, title: str) -> str:
    with drawing():
        figure = Figure(figsize=(5.0, 3.1), layout="constrained")
        axes = figure.subplots()
        _epoch_lines(axes, epochs, names, best_epoch)
        axes.set_title(title)
        return as_svg(figure, chart, f"{title} by epoch: {_in_words(epochs, names)}")


def _points(epochs: Sequence[Row], name: str) -> tuple[list[float], list[float]]:
    known = [(finite(row.get("epoch")), finite(row.get(name))) for row in epochs]
    pairs = [(x, y) for x, y in known if x is not None and y is not None]
    return [x for x, _ in pairs], [y for _, y in pairs]


def _epoch_lines(axes: Axes, epochs: Sequence[Row], names: Sequence[str], best_epoch: int | None) -> None:
    for i, name in enumerate(names):
        x, y = _points(epochs, name)
        if x:
            marker = MARKERS[i % len(MARKERS)] if len(x) <= 40 else None
            label = name if name.endswith("/loss") else name.removeprefix("val/")
            axes.plot(
                x,
                y,
                color=SERIES[i % len(SERIES)],
                linestyle=DASHES[i % len(DASHES)],
                marker=marker,
                label=label.replace("_", " "),
            )
    if best_epoch is not None:
        axes.axvline(best_epoch, color=INK, linewidth=1, linestyle=(0, (1, 2)), alpha=0.8, label="best epoch")
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.legend()


def _in_words(epochs: Sequence[Row], names: Sequence[str]) -> str:
    ends = [(name, _points(epochs, name)[1]) for name in names]
    return ", ".join(f"{name} from {significant(y[0])} to {significant(y[-1])}" for name, y in ends if y)


def _is_curve(curve: object) -> bool:
    if not isinstance(curve, Mapping):
        return False
    x, y = (sequence(curve.get(name)) for name in ("false_positive_rate", "true_positive_rate"))
    return len(x) == len(y) > 1 and all(finite(one) is not None for one in [*x, *y])


def _thinned(x: Sequence[float], y: Sequence[float]) -> tuple[list[float], list[float]]:
    keep = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).round().astype(int))
    return [x[i] for i in keep], [y[i] for i in keep]


def _shade(share: float) -> str:
    weak, strong = np.array([0.91, 0.945, 0.975]), np.array([0.0, 0.30, 0.52])
    return to_hex(weak + (strong - weak) * float(np.clip(share, 0, 1)))


def _ink_on(share: float) -> str:
    """Black or white, at least 4.5 : 1 against the shade (the two meet at a share of about 0.72)."""
    return "#ffffff" if share > 0.72 else "#010101"  # full black would be left out of the SVG
