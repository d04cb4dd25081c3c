from __future__ import annotations

import gc
import multiprocessing
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from scanlens.data import cache_upkeep
from scanlens.data.cache import FULL_SCALE, CachedImages, build_cache, open_cache
from scanlens.data.preprocess import Preprocess
from scanlens.errors import ConfigError, DataError, ImageError
from scanlens.pipeline.cache_command import clear_cache, list_cache
from scanlens.types import RawImage, Record

PLAN = Preprocess(size=16, channels=1, intensity="range")


def records(num: int) -> list[Record]:
    return [Record(id=f"r{i}", path=str(i), target="a") for i in range(num)]


def pixels(i: int, dtype: type = np.uint8) -> NDArray[np.generic]:
    return np.random.default_rng(i).integers(0, np.iinfo(dtype).max, (16, 16), dtype=dtype, endpoint=True)


class Counting:
    """Reads pictures and counts how often."""

    def __init__(self, dtype: type = np.uint8, broken: Callable[[int], bool] = lambda i: False) -> None:
        self.dtype, self.broken, self.calls = dtype, broken, 0

    def __call__(self, record: Record) -> RawImage:
        self.calls += 1
        if self.broken(int(record.path)):
            raise ImageError("cut short")
        return RawImage(pixels(int(record.path), self.dtype), "gray", (0, float(np.iinfo(self.dtype).max)))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_mapped_by_range_come_back_exactly(tmp_path: Path, dtype: type) -> None:
    cached = build_cache(records(5), read=Counting(dtype), preprocess=PLAN, folder=tmp_path, fingerprint="f")
    top = np.iinfo(dtype).max
    for i in range(5):
        np.testing.assert_array_equal(np.rint(cached.images[i, 0] / FULL_SCALE * top), pixels(i, dtype))


def test_each_file_is_decoded_once(tmp_path: Path) -> None:
    read = Counting()
    first = build_cache(records(70), read=read, preprocess=PLAN, folder=tmp_path, fingerprint="f")
    again = build_cache(records(70), read=read, preprocess=PLAN, folder=tmp_path, fingerprint="f")
    assert read.calls == 70
    np.testing.assert_array_equal(first.images, again.images)
    np.testing.assert_array_equal(open_cache(first.folder).images, first.images)


@pytest.mark.parametrize("change", ["fingerprint", "settings", "records"])
def test_other_content_or_settings_make_another_entry(tmp_path: Path, change: str) -> None:
    read = Counting()
    build_cache(records(3), read=read, preprocess=PLAN, folder=tmp_path, fingerprint="f")
    plan = Preprocess(size=16, channels=1, intensity="minmax") if change == "settings" else PLAN
    rows = records(4) if change == "records" else records(3)
    build_cache(rows, read=read, preprocess=plan, folder=tmp_path, fingerprint="g" if change == "fingerprint" else "f")
    assert read.calls == 3 + len(rows)


def test_what_cannot_be_read_is_quarantined_with_its_reason_and_places_stay_right(tmp_path: Path) -> None:
    read = Counting(broken=lambda i: i in (0, 3))
    cached = build_cache(records(6), read=read, preprocess=PLAN, folder=tmp_path, fingerprint="f")
    assert cached.kept == [1, 2, 4, 5]
    assert [(q.id, q.reason) for q in cached.quarantined] == [("r0", "cut short"), ("r3", "cut short")]
    np.testing.assert_array_equal(np.rint(cached.images[2, 0] / 257), pixels(4))


def test_pixels_that_are_no_numbers_look_like_the_darkest_one_to_the_audit(tmp_path: Path) -> None:
    whole = pixels(0).astype(np.float32) + 5
    whole[0, :4] = whole.min()
    holed = whole.copy()
    holed[0, :4] = np.nan, np.inf, -np.inf, 3e38

    def cached(image: NDArray[np.float32], name: str) -> CachedImages:
        raw = RawImage(image, "gray", (0, 300))
        return build_cache(records(1), read=lambda _: raw, preprocess=PLAN, folder=tmp_path, fingerprint=name)

    first, second = cached(whole, "whole"), cached(holed, "holed")
    np.testing.assert_array_equal(second.facts, first.facts)
    np.testing.assert_array_equal(second.thumbnails, first.thumbnails)
    assert np.isfinite(second.thumbnails).all()


def test_nothing_readable_is_an_error_that_shows_a_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 2 images.*cut short"):
        build_cache(records(2), read=Counting(broken=lambda i: True), preprocess=PLAN, folder=tmp_path, fingerprint="f")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["truncate", "manifest", "missing"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, damage: str) -> None:
    read = Counting()
    entry = build_cache(records(3), read=read, preprocess=PLAN, folder=tmp_path, fingerprint="f").folder
    if damage == "truncate":
        (entry / "images.u16").write_bytes(b"xx")
    elif damage == "manifest":
        (entry / "manifest.json").write_text("{", encoding="utf-8")
    else:
        (entry / "masks.u8").unlink()
    with pytest.raises(DataError, match="gone or damaged"):
        open_cache(entry)
    cached = build_cache(records(3), read=read, preprocess=PLAN, folder=tmp_path, fingerprint="f")
    assert read.calls == 6
    np.testing.assert_array_equal(np.rint(cached.images[1, 0] / 257), pixels(1))


