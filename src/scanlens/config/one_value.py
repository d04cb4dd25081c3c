"""Commands that go through the folds by themselves: no other setting may have several values, nor the fold be named."""

from __future__ import annotations

from collections.abc import Sequence

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import OverrideParseException


def fold_word_mistakes(overrides: Sequence[str]) -> list[str]:
    """One sentence for each word that cannot stand beside a sweep over all folds; words that cannot be read are passed over.

    Args:
        overrides: as typed, such as ["model=lenet", "folds=5"].
    """
    mistakes = []
    for text in overrides:
        try:
            (override,) = OverridesParser.create().parse_overrides([text])
        except OverrideParseException:
            continue
        name = override.key_or_group
        if name in ("fold", "split.fold"):
            mistakes.append(
                f"'{text}': scanlens folds goes through all folds; for one of them: scanlens train {text} ..."
            )
        elif override.is_sweep_override():
            mistakes.append(f"'{text}' gives several values; scanlens folds goes over the folds alone, so give one")
    return mistakes
