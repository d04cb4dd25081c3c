"""Figures as inline SVG for a strict page: no dates, no random ids, no style attributes; equal numbers give equal
bytes.

Ink is `currentColor`: a chart is dark on a light page and light on a dark one.
"""

from __future__ import annotations

import html
import io
import re
import warnings
from contextlib import AbstractContextManager
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

INK = "#123456"  # replaced by currentColor
GROUND = "#654321"  # replaced by the color of the card
_RC: Any = {
    "svg.hashsalt": "scanlens",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "font.family": "DejaVu Sans",
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": INK,
    "grid.alpha": 0.14,
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "figure.facecolor": "none",
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "lines.linewidth": 1.9,
    "lines.markersize": 4,
}


def drawing() -> AbstractContextManager[None]:
    """The settings under which figures are made; matplotlib's own are back afterwards."""
    return mpl.rc_context(_RC)


def as_svg(figure: Figure, name: str, label: str) -> str:
    """The figure as an SVG element for a page without style attributes, with its meaning as label."""
    buffer = io.StringIO()
    FigureCanvasSVG(figure)
    with (
        warnings.catch_warnings()
    ):  # a class name in a script that the measuring font lacks is drawn by the reader's font
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, count=1, flags=re.DOTALL)
    text = re.sub(r' style="([^"]*)"', _attributes, text)
    text = re.sub(r' id="(?:[A-Za-z0-9.]*_\d+|matplotlib[^"]*)"', "", text)
    text = re.sub(r' id="([^"]+)"', rf' id="{name}-\1"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text).replace('xlink:href="#', f'href="#{name}-')
    text = text.replace(INK, "currentColor").replace(GROUND, "var(--card)")
    text = re.sub(r' transform="rotate\(-0 [^"]*\)"', "", re.sub(r"\s*\n\s*", " ", text))
    box = re.search(r'viewBox="([^"]+)"', text)
    size = box.group(1) if box else "0 0 100 100"
    head = f'<svg class="chart chart-{name}" viewBox="{size}" role="img" aria-label="{html.escape(label, quote=True)}">'
    return re.sub(r"^<svg[^>]*>", lambda _: head, text, count=1).strip()


def _attributes(style: re.Match[str]) -> str:
    """Declarations of a style attribute as presentation attributes; fonts are left to the page."""
    pairs = [part.partition(":")[::2] for part in html.unescape(style.group(1)).split(";") if ":" in part]
    kept = [(key.strip(), value.strip()) for key, value in pairs if key.strip() != "font-family"]
    return "".join(f' {key}="{html.escape(value, quote=True)}"' for key, value in kept)
