"""The class that must not be missed, against all others.

Legend of axes: N images, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.patients import negative_classes


@dataclass(frozen=True, slots=True)
class TargetClass:
    """One class, or all but the one that means nothing.

    Args:
        name: for a reader.
        others: of what stands against it.
        members: numbers of the classes that belong to it.
    """

    name: str
    others: str
    members: tuple[int, ...]

    @property
    def names(self) -> list[str]:
        """Of the two columns of `against_others`."""
        return [self.others, self.name]

    def against_others(self, probabilities_NK: Floats, target_N: Ints) -> tuple[Floats, Ints]:
        """Probabilities (N, 2) and targets (N,) of two classes, the positive one last."""
        positive_N = np.clip(probabilities_NK[:, list(self.members)].sum(axis=1), 0, 1)
        return np.stack([1 - positive_N, positive_N], axis=1), np.isin(target_N, self.members).astype(np.int64)


def target_class(class_names: Sequence[str], wanted: str | None) -> tuple[TargetClass | None, str | None]:
    """The class, or None and why there is none.

    Args:
        class_names: of the run.
        wanted: one of them; "auto" for all beside the one that means nothing; None for none.

    Raises:
        ValueError: if there is no class of that name.
    """
    names = list(class_names)
    if wanted is None:
        return None, "no class was named as the one not to miss (operating_point.positive=null)"
    if wanted != "auto":
        if wanted not in names:
            raise ValueError(f"operating_point.positive={wanted}: the classes are {', '.join(names)}")
        others = names[1 - names.index(wanted)] if len(names) == 2 else f"not {wanted}"
        return TargetClass(wanted, others, (names.index(wanted),)), None
    negative = negative_classes(names)
    if len(negative) != 1 or len(names) < 2:
        return None, "which class must not be missed is not known; name it with operating_point.positive=CLASS"
    members = tuple(k for k in range(len(names)) if k != negative[0])
    name = names[members[0]] if len(members) == 1 else _opposite(names[negative[0]], names)
    return TargetClass(name, names[negative[0]], members), None


def _opposite(negative: str, names: Sequence[str]) -> str:
    """What all other classes are together: tumor for no_tumor, demented for Non_Demented, else "not normal"."""
    for prefix in ("no_", "non_", "un"):
        rest = negative[len(prefix) :]
        if negative.lower().startswith(prefix) and rest and rest not in names:
            return rest
    return f"not {negative}"
