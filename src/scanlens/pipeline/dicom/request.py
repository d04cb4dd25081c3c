"""What `scanlens dicom` was asked for: every word judged before anything is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from scanlens.errors import ConfigError, did_you_mean
from scanlens.report.dicom.case import KINDS, USUAL, Kind

WORDS = ("cases", "case", "objects", "keep_identity", "burnt_in_text")
CASE = re.compile(r"(train|val|test)-\d{1,9}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A judged command.

    Args:
        run: folder of a finished run.
        most: no more than so many of the explained cases, in their order; None for all.
        cases: names of the only ones; empty for all.
        kinds: which objects.
        keeps_identity: whether patient, study and UIDs are the true ones.
        allows_text: whether images with text in their pixels are taken.
    """

    run: Path
    most: int | None = None
    cases: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = USUAL
    keeps_identity: bool = False
    allows_text: bool = False


def request_of(given: Mapping[str, Sequence[str]]) -> Request:
    """The request that words make.

    Args:
        given: `run`, and any of WORDS; of single values the last one counts.

    Raises:
        ConfigError: with every mistake in the words.
    """
    mistakes: list[str] = []
    most = given.get("cases", [""])[-1]
    if "cases" in given and not (most.isdecimal() and len(most) <= 6 and int(most) > 0):
        mistakes.append(f"cases: how many explained cases, a whole number from 1, is expected, got '{most}'")
    cases = tuple(dict.fromkeys(name for word in given.get("case", []) for name in _listed(word)))
    mistakes += [
        f"case: the name of an explained case, such as test-00012, is expected, got '{one}'"
        for one in cases
        if not CASE.fullmatch(one)
    ]
    if "cases" in given and cases:
        mistakes.append("cases=N and case=NAME exclude each other; give one of them")
    kinds = tuple(dict.fromkeys(name for word in given.get("objects", []) for name in _listed(word)))
    mistakes += [f"objects: there is no '{one}'. {did_you_mean(one, KINDS)}" for one in kinds if one not in KINDS]
    keep, text = given.get("keep_identity", ["false"])[-1], given.get("burnt_in_text", ["refuse"])[-1]
    if keep not in ("true", "false"):
        mistakes.append(f"keep_identity: true or false is expected, got '{keep}'")
    if text not in ("refuse", "allow"):
        mistakes.append(f"burnt_in_text: refuse or allow is expected, got '{text}'")
    if mistakes:
        raise ConfigError(mistakes)
    return Request(
        run=Path(given["run"][-1]),
        most=int(most) if most else None,
        cases=cases,
        kinds=cast("tuple[Kind, ...]", kinds) or USUAL,
        keeps_identity=keep == "true",
        allows_text=text == "allow",
    )


def _listed(word: str) -> list[str]:
    names = word.removeprefix("[").removesuffix("]").split(",")
    return [name.strip() for name in names if name.strip()]
