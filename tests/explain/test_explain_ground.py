"""Where a picture shows something, and what lies outside of the body."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.explain.ground import body, outside_body, solid_body

SIZE = 32


def disc(radius: float, size: int = SIZE) -> NDArray[np.bool_]:
    y, x = np.indices((size, size)) - (size - 1) / 2
    return np.hypot(y, x) <= radius


def test_a_head_on_black_a_smear_on_white_and_a_crowded_field() -> None:
    rng = np.random.default_rng(0)
    head = np.where(disc(11), 0.6, 0.0) + rng.normal(0, 0.01, (SIZE, SIZE))
    found = body(head[None])
    assert (found & disc(11)).sum() == disc(11).sum()
    assert not found[~disc(13)].any()
    smear = np.where(disc(11), 0.4, 0.95)
    assert body(np.stack([smear, smear, 0.9 * smear]))[~disc(13)].sum() == 0
    assert body(rng.random((1, SIZE, SIZE))).all()
    assert body(np.zeros((1, SIZE, SIZE))).all(), "a picture of nothing has no body that regions could miss"


def test_dark_places_inside_the_body_belong_to_it() -> None:
    head = np.where(disc(12), 0.6, 0.0)
    head[disc(4)] = 0.0
    assert body(head[None])[disc(12)].all()


def test_the_solid_body_is_the_head_with_its_dark_middle_and_not_the_air() -> None:
    """A bright ring around gray tissue on black, with a black hole that the ring does not touch, and a mark beside it."""
    head = np.where(disc(26, 64), 0.45, 0.0)
    head[disc(26, 64) & ~disc(24, 64)] = 0.95
    head[disc(4, 64)] = 0.0
    head[1:4, 1:8] = 1.0
    found = solid_body(head[None] + np.random.default_rng(0).normal(0, 0.01, (1, 64, 64)))
    assert found[disc(26, 64)].all()
    assert not found[~disc(28, 64)].any()


def test_two_legs_are_one_body() -> None:
    legs = np.zeros((64, 64))
    legs[8:56, 8:26], legs[12:56, 38:56] = 0.6, 0.6
    assert solid_body(legs[None])[20:50, 10:24].all()
    assert solid_body(legs[None])[20:50, 40:54].all()


def test_a_field_of_cells_is_body_all_over() -> None:
    noise = np.random.default_rng(1).uniform(size=(3, 40, 40))
    assert solid_body(noise).all()
    assert solid_body(np.full((1, 20, 20), 0.3)).all()
    smear = np.full((64, 64), 0.9)
    smear[4:60:12, 4:60] = smear[8:28, 30:50] = 0.4
    assert not body(smear[None]).all()
    assert solid_body(smear[None]).all(), "one large cell among many small ones is no body"
    assert not outside_body(smear[None]).any()


@pytest.mark.parametrize(("ground", "tissue"), [(0.05, 0.7), (0.95, 0.4)])
def test_outside_is_the_ground_without_the_body_and_its_holes(ground: float, tissue: float) -> None:
    image = np.where(disc(20, 64), tissue, ground)
    image[disc(6, 64)] = ground
    outside = outside_body(image[None])
    assert not (outside & disc(20, 64)).any()
    assert outside[~disc(24, 64)].all()


def test_writing_that_stands_alone_lies_outside_of_the_body_though_the_picture_shows_it() -> None:
    image = np.where(disc(20, 64), 0.7, 0.0)
    image[3:7, 3:10] = 1.0
    assert body(image[None])[3:7, 3:10].all()
    assert outside_body(image[None])[3:7, 3:10].all()


@pytest.mark.parametrize("image", [np.full((64, 64), 0.5), np.where(disc(64, 64), 0.7, 0.0)])
def test_where_there_is_no_empty_ground_nothing_is_outside(image: NDArray[np.float64]) -> None:
    assert not outside_body(image[None]).any()
