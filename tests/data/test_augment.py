from __future__ import annotations

import numpy as np
import pytest
import torch

from scanlens.data import artifacts
from scanlens.data.augment import Augment

EVERYTHING = Augment(
    sides_matter=False, rotation_degrees=10, zoom=0.1, shift=0.05, flip_left_right=0.5, quarter_turns=True, brightness=0.1,
    contrast=0.2, gamma=0.2, artifact_probability=0.6, rician_noise=0.05, bias_field=0.3, gibbs=0.5, ghosting=0.4, motion=0.05,
    blur=1.0, stain=0.1,
)  # fmt: skip


def picture(batch: int = 8, channels: int = 3, size: int = 24) -> torch.Tensor:
    generator = torch.Generator().manual_seed(5)
    return torch.rand(batch, channels, size, size, generator=generator)


def test_nothing_switched_on_changes_nothing() -> None:
    x = picture()
    out, _, applied = Augment()(x, seed=1, epoch=0, index_B=range(8))
    torch.testing.assert_close(out, x, rtol=0, atol=0)
    assert applied == [{}] * 8


def test_a_batch_of_eight_equals_eight_singles() -> None:
    x = picture()
    whole, _, _ = EVERYTHING(x, seed=1, epoch=3, index_B=range(10, 18))
    for b in range(8):
        alone, _, _ = EVERYTHING(x[b : b + 1], seed=1, epoch=3, index_B=[10 + b])
        torch.testing.assert_close(alone[0], whole[b], rtol=1e-4, atol=1e-5)


def test_epochs_differ_seeds_differ_and_the_same_is_the_same() -> None:
    x = picture()
    first, _, applied = EVERYTHING(x, seed=1, epoch=0, index_B=range(8))
    again, _, told_again = EVERYTHING(x, seed=1, epoch=0, index_B=range(8))
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert applied == told_again
    for other in (EVERYTHING(x, seed=1, epoch=1, index_B=range(8)), EVERYTHING(x, seed=2, epoch=0, index_B=range(8))):
        assert (other[0] - first).abs().max() > 0.05


def test_results_stay_in_range() -> None:
    for epoch in range(20):
        out, _, _ = EVERYTHING(picture(), seed=1, epoch=epoch, index_B=range(8))
        assert float(out.min()) >= 0
        assert float(out.max()) <= 1


def test_a_shift_moves_image_and_mask_by_the_pixels_it_tells() -> None:
    x = torch.zeros(1, 1, 20, 20)
    x[0, 0, 10, 10] = 1
    mask = x[:, 0].to(torch.uint8)
    plan = Augment()
    parameters = plan.draw(seed=1, epoch=0, index_B=[0]) | {"shift_x": np.array([0.1]), "shift_y": np.array([-0.05])}
    out, moved = plan.apply(x, parameters, mask_BHW=mask)
    assert moved is not None
    assert torch.nonzero(moved[0]).tolist() == [[9, 12]]
    assert float(out[0, 0, 9, 12]) == pytest.approx(1, abs=1e-4)


def test_quarter_turns_and_flips_are_exact() -> None:
    x = picture(1, 1, 8)
    plan = Augment(sides_matter=False)
    still = plan.draw(seed=1, epoch=0, index_B=[0])
    turned, _ = plan.apply(x, still | {"quarters": np.array([2.0])})
    torch.testing.assert_close(turned, x.flip(2, 3), atol=1e-5, rtol=0)
    flipped, _ = plan.apply(x, still | {"left_right": np.array([1.0])})
    torch.testing.assert_close(flipped, x.flip(3), atol=1e-5, rtol=0)


def test_left_right_flips_are_refused_where_sides_matter() -> None:
    with pytest.raises(ValueError, match="sides_matter=false"):
        Augment(sides_matter=True, flip_left_right=0.5)


def test_out_of_range_settings_are_named_together() -> None:
    with pytest.raises(ValueError, match=r"zoom=2.*gibbs=1\.5"):
        Augment(zoom=2, gibbs=1.5)


def test_drawn_parameters_fill_their_range() -> None:
    drawn = EVERYTHING.draw(seed=1, epoch=0, index_B=range(4000))
    assert drawn["angle"].min() < -9.9
    assert drawn["angle"].max() > 9.9
    assert 0.57 < np.count_nonzero(drawn["blur"]) / 4000 < 0.63
    assert set(np.unique(drawn["quarters"])) == {0, 1, 2, 3}
    assert drawn["left_right"].mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize("alpha", [0.3, 0.6, 0.9])
def test_gibbs_ringing_keeps_k_space_inside_its_radius_alone(alpha: float) -> None:
    x = picture(2, 1, 32)
    out = artifacts.gibbs_ringing(x, torch.tensor([alpha, 0.0]))
    before, after = (np.fft.fftshift(np.fft.fft2(one[0, 0].numpy())) for one in (x, out))
    row, column = np.mgrid[:32, :32] - 16
    beyond = np.hypot(row, column) - (1 - alpha) * 32 * np.sqrt(2) / 2
    kept, cut = beyond < -1, beyond > 1  # between them the center of an even grid is a matter of taste
    np.testing.assert_allclose(after[kept], before[kept], atol=1e-3)
    np.testing.assert_allclose(after[cut], 0, atol=1e-3)
    assert torch.equal(out[1], x[1])
    assert type(out) is torch.Tensor


