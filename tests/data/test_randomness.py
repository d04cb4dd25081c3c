from __future__ import annotations

import numpy as np
from scipy import stats

from scanlens.data.randomness import permutation, uniforms


def test_numbers_are_uniform_and_images_independent() -> None:
    u = uniforms(1, 0, range(20_000), 4)
    for column in u.T:
        assert stats.kstest(column, "uniform").pvalue > 1e-3
    correlations = np.corrcoef(u.T)
    assert np.abs(correlations[np.triu_indices(4, 1)]).max() < 0.03
    neighbors = np.corrcoef(u[:-1, 0], u[1:, 0])[0, 1]
    assert abs(neighbors) < 0.03


def test_an_image_gets_the_same_numbers_in_any_batch() -> None:
    alone = uniforms(3, 2, [17], 5)
    among = uniforms(3, 2, [4, 17, 900], 5)
    np.testing.assert_array_equal(alone[0], among[1])


def test_seed_epoch_and_stream_each_change_every_number() -> None:
    base = uniforms(1, 1, range(50), 3)
    for other in (uniforms(2, 1, range(50), 3), uniforms(1, 2, range(50), 3), uniforms(1, 1, range(50), 3, stream=1)):
        assert not np.any(base == other)


def test_more_numbers_do_not_change_the_first_ones() -> None:
    np.testing.assert_array_equal(uniforms(1, 1, [5], 3)[0], uniforms(1, 1, [5], 9)[0, :3])


def test_an_order_is_a_permutation_that_differs_between_epochs() -> None:
    first, second = permutation(1, 0, 100), permutation(1, 1, 100)
    assert sorted(first) == sorted(second) == list(range(100))
    assert (first != second).any()
    np.testing.assert_array_equal(first, permutation(1, 0, 100))


def test_numbers_and_orders_are_these_on_every_machine_and_under_every_version() -> None:
    np.testing.assert_allclose(
        uniforms(1, 2, [0, 7, 2**40], 2, stream=3),
        [
            [0.3744807082043239, 0.8304188789648558],
            [0.37043079930727507, 0.8708183024738712],
            [0.03290271694856117, 0.902965783078445],
        ],
        rtol=0,
        atol=0,
    )
    assert permutation(1, 2, 8).tolist() == [2, 1, 7, 0, 6, 4, 3, 5]


def test_every_bit_of_seed_epoch_and_index_changes_half_of_the_bits_drawn() -> None:
    def bits(seed: int, epoch: int, index: int) -> np.ndarray:
        drawn = (uniforms(seed, epoch, [index], 64)[0] * 2**53).astype(np.uint64)
        return np.unpackbits(drawn.view(np.uint8).reshape(64, 8)[:, :6])  # the 48 lowest of 53 bits

    base = bits(11, 5, 900)
    for k in range(20):
        for other in (bits(11 ^ 1 << k, 5, 900), bits(11, 5 ^ 1 << k, 900), bits(11, 5, 900 ^ 1 << k)):
            assert 0.45 < np.mean(base != other) < 0.55  # 0.5 with a standard deviation of 0.009


def test_every_image_comes_to_every_place_equally_often() -> None:
    orders = np.array([permutation(1, epoch, 5) for epoch in range(4000)])
    counts = np.array([np.bincount(column, minlength=5) for column in orders.T])
    assert stats.chisquare(counts.ravel()).pvalue > 1e-3
    assert stats.chisquare(np.unique(orders, axis=0, return_counts=True)[1]).pvalue > 1e-3  # all 120 orders
