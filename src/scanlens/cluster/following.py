"""How process 0 of a group calls the others: a file in the run folder, which it touches as long as it lives.

The name of the file is that of the start, so nothing of an earlier one is ever followed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scanlens.cluster.group import Group
from scanlens.errors import RunError
from scanlens.files import write_text

FOLDER = ".group"
WAIT, FIT, DONE, FAILED = "wait", "fit", "done", "failed"
HEARTBEAT_S, POLL_S = 5.0, 0.1
SILENCE_S = 120.0  # without a sign of life, on disks that several machines share


@contextmanager
def leading(run_folder: Path, group: Group | None) -> Iterator[None]:
    """Keep the others waiting while this process works; they end when it does. Nothing, for a process that is alone."""
    if group is None:
        yield
        return
    file = _file(run_folder, group)
    _remove_former(file)
    write_text(file, WAIT)
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(file, ended), daemon=True)
    heart.start()
    last = FAILED
    try:
        yield
        last = DONE
    finally:
        ended.set()
        heart.join()
        write_text(file, last)


def call_to_fit(run_folder: Path, group: Group) -> None:
    """The run is prepared: let the others train."""
    write_text(_file(run_folder, group), FIT)


def wait_for_call(run_folder: Path, group: Group, *, silence_s: float = SILENCE_S) -> bool:
    """Whether there is something to train; False if process 0 ended without a training.

    Raises:
        RunError: if process 0 failed, or is not heard any more.
    """
    file, heard = _file(run_folder, group), time.monotonic()
    last_beat = 0.0
    while True:
        order, beat = _read(file)
        if beat != last_beat:
            last_beat, heard = beat, time.monotonic()
        if order == FIT:
            return True
        if order == DONE:
            return False
        if order == FAILED:
            raise RunError("process 0 failed; its own message says why")
        if time.monotonic() - heard > silence_s:
            raise RunError(
                f"process 0 of this run gave no sign of life in {file} for {silence_s:.0f} s. Is the run folder on a disk that "
                "all machines share? The same command with the same run_id goes on."
            )
        time.sleep(POLL_S)


def _file(run_folder: Path, group: Group) -> Path:
    return run_folder / FOLDER / group.start


def _remove_former(file: Path) -> None:
    for former in file.parent.glob("*") if file.parent.is_dir() else ():
        if former != file:
            former.unlink(missing_ok=True)


def _beat(file: Path, ended: threading.Event) -> None:
    while not ended.wait(HEARTBEAT_S):
        try:
            file.touch()
        except OSError:
            continue


def _read(file: Path) -> tuple[str, float]:
    try:
        return file.read_text(encoding="utf-8").strip(), file.stat().st_mtime
    except OSError:
        return WAIT, 0.0