def test_rician_noise_on_nothing_is_rayleigh() -> None:
    noise = torch.randn(2, 1, 1, 200, 200, generator=torch.Generator().manual_seed(1))
    out = artifacts.rician_noise(torch.zeros(1, 1, 200, 200), noise[0], noise[1], torch.tensor([0.1]))
    assert float(out.mean()) == pytest.approx(0.1 * np.sqrt(np.pi / 2), rel=0.01)
    assert float(out.square().mean()) == pytest.approx(2 * 0.01, rel=0.02)


def test_motion_in_the_middle_of_the_scan_gives_a_magnitude() -> None:
    x = picture(1, 1, 32)
    out = artifacts.motion(x, torch.tensor([4.0]), torch.tensor([0.5]))
    lines = np.fft.fftshift(np.fft.fft2(x[0, 0].numpy()))
    moved = np.fft.fftshift(np.fft.fft2(np.roll(x[0, 0].numpy(), 4, axis=1)))
    expected = np.abs(np.fft.ifft2(np.fft.ifftshift(np.concatenate([lines[:16], moved[16:]]))))
    np.testing.assert_allclose(out[0, 0, :, :].numpy(), expected, atol=0.06)
    assert float(out.min()) >= 0


def test_the_same_image_drawn_twice_in_an_epoch_is_changed_in_two_ways() -> None:
    x = picture(1, 1, 16).expand(2, -1, -1, -1)
    out, _, _ = EVERYTHING(x, seed=1, epoch=0, index_B=[5, 5 + (1 << 32)])
    assert not torch.allclose(out[0], out[1])


def test_noise_does_not_turn_a_darkened_background_bright() -> None:
    plan = Augment(brightness=0.3, rician_noise=0.01, artifact_probability=1.0)
    out, _, applied = plan(torch.zeros(64, 1, 16, 16), seed=1, epoch=0, index_B=range(64))
    darker = [b for b, told in enumerate(applied) if told["brightness"] < -0.05]
    assert len(darker) > 10
    assert float(out[darker].mean()) < 0.0126, "Rayleigh noise of at most 0.01 has a mean of at most 0.0125"


def test_motion_of_the_whole_scan_is_a_plain_shift() -> None:
    x = picture(1, 1, 16)
    out = artifacts.motion(x, torch.tensor([3.0]), torch.tensor([0.0]))
    torch.testing.assert_close(out, x.roll(3, dims=3), atol=0.5, rtol=0)
    smooth = artifacts.blur(torch.nn.functional.pad(x[..., 4:12, 4:12], (4,) * 4), torch.tensor([1.5]))
    torch.testing.assert_close(
        artifacts.motion(smooth, torch.tensor([3.0]), torch.tensor([0.0])), smooth.roll(3, dims=3), atol=0.02, rtol=0
    )


def test_ghosts_keep_the_mean_and_appear_at_even_distances() -> None:
    x = torch.zeros(1, 1, 64, 64)
    x[0, 0, 8:12, 30:34] = 1
    out = artifacts.ghosting(x, torch.tensor([0.8]), torch.tensor([2.0]))
    assert float(out.mean()) == pytest.approx(float(x.mean()), abs=1e-5)
    assert float(out[0, 0, 40:44, 30:34].abs().mean()) > 0.2  # half the field of view away


def test_a_bias_field_is_smooth_and_multiplies() -> None:
    coefficients = torch.full((1, artifacts.NUM_FIELD_TERMS), 0.1)
    field = artifacts.bias_field(torch.ones(1, 1, 33, 33), coefficients)
    assert float(field[0, 0, 16, 16]) == pytest.approx(1, abs=1e-5)
    assert float(field[0, 0, 32, 32]) == pytest.approx(np.exp(0.1 * artifacts.NUM_FIELD_TERMS), rel=1e-4)


def test_blur_keeps_the_sum_and_leaves_images_with_sigma_zero() -> None:
    x = torch.zeros(2, 1, 21, 21)
    x[:, 0, 10, 10] = 1
    out = artifacts.blur(x, torch.tensor([0.0, 1.5]))
    torch.testing.assert_close(out[0], x[0])
    assert float(out[1].sum()) == pytest.approx(1, abs=1e-4)
    assert float(out[1, 0, 10, 10]) == pytest.approx(1 / (2 * np.pi * 1.5**2), rel=0.05)


def test_stain_scales_optical_density() -> None:
    x = torch.full((1, 3, 4, 4), 0.5)
    out = artifacts.stain(x, torch.tensor([[2.0, 1.0, 0.0]]), torch.zeros(1, 3))
    torch.testing.assert_close(out[0, :, 0, 0], torch.tensor([0.25, 0.5, 1.0]))


