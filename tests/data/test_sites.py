"""Held-out sites: nobody of a test site is trained or validated on, whatever else is shared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from scanlens.data.sources.folder import FolderSource
from scanlens.data.sources.table import TableSource
from scanlens.data.splits import SplitPlan, SplitTable, make_splits
from scanlens.errors import ConfigError, DataError
from scanlens.types import Record


def at_sites(sizes: dict[str, int], *, images: int = 2, column: str = "site") -> list[Record]:
    """`sizes[site]` patients at each site, alternating between two classes."""
    return [
        Record(
            id=f"{site}/{patient}_{image}.png",
            path="",
            target="ab"[patient % 2],
            patient=f"{site}-{patient}",
            meta={column: site, "age": 50},
        )
        for site, num in sizes.items()
        for patient in range(num)
        for image in range(images)
    ]


def sites_in(table: SplitTable, records: list[Record], *splits: str) -> set[object]:
    return {records[row.index].meta["site"] for row in table.rows if row.split in splits}


def test_named_sites_are_the_test_and_val_is_cut_out_of_the_others_by_patient() -> None:
    records = at_sites({"A": 20, "B": 12, "C": 20})
    table = make_splits(records, plan=SplitPlan(by="site", held_out=["B"]), seed=3)
    assert sites_in(table, records, "test") == {"B"}
    assert len(table.indices("test")) == 24
    assert sites_in(table, records, "train", "val") == {"A", "C"}
    in_val = {row.patient for row in table.rows if row.split == "val"}
    assert not in_val & {row.patient for row in table.rows if row.split == "train"}
    assert len(in_val) == pytest.approx(40 * 0.15 / 0.85, abs=1)
    assert "Tested on site 'B' (24 images), trained on site 'A' and site 'C' (80 images with val)." in table.notes


@pytest.mark.parametrize(
    "sizes, tested", [({"A": 10, "B": 4, "C": 20}, "B"), ({"A": 2, "B": 5, "C": 13}, "A"), ({"A": 5, "B": 5}, "A")]
)
def test_without_a_name_the_site_nearest_to_the_share_of_the_test_is_held_out(
    sizes: dict[str, int], tested: str
) -> None:
    records = at_sites(sizes)
    for seed in range(3):
        table = make_splits(records[::-1], plan=SplitPlan(by="site"), seed=seed)
        assert sites_in(table, records[::-1], "test") == {tested}


@pytest.mark.parametrize("folds", [2, 3, 4])
def test_sites_go_whole_into_folds_and_each_is_tested_once(folds: int) -> None:
    records = at_sites({"A": 9, "B": 8, "C": 7, "D": 6})
    tested: list[object] = []
    for fold in range(folds):
        table = make_splits(records, plan=SplitPlan(by="site", folds=folds, fold=fold), seed=1)
        here = sites_in(table, records, "test")
        assert here
        assert not here & sites_in(table, records, "train", "val")
        assert table.indices("val")
        tested += sorted(map(str, here))
    assert sorted(map(str, tested)) == ["A", "B", "C", "D"]


def test_more_folds_than_sites_is_an_error() -> None:
    with pytest.raises(DataError, match=r"5 folds of whole sites need as many; there are 3 .* Set folds=3"):
        make_splits(at_sites({"A": 9, "B": 9, "C": 9}), plan=SplitPlan(by="site", folds=5), seed=0)


def test_a_patient_seen_at_two_sites_joins_them_and_that_is_said() -> None:
    records = at_sites({"A": 9, "B": 9, "C": 9})
    records.append(Record(id="C/extra.png", path="", target="a", patient="B-0", meta={"site": "C"}))
    table = make_splits(records, plan=SplitPlan(by="site", held_out=["B"]), seed=0)
    assert sites_in(table, records, "test") == {"B", "C"}
    assert sites_in(table, records, "train", "val") == {"A"}
    assert any("Sites 'B', 'C' share 1 patients or groups" in note for note in table.notes)
    assert not any("B-0" in note for note in table.notes)


def test_sites_that_are_all_joined_cannot_be_held_out() -> None:
    records = at_sites({"A": 9, "B": 9})
    records.append(Record(id="x.png", path="", target="a", patient="A-0", meta={"site": "B"}))
    with pytest.raises(
        DataError, match="all 2 sites are joined by 1 patient or group of near-duplicates that lies in several"
    ):
        make_splits(records, plan=SplitPlan(by="site"), seed=0)


def test_near_duplicates_of_unknown_patients_join_sites_too() -> None:
    records = [Record(id=f"{s}{n}", path="", target="ab"[n % 2], meta={"site": s}) for s in "ABC" for n in range(8)]
    groups: dict[str, int | str] = {record.id: number for number, record in enumerate(records)}
    groups["A0"] = groups["B0"]
    table = make_splits(records, plan=SplitPlan(by="site", held_out=["A"]), seed=0, groups=groups)
    assert sites_in(table, records, "test") == {"A", "B"}


@settings(max_examples=60, deadline=None)
@given(
    homes=st.lists(st.sampled_from("ABCDE"), min_size=30, max_size=60),
    travelers=st.lists(st.tuples(st.integers(0, 29), st.sampled_from("ABCDE")), max_size=4),
    seed=st.integers(0, 3),
    folds=st.sampled_from([None, 2]),
)
def test_neither_patients_nor_sites_are_ever_in_the_test_and_elsewhere(
    homes: list[str], travelers: list[tuple[int, str]], seed: int, folds: int | None
) -> None:
    visits = [*enumerate([*"ABCDE", *homes]), *travelers]
    records = [
        Record(id=str(n), path="", target="ab"[who % 2], patient=f"p{who}", meta={"site": site})
        for n, (who, site) in enumerate(visits)
    ]
    plan = SplitPlan(by="site", folds=folds, fractions=[0.8, 0, 0.2])
    if len({frozenset(found) for found in joined_by_hand(visits).values()}) < 2:
        with pytest.raises(DataError, match="sites are joined by"):
            make_splits(records, plan=plan, seed=seed)
        return
    table = make_splits(records, plan=plan, seed=seed)
    for key in ("patient", "site"):
        names = [r.patient if key == "patient" else r.meta["site"] for r in records]
        of_split = {split: {names[i] for i in table.indices(split)} for split in ("train", "test")}
        assert of_split["train"]
        assert of_split["test"]
        assert not of_split["train"] & of_split["test"]


def joined_by_hand(visits: list[tuple[int, str]]) -> dict[str, set[str]]:
    """Sites that each one reaches over patients who were at both, by repeated looking."""
    reached = {site: {site} for _, site in visits}
    for _ in range(10):
        for who, site in visits:
            for other, elsewhere in visits:
                if who == other:
                    reached[site] |= reached[elsewhere]
                    reached[elsewhere] |= reached[site]
    return reached


def test_mistakes_are_told_with_counts_and_a_way_out() -> None:
    records = at_sites({"A": 9, "B": 9})

    def told(records: list[Record], **settings: object) -> str:
        with pytest.raises((ConfigError, DataError)) as caught:
            make_splits(records, plan=SplitPlan(by="site", **settings), seed=0)  # type: ignore[arg-type]
        return str(caught.value)

    assert "there is no site 'b'. Choose one of: A, B." in told(records, held_out=["b"])
    assert "nothing says the 'sites' of an image. Did you mean 'site'?" in told(records, site_column="sites")
    assert "nothing says the 'site' of an image. Keep the column" in told(
        [Record(id=r.id, path="", target=r.target, patient=r.patient) for r in records]
    )
    assert "all 36 images are of '50' (column 'age')" in told(records, site_column="age")
    blank = [*records, Record(id="x.png", path="", target="a", patient="p", meta={"site": " "})]
    assert "1 of 37 images have no 'site', such as 'x.png'" in told(blank)
    assert "leaves no site for train; there are A, B" in told(records, held_out=["A", "B"])


@pytest.mark.parametrize(
    "settings, told",
    [
        ({"held_out": ["A"]}, "only split.by=site"),
        ({"held_out": ["A"], "by": "site", "folds": 3}, "no effect in a cross-validation"),
        ({"by": "site", "fractions": [0.8, 0.2, 0.0]}, "must be above 0"),
        ({"folds": 2}, "3 or more are expected"),
    ],
)
def test_settings_that_fight_are_refused(settings: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        SplitPlan(**settings)  # type: ignore[arg-type]


def test_a_file_that_divides_a_site_is_refused(tmp_path: Path) -> None:
    records = at_sites({"A": 9, "B": 9})
    make_splits(records, plan=SplitPlan(), seed=0).write(tmp_path / "mixed.csv")
    make_splits(records, plan=SplitPlan(by="site"), seed=0).write(tmp_path / "whole.csv")
    with pytest.raises(DataError, match="2 sites are in more than one split"):
        make_splits(records, plan=SplitPlan(by="site", file=str(tmp_path / "mixed.csv")), seed=0)
    table = make_splits(records, plan=SplitPlan(by="site", file=str(tmp_path / "whole.csv")), seed=9)
    assert sites_in(table, records, "test") == {"A"}


@pytest.mark.parametrize("source", ["table", "sidecar"])
def test_the_column_of_a_table_or_a_sidecar_reaches_the_division(tmp_path: Path, source: str) -> None:
    lines = ["path,label,patient,site"]
    for n in range(12):
        name = f"{'ab'[n % 2]}/{n}.png"
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((8, 8), 20 * n, np.uint8)).save(tmp_path / name)
        lines.append(f"{name},{'ab'[n % 2]},p{n},{'East' if n < 4 else 'West'}")
    (tmp_path / "images.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    sidecar: dict[str, str | list[str]] = {"file": "images.csv", "path": "path", "patient": "patient", "meta": ["site"]}
    data = (
        TableSource(root=str(tmp_path), meta=["site"])
        if source == "table"
        else FolderSource(root=str(tmp_path), sidecar=sidecar)
    )
    table = make_splits(data.records(), plan=SplitPlan(by="site"), seed=0)
    assert {row.patient for row in table.rows if row.split == "test"} == {"p0", "p1", "p2", "p3"}
