"""Small changes of an image, worked out from their definitions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scanlens.explain.small_changes import OF_A_VERDICT, OF_THE_SCORE_CARD, SmallChange

SHIFT, FAINT, DARKER, BRIGHTER, TURN = OF_A_VERDICT
NOISE, AGAIN, CONTRAST = OF_THE_SCORE_CARD


def image() -> torch.Tensor:
    return 0.1 + 0.8 * torch.rand(1, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("change", [*OF_A_VERDICT, *OF_THE_SCORE_CARD], ids=lambda one: one.name)
def test_a_small_change_is_small_and_never_brighter_than_the_image_was(change: SmallChange) -> None:
    x = image()
    after = change.of(x, seed=1)
    assert after.shape == x.shape
    assert not torch.equal(after, x)
    assert float(after.max()) <= float(x.max())
    if change.keeps_floor:
        assert float(after.min()) >= float(x.min())
    if not change.moves:
        assert float((after - x).abs().mean()) < 0.04


def test_noise_goes_by_the_seed_and_has_the_strength_that_is_told() -> None:
    x = image()
    assert torch.equal(NOISE.of(x, seed=1), NOISE.of(x, seed=1))
    assert not torch.equal(NOISE.of(x, seed=1), NOISE.of(x, seed=2))
    span = float(x.max() - x.min())
    assert float((NOISE.of(x, seed=1) - x).std()) == pytest.approx(0.02 * span, rel=0.1)
    assert float((FAINT.of(x, seed=1) - x).std()) == pytest.approx(0.01 * span, rel=0.1)
    assert (AGAIN.noise, AGAIN.keeps_floor) == (NOISE.noise, NOISE.keeps_floor)


def test_light_changes_as_told() -> None:
    x = image()
    middle = (x - 0.5).abs() < 0.3
    assert torch.allclose(DARKER.of(x, seed=1), 0.95 * x)
    assert torch.allclose(BRIGHTER.of(x, seed=1)[middle], (x + 0.02 * (x.max() - x.min()))[middle])
    assert torch.allclose(CONTRAST.of(x, seed=1)[middle], (x.mean() + 1.05 * (x - x.mean()))[middle], atol=1e-6)


def test_a_map_comes_back_to_where_it_was_and_what_came_in_is_not_known() -> None:
    x, everywhere = image(), torch.ones(32, 32, dtype=torch.bool)
    shifted = SHIFT.of(x, seed=1)
    assert torch.allclose(shifted[0, 1:, 1:], x[0, :-1, :-1], atol=1e-5)
    back = SHIFT.undone(shifted[0], everywhere)
    known = torch.isfinite(back)
    assert int((~known).sum()) == 32 + 31, "the last row and column"
    assert torch.allclose(back[known], x[0][known], atol=1e-5)
    assert torch.allclose(DARKER.undone(x[0], everywhere), x[0], atol=1e-4)
    smooth = torch.from_numpy(np.sin(np.indices((32, 32)) / 5).sum(axis=0)).float()
    turned = TURN.undone(TURN.of(smooth[None], seed=1)[0], everywhere)
    assert float((turned - smooth)[4:-4, 4:-4].abs().max()) < 0.05
