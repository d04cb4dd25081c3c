"""Numbers of a picture: of noise that was added, of a blur, of pixels that were counted."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from scanlens.data.picture_looks import LOOKS, picture_looks


def looks(x_HW: np.ndarray) -> dict[str, float]:
    return dict(zip(LOOKS, picture_looks(x_HW[None]).tolist(), strict=True))


def test_noise_is_measured_whatever_ramp_lies_below() -> None:
    rng = np.random.default_rng(1)
    ramp = np.linspace(0.2, 0.8, 200)[None] * np.ones((200, 1))
    assert looks(ramp)["noise"] == pytest.approx(0, abs=1e-12)
    assert looks(ramp + rng.normal(0, 0.03, ramp.shape))["noise"] == pytest.approx(0.03, rel=0.03)


def test_a_blur_takes_sharpness() -> None:
    picture = (np.indices((64, 64)).sum(axis=0) // 8 % 2).astype(float)
    blurred = ndimage.gaussian_filter(picture, 2)
    assert looks(blurred)["sharpness"] < 0.3 * looks(picture)["sharpness"]


def test_brightness_contrast_and_shares_are_counted() -> None:
    picture = np.zeros((10, 10))
    picture[:3] = 1.0
    found = looks(picture)
    assert found["brightness"] == pytest.approx(0.3)
    assert found["contrast"] == pytest.approx(np.sqrt(0.21))
    assert (found["saturated_share"], found["blank_share"]) == (0.3, 0.7)
    assert looks(np.full((10, 10), 0.5)) == pytest.approx(
        {"brightness": 0.5, "contrast": 0, "noise": 0, "sharpness": 0, "saturated_share": 0, "blank_share": 0}
    )
