"""Classes of new images and of a run, matched by their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from scanlens.errors import ConfigError, DataError, did_you_mean


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """Which class of the run each class of the new images is.

    Args:
        run_name_of: of each new class that is one.
        left_out: images of each new class that is none.
        absent: classes of the run without new images.
        told: a sentence for everything that a reader must know.
    """

    run_name_of: dict[str, str]
    left_out: dict[str, int]
    absent: list[str]
    told: list[str]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def match_classes(
    counts: Mapping[str, int], run_names: Sequence[str], asked: Mapping[str, str | None] | None = None
) -> ClassMatch:
    """Classes of equal names, else of names equal but for case, spaces, `_` and `-`, else as asked for.

    Args:
        counts: images of each class of the new images.
        run_names: classes of the run.
        asked: new name to name of the run, or to None for a class to be left out; it goes before the names.

    Raises:
        ConfigError: if `asked` names a class that there is not.
        DataError: if no class is one of the run.
    """
    asked = dict(asked or {})
    _refuse_unknown(asked, counts, run_names)
    run_name_of, left_out, told = {}, {}, []
    for name, count in counts.items():
        found = asked[name] if name in asked else same_name(name, run_names)
        if found is not None:
            run_name_of[name] = found
            continue
        left_out[name] = count
        told.append(f"{count} images of class '{name}' are left out: {_why(name, run_names, is_asked=name in asked)}")
    if not run_name_of:
        shown = "\n".join(f"  - {one}" for one in told)
        raise DataError(
            f"no class of the new images is one of the run ({', '.join(run_names)}).\n{shown}\n"
            "Say which is which: classes={new_name: run_name}."
        )
    absent = [name for name in run_names if name not in run_name_of.values()]
    if absent:
        told.append(
            f"The new images hold no {_listed(absent)}: what concerns {_them(absent)} cannot be judged on them."
        )
    told += [f"Class '{new}' is taken for '{own}'." for new, own in run_name_of.items() if new != own]
    return ClassMatch(run_name_of, left_out, absent, told)


def same_name(name: str, run_names: Sequence[str]) -> str | None:
    """The class of the run with this name; None if there is none, or several are alike but for case and spaces."""
    if name in run_names:
        return name
    alike = [own for own in run_names if _plain(own) == _plain(name)]
    return alike[0] if len(alike) == 1 else None


def unknown_run_names(asked: Mapping[str, str | None], run_names: Sequence[str]) -> list[str]:
    """A sentence for each name on the right that is no class of the run."""
    return [
        f"classes: '{own}', for '{new}', is no class of the run. {did_you_mean(own, run_names)}"
        for new, own in asked.items()
        if own is not None and own not in run_names
    ]


def _refuse_unknown(asked: Mapping[str, str | None], counts: Mapping[str, int], run_names: Sequence[str]) -> None:
    mistakes = unknown_run_names(asked, run_names)
    mistakes += [
        f"classes: the new images have no class '{new}'. {did_you_mean(new, counts)}"
        for new in asked
        if new not in counts
    ]
    if mistakes:
        raise ConfigError(mistakes)


def _why(name: str, run_names: Sequence[str], *, is_asked: bool) -> str:
    if is_asked:
        return "as asked for (classes)."
    hint = did_you_mean(name, run_names)
    way = f" If so: classes={{{name}: ...}}." if hint.startswith("Did") else ""
    return f"the run knows no such class. {hint}{way}"


def _plain(name: str) -> str:
    return re.sub(r"[\s_-]+", "", name).casefold()


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names)


def _them(names: Sequence[str]) -> str:
    return "it" if len(names) == 1 else "them"
