"""Signals: heard at once, or noted until nothing is lost; handed on to whoever waited for them before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scanlens.cluster import stopping


@pytest.fixture(autouse=True)
def _former_handlers() -> Iterator[None]:
    former = {number: signal.getsignal(number) for number in stopping.SIGNALS}
    yield
    for number, handler in former.items():
        signal.signal(number, handler)


def sent(number: int) -> None:
    """A signal to this process, which then has time to be interrupted."""
    os.kill(os.getpid(), number)
    time.sleep(5)


@pytest.mark.parametrize("number", stopping.SIGNALS)
def test_a_signal_unwinds_the_stack(number: int) -> None:
    closed = []

    def works() -> None:
        with stopping.listening():
            try:
                sent(number)
            finally:
                closed.append(True)

    with pytest.raises(stopping.Stopped) as caught:
        works()
    assert (caught.value.number, caught.value.code, closed) == (number, 143, [True])
    assert stopping.asked() == 0, "the next command of this process begins anew"


def test_where_it_would_lose_something_it_is_noted_and_told() -> None:
    told, noted = [], []

    def works() -> None:
        with stopping.listening(), stopping.deferred(lambda number, _: told.append(number)):
            os.kill(os.getpid(), signal.SIGUSR1)
            os.kill(os.getpid(), signal.SIGTERM)
            noted.append(stopping.asked())

    with pytest.raises(stopping.Stopped):
        works()
    assert noted == [signal.SIGUSR1], "the first counts, and the work went on"
    assert told == [signal.SIGUSR1, signal.SIGTERM]


def test_an_error_is_not_hidden_by_a_signal_that_waited() -> None:
    def fails() -> None:
        with stopping.listening(), stopping.deferred():
            os.kill(os.getpid(), signal.SIGTERM)
            raise ValueError("the cause")

    with pytest.raises(ValueError, match="the cause"):
        fails()


def test_who_listened_before_is_handed_the_signal() -> None:
    heard: list[int] = []
    signal.signal(signal.SIGUSR2, lambda number, _: heard.append(number))
    with pytest.raises(stopping.Stopped), stopping.listening():
        sent(signal.SIGUSR2)
    assert heard == []
    assert stopping.hand_over(signal.SIGUSR2)
    assert heard == [signal.SIGUSR2]
    assert not stopping.hand_over(signal.SIGUSR1), "nobody listened to that"


def test_a_library_that_takes_a_signal_does_not_keep_it() -> None:
    def works() -> None:
        with stopping.listening():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            stopping.hear_again()
            sent(signal.SIGTERM)

    with pytest.raises(stopping.Stopped):
        works()


def test_a_child_ends_with_its_parent_however_that_ends(tmp_path: Path) -> None:
    child = (
        "import sys, time; from scanlens.cluster.parent import die_with_parent; die_with_parent(int(sys.argv[1])); "
        "open(sys.argv[2], 'w').write(str(__import__('os').getpid())); time.sleep(60)"
    )
    parent = (
        f"import os, subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}, str(os.getpid()), sys.argv[1]]); "
        "time.sleep(60)"
    )
    process = subprocess.Popen([sys.executable, "-c", parent, str(tmp_path / "pid")])
    deadline = time.monotonic() + 30
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    number = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    while Path(f"/proc/{number}").exists() and " Z " not in Path(f"/proc/{number}/stat").read_text():
        assert time.monotonic() < deadline, "the child lives on"
        time.sleep(0.02)