def test_masks_follow_their_images_and_unknown_is_not_empty(tmp_path: Path) -> None:
    def read_mask(record: Record) -> NDArray[np.uint8] | None:
        if record.id == "r1":
            return None
        mask = np.zeros((16, 16), np.uint8)
        mask[:4] = record.id == "r2"
        return mask

    cached = build_cache(
        records(3), read=Counting(), read_mask=read_mask, preprocess=PLAN, folder=tmp_path, fingerprint="f"
    )
    assert cached.has_mask.tolist() == [True, False, True]
    assert cached.masks is not None
    assert [int(m.sum()) for m in cached.masks] == [0, 0, 64]


def test_the_oldest_entries_make_room(tmp_path: Path) -> None:
    first = build_cache(records(3), read=Counting(), preprocess=PLAN, folder=tmp_path, fingerprint="one").folder
    os.utime(first, (1, 1))
    second = build_cache(
        records(3), read=Counting(), preprocess=PLAN, folder=tmp_path, fingerprint="two", max_bytes=40_000
    ).folder
    assert not first.exists()
    assert open_cache(second).kept == [0, 1, 2]


def build_in(folder: Path, *, fingerprint: str = "f", max_bytes: int = 2**30, num: int = 3) -> CachedImages:
    return build_cache(
        records(num), read=Counting(), preprocess=PLAN, folder=folder, fingerprint=fingerprint, max_bytes=max_bytes
    )


def test_an_entry_that_is_in_use_is_not_removed_to_make_room(tmp_path: Path) -> None:
    in_use = build_in(tmp_path, fingerprint="one")
    os.utime(in_use.folder, (1, 1))
    build_in(tmp_path, fingerprint="two", max_bytes=1)
    np.testing.assert_array_equal(open_cache(in_use.folder).images, in_use.images)
    entry = in_use.folder
    del in_use
    gc.collect()
    build_in(tmp_path, fingerprint="three", max_bytes=1)
    assert not entry.exists()


def test_using_an_entry_makes_it_young_again(tmp_path: Path) -> None:
    one, two = (build_in(tmp_path, fingerprint=name).folder for name in ("one", "two"))
    os.utime(one, (1, 1))
    os.utime(two, (2, 2))
    build_in(tmp_path, fingerprint="one")
    size = sum(path.stat().st_size for path in one.iterdir())
    build_in(tmp_path, fingerprint="three", max_bytes=2 * size + 1000)
    assert one.exists()
    assert not two.exists()


def test_nothing_but_entries_is_ever_removed_from_the_folder(tmp_path: Path) -> None:
    theirs = [
        tmp_path / "scans" / "patient.png",
        tmp_path / ".config.d" / "settings",
        tmp_path / ".git.backup" / "x",
        tmp_path / ("ab" * 12) / "thesis.tex",  # named like an entry
        tmp_path / ("." + "ab" * 12 + ".abcdefgh") / "thesis.tex",  # named like a half-made one
    ]
    for path in theirs:
        path.parent.mkdir()
        path.write_bytes(b"x" * 100_000)
        os.utime(path, (1, 1))
        os.utime(path.parent, (1, 1))
    build_in(tmp_path, max_bytes=1)
    assert all(path.exists() for path in theirs)


def test_half_made_entries_of_dead_processes_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    dead, living = (tmp_path / ("." + "ab" * 12 + end) for end in (".aaaaaaaa", ".bbbbbbbb"))
    for path in (dead, living):
        path.mkdir()
        (path / "images.u16").write_bytes(b"half")
        os.utime(path, (1, 1))  # a folder does not become younger when a file in it grows
    os.utime(dead / "images.u16", (1, 1))
    build_in(tmp_path)
    assert not dead.exists()
    assert living.exists()


