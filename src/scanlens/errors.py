"""Errors that a user can cause. Every message says what was expected, what came, where, and what to do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches


class ScanlensError(Exception):
    """Root of all errors that are the user's to mend; the command line prints them without a traceback."""


class ConfigError(ScanlensError):
    """All mistakes found in a configuration, together.

    Args:
        mistakes: one sentence each.
    """

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = list(mistakes)
        count = len(self.mistakes)
        head = "1 mistake in the configuration" if count == 1 else f"{count} mistakes in the configuration"
        super().__init__("\n".join([f"{head}:", *(f"  - {m}" for m in self.mistakes)]))

    def __reduce__(self) -> tuple[type[ConfigError], tuple[list[str]]]:
        """Launchers send errors from one process to another; the list survives."""
        return type(self), (self.mistakes,)


class DataError(ScanlensError):
    """The data set as a whole cannot be used (empty, overlapping, too many unreadable files).

    Args:
        message: for whoever ran the command.
        public: the same without names of files and people, for what is passed on; None if the message holds none.
    """

    def __init__(self, message: str = "", *, public: str | None = None) -> None:
        super().__init__(message)
        self.public = message if public is None else public


class ImageError(ScanlensError):
    """One image cannot be read; its record goes to quarantine with this message as the reason."""


class ModelError(ScanlensError):
    """A network or its weights do not fit what was asked of them."""


class ExplainError(ScanlensError):
    """This explanation cannot be had of this network, and why."""


class RunError(ScanlensError):
    """A run folder is not what the command needs (absent, unfinished, of another version)."""


def did_you_mean(word: str, choices: Iterable[str]) -> str:
    """A sentence that suggests the nearest choice, or lists what there is; empty if there is nothing to choose."""
    options = sorted(set(choices))
    if not options:
        return ""
    near = get_close_matches(word, options, n=1, cutoff=0.6)
    if near:
        return f"Did you mean '{near[0]}'?"
    shown = ", ".join(options[:12]) + (", ..." if len(options) > 12 else "")
    return f"Choose one of: {shown}."
