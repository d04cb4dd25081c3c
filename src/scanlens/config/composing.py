"""Hydra's composition without running anything: groups, options, the configuration and the file each setting is from.

Hydra's public `compose` stops at the first mistake and forgets which file set what. The pieces used here instead are
those of hydra-core 1.3, to which the project is bound.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository, IConfigRepository
from hydra._internal.defaults_list import create_defaults_list
from hydra._internal.utils import create_config_search_path
from hydra.core.config_search_path import SearchPathQuery
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.types import Override
from hydra.core.utils import setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from scanlens.config.bounds import WRITTEN, file_mistake

VERSION_BASE = "1.3"
CONFIG_NAME = "train"
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class Composed:
    """A configuration and how it came about.

    Args:
        config: the configuration with interpolations in place; Hydra's own part lies under `hydra`.
        choices: the option taken of each group.
        origins: from the path of a setting to the file that set it last, or "command line".
    """

    config: DictConfig
    choices: dict[str, str]
    origins: dict[str, str]

    def where(self, path: str) -> str:
        """The file that set a setting, or the nearest part around or in it; empty if nobody did."""
        inside = [origin for name, origin in self.origins.items() if name.startswith(f"{path}.")]
        while path:
            if path in self.origins:
                return self.origins[path]
            path = path.rpartition(".")[0]
        return inside[-1] if inside else ""

    def apply(self, override: Override) -> None:
        """Change one value, in place, as the command line says.

        Raises:
            HydraException: if there is no such setting, or it cannot take a value of this kind.
        """
        ConfigLoaderImpl._apply_overrides_to_config([override], self.config)
        self.origins[override.key_or_group] = COMMAND_LINE

    def task(self) -> DictConfig:
        """The configuration without Hydra's own part."""
        values = OmegaConf.to_container(self.config, resolve=False)
        return OmegaConf.create({key: value for key, value in values.items() if key != "hydra"})  # type: ignore[union-attr]


