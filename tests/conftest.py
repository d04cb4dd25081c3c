"""No test reads or makes a key of the user who runs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _key_of_the_tests() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SCANLENS_PSEUDONYM_KEY", "a key that is known to all")
        yield
