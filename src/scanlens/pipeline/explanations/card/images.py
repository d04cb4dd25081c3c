"""Which images a score card is made from, and of whom they are.

Legend: B images, C channels, H rows, W columns.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from scanlens.callbacks.predictions import index_of
from scanlens.data.image_facts import FACTS
from scanlens.evaluation.explanations.numbers import Whose
from scanlens.pipeline.explanations.subject import Mask, Subject
from scanlens.pipeline.patients import Predicted
from scanlens.pipeline.trust import named_class

Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class CardImages:
    """Images in the order in which they were drawn, so that the first few of them are a draw, too.

    Args:
        rows: of the predictions.
        x_BCHW: as the network gets them, on its device.
        target_B: the explained class of each: the one that the network named.
        masks: (H, W) of zeros and ones; only of images that were chosen for having one.
        whose: their patients.
        mm_per_px: millimeters of a pixel of each, None where not known.
        num_wrong: images with a lesion that the network named wrongly, left out.
        num_not_drawn: images that would have counted, but were not drawn.
    """

    rows: list[Row]
    x_BCHW: Tensor
    target_B: Tensor
    masks: list[Mask]
    whose: Whose
    mm_per_px: list[float | None]
    num_wrong: int = 0
    num_not_drawn: int = 0

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def index_B(self) -> list[int]:
        """Place of each in `split.csv`."""
        return [index_of(row) for row in self.rows]


def images_with_a_finding(subject: Subject) -> tuple[CardImages, str]:
    """Test images in which the network found something, right or wrong, and what that means in words.

    Evidence for "nothing there" lies everywhere, so it is not taken away piece by piece.
    """
    target, _ = named_class(subject.run.config, subject.class_names)
    findings = None if target is None else {subject.class_names[k] for k in target.members}
    rows = [row for row in subject.test.rows if findings is None or row["predicted"] in findings]
    words = "of any class" if target is None or findings is None else f"named {target.name}"
    drawn = subject.drawn(rows)
    return _images(subject, subject.test, drawn, num_not_drawn=len(rows) - len(drawn)), words


def images_with_a_lesion(subject: Subject, split: str) -> CardImages:
    """Images with a marked lesion whose class the network named rightly."""
    predicted = subject.test if split == "test" else subject.val
    marked = [row for row in predicted.rows if _has_lesion(subject, row)]
    right = [row for row in marked if row["predicted"] == row["target"]]
    drawn = subject.drawn(right)
    left_out = {"num_wrong": len(marked) - len(right), "num_not_drawn": len(right) - len(drawn)}
    return _images(subject, predicted, drawn, with_masks=True, **left_out)


def _has_lesion(subject: Subject, row: Row) -> bool:
    cached, index = subject.data.cached, index_of(row)
    return cached.masks is not None and bool(cached.has_mask[index]) and bool(np.asarray(cached.masks[index]).any())


def _images(
    subject: Subject, predicted: Predicted, rows: Sequence[Row], *, with_masks: bool = False, **left_out: int
) -> CardImages:
    of_row = {row["case"]: (patient, group) for row, patient, group in zip(predicted.rows, predicted.patients, predicted.groups, strict=True)}  # fmt: skip
    side = int(subject.run.facts["input_size"])
    x_BCHW, masks = subject.images(rows) if rows else (torch.zeros(0, 1, side, side, device=subject.device), [])
    return CardImages(
        rows=list(rows),
        x_BCHW=x_BCHW,
        target_B=subject.classes(rows),
        masks=[mask for mask in masks if mask is not None] if with_masks else [],
        whose=Whose(tuple(of_row[row["case"]][0] for row in rows), tuple(of_row[row["case"]][1] for row in rows)),
        mm_per_px=[_mm_per_px(subject, index_of(row), side) for row in rows],
        **left_out,
    )


def _mm_per_px(subject: Subject, index: int, side: int) -> float | None:
    """Millimeters of a pixel as the network sees it; None where the file does not say, or the image was stretched."""
    facts = dict(zip(FACTS, np.asarray(subject.data.cached.facts[index]).tolist(), strict=True))
    spacing = facts["spacing_mm"]
    if not np.isfinite(spacing) or spacing <= 0 or not subject.run.config["preprocess"]["keeps_aspect"]:
        return None
    if subject.run.place_of:  # slices of a volume need not have square pixels, and only the height is noted
        return None
    return float(spacing * max(facts["height"], facts["width"]) / side)