def test_too_little_space_is_told_before_it_is_used_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(DataError, match=r"3 decoded images need 0\.0 MiB, 0\.0 MiB are free.*paths\.cache"):
        build_in(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_a_readable_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(DataError, match=r"cannot be used.*paths\.cache"):
        build_in(tmp_path / "file" / "cache")


def _build_and_tell(folder: Path, start: Any, told: Any) -> None:
    start.wait()
    told.put(int(build_in(folder, num=40).images.astype(np.int64).sum()))


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")  # Python 3.12 says so of every fork
def test_processes_that_make_the_same_entry_at_once_all_get_it(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start, told = context.Event(), context.Queue()
    workers = [context.Process(target=_build_and_tell, args=(tmp_path, start, told)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    sums = {told.get(timeout=20) for _ in workers}
    for worker in workers:
        worker.join(timeout=20)
    assert sums == {int(build_in(tmp_path, num=40).images.astype(np.int64).sum())}
    assert len(list(tmp_path.iterdir())) == 1


def test_an_entry_that_another_process_takes_away_during_upkeep_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f".{key * 24}.abcdefgh" for key in "ab"]
    for name in names:
        (tmp_path / name).mkdir()

    def gone(path: Path) -> bool:
        shutil.rmtree(path)
        return True

    monkeypatch.setattr(cache_upkeep, "_holds_only_our_files", gone)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "is_dir", lambda self: True)  # it was there a moment ago
        cache_upkeep.remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_the_number_of_images(tmp_path: Path) -> None:
    plan = Preprocess(size=64, channels=1, intensity="range")

    def peak(num: int) -> int:
        tracemalloc.start()
        build_cache(records(num), read=Counting(), preprocess=plan, folder=tmp_path, fingerprint=str(num))
        highest = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return highest

    peak(100)
    assert peak(1000) - peak(200) < 800 * 64 * 64  # half of what 800 stored images take


def test_entries_are_listed_with_images_bytes_and_whether_they_are_in_use(tmp_path: Path) -> None:
    in_use = build_in(tmp_path, fingerprint="one", num=5)
    other = build_in(tmp_path, fingerprint="two").folder
    gc.collect()
    os.utime(other, (1000, 1000))
    found = {entry.path: entry for entry in cache_upkeep.list_entries(tmp_path)}
    assert set(found) == {in_use.folder, other}
    assert (found[in_use.folder].num_images, found[in_use.folder].is_held) == (5, True)
    assert (found[other].num_images, found[other].is_held, found[other].last_used_s) == (3, False, 1000)
    assert found[other].num_bytes == sum(path.stat().st_size for path in other.iterdir())


def test_clearing_removes_what_is_old_and_nobody_uses(tmp_path: Path) -> None:
    in_use = build_in(tmp_path, fingerprint="one")
    old, young = (build_in(tmp_path, fingerprint=name).folder for name in ("two", "three"))
    theirs = tmp_path / "thesis.tex"
    theirs.write_text("mine", encoding="utf-8")
    gc.collect()
    for entry in (in_use.folder, old):
        os.utime(entry, (1000, 1000))
    removed, kept = cache_upkeep.clear(tmp_path, used_before_s=2000)
    assert [entry.path for entry in removed] == [old]
    assert {entry.path for entry in kept} == {in_use.folder, young}
    assert not old.exists()
    np.testing.assert_array_equal(open_cache(in_use.folder).images, in_use.images)
    assert theirs.read_text(encoding="utf-8") == "mine"


def test_a_damaged_entry_is_listed_and_cleared(tmp_path: Path) -> None:
    entry = build_in(tmp_path).folder
    gc.collect()
    (entry / "manifest.json").write_text("{", encoding="utf-8")
    (found,) = cache_upkeep.list_entries(tmp_path)
    assert found.num_images is None
    cache_upkeep.clear(tmp_path, used_before_s=found.last_used_s + 1)
    assert not entry.exists()


def test_the_command_lists_and_clears(tmp_path: Path) -> None:
    entry, new = build_in(tmp_path, num=5).folder, build_in(tmp_path, fingerprint="new").folder
    gc.collect()
    os.utime(entry, (1_000_000_000, 1_000_000_000))
    kib = [sum(path.stat().st_size for path in one.iterdir()) / 1024 for one in (entry, new)]
    table = list_cache(tmp_path).splitlines()
    assert [line.split()[0] for line in table[1:3]] == [new.name, entry.name]
    assert table[2].split()[1:4] == [f"{kib[0]:.1f}", "KiB", "5"]
    assert "2001-09-0" in table[2]
    assert table[2].endswith("no")
    assert table[3] == f"2 entries, {sum(kib):.1f} KiB in {tmp_path}"
    assert clear_cache(tmp_path, older_than_days="30") == f"removed 1 entry, {kib[0]:.1f} KiB from {tmp_path}"
    assert clear_cache(tmp_path) == f"removed 1 entry, {kib[1]:.1f} KiB from {tmp_path}"
    assert list_cache(tmp_path) == f"no decoded images in {tmp_path}"


@pytest.mark.parametrize("days", ["soon", "-1", "nan", "inf"])
def test_days_that_are_none_are_refused(tmp_path: Path, days: str) -> None:
    with pytest.raises(ConfigError, match=f"a number of days, 0 or more, is expected, '{days}' came"):
        clear_cache(tmp_path, older_than_days=days)
    with pytest.raises(DataError, match="there is no folder"):
        list_cache(tmp_path / "absent")
