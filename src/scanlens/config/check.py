"""All mistakes of a composed configuration, found together and before anything heavy is imported."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from scanlens.config.plain import interpolation_mistakes, plain, unwritable
from scanlens.config.rules import rule_mistakes
from scanlens.config.schema import BUILT_PARTS, COMPLETE_OPTIONS, PASSED_BY_CODE, RESERVED_KEYS, SCHEMAS, RunSchema
from scanlens.config.signatures import Argument, Signature, signature_of
from scanlens.config.targets import target_mistake
from scanlens.errors import ConfigError, did_you_mean

Mistake = tuple[str, str]  # path of the setting, and what is wrong with it
Where = Callable[[str], str]
MISSING = "???"
_IS_WORD = re.compile(r"\w")


def check(config: Mapping[str, Any], *, choices: Mapping[str, str] | None = None, where: Where | None = None) -> None:
    """Refuse a configuration with anything wrong in it, naming everything at once.

    Args:
        config: composed, plain or from OmegaConf; interpolations may be in it.
        choices: the option that was taken of each group, such as {"model": "lenet"}, to tell which go together.
        where: from the path of a setting to the file that set it.

    Raises:
        ConfigError: with one sentence for every mistake.
    """
    mistakes = find_mistakes(config, choices=choices, where=where)
    if mistakes:
        raise ConfigError(mistakes)


def find_mistakes(
    config: Mapping[str, Any], *, choices: Mapping[str, str] | None = None, where: Where | None = None
) -> list[str]:
    """The sentences that `check` would raise; empty if all is well."""
    found = interpolation_mistakes(config)
    values, unresolved = plain(config)
    found += unresolved
    found += unwritable(values)
    found += _schema_mistakes("", values)
    for part in SCHEMAS.keys() & values.keys():
        found += _schema_mistakes(part, values[part])
    for part in BUILT_PARTS:
        found += _untargeted(part, values.get(part))
    for part, value in values.items():
        found += _inside(part, value, str(part))
    found += rule_mistakes(values, choices=choices or {})
    return list(dict.fromkeys(_sentence(path, text, where) for path, text in found))


def _sentence(path: str, text: str, where: Where | None) -> str:
    origin = where(path) if where and path else ""
    return f"{origin}: {text}" if origin else text


def _schema_mistakes(part: str, values: Any) -> Iterator[Mistake]:
    if not isinstance(values, Mapping):
        return  # the kind of the part itself is wrong, which the schema of the top says
    schema = SCHEMAS[part]
    signature = signature_of(f"{schema.__module__}.{schema.__qualname__}")
    yield from _argument_mistakes(part, values, signature)


def _untargeted(part: str, value: Any) -> Iterator[Mistake]:
    if isinstance(value, Mapping) and "_target_" not in value:
        yield part, f"{part} has no _target_, the class that it configures"


def _inside(part: str, value: Any, path: str) -> Iterator[Mistake]:
    """Mistakes of every node with `_target_` at any depth, also in lists."""
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield from _node_mistakes(part, value, path)
        for key, one in value.items():
            yield from _inside(part, one, f"{path}.{key}")
    elif isinstance(value, (list, tuple)):
        for place, one in enumerate(value):
            yield from _inside(part, one, f"{path}.{place}")


def _node_mistakes(part: str, node: Mapping[str, Any], path: str) -> Iterator[Mistake]:
    wrong = target_mistake(node["_target_"], part=part)
    if wrong:
        yield f"{path}._target_", f"{path}: {wrong}"
        return
    signature = signature_of(node["_target_"])
    passed = _passed_by_code(part, signature.target) if path == part else frozenset()
    own = {key: value for key, value in node.items() if key not in RESERVED_KEYS}
    for name in sorted(passed & own.keys()):
        yield f"{path}.{name}", f"{path}.{name} is decided by the data or the run and passed by the code; remove it"
    rest = {key: value for key, value in own.items() if key not in passed}
    yield from _argument_mistakes(path, rest, signature, without=passed)


def _passed_by_code(part: str, target: str) -> frozenset[str]:
    return PASSED_BY_CODE.get(part, frozenset()) | PASSED_BY_CODE.get(target, frozenset())


def _argument_mistakes(
    path: str, values: Mapping[str, Any], signature: Signature, *, without: frozenset[str] = frozenset()
) -> Iterator[Mistake]:
    known = {name: one for name, one in signature.arguments.items() if name not in without}
    for key, value in values.items():
        if key in known:
            yield from _value_mistakes(_joined(path, key), value, known[key])
        elif not signature.takes_anything:
            yield _joined(path, key), _unknown(path, str(key), known)
    for name, argument in known.items():
        if argument.is_required and name not in values:
            yield path, f"{_joined(path, name)} is missing: {argument.kind.words()} is needed{_start_from(path)}"


def _start_from(part: str) -> str:
    """Where an option file of one's own gets everything that it does not say."""
    return {
        name: f"; begin your option with 'defaults: [{base}, _self_]'" for name, base in COMPLETE_OPTIONS.items()
    }.get(part, "")


def _value_mistakes(path: str, value: Any, argument: Argument) -> Iterator[Mistake]:
    if value == MISSING:
        yield path, f"{path} must be given: {path}=... ({argument.kind.words()})"
    elif isinstance(value, str) and "${" in value:
        return  # an interpolation that could not be followed is told elsewhere
    elif not (argument.kind.accepts(value) or _is_node(value)):
        hint = argument.kind.hint(value)
        yield path, f"{path} must be {argument.kind.words()}, got {shown(value)}.{' ' if hint else ''}{hint}"


def _is_node(value: Any) -> bool:
    return isinstance(value, Mapping) and "_target_" in value


def _unknown(path: str, key: str, known: Mapping[str, Argument]) -> str:
    elsewhere = [] if path == "" else _parts_with(key, besides=path)
    near = did_you_mean(key, known)
    if elsewhere and not near.startswith("Did"):
        near = f"Did you mean '{elsewhere[0]}.{key}'?"
    return f"there is no setting '{_joined(path, key)}'. {near or f'{path} takes none.'}"


def _parts_with(key: str, *, besides: str) -> list[str]:
    """Parts of fixed settings that have one of this name: `optim.max_epochs` was meant for the trainer."""
    signatures = {part: signature_of(f"{RunSchema.__module__}.{one.__qualname__}") for part, one in SCHEMAS.items()}
    return [part for part, one in signatures.items() if part not in ("", besides) and key in one.arguments]


def shown(value: Any) -> str:
    """A value as YAML has it, with quotes around text."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _joined(path: str, key: Any) -> str:
    return f"{path}.{key}" if path else str(key)
