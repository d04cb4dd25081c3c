"""Which columns of the data are looked at first, where not all can be."""

from __future__ import annotations

import pytest

from scanlens.pipeline.subgroups import is_asked_first


@pytest.mark.parametrize("name", ["site", "Hospital", "scanner_model", "patient sex", "Age", "stain-batch"])
def test_where_and_of_whom_an_image_was_taken_comes_first(name: str) -> None:
    assert is_asked_first(name)


@pytest.mark.parametrize("name", ["stage", "lesion_area_px", "website", "level", "sextant"])
def test_other_columns_come_after(name: str) -> None:
    assert not is_asked_first(name)
