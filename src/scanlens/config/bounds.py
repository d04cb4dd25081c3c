"""How much a configuration may hold, looked at before anything follows its references or goes into its depth.

A few lines of YAML whose aliases name each other can stand for more values than fit into memory, and nesting beyond what Python
follows would end in a traceback.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

MAX_DEPTH = 32
MAX_WORD = 100_000  # characters of one word of a command line
MAX_DIGITS = 400
_LOADERS = (getattr(yaml, "CSafeLoader", yaml.SafeLoader), yaml.SafeLoader)  # the fast one gives up at a depth of 1,000
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"")
_LONG_NUMBER = re.compile(rf"\d{{{MAX_DIGITS + 1}}}")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one file may hold.

    Args:
        num_bytes: of the file.
        num_values: with every alias counted as what it stands for.
    """

    num_bytes: int
    num_values: int


WRITTEN = Bounds(num_bytes=2**20, num_values=20_000)  # an option file of a user
FROZEN = Bounds(num_bytes=2**25, num_values=500_000)  # config.yaml of a run, which lists classes and counts


def file_mistake(file: Path, bounds: Bounds) -> str | None:
    """Why a YAML file is not to be loaded; None also for one that is absent or no YAML, which whoever loads it tells.

    Args:
        file: to be read.
        bounds: of what it may hold.
    """
    try:
        size = file.stat().st_size
        if size > bounds.num_bytes:
            return f"at most {bounds.num_bytes:,} bytes are expected of a configuration, got {size:,}. Remove what is no setting"
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    for loader in _LOADERS:
        with contextlib.suppress(yaml.YAMLError):
            return _yaml_mistake(text, bounds, loader)
    return None


@dataclass(slots=True)
class _Open:
    """A list or mapping that is being read: its anchor, and so far its values and the depth below it."""

    anchor: str | None
    num_values: int = 1
    depth: int = 1


def _yaml_mistake(text: str, bounds: Bounds, loader: Any) -> str | None:
    known: dict[str, tuple[int, int]] = {}  # values and depth of what an anchor stands for
    around: list[_Open] = []
    for event in yaml.parse(text, Loader=loader):
        num_values, depth = 1, 0
        if isinstance(event, yaml.CollectionStartEvent):
            around.append(_Open(event.anchor))
            if len(around) > MAX_DEPTH:
                return _too_deep(_line(event))
            continue
        if isinstance(event, yaml.CollectionEndEvent):
            closed = around.pop()
            num_values, depth = closed.num_values, closed.depth
            if closed.anchor is not None:
                known[closed.anchor] = num_values, depth
        elif isinstance(event, yaml.AliasEvent):
            if any(one.anchor == event.anchor for one in around):
                return f"line {_line(event)}: '*{event.anchor}' stands in what it refers to, which has no end"
            num_values, depth = known.get(str(event.anchor), (1, 0))
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                known[event.anchor] = 1, 0
        else:
            continue
        if around:
            around[-1].num_values += num_values
            around[-1].depth = max(around[-1].depth, depth + 1)
            if len(around) + depth > MAX_DEPTH:
                return _too_deep(_line(event))
            if sum(one.num_values for one in around) > bounds.num_values:
                return (
                    f"line {_line(event)}: at most {bounds.num_values:,} values are expected of a configuration, and "
                    "with its aliases it holds more. Remove what is no setting"
                )
    return None


def _line(event: yaml.Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line + 1


def _too_deep(line: int) -> str:
    return f"line {line}: nested more than {MAX_DEPTH} deep. No setting is; write it flat"


def word_mistake(word: str) -> str | None:
    """Why one word of a command line is not to be parsed."""
    if len(word) > MAX_WORD:
        return f"it has {len(word):,} characters, at most {MAX_WORD:,} are read; put long values into a file of --config-dir"
    bare = _QUOTED.sub("", word)
    depth = deepest = 0
    for sign in bare:
        depth += (sign in "[{(") - (sign in "]})")
        deepest = max(deepest, depth)
    if deepest > MAX_DEPTH:
        return f"it is nested more than {MAX_DEPTH} deep. No setting is; write it flat"
    if _LONG_NUMBER.search(bare):
        return f"it holds a number of more than {MAX_DIGITS} digits"
    return None


def text_mistake(text: str) -> str | None:
    """Why a text cannot be a setting: no file name, and no file in UTF-8, can hold it."""
    if "\0" in text:
        return "holds a NUL character, which no file name and no class has; remove it"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "holds bytes that are no UTF-8, which cannot be written into config.yaml; rename the file or folder"
    return None
