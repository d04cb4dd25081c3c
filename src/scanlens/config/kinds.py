"""What values an annotated argument takes, read from the annotation's syntax: nothing is imported or evaluated."""

from __future__ import annotations

import ast
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scanlens.errors import did_you_mean

MAX_ALIAS_DEPTH = 8
LARGEST_FLOAT = sys.float_info.max
WRITTEN_OUT = 1e15  # whole numbers from here on are shown as powers of ten


@dataclass(frozen=True, slots=True)
class Kind:
    """Takes anything: the kind of an argument whose annotation says nothing that YAML could break."""

    def accepts(self, value: Any) -> bool:
        """Whether a plain value from YAML may be passed."""
        return True

    def words(self) -> str:
        """What is expected, in words for a user."""
        return "anything"

    def hint(self, value: Any) -> str:
        """A suggestion that fits what came, or nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Scalar(Kind):
    """A number, text, truth value or nothing; truth values are no numbers, and text that looks like one is text."""

    name: str

    def accepts(self, value: Any) -> bool:
        if isinstance(value, bool) or value is None:
            return self.name == {True: "bool", False: "bool", None: "None"}[value]
        if self.name == "float":
            return isinstance(value, (int, float)) and abs(value) <= LARGEST_FLOAT
        return {"int": int, "str": str}.get(self.name) is type(value) and not _is_beyond_64_bits(value)

    def words(self) -> str:
        names = {"int": "a whole number", "float": "a number", "str": "text", "bool": "true or false", "None": "null"}
        return names[self.name]

    def hint(self, value: Any) -> str:
        if isinstance(value, str) and self.name in ("int", "float") and _is_number(value):
            return f"Write it without quotes: {value}."
        if self.name == "int" and _is_beyond_64_bits(value):
            return "It is larger than 64 bits hold."
        if isinstance(value, float) and self.name == "int" and value.is_integer() and abs(value) < WRITTEN_OUT:
            return f"Write {value:.0f}."
        return ""


@dataclass(frozen=True, slots=True)
class Choice(Kind):
    """One of a few literal values."""

    values: tuple[Any, ...]

    def accepts(self, value: Any) -> bool:
        return any(type(value) is type(one) and value == one for one in self.values)

    def words(self) -> str:
        shown = ["null" if v is None else str(v).lower() if isinstance(v, bool) else str(v) for v in self.values]
        return f"one of {', '.join(shown)}" if len(shown) > 1 else shown[0]

    def hint(self, value: Any) -> str:
        texts = [one for one in self.values if isinstance(one, str)]
        hint = did_you_mean(value, texts) if isinstance(value, str) else ""
        return hint if hint.startswith("Did") else ""


@dataclass(frozen=True, slots=True)
class OneOf(Kind):
    """Whatever one of several kinds takes."""

    kinds: tuple[Kind, ...]

    def accepts(self, value: Any) -> bool:
        return any(kind.accepts(value) for kind in self.kinds)

    def words(self) -> str:
        return " or ".join(dict.fromkeys(kind.words() for kind in self.kinds))

    def hint(self, value: Any) -> str:
        return next((hint for kind in self.kinds if (hint := kind.hint(value))), "")


@dataclass(frozen=True, slots=True)
class ListOf(Kind):
    """A list whose items are all of one kind; `length` is exact where a tuple fixes it."""

    item: Kind
    length: int | None = None

    def accepts(self, value: Any) -> bool:
        is_list = isinstance(value, (list, tuple)) and self.length in (None, len(value))
        return is_list and all(self.item.accepts(one) for one in value)

    def words(self) -> str:
        count = "" if self.length is None else f" of {self.length}"
        return f"a list{count}" + ("" if type(self.item) is Kind else f" (each {self.item.words()})")


@dataclass(frozen=True, slots=True)
class DictOf(Kind):
    """Named values, all of one kind."""

    item: Kind

    def accepts(self, value: Any) -> bool:
        is_dict = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
        return is_dict and all(self.item.accepts(one) for one in value.values())

    def words(self) -> str:
        return "named values" + ("" if type(self.item) is Kind else f" (each {self.item.words()})")


@dataclass(frozen=True, slots=True)
class Built(Kind):
    """An object that YAML can only give as a node with `_target_`."""

    name: str

    def accepts(self, value: Any) -> bool:
        return isinstance(value, Mapping) and "_target_" in value

    def words(self) -> str:
        return f"a node with _target_ that builds {self.name}"


Lookup = Callable[[str], "ast.expr | Kind"]
_LISTS = ("list", "List", "Sequence", "Iterable", "Collection", "MutableSequence", "set", "frozenset")
_DICTS = ("dict", "Dict", "Mapping", "MutableMapping")


def kind_of(annotation: ast.expr | None, lookup: Lookup, *, depth: int = 0) -> Kind:
    """The kind that an annotation means.

    Args:
        annotation: as written; None for an argument without one.
        lookup: what a name stands for in the module of the annotation: the expression of an alias, or a kind.
        depth: of aliases followed so far.
    """
    if annotation is None or depth > MAX_ALIAS_DEPTH:
        return Kind()
    if isinstance(annotation, ast.Constant):
        return _kind_of_constant(annotation, lookup, depth)
    if isinstance(annotation, ast.BinOp) and isinstance(annotation.op, ast.BitOr):
        return _one_of([kind_of(side, lookup, depth=depth) for side in (annotation.left, annotation.right)])
    if isinstance(annotation, ast.Subscript):
        return _kind_of_subscript(annotation, lookup, depth)
    return _kind_of_name(_last_name(annotation), annotation, lookup, depth)


def _kind_of_constant(annotation: ast.Constant, lookup: Lookup, depth: int) -> Kind:
    if annotation.value is None:
        return Scalar("None")
    if isinstance(annotation.value, str):
        return kind_of(ast.parse(annotation.value, mode="eval").body, lookup, depth=depth + 1)
    return Kind()


def _kind_of_name(name: str, annotation: ast.expr, lookup: Lookup, depth: int) -> Kind:
    if name in ("int", "float", "str", "bool"):
        return Scalar(name)
    if name in ("Any", "object"):
        return Kind()
    if name in ("Path", "PathLike"):
        return Scalar("str")
    if name in (*_LISTS, "tuple", "Tuple"):
        return ListOf(Kind())
    if name in _DICTS:
        return DictOf(Kind())
    found = lookup(ast.unparse(annotation))
    return found if isinstance(found, Kind) else kind_of(found, lookup, depth=depth + 1)


def _kind_of_subscript(annotation: ast.Subscript, lookup: Lookup, depth: int) -> Kind:
    name = _last_name(annotation.value)
    inner = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    if name == "Literal":
        return Choice(tuple(_literal(one) for one in inner))
    kinds = [kind_of(one, lookup, depth=depth) for one in inner if not _is_ellipsis(one)]
    if name == "Optional":
        return _one_of([*kinds, Scalar("None")])
    if name == "Union":
        return _one_of(kinds)
    if name in _LISTS:
        return ListOf(kinds[0])
    if name in ("tuple", "Tuple"):
        return ListOf(_one_of(kinds), None if len(kinds) < len(inner) else len(kinds))
    if name in _DICTS:
        return DictOf(kinds[-1])
    return kinds[0] if name in ("Annotated", "Final") else Kind()


def _one_of(kinds: list[Kind]) -> Kind:
    flat = [one for kind in kinds for one in (kind.kinds if isinstance(kind, OneOf) else (kind,))]
    unique = tuple(dict.fromkeys(flat))
    return unique[0] if len(unique) == 1 else OneOf(unique)


def _last_name(annotation: ast.expr) -> str:
    return ast.unparse(annotation).rpartition(".")[2]


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except ValueError:  # an enumeration's member: no plain value equals it
        return object()


def _is_ellipsis(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is Ellipsis


def _is_beyond_64_bits(value: Any) -> bool:
    return type(value) is int and not -(2**63) <= value < 2**63


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
