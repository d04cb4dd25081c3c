"""Mistakes in the `defaults:` lists of files: groups and options that do not exist, told with the file's name."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from hydra.core.default_element import GroupDefault
from hydra.errors import HydraException
from omegaconf.errors import OmegaConfBaseException

from scanlens.config.composing import Composer, leads_out
from scanlens.config.not_offered import why_not
from scanlens.errors import did_you_mean

UNREADABLE = (yaml.YAMLError, OmegaConfBaseException, HydraException, UnicodeDecodeError, ValueError)


@dataclass(slots=True)
class Linter:
    """Follows defaults lists from file to file, and reads each file once.

    Args:
        composer: of the search path.
    """

    composer: Composer
    _seen: set[str] = field(default_factory=set)

    def mistakes(self, config_path: str) -> list[str]:
        """One sentence for every wrong entry of this file and of the files it leads to."""
        if config_path in self._seen:
            return []
        self._seen.add(config_path)
        label = self.composer.label(config_path)
        try:
            entries = self.composer.defaults(config_path)
            body = self.composer.body(config_path)
        except UNREADABLE as error:
            return [f"{label}: {_one_line(error)}"]
        if body is not None and not isinstance(body, dict):
            return [f"{label}: settings are expected (name: value), got {body!r}"]
        shadowed = self.composer.shadowed(config_path)
        if shadowed:
            return [f"{shadowed} has no effect, since {label} has the same name; give it another"]
        outside = [one for entry in entries if leads_out((one := str(getattr(entry, "path", "") or "")).lstrip("/"))]
        if outside:
            return [f"{label}: '{outside[0]}' leads out of the folder of options; use one that lies in it"]
        found = [
            text for entry in entries if isinstance(entry, GroupDefault) for text in self._entry(config_path, entry)
        ]
        return [text if ".yaml: " in text else f"{label}: {text}" for text in found]

    def _entry(self, config_path: str, entry: GroupDefault) -> Iterator[str]:
        group = self._group(config_path, entry)
        if not self.composer.is_group(group):
            yield f"there is no group '{group}'. {did_you_mean(group, self.composer.groups())}"
            return
        package = self.composer.package(config_path)
        if entry.override and entry.package is None and package and not group.startswith("hydra/"):
            yield f"write 'override /{group}@_global_.{group}', since the file belongs to '{package}'"
        for option in _options(entry):
            if self.composer.is_option(group, option):
                yield from self.mistakes(f"{group}/{option}")
            elif not entry.optional:
                hint = why_not(group, option) or did_you_mean(option, self.composer.options(group))
                yield f"there is no {group}={option}. {hint}"

    def _group(self, config_path: str, entry: GroupDefault) -> str:
        group = str(entry.group)
        if group.startswith("/"):
            return group[1:]
        parent = config_path.rpartition("/")[0]
        return f"{parent}/{group}" if parent else group


def _options(entry: GroupDefault) -> list[str]:
    """Fixed names; one that is null, still to be given or interpolated cannot be judged."""
    values: list[Any] = list(entry.value) if isinstance(entry.value, (list, tuple)) else [entry.value]
    return [one for one in values if isinstance(one, str) and "???" not in one and "${" not in one]


def _one_line(error: Exception) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or str(error).splitlines()[0]
    return f"line {mark.line + 1}: {problem}" if mark is not None else str(problem)
