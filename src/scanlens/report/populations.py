"""Whether training and test are of one population, and which groups of people and places nobody looked at: so far as tables tell."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from scanlens.report.folder import RunFolder, finite, mapping
from scanlens.report.words import joined

MOST_WORDS, MOST_NUMBERS = 12, 5  # of a column of groups, such as sites or grades
FEWEST = 3  # patients of the test split that make a group
_GROUPS = {
    "site": ("site", "center", "centre", "hospital", "institution"),
    "scanner": ("scanner", "manufacturer", "vendor", "stain"),
    "sex": ("sex", "gender"),
    "age": ("age",),
}


def missing_groups(columns: Sequence[str]) -> list[str]:
    """Of site, scanner or stain, sex and age those that are in none of these columns."""
    known = {word for name in columns for word in re.split(r"[^a-z]+", name.lower())}
    names = {"scanner": "scanner or stain"}
    return [names.get(group, group) for group, words in _GROUPS.items() if not known & set(words)]


def population_sentences(run: RunFolder) -> list[str]:
    """What is known to set the test split apart from the training; empty where nothing is."""
    return list(_differences(run))


def _differences(run: RunFolder) -> Iterator[str]:
    plan = mapping(run.config.get("split"))
    if plan.get("by") == "site":
        yield (
            f"The test split is of other sites than the training (column '{plan.get('site_column')}'): two populations, so results tell of "
            "sites that the network never saw, and not of its own."
        )
    for name in [one for one in next(iter(run.meta_rows), {}) if one != "index"]:
        if plan.get("by") == "site" and name == plan.get("site_column"):
            continue
        words = _words(run, name)
        new = words.get("test", set()) - words.get("train", set())
        if not new or not words.get("train"):
            continue
        if new == words["test"]:
            yield (
                f"By '{name}' training and test are two populations: {_listed(words['train'])} in the one, {_listed(new)} in the other."
            )
        else:
            yield f"By '{name}' the test split also holds {_listed(new)}, which the training never saw."


def _words(run: RunFolder, name: str) -> dict[str, set[str]]:
    """Words of a column by split; in the test of at least 3 patients each, or images, where patients are unknown; empty for columns of measures."""
    of = {row.get("index"): row for row in run.split_rows}
    units: dict[tuple[str, str], set[str]] = {}
    everything: set[str] = set()
    for row in run.meta_rows:
        if cell := row.get(name, "").strip():
            one = of.get(row.get("index"), {})
            units.setdefault((one.get("split", ""), cell), set()).add(one.get("patient") or str(row.get("index")))
            everything.add(cell)
    is_numbers = all(finite(one) is not None for one in everything)
    if len(everything) > (MOST_NUMBERS if is_numbers else MOST_WORDS):
        return {}
    found: dict[str, set[str]] = {}
    for (split, cell), who in units.items():
        if split != "test" or len(who) >= FEWEST:
            found.setdefault(split, set()).add(cell)
    return found


def _listed(words: set[str]) -> str:
    return joined([f"'{one[:40]}'" for one in sorted(words)], most=4)