class Composer:
    """Groups, options and compositions of one search path.

    Args:
        config_dir: the project's own groups.
        config_name: the file to start from, without `.yaml`.
        extra_dir: further groups and options of the user's; where names are equal, those of `config_dir` are taken.
    """

    def __init__(self, config_dir: Path, *, config_name: str = CONFIG_NAME, extra_dir: Path | None = None) -> None:
        version.setbase(VERSION_BASE)
        setup_globals()
        search_path = create_config_search_path(str(config_dir))
        if extra_dir is not None:
            place = SearchPathQuery(provider="schema")
            search_path.prepend(provider="command-line", path=f"file://{extra_dir.absolute()}", anchor=place)
        self.config_dir = config_dir.absolute()
        self.config_name = config_name
        self.loader = ConfigLoaderImpl(config_search_path=search_path)
        self._repository = CachingConfigRepository(self.loader.repository)

    def groups(self, parent: str = "") -> list[str]:
        """All groups below `parent`, nested ones as `hydra/launcher`."""
        found = self._repository.get_group_options(parent, ObjectType.GROUP)
        names = [f"{parent}/{name}" if parent else name for name in found if not name.startswith(("_", "."))]
        return [group for name in names for group in (name, *self.groups(name))]

    def options(self, group: str) -> list[str]:
        """The options of a group."""
        return self._repository.get_group_options(group, ObjectType.CONFIG)

    def is_group(self, name: str) -> bool:
        """Whether there is a group of this name."""
        return self._repository.group_exists(name)

    def is_option(self, group: str, option: str) -> bool:
        """Whether a group has an option, also in a folder below it; none lies elsewhere."""
        return not leads_out(option) and self._repository.config_exists(f"{group}/{option}")

    def shadowed(self, config_path: str) -> str | None:
        """A file of this name that is not used, because another folder, searched before, has one too."""
        holders = [one for one in self._repository.get_sources() if one.is_config(config_path)]
        return os.path.relpath(Path(holders[1].path) / f"{config_path}.yaml") if len(holders) > 1 else None

    def body(self, config_path: str) -> Any:
        """What a file holds without its defaults list, or None; `config_path` is like `experiment/smoke`."""
        loaded = self._loaded(config_path)
        if loaded is None:
            return None
        content = OmegaConf.to_container(loaded.config, resolve=False)
        return {k: v for k, v in content.items() if k != "defaults"} if isinstance(content, dict) else content

    def defaults(self, config_path: str) -> list[Any]:
        """The entries of a file's defaults list, as Hydra parsed them."""
        loaded = self._loaded(config_path)
        return list(loaded.defaults_list or []) if loaded is not None else []

    def package(self, config_path: str) -> str:
        """Where a file's content goes: its `# @package` header, else its group; empty is the top."""
        loaded = self._loaded(config_path)
        header = loaded.header.get("package") if loaded is not None else None
        package = header or config_path.rpartition("/")[0].replace("/", ".")
        return "" if package == "_global_" else package

    def label(self, config_path: str) -> str:
        """The file's name for a message, such as conf/model/lenet.yaml; the file need not be readable."""
        file = self._file(config_path)
        is_own = file.is_relative_to(self.config_dir)
        return str(self.config_dir.name / Path(f"{config_path}.yaml")) if is_own else os.path.relpath(file)

    def _loaded(self, config_path: str) -> Any:
        """A file as Hydra loads it, or None.

        Raises:
            ValueError: if it holds more, or is nested deeper, than a configuration; it is not loaded then.
        """
        if too_much := file_mistake(self._file(config_path), WRITTEN):
            raise ValueError(too_much)
        return self._repository.load_config(config_path)

    def _file(self, config_path: str) -> Path:
        source = next((one for one in self._repository.get_sources() if one.is_config(config_path)), None)
        return (Path(source.path) if source is not None else self.config_dir) / f"{config_path}.yaml"

    def compose(self, overrides: Sequence[Override]) -> Composed:
        """The configuration with the chosen groups; overrides of values are left to `Composed.apply`.

        Raises:
            HydraException: if Hydra refuses it; yaml.YAMLError if a file is no YAML.
        """
        self.loader._process_config_searchpath(self.config_name, list(overrides), self._repository)
        found = create_defaults_list(
            repo=self._repository,
            config_name=self.config_name,
            overrides_list=[one for one in overrides if self.chooses_group(one)],
            prepend_hydra=True,
            skip_missing=False,
        )
        config = self.loader._compose_config_from_defaults_list(
            defaults=found.defaults, repo=cast(IConfigRepository, _Copying(self._repository))
        )
        OmegaConf.set_struct(config, True)
        choices = {str(group): str(option) for group, option in found.overrides.known_choices.items()}
        origins: dict[str, str] = {}
        for default in found.defaults:
            if default.config_path is not None and not default.config_path.startswith("hydra/"):
                origins |= self.origins(default.config_path)
        return Composed(config, choices, origins)

    def whole(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration with Hydra's own part, as a single job of these words, already judged, would get it."""
        return self.loader.load_configuration(self.config_name, list(overrides), run_mode=RunMode.RUN)

    def chooses_group(self, override: Override) -> bool:
        """Whether an override takes an option of a group, rather than changing a value."""
        return self.is_group(override.key_or_group) and not isinstance(override.value(), dict)

    def origins(self, config_path: str) -> dict[str, str]:
        """The settings that a file writes, each with the name of the file."""
        label = self.label(config_path)
        return dict.fromkeys(_paths(self.body(config_path), self.package(config_path)), label)


def leads_out(name: str) -> bool:
    """Whether the name of an option or file leads out of the folder that it is looked for in."""
    return name.startswith("/") or ".." in name.split("/")


class _Copying:
    """A repository that hands out copies: composition merges into what it is given."""

    def __init__(self, repository: CachingConfigRepository) -> None:
        self._repository = repository

    def load_config(self, config_path: str) -> Any:
        """A loaded file with a copy of its content."""
        loaded = self._repository.load_config(config_path)
        return loaded if loaded is None else replace(loaded, config=copy.deepcopy(loaded.config))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._repository, name)


def _paths(value: Any, prefix: str) -> Iterator[str]:
    if prefix:
        yield prefix
    if isinstance(value, dict):
        for key, one in value.items():
            yield from _paths(one, f"{prefix}.{key}" if prefix else str(key))
