"""Where every image of the data went, as boxes and arrows: found, left out and why, used, and in which split.

Reporting guidelines ask for such a diagram (CLAIM 2024, item 35; TRIPOD+AI, item 20). It is drawn narrow, so that its
words can be read on a telephone.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

from scanlens.report.facts import SPLIT_NAMES
from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.words import counted, whole

WIDTH, MAIN, SIDE, THIRD = 400, 176, 176, 124  # of the drawing and its boxes, in its own units
LEFT = 16  # where the main column begins
LINE, PAD, GAP = 17, 9, 26


@dataclass(frozen=True, slots=True)
class Flow:
    """Counts of images, and of patients where they are known.

    Args:
        found: that the source lists; None if the run does not say how many it left out.
        left_out: reason to count, in the order in which they were left out.
        used: in any split.
        patients: of these; None if unknown.
        splits: name, images and patients (or None) of each.
    """

    found: int
    left_out: dict[str, int]
    used: int
    patients: int | None
    splits: list[tuple[str, int, int | None]]


def data_flow(run: RunFolder) -> Flow | None:
    """What a run folder tells of where its images went; None if it does not say how many are in which split."""
    images, patients = mapping(run.facts.get("num_images")), mapping(run.facts.get("num_patients"))
    counts = {name: finite(images.get(name)) for name in SPLIT_NAMES}
    if any(count is None for count in counts.values()):
        return None
    splits = [
        (SPLIT_NAMES[name], round(count or 0), None if (who := finite(patients.get(name))) is None else round(who))
        for name, count in counts.items()
    ]
    used = sum(num for _, num, _ in splits)
    unreadable = finite(run.facts.get("num_quarantined", len(run.quarantine))) or 0
    left_out = {
        "without a class": round(finite(run.facts.get("num_without_class")) or 0),
        "cannot be read": round(unreadable),
    }
    left_out = {why: num for why, num in left_out.items() if num}
    return Flow(used + sum(left_out.values()), left_out, used, _num_patients(run, splits), splits)


def _num_patients(run: RunFolder, splits: Sequence[tuple[str, int, int | None]]) -> int | None:
    """Different patients; one who is in two splits counts once."""
    if any(who is None for _, _, who in splits):
        return None
    named = {row.get("patient") for row in run.split_rows}
    return len(named) if named else sum(who or 0 for _, _, who in splits)


def flow_chart(flow: Flow | None) -> str | None:
    """The diagram as SVG that reads in light and dark; None without counts."""
    if flow is None:
        return None
    parts, below = _column(flow)
    more, bottom = _partitions(flow, below)
    head = f'<svg class="chart chart-flow" viewBox="0 0 {WIDTH} {bottom + 1:g}" role="img" '
    return head + f'aria-label="{html.escape(flow_words(flow), quote=True)}">{"".join([*parts, *more])}</svg>'


def _column(flow: Flow) -> tuple[list[str], float]:
    """From what was found to what was used, with what was left out on the right, and where the column ends."""
    center, beside = LEFT + MAIN / 2, WIDTH - SIDE - 1
    box, height = _box(LEFT, 1, MAIN, ["Listed by the source", counted(flow.found, "image")])
    parts, top = [box], 1 + height
    for why, num in flow.left_out.items():
        side, height = _box(beside, top + 8, SIDE, [f"Left out: {why}", counted(num, "image")])
        middle = top + 8 + height / 2
        parts += [side, _arrow(center, middle, beside, middle), _line(center, top, center, top + height + 16)]
        top += height + 16
    parts.append(_arrow(center, top, center, top + GAP))
    box, height = _box(LEFT, top + GAP, MAIN, ["Used", counted(flow.used, "image"), _patients(flow.patients)])
    return [*parts, box], top + GAP + height


def _partitions(flow: Flow, top: float) -> tuple[list[str], float]:
    """From what was used to the partitions, and where their boxes end."""
    fork, step = top + GAP, THIRD + (WIDTH - 2 - 3 * THIRD) / 2
    centers = [1 + THIRD / 2 + place * step for place in range(len(flow.splits))]
    parts = [_line(LEFT + MAIN / 2, top, LEFT + MAIN / 2, fork), _line(centers[0], fork, centers[-1], fork)]
    height = 0.0
    for center, (name, num, who) in zip(centers, flow.splits, strict=True):
        lines = [name.capitalize(), counted(num, "image"), _patients(who)]
        box, height = _box(center - THIRD / 2, fork + GAP, THIRD, lines)
        parts += [box, _arrow(center, fork, center, fork + GAP)]
    return parts, fork + GAP + height


def flow_words(flow: Flow) -> str:
    """The diagram in a sentence."""
    lost = "".join(f", {whole(num)} left out ({why})" for why, num in flow.left_out.items())
    parts = [
        f"{name} {counted(num, 'image')}" + (f" of {counted(who, 'patient')}" if who is not None else "")
        for name, num, who in flow.splits
    ]
    who = "" if flow.patients is None else f" of {counted(flow.patients, 'patient')}"
    return (
        f"{counted(flow.found, 'image')} listed by the source{lost}; {whole(flow.used)} used{who}: {', '.join(parts)}."
    )


def _patients(num: int | None) -> str:
    return "patients unknown" if num is None else counted(num, "patient")


def _box(left: float, top: float, width: float, lines: Sequence[str]) -> tuple[str, float]:
    """A box with centered lines, the first one bold, and its height."""
    height = 2 * PAD + LINE * len(lines)
    frame = (
        f'<rect x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" rx="7" fill="currentColor" '
        'fill-opacity="0.05" stroke="currentColor" stroke-opacity="0.45"/>'
    )
    words = "".join(
        f'<text x="{left + width / 2:g}" y="{top + PAD + LINE * (place + 0.76):g}" text-anchor="middle" font-size="13" '
        f'font-weight="{400 if place else 600}" fill="currentColor">{html.escape(line)}</text>'
        for place, line in enumerate(lines)
    )
    return frame + words, height


def _line(x0: float, y0: float, x1: float, y1: float) -> str:
    return f'<path d="M{x0:g} {y0:g}L{x1:g} {y1:g}" fill="none" stroke="currentColor" stroke-opacity="0.6"/>'


def _arrow(x0: float, y0: float, x1: float, y1: float) -> str:
    """A line down or to the right with a head at its end."""
    head = f"M{x1 - 4:g} {y1 - 7:g}L{x1:g} {y1:g}L{x1 + 4:g} {y1 - 7:g}Z"
    if y0 == y1:
        head = f"M{x1 - 7:g} {y1 - 4:g}L{x1:g} {y1:g}L{x1 - 7:g} {y1 + 4:g}Z"
    return _line(x0, y0, x1, y1) + f'<path d="{head}" fill="currentColor"/>'
