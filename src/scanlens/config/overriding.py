"""Single overrides of a command line: what was probably meant by one that does not fit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from hydra.core.override_parser.types import Override, ValueType
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from scanlens.config.composing import Composer
from scanlens.config.not_offered import why_not
from scanlens.config.schema import RunSchema
from scanlens.config.signatures import NoSignature, signature_of
from scanlens.errors import did_you_mean


@dataclass(frozen=True, slots=True)
class Choice:
    """`group=option`, or several options that are swept over or merged.

    Args:
        override: as parsed.
        group: name of the group.
        options: all of them; of a sweep, those of all jobs.
    """

    override: Override
    group: str
    options: tuple[Any, ...]

    @classmethod
    def of(cls, override: Override, composer: Composer) -> Choice:
        """The choice that an override makes."""
        if override.is_sweep_override():
            options = [Override._convert_value(one) for one in override.sweep_iterator()]
        else:
            value: Any = override.value()
            options = value if isinstance(value, list) else [] if override.is_delete() else [value]
        return cls(override, override.key_or_group, tuple(options))

    @staticmethod
    def is_misspelt(override: Override, composer: Composer) -> bool:
        """Whether a name that is neither group nor setting looks like a group with one of its options."""
        name, value = override.key_or_group, override.value()
        if "." in name or name in RunSchema.__dataclass_fields__ or not isinstance(value, str):
            return False
        near = _nearest(name, composer.groups())
        return near is not None and composer.is_option(near, value)

    def first(self) -> Override:
        """The override of the first job."""
        return self.alternatives()[0]

    def alternatives(self) -> list[Override]:
        """One override for each job of a sweep; itself if there is none."""
        if not self.override.is_sweep_override():
            return [self.override]
        return [replace(self.override, _value=one, value_type=ValueType.ELEMENT) for one in self.options]


def choice_mistakes(choice: Choice, composer: Composer) -> tuple[list[str], Choice | None]:
    """What is wrong with a choice, and the choice that was probably meant; None if that cannot be guessed."""
    if not composer.is_group(choice.group):
        near = _nearest(choice.group, composer.groups())
        hint = did_you_mean(
            choice.group, [name for name in composer.groups() if ("/" in name) == ("/" in choice.group)]
        )
        text = f"there is no group '{choice.group}'. {hint}"
        if choice.group.partition("/")[0] in composer.groups() and not hint.startswith("Did"):
            text = (
                f"there is no group '{choice.group}'; settings are written with dots: {choice.group.replace('/', '.')}"
            )
        if near is None:
            return [text], None
        choice = replace(choice, group=near, override=replace(choice.override, key_or_group=near))
        return [text], choice_mistakes(choice, composer)[1]
    if choice.override.is_delete():
        return [], choice
    known = composer.options(choice.group)
    wrong = [one for one in choice.options if not (isinstance(one, str) and composer.is_option(choice.group, one))]
    mistakes = [_unknown_option(choice.group, one, known) for one in wrong]
    meant = [_nearest(str(one), known) if one in wrong else one for one in choice.options]
    if not wrong:
        return [], choice
    if None in meant:
        return mistakes, None
    value = meant if isinstance(choice.override.value(), list) else meant[0]
    override = choice.override if len(meant) > 1 and value is meant[0] else replace(choice.override, _value=value)
    return mistakes, replace(choice, options=tuple(meant), override=override)


def no_such_setting(config: DictConfig, override: Override, composer: Composer) -> str | None:
    """Why a value cannot be changed, if that is because of its name; None if the name is all right."""
    is_adding = override.is_add() or override.is_force_add()
    *parents, name = override.key_or_group.split(".")
    path = ""
    node: Any = config
    for place, key in enumerate(parents):
        if not isinstance(node, DictConfig) or key not in node:
            return None if is_adding else _unknown(override.key_or_group, key, path, node, composer)
        path, node = f"{path}.{key}" if path else key, _child(node, key)
        if not isinstance(node, (DictConfig, ListConfig)) and not (node is None and is_adding):
            rest = ".".join([*parents[place + 1 :], name])
            return f"'{path}' is a single value, so there is no '{path}.{rest}'"
    if isinstance(node, ListConfig):
        return f"'{path}' is a list; give it as a whole: {path}=[...]"
    is_there = isinstance(node, DictConfig) and name in node
    if not is_there:
        return None if is_adding else _unknown(override.key_or_group, name, path, node, composer)
    if override.is_add() and not isinstance(override.value(), (dict, list)):
        return f"'{override.key_or_group}' is there already; write {override.key_or_group}=... without the plus"
    return None


def _unknown(full: str, key: str, path: str, node: Any, composer: Composer) -> str:
    here = [str(one) for one in node] if isinstance(node, DictConfig) else []
    arguments = _arguments(node)
    if key in arguments and key not in here:
        return f"'{full}' is not set in its file; to add it, write +{full}=..."
    if not path:
        here = [*(one for one in here if one != "hydra"), *(one for one in composer.groups() if "/" not in one)]
    near = did_you_mean(key, [one for one in [*here, *arguments] if not one.startswith("_")])
    return f"there is no setting '{full}'. {near}".strip()


def _arguments(node: Any) -> list[str]:
    target = node.get("_target_") if isinstance(node, DictConfig) else None
    try:
        return list(signature_of(target).arguments) if isinstance(target, str) else []
    except NoSignature:
        return []


def _child(node: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(node, key, throw_on_missing=False)
    except OmegaConfBaseException:
        return None


def _unknown_option(group: str, option: Any, known: list[str]) -> str:
    if option is None:
        return f"{group}=null chooses nothing; to take none, write ~{group}"
    return f"there is no {group}={option}. {why_not(group, option) or did_you_mean(str(option), known)}".strip()


def _nearest(word: str, names: list[str]) -> str | None:
    near = get_close_matches(word, names, n=1, cutoff=0.6)
    return near[0] if near else None
