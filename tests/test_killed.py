"""Killed at any moment, in any stage, a run ends as if nothing had happened; so does one that lost a rank, a reader or the disk."""

from __future__ import annotations

import os
import random
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from benchmarks.faults import (
    Disturbance,
    differences,
    disk_full,
    finished,
    killed_until_done,
    loader_killed,
    rank_killed,
    undisturbed,
    unreadable_file,
)

pytestmark = pytest.mark.slow
KILLS = 30
CLEAR_END_S = 60.0
TWO = ["trainer=ddp", "trainer.devices=2"]


def test_killed_thirty_times_at_random_moments_it_ends_to_the_bit_as_undisturbed(tmp_path: Path) -> None:
    dice, kills, number = random.Random(7), list[Disturbance](), 0
    lasts = undisturbed([], cwd=tmp_path)
    while len(kills) < KILLS:
        own = tmp_path / f"{number}"
        own.mkdir()
        kills += killed_until_done("cut", [], cwd=own, lasts=lasts, dice=dice)
        assert differences(own / "outputs" / "cut", tmp_path / "outputs" / "whole") == []
        number += 1
    stages = Counter(one.stage for one in kills)
    print(f"{len(kills)} kills of {number} runs: {dict(stages)}")
    assert {"prepare", "fit", "judge", "report"} <= stages.keys()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    undisturbed(TWO, cwd=folder)
    return folder


@pytest.mark.parametrize("victim", ["rank", "agent", "run"])
def test_where_one_of_several_processes_dies_all_end_and_the_run_goes_on(two: Path, victim: str) -> None:
    found = rank_killed(victim, TWO, cwd=two, victim=victim)
    assert found.status == (-9 if victim == "run" else 1)
    assert found.ended_s < CLEAR_END_S
    if victim != "run":
        assert "goes on from the last checkpoint" in found.told
    finished(victim, TWO, cwd=two)
    assert differences(two / "outputs" / victim, two / "outputs" / "whole") == []


def test_a_reader_that_is_killed_is_told_and_the_run_goes_on(tmp_path: Path) -> None:
    readers = ["loader.num_workers=2"]
    undisturbed(readers, cwd=tmp_path)
    found = loader_killed("reader", readers, cwd=tmp_path)
    assert found.status == 1
    assert found.ended_s < CLEAR_END_S
    assert "loader.num_workers=0" in found.told
    finished("reader", readers, cwd=tmp_path)
    assert differences(tmp_path / "outputs" / "reader", tmp_path / "outputs" / "whole") == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("a small file system can be mounted by an administrator alone")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=False)


def test_a_full_disk_is_told_and_the_run_goes_on_when_there_is_room(small_disk: Path) -> None:
    dice = random.Random(3)
    undisturbed([], cwd=small_disk)
    taken = sum(file.stat().st_size for file in (small_disk / "outputs" / "whole").rglob("*") if file.is_file()) // 1024
    for number in range(4):
        name = f"full{number}"
        found = disk_full(name, [], cwd=small_disk, free_kib=int(dice.uniform(0.05, 0.9) * taken))
        assert found.status == 1
        assert "the disk refuses" in found.told or "are free" in found.told
        finished(name, [], cwd=small_disk)
        assert differences(small_disk / "outputs" / name, small_disk / "outputs" / "whole") == []


def test_a_picture_that_the_disk_does_not_give_costs_a_line_of_the_quarantine(tmp_path: Path) -> None:
    found = unreadable_file(cwd=tmp_path)
    if found is None:
        pytest.skip("a file that answers with an error can be put there by an administrator alone")
    assert found.status == 0
    assert "07.png" in found.told
