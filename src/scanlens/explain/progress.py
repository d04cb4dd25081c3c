"""A word now and then from methods that take minutes, in the log."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)
EVERY_S = 15.0


class Progress:
    """Says how many passes are done and how long the rest will take, at most every quarter of a minute.

    Args:
        what: who is at work, such as "Score-CAM".
        total: passes in all.
    """

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total, self.done = what, total, 0
        self.started = self.said = time.monotonic()

    def add(self, passes: int) -> None:
        """So many more are done."""
        self.done += passes
        now = time.monotonic()
        if now - self.said >= EVERY_S and self.done < self.total:
            self.said = now
            left_s = (now - self.started) / self.done * (self.total - self.done)
            log.info("%s: %d of %d passes, about %.0f s left", self.what, self.done, self.total, left_s)
