"""Whether pictures may be written beside a case, and why."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Pictures:
    """Whether pictures of one kind may be written.

    Args:
        are_allowed: whether.
        has_text_too: also of those with letter-like marks, which might name somebody.
        reason: why, or why not.
    """

    are_allowed: bool
    has_text_too: bool
    reason: str