def test_an_image_without_artifacts_is_the_same_to_the_last_bit_whatever_strikes_its_neighbors() -> None:
    x = picture(4, 1, 16)
    plan = Augment()
    still = plan.draw(seed=1, epoch=0, index_B=range(4))
    struck = still | {
        "gibbs": np.array([0.0, 0.7, 0.0, 0.0]),
        "blur": np.array([0.0, 0.0, 1.5, 0.0]),
        "motion": np.array([0.0, 0.1, 0.0, 0.0]),
        "motion_when": np.array([0.0, 0.5, 0.0, 0.0]),
    }
    out, _ = plan.apply(x, struck)
    assert torch.equal(out[[0, 3]], x[[0, 3]])
    assert (out[[1, 2]] - x[[1, 2]]).abs().amax(dim=(1, 2, 3)).min() > 0.05


@pytest.mark.parametrize(("fill", "expected"), [("zeros", 0.0), ("reflection", 0.6)])
def test_what_comes_in_from_beyond_the_border_is_as_asked(fill: str, expected: float) -> None:
    x = torch.full((1, 1, 12, 12), 0.6)
    plan = Augment(fill=fill)  # type: ignore[arg-type]
    parameters = plan.draw(seed=1, epoch=0, index_B=[0]) | {"angle": np.array([45.0])}
    out, mask = plan.apply(x, parameters, mask_BHW=torch.ones(1, 12, 12, dtype=torch.uint8))
    assert float(out[0, 0, 0, 0]) == pytest.approx(expected, abs=1e-5)
    assert mask is not None
    assert int(mask[0, 0, 0]) == (fill == "reflection")
    assert float(out[0, 0, 6, 6]) == pytest.approx(0.6, abs=1e-5)


def test_a_mask_goes_where_the_image_goes_under_any_turn_and_flip() -> None:
    x = torch.zeros(16, 1, 40, 40)
    x[:, :, 10:16, 22:30] = 1
    out, mask, applied = EVERYTHING_THAT_MOVES(x, seed=3, epoch=0, index_B=range(16), mask_BHW=x[:, 0].to(torch.uint8))
    assert mask is not None
    assert all(applied)
    difference = (out[:, 0] - mask.float()).abs()
    edge = (out[:, 0] > 0.02) & (out[:, 0] < 0.98)  # bilinear against nearest differ on the outline alone
    assert float(difference[~edge].max()) <= 0.02
    assert mask.sum(dim=(1, 2)).min() > 25


EVERYTHING_THAT_MOVES = Augment(
    sides_matter=False,
    rotation_degrees=30,
    zoom=0.2,
    shift=0.1,
    flip_left_right=0.5,
    flip_up_down=0.5,
    quarter_turns=True,
)


@pytest.mark.parametrize("turns", [{"quarter_turns": True}, {"rotation_degrees": 180.0}])
def test_a_mirror_in_disguise_is_refused_where_sides_matter(turns: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="exchanges left and right"):
        Augment(flip_up_down=0.5, **turns)  # type: ignore[arg-type]
    assert Augment(flip_up_down=0.5, rotation_degrees=20).flip_up_down == 0.5


def test_stain_on_gray_images_is_told_to_have_no_effect(caplog: pytest.LogCaptureFixture) -> None:
    from scanlens.data import augment

    augment._tell_that_stain_has_no_effect.cache_clear()
    plan = Augment(stain=0.5, artifact_probability=1.0)
    gray = picture(2, 1, 8)
    for epoch in range(2):
        out, _, _ = plan(gray, seed=1, epoch=epoch, index_B=[0, 1])
        assert torch.equal(out, gray)
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "augment.stain has no effect on images of 1 channel(s)"
    ]


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_precisions_go_in_and_come_out(dtype: torch.dtype) -> None:
    x = picture(4, 3, 16)
    expected, _, _ = EVERYTHING(x.to(dtype).float(), seed=1, epoch=0, index_B=range(4))
    out, _, _ = EVERYTHING(x.to(dtype), seed=1, epoch=0, index_B=range(4))
    assert out.dtype == dtype
    torch.testing.assert_close(out, expected.to(dtype), rtol=0, atol=0)


def test_what_is_told_can_be_applied_again_to_the_same_effect() -> None:
    plan = Augment(
        sides_matter=False, rotation_degrees=20, zoom=0.1, gamma=0.2, bias_field=0.3, blur=1.0, artifact_probability=1.0
    )
    x = picture(3, 1, 16)
    out, _, applied = plan(x, seed=4, epoch=1, index_B=[5, 6, 7])
    names = plan.draw(seed=4, epoch=1, index_B=[5])
    told = {name: np.array([one.get(name, 0.0) for one in applied]) for name in names}
    again, _ = plan.apply(x, told)
    assert torch.equal(again, out)
