from __future__ import annotations

from scanlens.seeds import derived_seed


def test_order_and_every_part_matter() -> None:
    seeds = {derived_seed(a, b, c) for a in range(20) for b in range(20) for c in range(5)}
    assert len(seeds) == 2000
    assert derived_seed(1, 2) != derived_seed(2, 1)


def test_seeds_are_63_bit_and_balanced() -> None:
    seeds = [derived_seed(7, i) for i in range(4000)]
    assert all(0 <= s < 2**63 for s in seeds)
    for bit in (0, 13, 31, 62):
        ones = sum(s >> bit & 1 for s in seeds)
        assert 1850 < ones < 2150  # 4.7 standard deviations


def test_the_mixing_function_is_the_published_one() -> None:
    # First outputs of SplitMix64 with seed 0 and 1234567, as published test vectors; one part is one step.
    assert derived_seed(0) == 0xE220A8397B1DCDAF >> 1
    assert derived_seed(1234567) == 6457827717110365317 >> 1
