"""A composed configuration as plain values, frozen to a file and read back; and which interpolations may be in it."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from scanlens.config.bounds import FROZEN, file_mistake, text_mistake
from scanlens.config.targets import foreign_targets
from scanlens.errors import ConfigError, RunError
from scanlens.files import write_text
from scanlens.run_schema import KEY, RUN_SCHEMA, up_to_date

CONFIG_FILE = "config.yaml"
# One hop to another setting, or the name of the run. Anything else could copy a secret of the environment into a file.
_ALLOWED_INTERPOLATION = re.compile(r"\$\{(\.*[A-Za-z_][\w.]*|oc\.env:RUN_ID)\}", re.ASCII)


def plain(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Dictionaries, lists and scalars with interpolations followed, and (path, text) of those that lead nowhere."""
    if not _is_omegaconf(config):
        return copy.deepcopy(dict(config)), []
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException

    allowed = OmegaConf.create(_without_refused(OmegaConf.to_container(config, resolve=False)))
    mistakes: list[tuple[str, str]] = []
    for path, text in _texts(OmegaConf.to_container(allowed, resolve=False)):
        if "${" in text:
            try:
                OmegaConf.select(allowed, path, throw_on_missing=False)
            except OmegaConfBaseException:
                mistakes.append((path, f"{path}={text} leads nowhere"))
                OmegaConf.update(allowed, path, None)
    values = OmegaConf.to_container(allowed, resolve=True)
    return values, mistakes  # type: ignore[return-value]


def interpolation_mistakes(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(path, text) of every interpolation that is not a plain reference to another setting."""
    raw = config
    if _is_omegaconf(config):
        from omegaconf import OmegaConf

        raw = OmegaConf.to_container(config, resolve=False)  # type: ignore[arg-type, assignment]
    why = "only ${other.setting} and ${oc.env:RUN_ID} are followed, so that no secret is written into a run"
    return [(path, f"{path}={text} is refused: {why}") for path, text in _texts(raw) if not _is_allowed(text)]


def unwritable(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(path, text) of every text that neither a file name nor a file of a run can hold."""
    return [(path, f"{path} {why}, got {text[:60]!r}") for path, text in _texts(values) if (why := text_mistake(text))]


def freeze(config: Mapping[str, Any], run_dir: str | Path) -> None:
    """Write `config.yaml` of a run: plain YAML, interpolations followed, whole or not at all.

    Raises:
        ConfigError: if an interpolation is refused or leads nowhere.
    """
    values, unresolved = plain(config)
    wrong = [text for _, text in [*interpolation_mistakes(config), *unresolved]]
    if wrong:
        raise ConfigError(wrong)
    text = yaml.safe_dump({KEY: RUN_SCHEMA, **values}, sort_keys=False, allow_unicode=True)
    write_text(Path(run_dir) / CONFIG_FILE, text, private=True)  # it holds paths


def load_frozen(run_dir: str | Path) -> dict[str, Any]:
    """The configuration that a run was frozen with, brought up to date; nothing but plain values is read.

    Raises:
        RunError: if there is none, it is no configuration, a newer version wrote it, or it names a class that is not on the list.
    """
    file = Path(run_dir) / CONFIG_FILE
    if not file.is_file():
        raise RunError(f"no run in {run_dir}: {CONFIG_FILE} is missing. Give the folder that a training printed.")
    if wrong := file_mistake(file, FROZEN):
        raise RunError(f"{file}: {wrong}. No run writes such a file; restore it from a copy.")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError, ValueError) as error:
        raise RunError(f"{file} is no plain YAML: {error}") from error
    if not isinstance(values, dict):
        raise RunError(f"{file} holds no configuration")
    values = up_to_date(values, file)
    if foreign := sorted(foreign_targets(values)):
        raise RunError(
            f"{file} names what a run may not build: {', '.join(foreign[:3])}. No training writes that, so the file was changed "
            "by hand; nothing of it was run. Restore it from a copy."
        )
    return values


def _is_omegaconf(config: object) -> bool:
    return type(config).__module__.startswith("omegaconf")


def _texts(value: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, (dict, list)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, one in pairs:
            yield from _texts(one, f"{path}.{key}" if path else str(key))


def _is_allowed(text: str) -> bool:
    return "${" not in _ALLOWED_INTERPOLATION.sub("", text)


def _without_refused(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_refused(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_without_refused(one) for one in value]
    return None if isinstance(value, str) and not _is_allowed(value) else value
