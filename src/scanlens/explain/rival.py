"""Which class the explained one is set against; known before torch is imported."""

from __future__ import annotations

from collections.abc import Sequence

from scanlens.errors import did_you_mean


def rival_number(class_names: Sequence[str], against: int | str | None) -> int | None:
    """Number of the class, in the order of the classes; None if none was named.

    Args:
        class_names: of the run.
        against: a name, spelled as in `class_names`, or a number from 0.

    Raises:
        ValueError: if there is no such class; names all that there are.
    """
    if against is None:
        return None
    if isinstance(against, str):
        if against in class_names:
            return list(class_names).index(against)
        hint = did_you_mean(against, class_names)
        near = f" {hint}" if hint.startswith("Did") else ""
        raise ValueError(f"explain.against={against}: the classes are {', '.join(class_names)}.{near}")
    if not 0 <= against < len(class_names):
        named = ", ".join(f"{name} ({k})" for k, name in enumerate(class_names))
        raise ValueError(
            f"explain.against must be a class, by name or by number; got {against}. The classes are {named}."
        )
    return against
