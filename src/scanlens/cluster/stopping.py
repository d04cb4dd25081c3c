"""Signals that ask a run to end: heard from the first line to the last, acted on where nothing is lost.

`SIGTERM`, `SIGUSR1` and `SIGUSR2` unwind the stack with `Stopped`, so that files are closed and child processes ended. Within
`deferred` they are only noted: a training asks `asked` at the end of each batch, saves its state and stops.

A handler that stood before ours (a launcher's that puts the job back into its queue) is called at the end, by `hand_over`.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

TERMINATED = 143
NAMES = ("SIGTERM", "SIGUSR1", "SIGUSR2")
SIGNALS = tuple(getattr(signal, name) for name in NAMES if hasattr(signal, name))  # Windows knows the first alone

Handler = Callable[[int, Any], object]


class Stopped(SystemExit):
    """A signal asked the run to end.

    Args:
        number: of the signal.
        is_saved: whether the state of the training was saved for it.
    """

    def __init__(self, number: int, *, is_saved: bool = False) -> None:
        super().__init__(TERMINATED)
        self.number = number
        self.is_saved = is_saved


@dataclass
class _Ears:
    asked: int = 0
    deferred: int = 0
    tell: list[Handler] = field(default_factory=list)
    former: dict[int, Handler] = field(default_factory=dict)


_ears = _Ears()


def asked() -> int:
    """The signal that asked this process to end; 0 for none."""
    return _ears.asked


@contextmanager
def listening() -> Iterator[None]:
    """Hear the signals within; nested, or in a thread, it does nothing. What was heard before stays noted."""
    if threading.current_thread() is not threading.main_thread() or _is_ours(signal.getsignal(signal.SIGTERM)):
        yield
        return
    former = {number: signal.getsignal(number) for number in SIGNALS}
    _ears.former = {number: handler for number, handler in former.items() if callable(handler)}
    hear_again()
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        _ears.asked = 0


def hear_again() -> None:
    """Take the signals back from a library that took them within `listening`; only the main thread may."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, _hear)


@contextmanager
def deferred(tell: Handler | None = None) -> Iterator[None]:
    """Within, a signal is only noted; at the end it is acted on.

    Args:
        tell: called at once with the signal, as to pass it on to processes that work for this one.

    Raises:
        Stopped: at the end, if a signal came and nothing else was raised.
    """
    _ears.deferred += 1
    if tell is not None:
        _ears.tell.append(tell)
    try:
        yield
    finally:
        _ears.deferred -= 1
        if tell is not None:
            _ears.tell.remove(tell)
    if _ears.asked and not _ears.deferred:
        raise Stopped(_ears.asked)


def ignore_all() -> None:
    """Hear nothing more: the process is about to leave, and a second signal must not change its exit status."""
    if threading.current_thread() is threading.main_thread():
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def hand_over(number: int) -> bool:
    """Let the handler that stood before the last `listening` have the signal; whether there was one."""
    former = _ears.former.get(number)
    if former is None:
        return False
    former(number, None)
    return True


def _hear(number: int, frame: object) -> None:
    _ears.asked = _ears.asked or number
    for tell in _ears.tell:
        tell(number, frame)
    if not _ears.deferred:
        _unwind(number)


def _unwind(number: int) -> NoReturn:
    raise Stopped(number)


def _is_ours(handler: object) -> bool:
    return handler is _hear
