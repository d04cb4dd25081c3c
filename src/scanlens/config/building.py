"""From a checked node to the object it describes; only classes of the list in `targets` are ever called."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from scanlens.config.schema import RESERVED_KEYS
from scanlens.config.targets import resolve
from scanlens.errors import ConfigError


def build(node: Mapping[str, Any], **passed: Any) -> Any:
    """The object that a node with `_target_` describes; nodes inside it are built first.

    Args:
        node: `_target_` and arguments, plain or from OmegaConf; keys in `RESERVED_KEYS` are left out.
        passed: arguments that the code decides. A node that sets one of them is refused, not overruled.

    Raises:
        ConfigError: if the target may not be built, or its constructor refuses the arguments.
    """
    node = _plain(node)
    if not isinstance(node, dict) or "_target_" not in node:
        raise ConfigError([f"expected a node with _target_, got {node!r}"])
    target = node["_target_"]
    made = resolve(target)
    given = {key: _built_inside(value) for key, value in node.items() if key not in RESERVED_KEYS}
    both = sorted(given.keys() & passed.keys())
    if both:
        raise ConfigError([f"{target}: {', '.join(both)} is passed by the code and cannot be set; remove it"])
    try:
        inspect.signature(made).bind(**given, **passed)
    except TypeError as error:
        raise ConfigError([f"{target}: {error}"]) from error
    try:
        return made(**given, **passed)
    except (ValueError, ImportError) as error:
        raise ConfigError([f"{target}: {error}"]) from error


def _built_inside(value: Any) -> Any:
    if isinstance(value, dict):
        return build(value) if "_target_" in value else {key: _built_inside(one) for key, one in value.items()}
    return [_built_inside(one) for one in value] if isinstance(value, list) else value


def _plain(node: Any) -> Any:
    """Dictionaries, lists and scalars; OmegaConf's containers are no dict or list, and would end in checkpoints."""
    if type(node).__module__.startswith("omegaconf"):
        from omegaconf import OmegaConf

        return OmegaConf.to_container(node, resolve=True)
    return dict(node) if isinstance(node, Mapping) else node
