"""What images give each other: exactly that, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from scanlens.errors import ExplainError
from scanlens.explain.interventions import LOOKS, noise_level, swapped


def images(num: int = 3, *, size: int = 48, channels: int = 1, seed: int = 0) -> torch.Tensor:
    """Smooth images with some noise, inside of 0.2 to 0.8."""
    rng = np.random.default_rng(seed)
    smooth = np.stack([gaussian_filter(rng.normal(size=(size, size)), 3) for _ in range(num * channels)])
    smooth = 0.5 + 0.1 * smooth / smooth.std() + 0.01 * rng.normal(size=smooth.shape)
    return torch.tensor(smooth.reshape(num, channels, size, size), dtype=torch.float32).clamp(0.2, 0.8)


def test_a_swap_changes_the_region_and_nothing_else():
    x, donor = images(seed=1), images(seed=2)
    region = torch.zeros(3, 48, 48, dtype=torch.bool)
    region[0, :5, :7] = True
    region[2] = True
    changed = swapped(x, donor, region)
    torch.testing.assert_close(changed[0, :, :5, :7], donor[0, :, :5, :7], rtol=0, atol=0)
    torch.testing.assert_close(changed[0, :, 5:], x[0, :, 5:], rtol=0, atol=0)
    torch.testing.assert_close(changed[1], x[1], rtol=0, atol=0)
    torch.testing.assert_close(changed[2], donor[2], rtol=0, atol=0)


def test_a_swap_of_other_sizes_is_refused():
    with pytest.raises(ExplainError, match="one size"):
        swapped(images(), images(size=32), torch.zeros(3, 48, 48, dtype=torch.bool))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", LOOKS)
def test_an_image_gives_itself_nothing_new(name, channels):
    x = images(channels=channels)
    torch.testing.assert_close(LOOKS[name].give(x, x.clone(), 5), x, rtol=0, atol=2e-5)


@pytest.mark.parametrize("name", LOOKS)
def test_flat_images_give_and_take_without_harm(name):
    flat, x = torch.full((1, 1, 48, 48), 0.5), images(1)
    for changed in (LOOKS[name].give(flat, x, 0), LOOKS[name].give(x, flat, 0)):
        assert torch.isfinite(changed).all()
        assert changed.min() >= 0
        assert changed.max() <= 1


def test_brightness_is_given_by_an_offset_and_by_a_factor():
    x, donor = images(1, seed=1), images(1, seed=2)
    offset = LOOKS["offset"].give(x, donor * 0.8, 0)
    torch.testing.assert_close(offset - x, torch.full_like(x, float((donor * 0.8).mean() - x.mean())))
    gain = LOOKS["gain"].give(x, donor * 0.5, 0)
    assert float(gain.std()) == pytest.approx(float((donor * 0.5).std()), rel=1e-4)
    assert float((gain / x).std()) < 1e-5


def test_the_histogram_of_another_image_is_given_and_the_order_of_pixels_stays():
    x, donor = images(1, seed=1), images(1, seed=2) ** 2
    changed = LOOKS["histogram"].give(x, donor, 0)
    np.testing.assert_allclose(changed.flatten().sort().values, donor.flatten().sort().values, atol=0.01)
    order = x.flatten().argsort()
    assert (changed.flatten()[order].diff() >= -1e-6).all()


def test_noise_is_measured_added_and_taken_away():
    calm = torch.tensor(gaussian_filter(np.random.default_rng(0).random((256, 256)), 6))[None, None].float()
    calm = (calm - calm.mean()) * 5 + 0.5
    noisy = (calm + 0.05 * torch.randn(calm.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    assert float(noise_level(noisy)) == pytest.approx(0.05, rel=0.05)
    assert float(noise_level(LOOKS["noise"].give(calm, noisy, 3))) == pytest.approx(0.05, rel=0.1)
    assert float(noise_level(LOOKS["noise"].give(noisy, calm, 3))) < 0.02
    torch.testing.assert_close(LOOKS["noise"].give(calm, noisy, 3), LOOKS["noise"].give(calm, noisy, 3))


def test_a_blurred_image_gives_its_lack_of_fine_structure():
    def fine(x: torch.Tensor) -> float:
        return float((torch.fft.rfft2(x)[0, 0].abs().square())[16:32, 16:].mean())

    sharp, other = images(1, size=64, seed=3), images(1, size=64, seed=4)
    blurred = torch.tensor(gaussian_filter(other.numpy(), (0, 0, 1.5, 1.5)))
    changed = LOOKS["sharpness"].give(sharp, blurred, 0)
    assert fine(changed) < 0.1 * fine(sharp)
    assert fine(LOOKS["sharpness"].give(blurred, sharp, 0)) > 20 * fine(blurred)
    low = [torch.fft.rfft2(x)[0, 0, :4, :4] for x in (changed, sharp)]
    torch.testing.assert_close(low[0], low[1], rtol=0.02, atol=0.02)
