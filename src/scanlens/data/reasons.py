"""What libraries say of a file, without what the file says: their words often quote its header, which can name a patient."""

from __future__ import annotations

import re
from pathlib import Path

_QUOTED = re.compile(r"b?'[^']*'|b?\"[^\"]*\"")
_MOST_LETTERS = 150


def words_of(error: BaseException, *, path: Path | None = None) -> str:
    """One line of at most 150 characters, with `...` for everything in quotes; the kind of the error if it says nothing.

    Args:
        error: of a library.
        path: of the file, which is left out too.
    """
    text = str(error) if path is None else str(error).replace(str(path), "the file")
    return (_QUOTED.sub("...", " ".join(text.split())) or type(error).__name__)[:_MOST_LETTERS]
