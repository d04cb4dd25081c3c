"""How new objects are called and dated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Issue:
    """How the new objects are called and dated.

    Args:
        uid: a UID for a text, always the same one for the same text.
        series_seed: of everything that the objects of all cases have in common; another one gives other series.
        seed: of everything that the objects of this case are made of; another one gives other instances.
        is_identified: whether patient and study are the true ones.
        created: when; None for objects without dates, which are then the same whenever they are made.
    """

    uid: Callable[[str], str]
    series_seed: str
    seed: str
    is_identified: bool
    created: datetime | None
