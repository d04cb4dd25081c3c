"""Which columns may be shortcuts, by name and by what they hold."""

from __future__ import annotations

import numpy as np

from scanlens.data.image_facts import FACTS
from scanlens.data.shortcut_features import label_copies, shortcut_features
from scanlens.types import Record


def records() -> list[Record]:
    sites = ["north", "south", "", "north"]
    return [
        Record(
            id=f"{i}",
            path="",
            target="ab"[i % 2],
            meta={
                "site": sites[i % 4],
                "sex": "fm"[i // 2 % 2],
                "diagnosis": "xy"[i % 2],
                "slice_order": i % 5,
                "lesion_area_px": i % 7,
                "dose": i / 3,
                "comment": f"word {i}",
                "slide": i // 4,
            },
        )
        for i in range(120)
    ]


def test_columns_are_taken_by_what_they_hold() -> None:
    thumbs_NHW = np.random.default_rng(0).random((120, 48, 48)).astype(np.float32)
    facts_NF = np.full((120, len(FACTS)), np.nan)
    found = shortcut_features(records(), facts_NF=facts_NF, thumbs_NHW=thumbs_NHW, group_N=np.arange(120) // 4)
    table = {one.name: one for one in found if one.name in records()[0].meta}
    assert {name: (one.kind, one.origin) for name, one in table.items()} == {
        "site": ("category", "file"),
        "sex": ("category", "person"),
        "dose": ("numbers", "file"),
    }
    assert table["site"].values_ND[:4, 0].tolist() == [0, 1, -1, 0]
    shapes = {one.name: one.values_ND.shape for one in found if one.kind == "pixels"}
    assert shapes == {"border pixels": (120, 188), "picture of 16 x 16": (120, 256)}


def test_a_column_that_equals_the_label_is_named() -> None:
    assert label_copies(records()) == ["diagnosis"]
