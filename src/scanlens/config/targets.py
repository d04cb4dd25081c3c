"""Which classes a configuration may name: the list is closed, so that no configuration can run other code.

Functions are called only if `FUNCTIONS` names them: sources of data that choose between classes.

The name is compared as it is written and, when something is built, the object that it led to is compared again:
`torch.optim.sgd.torch.load` begins like an optimizer but is none.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator, Mapping
from types import FunctionType
from typing import Any

from scanlens.config.signatures import OWN_PACKAGE, NoSignature, signature_of
from scanlens.errors import ConfigError

# Exact names, and prefixes (they end with a dot), by the part of the configuration that may use them.
ALLOWED: dict[str, tuple[str, ...]] = {
    "data": ("scanlens.data.sources.",),
    "split": ("scanlens.data.splits.",),
    "audit": ("scanlens.data.audit_plan.",),
    "privacy": ("scanlens.data.privacy_plan.",),
    "lineage": ("scanlens.data.lineage_plan.",),
    "operating_point": ("scanlens.evaluation.plans.",),
    "cost": ("scanlens.evaluation.plans.",),
    "calibration": ("scanlens.evaluation.plans.",),
    "robustness": ("scanlens.data.degradation_kinds.",),
    "verdict": ("scanlens.evaluation.explanations.verdict_plan.",),
    "uncertainty": ("scanlens.evaluation.plans.",),
    "loader": ("scanlens.data.module.",),
    "preprocess": ("scanlens.data.",),
    "augment": ("scanlens.data.",),
    "balance": ("scanlens.data.balance.",),
    "model": ("scanlens.models.",),
    "task": ("scanlens.tasks.",),
    "optim": ("scanlens.tasks.optim.", "torch.optim."),
    "explain": ("scanlens.explain.",),
    "report": ("scanlens.report.",),
    "callbacks": ("scanlens.callbacks.", "pytorch_lightning.callbacks."),
    "logger": ("pytorch_lightning.loggers.",),
    "trainer": ("pytorch_lightning.Trainer", "pytorch_lightning.trainer.trainer.Trainer"),
}
FUNCTIONS = frozenset({"scanlens.data.sources.auto.folder_or_phantom"})
_DOTTED_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z_]\w*)+", re.ASCII)

# Classes that need a package which is not installed by default: (package, extra that installs it).
OPTIONAL = {
    "pytorch_lightning.loggers.wandb.WandbLogger": ("wandb", "wandb"),
    "pytorch_lightning.loggers.mlflow.MLFlowLogger": ("mlflow", "mlflow"),
}


def is_allowed(name: str, *, part: str | None = None) -> bool:
    """Whether a dotted name stands in the list for this part of the configuration, or for any if None."""
    parts = ALLOWED.values() if part is None else [ALLOWED.get(part, ())]
    entries = [entry for entries in parts for entry in entries]
    return any(name.startswith(entry) if entry.endswith(".") else name == entry for entry in entries)


def target_mistake(target: object, *, part: str | None = None) -> str | None:
    """Why this `_target_` may not be used here, or None; nothing is imported."""
    if not isinstance(target, str) or not _DOTTED_NAME.fullmatch(target):
        return f"_target_ must be the dotted name of a class, got {target!r}"
    if not is_allowed(target, part=part):
        return _not_allowed(target, part)
    try:
        found = signature_of(target)
    except NoSignature as error:
        return f"_target_ '{target}': {error}"
    if not is_allowed(found.target, part=part):
        return f"{_not_allowed(target, part)} It leads to {found.target}."
    if not (found.is_class or found.target in FUNCTIONS) or "._" in found.target:
        return f"_target_ '{target}' is not a public class"
    return _missing_package(found.target)


def foreign_targets(config: Mapping[str, Any]) -> set[str]:
    """Every `_target_`, at any depth, that is neither of this package nor on the list of its part.

    Names of ours may be those of another version; whoever builds them looks at the list.
    """
    return {
        f"{part} has _target_ {target!r}"
        for part, node in config.items()
        for target in _targets(node)
        if _is_foreign(target, str(part))
    }


def _targets(value: Any) -> Iterator[object]:
    if isinstance(value, Mapping):
        if "_target_" in value:
            yield value["_target_"]
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from _targets(one)


def _is_foreign(target: object, part: str) -> bool:
    if not isinstance(target, str) or not _DOTTED_NAME.fullmatch(target):
        return True
    is_own = target.startswith(f"{OWN_PACKAGE}.")
    if not (is_own or is_allowed(target, part=part)):
        return True
    try:
        found = signature_of(target).target
    except NoSignature:
        return not is_own
    return not (found.startswith(f"{OWN_PACKAGE}.") if is_own else is_allowed(found, part=part))


def _not_allowed(target: str, part: str | None) -> str:
    entries = ALLOWED.get(part, ()) if part else sorted({one for ones in ALLOWED.values() for one in ones})
    shown = ", ".join(f"{one}*" if one.endswith(".") else one for one in entries) or "nothing"
    where = f" for {part}" if part else ""
    return f"_target_ '{target}' is not on the list of classes that may be built{where} (allowed: {shown})."


def _missing_package(target: str) -> str | None:
    package, extra = OPTIONAL.get(target, (None, None))
    if package is None or importlib.util.find_spec(package) is not None:
        return None
    return f"{target.rpartition('.')[2]} needs the package {package}: pip install 'scanlens[{extra}]'"


def resolve(target: str) -> Callable[..., Any]:
    """The class (or source function) that a `_target_` names, imported; its real name is compared with the list too.

    Raises:
        ConfigError: if it is not on the list.
    """
    mistake = target_mistake(target)
    if mistake:
        raise ConfigError([mistake])
    module_name, _, name = target.rpartition(".")
    found: Any = getattr(importlib.import_module(module_name), name, None)
    real = f"{getattr(found, '__module__', '')}.{getattr(found, '__qualname__', '')}"
    is_function = isinstance(found, FunctionType) and real in FUNCTIONS
    if not (isinstance(found, type) or is_function) or not is_allowed(real):
        raise ConfigError([f"_target_ '{target}' leads to {real}, which may not be built"])
    return found
