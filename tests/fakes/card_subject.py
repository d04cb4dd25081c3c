"""A finished run that never was: a network whose evidence is known exactly, its images, and the lesions in them.

The log-odds of "tumor" are twice what pixels exceed 0.6 by, summed, less 3. A lesion is 3 x 3 pixels at 0.95 on a ground of
0.2 to 0.4, so every lesion pixel adds 0.7 and all others add nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from scanlens.data.image_facts import FACTS
from scanlens.explain.base import Explainer, Finding
from scanlens.explain.geometry import PIXELS
from scanlens.pipeline.explanations.subject import Subject
from scanlens.pipeline.patients import Predicted

SIDE = 24
LESION_PX = 9
CLASSES = ["no_tumor", "tumor"]
PLAIN_LOG_ODDS = LESION_PX * 0.7 - 3


class BrightPixels(nn.Module):
    """What pixels exceed 0.6 by, summed."""

    head_kind = "flatten"

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU())
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(SIDE**2, 2))
        with torch.no_grad():
            self.features[0].weight.fill_(1.0)
            self.features[0].bias.fill_(-0.6)
            self.head[1].weight.copy_(torch.tensor([[-1.0], [1.0]]).expand(2, SIDE**2))
            self.head[1].bias.copy_(torch.tensor([1.5, -1.5]))

    @property
    def feature_layer(self) -> nn.Module:
        return self.features[1]

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return self.head(self.features(x_BCHW))


class Constant(Explainer):
    """A map that says the same of every place."""

    name, title, description = "constant", "Constant map", "Says nothing."

    def _find(self, model: nn.Module, x_BCHW: Tensor, target_B: Tensor | Sequence[int] | None) -> Finding:
        return Finding(torch.ones(len(x_BCHW), SIDE, SIDE), PIXELS, "input", None, torch.zeros(len(x_BCHW)))


def card_subject(folder: Path, *, explainers: Sequence[Explainer], methods: Sequence[str], num: int = 12) -> Subject:
    """A subject of `num` test and validation images with a lesion and as many without, each of a patient of its own.

    Args:
        folder: receives what is written.
        explainers: the methods of the run.
        methods: others to compare.
        num: images of each kind in each split; the first with a lesion is taken for healthy by the table of predictions.
    """
    rng = np.random.default_rng(0)
    total = 4 * num
    x_NHW = rng.uniform(0.2, 0.4, (total, SIDE, SIDE)).astype(np.float32)
    masks = np.zeros((total, SIDE, SIDE), dtype=np.uint8)
    for n in range(2 * num):
        row, column = rng.integers(1, SIDE - 4, 2)
        masks[n, row : row + 3, column : column + 3] = 1
    x_NHW[masks > 0] = 0.95
    facts = np.full((total, len(FACTS)), np.nan)
    facts[:, FACTS.index("height")] = facts[:, FACTS.index("width")] = 2 * SIDE
    facts[:, FACTS.index("spacing_mm")] = 1.5
    cached = SimpleNamespace(masks=masks, has_mask=masks.any(axis=(1, 2)), facts=facts)
    data = SimpleNamespace(
        cached=cached,
        image_and_mask=lambda n: (torch.from_numpy(x_NHW[n])[None], masks[n] if cached.has_mask[n] else None),
    )
    config = {"seed": 1, "operating_point": {"positive": "auto"}, "preprocess": {"keeps_aspect": True}}
    run = SimpleNamespace(
        folder=folder,
        explanations=folder / "explanations",
        config=config,
        facts={"class_names": CLASSES, "input_size": SIDE, "in_channels": 1},
        place_of={},
        split_rows=[],
    )
    subject = Subject(run, BrightPixels(), data, 50, methods=methods)  # type: ignore[arg-type]
    for split, first in (("test", 0), ("val", num)):
        indices = [*range(first, first + num), *range(2 * num + first, 3 * num + first)]
        subject.__dict__[split] = _predicted(split, indices, num_ill=2 * num)
    subject.__dict__["explainers"] = list(explainers)
    return subject


def _predicted(split: str, indices: list[int], *, num_ill: int) -> Predicted:
    rows: list[dict[str, Any]] = []
    for index in indices:
        target = CLASSES[index < num_ill]
        predicted = target if index else CLASSES[0]  # image 0: a lesion that the table says was missed
        rows.append({"case": f"{split}-{index:05d}", "patient": f"p{index}", "target": target, "predicted": predicted})
    target_N = np.array([CLASSES.index(row["target"]) for row in rows])
    patients: list[str | None] = [row["patient"] for row in rows]
    return Predicted(rows, np.zeros((len(rows), 2)), target_N, patients, [f"g{index}" for index in indices])
