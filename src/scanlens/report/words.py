"""Numbers and text as a reader sees them: rounding, intervals, sizes, durations, and nothing that could name a person.

Rounding is half up on the decimal digits as written; a value that is not 1 is never printed as 1, nor one that is
not 0 as 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

from scanlens.report.folder import finite

_CONTEXT = Context(prec=60)
NOT_ASSESSED = "not assessed"
HIDDEN_PATH = "(path not shown)"
_PATH = re.compile(r"(?:(?<=[\s=:'\"(\[,;])|^)(?:~|\.{1,2}|[A-Za-z]:)?[/\\][^\s'\"<>|,;)\]]+")
_PATH_KEYS = re.compile(r"(^|_)(root|path|paths|file|files|dir|folder|csv|table_file|ckpt|checkpoint)$")
_PATH_ARGUMENT = re.compile(
    r"(?P<key>[\w.@/+-]*\b\w*(?:root|path|file|dir|folder|csv))=(?P<value>'[^']*'|\"[^\"]*\"|\S+)"
)


def number(value: object, digits: int = 3) -> str:
    """A number with `digits` decimals, "not assessed" if there is none.

    >>> number(0.8125, 3), number(0.9999, 3), number(1.0, 2), number(0.0004, 3), number(None)
    ('0.813', '> 0.999', '1.00', '< 0.001', 'not assessed')
    """
    amount = finite(value)
    if amount is None:
        return NOT_ASSESSED
    if abs(amount) >= 1e6:
        return significant(amount)
    rounded = _rounded(amount, digits)
    step = Decimal(1).scaleb(-digits)
    if abs(rounded) == 1 and abs(amount) < 1:
        return ("> " if amount > 0 else "< -") + f"{1 - step}"
    if rounded == 0 and amount != 0:
        return f"< {step}" if amount > 0 else f"> -{step}"
    return f"{rounded}"


def interval(value: object, digits: int = 3) -> str:
    """The bounds of a metric as "0.94 to 0.99"; empty if it has none."""
    bounds = [finite(value.get(name)) if isinstance(value, Mapping) else None for name in ("low", "high")]
    if bounds[0] is None or bounds[1] is None:
        return ""
    return f"{_rounded(bounds[0], digits)} to {_rounded(bounds[1], digits)}"


def with_interval(value: object, digits: int = 2) -> str:
    """A metric as "0.97 (0.94 to 0.99)", without brackets if it has no interval."""
    bounds = interval(value, digits)
    return number(point(value), digits) + (f" ({bounds})" if bounds else "")


def point(value: object) -> float | None:
    """The value of a metric, written as {"value": x, ...} or as a bare number."""
    return finite(value.get("value")) if isinstance(value, Mapping) else finite(value)


def reason(value: object) -> str:
    """Why a metric has no value, empty if it has one or does not say."""
    return str(value.get("reason") or "") if isinstance(value, Mapping) else ""


def percent(value: object, digits: int = 0) -> str:
    """A share as "12 %", with a space that does not break."""
    share = finite(value)
    if share is None:
        return NOT_ASSESSED
    rounded, step = _rounded(100 * share, digits), Decimal(1).scaleb(-digits)
    if rounded == 100 and share < 1:
        return f"> {100 - step}\u00a0%"
    return f"< {step}\u00a0%" if rounded == 0 and share > 0 else f"{rounded}\u00a0%"


def whole(value: object) -> str:
    """A count with thousands separated by a thin space that does not break."""
    amount = finite(value)
    return NOT_ASSESSED if amount is None else f"{round(amount):,}".replace(",", "\u202f")


def significant(value: object, digits: int = 3) -> str:
    """A number of unknown size with `digits` significant digits."""
    amount = finite(value)
    return NOT_ASSESSED if amount is None else f"{amount:.{digits}g}"


def counted(amount: object, noun: str) -> str:
    """ "1 patient", "24 patients"."""
    known = finite(amount)
    return f"{whole(amount)} {noun}" + ("" if known == 1 else "s")


def duration(seconds: object) -> str:
    """Seconds as "1 h 02 min", "3 min 12 s" or "4.2 s"."""
    amount = finite(seconds)
    if amount is None:
        return NOT_ASSESSED
    if amount < 60:
        return f"{amount:.1f} s"
    minutes, rest = divmod(round(amount), 60)
    return f"{minutes} min {rest:02d} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02d} min"


def joined(words: list[str], most: int = 6) -> str:
    """ "a, b and c"; a long list is cut with its count."""
    if len(words) > most:
        return ", ".join(words[: most - 1]) + f" and {len(words) - most + 1} more"
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def without_paths(text: object) -> str:
    """Text without paths: folders and files are often called after people."""
    named = _PATH_ARGUMENT.sub(lambda found: f"{found['key']}={HIDDEN_PATH}", str(text))
    return _PATH.sub(HIDDEN_PATH, named)


def public_config(value: Any, key: str = "") -> Any:
    """A configuration without paths: keys that mean a place, and values that look like one."""
    if isinstance(value, Mapping):
        return {str(name): public_config(one, str(name)) for name, one in value.items()}
    if isinstance(value, list):
        return [public_config(one, key) for one in value]
    if isinstance(value, str) and value:
        return HIDDEN_PATH if _PATH_KEYS.search(key.lower()) else without_paths(value)
    return value


def _rounded(amount: float, digits: int) -> Decimal:
    step = Decimal(1).scaleb(-digits)
    return Decimal(repr(amount)).quantize(step, rounding=ROUND_HALF_UP, context=_CONTEXT) + 0  # + 0: no "-0.00"
