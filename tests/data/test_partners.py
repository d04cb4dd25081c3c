"""Who is shown beside whom, on copies that are known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.data.correlation import TRANSFORMATIONS, transformed
from scanlens.data.partners import best_partners


def noise(seed: int, num: int = 1) -> NDArray[np.float32]:
    return np.random.default_rng(seed).normal(size=(num, 48, 48)).astype(np.float32)


@pytest.mark.parametrize("transformation", range(len(TRANSFORMATIONS)), ids=TRANSFORMATIONS)
def test_the_transformation_turns_the_image_into_its_partner(transformation: int) -> None:
    image = noise(0)
    found = best_partners(np.concatenate([image, noise(1), transformed(image, transformation)]), np.array([0, 1, 0]))
    assert found.partner_N.tolist() == [2, -1, 0]
    assert found.name(0) == TRANSFORMATIONS[transformation]
    np.testing.assert_allclose(found.correlation_N, [1, 0, 1], atol=1e-5)
    there_and_back = transformed(transformed(image, transformation), int(found.transformation_N[2]))
    np.testing.assert_array_equal(there_and_back, image)


def test_names_say_what_is_done() -> None:
    picture = np.array([[[1, 2], [3, 4]]], np.float32)
    seen = {name: transformed(picture, number)[0].tolist() for number, name in enumerate(TRANSFORMATIONS)}
    assert seen["same"] == [[1, 2], [3, 4]]
    assert seen["mirrored"] == [[2, 1], [4, 3]]
    assert seen["rotated 90"] == [[2, 4], [1, 3]]
    assert seen["rotated 180"] == [[4, 3], [2, 1]]
    assert seen["rotated 270"] == [[3, 1], [4, 2]]
    assert seen["mirrored, rotated 180"] == [[3, 4], [1, 2]]
    assert len({str(one) for one in seen.values()}) == 8


def test_the_closest_of_several_is_chosen() -> None:
    first, other = noise(0)[0], noise(1)[0]
    thumbs = np.array([first, first + 0.2 * other, first + 0.25 * other])
    found = best_partners(thumbs, np.zeros(3, int))
    assert found.partner_N.tolist() == [1, 2, 1]
    plain = np.corrcoef(thumbs.reshape(3, -1))
    np.testing.assert_allclose(found.correlation_N, [plain[0, 1], plain[1, 2], plain[1, 2]], atol=1e-5)


def test_a_symmetric_picture_and_its_copy_are_the_same() -> None:
    half = noise(0)
    symmetric = half + half[:, :, ::-1]
    found = best_partners(np.concatenate([symmetric, symmetric * 2]), np.array([0, 0]))
    assert [found.name(0), found.name(1)] == ["same", "same"]


def test_no_partner_comes_from_another_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty groups of three, scattered, compared in batches and blocks that cut them."""
    monkeypatch.setattr("scanlens.data.partners._BATCH", 7)
    monkeypatch.setattr("scanlens.data.partners._BLOCK", 4)
    group_N = np.random.default_rng(0).permutation(np.repeat(np.arange(20), 3))
    thumbs = noise(2)[0] + 0.1 * noise(3, 60)
    found = best_partners(thumbs, group_N)
    plain = np.where(group_N[:, None] == group_N, np.corrcoef(thumbs.reshape(60, -1)), -1)
    np.fill_diagonal(plain, -1)
    np.testing.assert_array_equal(found.partner_N, plain.argmax(axis=1))


def test_a_group_for_each_image_is_needed() -> None:
    with pytest.raises(ValueError, match="each of 2 images is expected, 1 came"):
        best_partners(noise(0, 2), np.array([0]))
