"""The words of `scanlens folds`, which goes through folds and seeds by itself: no other setting may have several values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import OverrideParseException
from omegaconf import DictConfig

from scanlens.config.rules import RANGES
from scanlens.paths import SEED_FOLDER

SEEDS = "seeds"
AS_A_LIST = "seeds are given as a list of whole numbers, such as seeds=[1,2,3]"


@dataclass(frozen=True, slots=True)
class FoldWords:
    """A command taken apart.

    Args:
        settings: the words that a training command understands, as typed.
        seeds: of training, that the command names; empty for none.
        mistakes: one sentence for each word that cannot stand here.
    """

    settings: list[str]
    seeds: list[int]
    mistakes: list[str]


def read_fold_words(overrides: Sequence[str]) -> FoldWords:
    """Take the command apart; words that cannot be read are left to the check of settings.

    Args:
        overrides: as typed, such as ["model=lenet", "folds=5", "seeds=[1,2,3]"].
    """
    settings: list[str] = []
    seeds: list[int] = []
    mistakes: list[str] = []
    for text in overrides:
        override = _parsed(text)
        if override is not None and override.key_or_group == SEEDS:
            seeds, wrong = _seeds(text, override)
            mistakes += wrong
        else:
            settings.append(text)
            mistakes += _setting_mistakes(text, override) if override is not None else []
    return FoldWords(settings, seeds, mistakes)


def run_names(words: FoldWords, config: DictConfig) -> list[str]:
    """The run folders of the sweep, below that of the study, in their order: `0`, `seed_1` or `seed_1/0`."""
    folds = [] if config.split.folds is None else [str(fold) for fold in range(config.split.folds)]
    seeds = [f"{SEED_FOLDER}{seed}" for seed in words.seeds]
    return [f"{seed}/{fold}" for seed in seeds for fold in folds] or seeds or folds


def sweep_words(words: FoldWords, config: DictConfig) -> list[str]:
    """The words of the sweep that trains every fold of every seed, on one split.

    Args:
        words: of the command, without mistakes.
        config: what they compose to, as one job.
    """
    num, plan = config.split.folds, config.split
    folds = [f"fold={','.join(map(str, range(num)))}"] if num is not None else []
    if not words.seeds:
        return [*words.settings, *folds]
    settings = [text for text in words.settings if (one := _parsed(text)) is None or one.key_or_group != "seed"]
    if plan.file is None:  # which settles the division by itself
        settings.append(f"split.seed={config.seed if plan.seed is None else plan.seed}")
    folder = SEED_FOLDER + "${seed}" + ("/${fold}" if folds else "")
    return [*settings, f"seed={','.join(map(str, words.seeds))}", *folds, f"hydra.sweep.subdir={folder}"]


def _parsed(text: str) -> Override | None:
    try:
        (override,) = OverridesParser.create().parse_overrides([text])
    except OverrideParseException:
        return None
    return override


def _setting_mistakes(text: str, override: Override) -> Iterator[str]:
    if override.key_or_group in ("fold", "split.fold"):
        yield f"'{text}': scanlens folds goes through all folds; for one of them: scanlens train {text} ..."
    elif override.is_sweep_override():
        seeds = f", or seeds=[{text.partition('=')[2]}]" if override.key_or_group == "seed" else ""
        yield f"'{text}' gives several values; scanlens folds goes over the folds alone, so give one{seeds}"


def _seeds(text: str, override: Override) -> tuple[list[int], list[str]]:
    """The seeds of a word, or what is wrong with them."""
    values = None if override.is_sweep_override() else override.value()
    if not isinstance(values, list) or not all(type(one) is int for one in values):
        return [], [f"'{text}': {AS_A_LIST}"]
    if not all(RANGES["seed"].has(one) for one in values):
        return [], [f"'{text}': each seed must be {RANGES['seed'].words()}"]
    if len(values) < 2:
        return [], [
            f"'{text}': a spread over seeds needs two or more; for one alone: seed={values[0] if values else 1}"
        ]
    if twice := sorted(seed for seed, count in Counter(values).items() if count > 1):
        return [], [f"'{text}' names {', '.join(map(str, twice))} more than once, and the same seed gives the same run"]
    return values, []
