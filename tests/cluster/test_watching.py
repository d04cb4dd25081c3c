"""Jobs in Slurm: what sacct says is understood, and none is waited for that is gone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from fakes.slurm import programs
from scanlens.cluster import slurm_jobs, watching
from scanlens.cluster.sweep_jobs import CANCELLED, DONE, FAILED, RUNNING, SweepJob, change_job, read_job, write_job
from scanlens.cluster.watching import Watch, Watched
from scanlens.errors import RunError


def test_what_sacct_says_of_arrays_that_wait_and_of_steps() -> None:
    text = (
        "9_3|RUNNING\n9_[4,7-8%2]|PENDING\n9_0|CANCELLED by 1000\n9_1|OUT_OF_ME+\n9_1.batch|FAILED\n12|COMPLETED\n|\n"
    )
    states = slurm_jobs.parse_states(text)
    assert states["9_0"] == "CANCELLED"
    assert [states[f"9_{task}"] for task in (3, 4, 7, 8)] == ["RUNNING", "PENDING", "PENDING", "PENDING"]
    assert states["12"] == "COMPLETED"
    assert "9_1.batch" not in states
    assert "9_[4,7-8%2]" not in states


@pytest.mark.parametrize("state", [*slurm_jobs.WAITING, *slurm_jobs.AT_WORK])
def test_a_job_that_may_go_on_is_not_over(state: str) -> None:
    assert not slurm_jobs.is_over(state)


@pytest.mark.parametrize(
    ("body", "told"),
    [("exit 0", None), ("echo Slurm accounting storage is disabled >&2; exit 1", "accounting storage is disabled")],
)
def test_whether_sacct_answers(body: str, told: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", programs(tmp_path / "bin", sacct=body)["PATH"])
    problem = slurm_jobs.accounting_problem()
    assert (problem is None) if told is None else (problem is not None and told in problem)


def test_no_sacct_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert slurm_jobs.accounting_problem() == "there is no program sacct on this machine"
    assert slurm_jobs.states_of(["1_0"]) is None


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.states = 100.0, {"5_0": "PENDING"}
        monkeypatch.setattr(watching.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(watching.time, "sleep", self._sleep)
        monkeypatch.setattr(watching.slurm_jobs, "states_of", lambda jobs: self.states)
        self.then: list[tuple[float, Any]] = []

    def _sleep(self, seconds: float) -> None:
        self.now += seconds
        for at, act in [one for one in self.then if one[0] <= self.now]:
            act()
            self.then.remove((at, act))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def job_of(folder: Path, result: Any = 7.0) -> Watched:
    def read() -> Any:
        if isinstance(result, Exception):
            raise result
        return result

    write_job(folder, SweepJob(0, ("seed=1",)))
    return Watched(0, "5_0", folder / "result", read, folder / "err.log")


def set_state(clock: Clock, state: str) -> Any:
    return lambda: clock.states.update({"5_0": state})


def test_a_result_is_given_back_and_progress_is_told(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "metrics.csv").write_text("epoch\n0\n1\n")
    job = job_of(tmp_path)

    def begin() -> None:
        clock.states["5_0"] = "RUNNING"
        change_job(tmp_path, 0, status=RUNNING, folder="0", max_epochs=9)

    def end() -> None:
        change_job(tmp_path, 0, status=DONE)
        (tmp_path / "result").touch()

    clock.then = [(105.0, begin), (140.0, end)]
    assert Watch(tmp_path, [job]).wait() == [7.0]
    assert [record.getMessage() for record in caplog.records] == [
        "job 0 (5_0): queued",
        "job 0 (5_0): running, epoch 2/9",
        "job 0 (5_0): done",
    ]


@pytest.mark.parametrize(
    ("state", "status", "told", "within_s"),
    [
        ("CANCELLED", CANCELLED, "it was cancelled", 10),
        ("TIMEOUT", FAILED, "hydra.launcher.timeout_min", 30),
        ("OUT_OF_MEMORY", FAILED, "hydra.launcher.mem_gb", 30),
        ("NODE_FAIL", FAILED, "its machine failed", 60),
        ("COMPLETED", FAILED, "it ended (Slurm: COMPLETED)", 30),
    ],
)
def test_a_job_that_is_gone_is_told_within_a_minute(
    state: str, status: str, told: str, within_s: float, tmp_path: Path, clock: Clock
) -> None:
    clock.then = [(110.0, set_state(clock, state))]
    (result,) = Watch(tmp_path, [job_of(tmp_path)]).wait()
    assert isinstance(result, RunError)
    assert told in str(result)
    assert clock.now - 110.0 <= within_s
    noted = read_job(tmp_path, 0)
    assert noted is not None
    assert (noted.status, told in noted.reason) == (status, True)


def test_a_job_that_comes_back_into_the_queue_is_waited_for(tmp_path: Path, clock: Clock) -> None:
    clock.then = [
        (105.0, set_state(clock, "NODE_FAIL")),
        (120.0, set_state(clock, "PENDING")),
        (300.0, set_state(clock, "RUNNING")),
        (310.0, (tmp_path / "result").touch),
    ]
    assert Watch(tmp_path, [job_of(tmp_path)]).wait() == [7.0]


def test_an_error_outside_of_a_job_stands_in_place_of_its_result(tmp_path: Path, clock: Clock) -> None:
    (tmp_path / "result").touch()
    trace = RuntimeError(
        "Job failed with trace:\n----\nTraceback\nModuleNotFoundError: No module named 'x'\n----\nsee logs"
    )
    (result,) = Watch(tmp_path, [job_of(tmp_path, trace)]).wait()
    assert "ModuleNotFoundError: No module named 'x'; see" in str(result)


def test_a_sacct_that_falls_silent_is_not_waited_for(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching.slurm_jobs, "states_of", lambda jobs: None)
    with pytest.raises(RunError, match="scanlens sweep run="):
        Watch(tmp_path, [job_of(tmp_path)]).wait()
    assert clock.now - 100.0 < 150


def test_notes_of_jobs_belong_to_their_owner(tmp_path: Path) -> None:
    write_job(tmp_path, SweepJob(3, ("data.root=/people",)))
    if os.name == "posix":
        assert (tmp_path / ".jobs" / "3.json").stat().st_mode & 0o077 == 0
    (tmp_path / ".jobs" / "3.json").write_text("{")
    assert read_job(tmp_path, 3) is None
