"""meta.csv: further columns without the patient."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from scanlens.files import read_csv
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.meta_table import public_columns, write_meta
from scanlens.runs import Run
from scanlens.types import Record

RECORDS = [
    Record("b.png", "b.png", "ill", "p1", meta={"site": "B", "age": 41, "who": "p1", "Patient_Name": "Doe"}),
    Record("a.png", "a.png", "ill", "p2", meta={"site": "A", "age": "", "who": "p2"}),
]


def listed(records: list[Record], masks: Any = None, has_mask: Any = None) -> Listed:
    return cast(Listed, SimpleNamespace(records=records, images=SimpleNamespace(masks=masks, has_mask=has_mask)))


def test_columns_that_say_who_it_is_are_left_out() -> None:
    assert public_columns(RECORDS) == ["site", "age"]


def test_rows_are_in_the_order_of_the_split_and_lesions_have_their_share(tmp_path: Path) -> None:
    masks = np.zeros((2, 4, 4), dtype=np.uint8)
    masks[0, 0] = 1
    run = Run(tmp_path)
    write_meta(run, listed(RECORDS, masks, np.array([True, False])), index_of={"a.png": 0, "b.png": 1})
    assert read_csv(run.meta_file) == [
        {"index": "0", "site": "A", "age": "", "lesion_share": ""},
        {"index": "1", "site": "B", "age": "41", "lesion_share": "0.25"},
    ]


def test_where_nothing_else_is_known_there_is_no_file(tmp_path: Path) -> None:
    write_meta(Run(tmp_path), listed([Record("a.png", "a.png", "ill")]), index_of={"a.png": 0})
    assert not Run(tmp_path).meta_file.exists()
