"""Words of a command that judges a finished run on other images: its data node changed, or another one in its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException
from omegaconf import OmegaConf

from scanlens.config.composing import Composer
from scanlens.config.precheck import precheck, precheck_changes
from scanlens.paths import config_dir

_JUDGED_AS = ["run_id=external"]  # no run is made; the configuration wants a name


def changed_data(words: Sequence[str], frozen: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The part `data` of a configuration, and one sentence for every mistake.

    Args:
        words: `data=NAME` for another node, else the node of the run with `data.xxx=...` changed.
        frozen: the configuration of the run; its facts are passed over.
    """
    composer = Composer(config_dir())
    if any(name_of(word) == "data" for word in words):
        asked = [*_JUDGED_AS, *words]
        mistakes = precheck(asked, composer)
        data = {} if mistakes else OmegaConf.to_container(composer.whole(asked).data, resolve=True)
        return data, mistakes  # type: ignore[return-value]
    former = {name: value for name, value in frozen.items() if name != "facts"}
    config, mistakes = precheck_changes(words, former, composer)
    return config["data"], mistakes


def name_of(word: str) -> str:
    """What a word sets: `data.root` of `+data.root=/scans`."""
    return word.lstrip("+~").partition("=")[0]


def class_words(text: str) -> tuple[dict[str, str | None], list[str]]:
    """`{new name: name of the run, other: null}` as a dictionary, and what is wrong with it."""
    told = [f"classes={text} cannot be read; write classes={{new_name: run_name, other: null}}"]
    try:
        (override,) = OverridesParser.create().parse_overrides([f"classes={text}"])
    except OverrideParseException:
        return {}, told
    value = override.value()
    if not isinstance(value, dict) or not value:
        return {}, told
    wrong = [str(one) for one in value.values() if isinstance(one, (dict, list))]
    named = {str(key): None if one is None else str(one) for key, one in value.items()}
    return named, told if wrong else []
