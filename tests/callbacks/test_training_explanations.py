"""Heat maps while training stay within their share of the time."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from scanlens.callbacks import explanations
from scanlens.callbacks.explanations import TrainingExplanations


class Clock:
    """Time that passes only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize(("max_share", "explained"), [(0.04, [0, 2]), (0.5, [0, 1, 2, 3])])
def test_epochs_are_left_out_when_maps_take_more_than_their_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, max_share: float, explained: list[int]
) -> None:
    clock = Clock()
    monkeypatch.setattr(explanations, "time", clock)

    def explain(*_: object) -> list[object]:
        clock.now += 1.0
        return []

    monkeypatch.setattr(explanations, "explain_cases", explain)
    callback = TrainingExplanations(
        tmp_path,
        explainer=None,  # type: ignore[arg-type]
        indices=[0],
        targets=[0],
        read=lambda index: (torch.zeros(1, 4, 4), None),
        every_n_epochs=1,
        max_share=max_share,
    )
    module = SimpleNamespace(get_submodule=lambda name: nn.Identity())
    callback.on_fit_start(None, module)  # type: ignore[arg-type]
    for epoch in range(4):
        clock.now += 10.0
        trainer = SimpleNamespace(sanity_checking=False, is_global_zero=True, current_epoch=epoch)
        callback.on_validation_epoch_end(trainer, module)  # type: ignore[arg-type]
    # spent and passed at each epoch's end, of 4 %: 0 of 10, 1 of 21 (too much), 1 of 31, 2 of 42 (too much)
    assert sorted(int(path.name[-4:]) for path in tmp_path.iterdir()) == explained
