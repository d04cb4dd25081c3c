"""The index of pairs against all pairs, on made-up slices of heads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fakes.slice_thumbnails import slice_thumbnails
from scanlens.data import similar_pairs
from scanlens.data.correlation import TRANSFORMATIONS, correlations, transformed
from scanlens.data.duplicates import near_duplicate_groups
from scanlens.data.similar_pairs import PairIndex

FORCED = 10  # images up to which all pairs meet: the index is used for any more


@pytest.fixture(scope="module")
def slices_NHW() -> NDArray[np.float32]:
    return np.concatenate(list(slice_thumbnails(3000, seed=5)))


def num_pairs(group_N: NDArray[np.int64]) -> int:
    counts = np.bincount(group_N)
    return int((counts * (counts - 1) // 2).sum())


def test_the_index_finds_what_all_pairs_find_and_nothing_else(slices_NHW: NDArray[np.float32]) -> None:
    every = near_duplicate_groups(slices_NHW).group_N
    found = near_duplicate_groups(slices_NHW, exact_up_to=FORCED).group_N
    _, both = np.unique(np.stack([every, found]), axis=1, return_inverse=True)
    shared = num_pairs(both.reshape(-1))
    assert num_pairs(every) > 5000
    assert shared == num_pairs(found)
    assert shared >= 0.99 * num_pairs(every)


def test_all_pairs_are_the_plain_correlations_above_their_thresholds(slices_NHW: NDArray[np.float32]) -> None:
    few_NHW = slices_NHW[:300]
    flat_ND = few_NHW.reshape(300, -1)
    is_pair = np.zeros((300, 300), bool)
    for number, limit in enumerate([0.95, 0.97, *[0.98] * 6]):
        seen_ND = transformed(few_NHW, number).reshape(300, -1)
        is_pair |= np.corrcoef(seen_ND, flat_ND)[:300, 300:] > limit
    reach = np.linalg.matrix_power((is_pair | is_pair.T | np.eye(300, dtype=bool)).astype(float), 64) > 0
    group_N = near_duplicate_groups(few_NHW).group_N
    np.testing.assert_array_equal(group_N[:, None] == group_N, reach)


def test_the_same_seed_finds_the_same(slices_NHW: NDArray[np.float32]) -> None:
    first, again = (near_duplicate_groups(slices_NHW[:800], exact_up_to=FORCED, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.group_N, again.group_N)
    np.testing.assert_array_equal(*(PairIndex(slices_NHW[:800], seed=3).nearest(3)[0] for _ in range(2)))


@pytest.mark.parametrize("transformation", range(len(TRANSFORMATIONS)), ids=TRANSFORMATIONS)
def test_no_correlation_leaves_its_bounds(slices_NHW: NDArray[np.float32], transformation: int) -> None:
    index = PairIndex(slices_NHW[:600], exact_up_to=FORCED)
    met = 0
    for look in index.looks(transformation):
        exact_RC = index.exact(look.rows_R, look.columns_C, transformation)
        other_RC = look.rows_R[:, None] != look.columns_C
        assert (exact_RC <= look.most_RC)[other_RC].all()
        assert (exact_RC >= look.least_RC())[other_RC].all()
        assert (look.most_RC[~other_RC] == -1).all()
        met += int(other_RC.sum())
    assert 0 < met < 600 * 599 / 2


@pytest.mark.parametrize("exact_up_to", [4096, FORCED], ids=["all pairs", "index"])
@pytest.mark.parametrize("transformation", range(len(TRANSFORMATIONS)), ids=TRANSFORMATIONS)
def test_a_copy_is_found_however_it_was_turned(
    slices_NHW: NDArray[np.float32], transformation: int, exact_up_to: int
) -> None:
    strangers_NHW = slices_NHW[:200]
    copies_NHW = 0.5 * transformed(strangers_NHW[40:60], transformation) + 7
    both_NHW = np.concatenate([strangers_NHW, copies_NHW])
    group_N = near_duplicate_groups(both_NHW, exact_up_to=exact_up_to).group_N
    np.testing.assert_array_equal(group_N[200:], group_N[40:60])


def test_too_large_groups_are_taken_apart_with_the_index_too() -> None:
    """Sixty heads of six slices share a template: all correlate by 0.95 to 0.97, slices of one head by over 0.99."""
    rng = np.random.default_rng(0)
    template = rng.normal(size=(48, 48))
    heads = [template + 0.2 * rng.normal(size=(48, 48)) for _ in range(60)]
    thumbs = np.array([head + 0.02 * rng.normal(size=(48, 48)) for head in heads for _ in range(6)], np.float32)
    found = near_duplicate_groups(thumbs, exact_up_to=FORCED)
    np.testing.assert_array_equal(found.group_N, np.repeat(np.arange(60), 6))
    assert [num for num, _ in found.taken_apart] == [360]


def test_the_nearest_are_those_of_a_plain_sort(slices_NHW: NDArray[np.float32]) -> None:
    few_NHW = slices_NHW[:150]
    everyone = np.arange(150)
    plain = correlations(few_NHW, everyone, everyone)
    np.fill_diagonal(plain, -2)
    found, likeness = PairIndex(few_NHW).nearest(4)
    np.testing.assert_array_equal(found, np.argsort(-plain, axis=1)[:, :4])
    np.testing.assert_allclose(likeness, -np.sort(-plain, axis=1)[:, :4], atol=1e-5)


def test_thumbnails_are_read_in_blocks(
    slices_NHW: NDArray[np.float32], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similar_pairs, "_BLOCK", 64)
    monkeypatch.setattr(similar_pairs, "_SAMPLE", 100)
    slices_NHW[:500].tofile(tmp_path / "thumbs.f32")
    read: list[int] = []

    class Watched(np.memmap):
        def __getitem__(self, which):  # type: ignore[no-untyped-def]
            part = super().__getitem__(which)
            read.append(len(part))
            return part

    mapped = Watched(tmp_path / "thumbs.f32", np.float32, "r", shape=(500, 48, 48))
    found = near_duplicate_groups(mapped, exact_up_to=FORCED).group_N
    assert max(read) == 100
    assert sum(read) > 8 * 500
    np.testing.assert_array_equal(found, near_duplicate_groups(slices_NHW[:500], exact_up_to=FORCED).group_N)


def test_thumbnails_that_cannot_be_turned_are_refused() -> None:
    with pytest.raises(ValueError, match=r"\(N, H, H\) are expected, \(2, 3, 4\) came"):
        PairIndex(np.zeros((2, 3, 4), np.float32))
