"""Process 0 calls; the others follow, and nobody waits for one that is gone."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from scanlens.cluster.following import call_to_fit, leading, wait_for_call
from scanlens.cluster.group import Group
from scanlens.errors import RunError

LEADER = Group(0, 2, 0, 2, "127.0.0.1", 1, start="torchrun-a-0", by="torchrun")
FOLLOWER = replace(LEADER, rank=1, local_rank=1)


def answer_of_the_other(folder: Path, lead: object) -> object:
    """What the follower is told while `lead` runs in this thread."""
    found: list[object] = []

    def follow() -> None:
        try:
            found.append(wait_for_call(folder, FOLLOWER, silence_s=30))
        except RunError as error:
            found.append(str(error))

    thread = threading.Thread(target=follow)
    thread.start()
    lead()  # type: ignore[operator]
    thread.join(timeout=30)
    return found[0]


def test_it_is_called_to_the_training(tmp_path: Path) -> None:
    def lead() -> None:
        with leading(tmp_path, LEADER):
            call_to_fit(tmp_path, LEADER)
            threading.Event().wait(0.5)

    assert answer_of_the_other(tmp_path, lead) is True


def test_of_a_run_with_nothing_left_to_train_it_is_told(tmp_path: Path) -> None:
    def lead() -> None:
        with leading(tmp_path, LEADER):
            pass

    assert answer_of_the_other(tmp_path, lead) is False


def test_a_leader_that_fails_does_not_keep_it_waiting(tmp_path: Path) -> None:
    def lead() -> None:
        with pytest.raises(ValueError, match="bad data"), leading(tmp_path, LEADER):
            raise ValueError("bad data")

    assert "process 0 failed" in str(answer_of_the_other(tmp_path, lead))


def test_a_call_of_an_earlier_start_is_not_followed(tmp_path: Path) -> None:
    with leading(tmp_path, LEADER):
        call_to_fit(tmp_path, LEADER)
    later = replace(FOLLOWER, start="torchrun-b-0")
    with pytest.raises(RunError, match="no sign of life"):
        wait_for_call(tmp_path, later, silence_s=0.3)
    with leading(tmp_path, replace(LEADER, start="torchrun-b-0")):
        assert [file.name for file in (tmp_path / ".group").iterdir()] == ["torchrun-b-0"]


def test_alone_nothing_is_written(tmp_path: Path) -> None:
    with leading(tmp_path, None):
        pass
    assert list(tmp_path.iterdir()) == []
