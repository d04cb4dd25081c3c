"""A methods section in plain English, from what the run was told and found: `report/methods.txt`, and on the page.

Only what the run folder holds is said. Study design, patients, imaging protocols and reference standard are for the authors.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

from scanlens.files import write_text
from scanlens.report import methods_data as data
from scanlens.report import methods_learning as learning
from scanlens.report import methods_statistics as statistics
from scanlens.report.audit import plain
from scanlens.report.folder import RunFolder

Sentence = Callable[[RunFolder], str]
_PARAGRAPHS: tuple[tuple[str, tuple[Sentence, ...]], ...] = (
    ("Data", (data.source, data.left_out, data.split, data.counts, data.leaks)),
    ("Preparation of images", (data.preprocess, data.standardization, learning.augment)),
    ("Network and training", (learning.network, learning.start, learning.training, learning.balance, learning.choice)),
    (
        "Evaluation",
        (
            statistics.metrics,
            statistics.patients,
            statistics.intervals,
            statistics.calibration,
            statistics.threshold,
            statistics.sets_and_referral,
            statistics.subgroups,
        ),
    ),
    ("Explanations", (statistics.explanations,)),
    ("Software", (learning.software, learning.code, learning.hardware)),
)
_WIDTH = 100


def methods_paragraphs(run: RunFolder) -> list[tuple[str, str]]:
    """Heading and text of each paragraph that the run can fill."""
    found = [(head, " ".join(text for sentence in makers if (text := sentence(run)))) for head, makers in _PARAGRAPHS]
    return [(head, text) for head, text in found if text]


def write_methods(run: RunFolder) -> Path:
    """Write `report/methods.txt` of a run and return where it lies."""
    path = run.path / "report" / "methods.txt"
    paragraphs = methods_paragraphs(run)
    write_text(path, "\n".join(f"{head}\n{textwrap.fill(plain(text), _WIDTH)}\n" for head, text in paragraphs))
    return path
