"""Every explainer that conf/explain knows, and the tiny networks that each can explain; a new yaml enrolls itself."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import yaml

from fakes.tiny_networks import NETWORKS, make_network
from scanlens.errors import ExplainError
from scanlens.explain.base import Explainer
from scanlens.paths import config_dir

YAMLS = sorted((config_dir() / "explain").glob("*.yaml"))


def settings(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def build(path: Path, **changed: Any) -> Any:
    arguments = settings(path) | changed
    module, _, name = arguments.pop("_target_").rpartition(".")
    return getattr(importlib.import_module(module), name)(**arguments)


def method(name: str, **changed: Any) -> Explainer:
    return build(config_dir() / "explain" / f"{name}.yaml", **changed)


def quick(name: str) -> Explainer:
    """The method with as few passes as it can do with."""
    few = {"integrated_gradients": {"steps": 3, "max_steps": 3}, "occlusion": {"patch": 8}}
    return method(name, **few.get(name, {}))


def _kinds() -> dict[str, list[str]]:
    """By name of the yaml, the tiny networks that are not refused."""
    found: dict[str, list[str]] = {path.stem: [] for path in YAMLS}
    for kind in NETWORKS:
        model = make_network(kind)
        for path in YAMLS:
            try:
                if build(path).explainers_for(model):
                    found[path.stem].append(kind)
            except ExplainError:
                continue
    return found


KINDS = _kinds()
CASES = [(path, kind) for path in YAMLS for kind in KINDS[path.stem]]
CASE_IDS = [f"{path.stem}-{kind}" for path, kind in CASES]
METHODS: dict[str, type[Explainer]] = {
    path.stem: type(build(path)) for path in YAMLS if isinstance(build(path), Explainer)
}
"""Class of each yaml but auto and none, which choose among them."""
CLASS_METHODS = [name for name, kind in METHODS.items() if kind.needs_class]
CONTROLS = [name for name, kind in METHODS.items() if kind.is_control]
