"""Divisions into train, val and test: what holds for any data set, and what happens at the edges."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scanlens.data.split_table import SplitRow
from scanlens.data.splits import SplitPlan, SplitTable, make_splits, read_split
from scanlens.errors import ConfigError, DataError
from scanlens.types import SPLITS, Record, Split


def patients_of_one_class(target: str, sizes: list[int], *, prefix: str = "") -> list[Record]:
    """`sizes[i]` images of patient i, all of one class."""
    return [
        Record(
            id=f"{target}/{prefix}{patient}_{image}.png", path="", target=target, patient=f"{prefix}{target}-{patient}"
        )
        for patient, size in enumerate(sizes)
        for image in range(size)
    ]


def images(target: str, count: int, *, split: Split | None = None, start: int = 0) -> list[Record]:
    """Images without patient."""
    return [
        Record(id=f"{split}/{target}/{number:04d}.png", path="", target=target, split=split)
        for number in range(start, start + count)
    ]


def splits_of(table: SplitTable) -> dict[str, Split]:
    return {row.id: row.split for row in table.rows}


def shares_of(table: SplitTable, target: str) -> list[int]:
    return [table.counts()[split].get(target, 0) for split in SPLITS]


PATIENTS = st.lists(
    st.tuples(st.integers(1, 9), st.lists(st.sampled_from("abc"), min_size=1, max_size=3)), min_size=12, max_size=60
)


@settings(max_examples=120, deadline=None)
@given(patients=PATIENTS, seed=st.integers(0, 3), folds=st.sampled_from([None, 3, 5]))
def test_whole_patients_are_assigned_and_the_same_seed_gives_the_same_division(
    patients: list[tuple[int, list[str]]], seed: int, folds: int | None
) -> None:
    records = [
        Record(id=f"{number}_{image}", path="", target=classes[image % len(classes)], patient=f"p{number}")
        for number, (size, classes) in enumerate(patients)
        for image in range(size)
    ]
    plan = SplitPlan(folds=folds)
    table = make_splits(records, plan=plan, seed=seed)
    assert [row.id for row in table.rows] == [record.id for record in records]
    assert [row.index for row in table.rows] == list(range(len(records)))
    splits: dict[str, set[str]] = defaultdict(set)
    for row in table.rows:
        splits[str(row.patient)].add(row.split)
    assert all(len(found) == 1 for found in splits.values())
    assert {row.split for row in table.rows} == set(SPLITS)
    assert make_splits(records, plan=plan, seed=seed).rows == table.rows


@settings(max_examples=60, deadline=None)
@given(
    counts=st.lists(st.integers(7, 300), min_size=1, max_size=5),
    seed=st.integers(0, 5),
    fractions=st.sampled_from([[0.7, 0.15, 0.15], [0.8, 0.1, 0.1], [0.5, 0.25, 0.25], [0.8, 0.0, 0.2]]),
)
def test_single_images_come_within_one_and_a_half_of_the_fractions_of_every_class(
    counts: list[int], seed: int, fractions: list[float]
) -> None:
    records = [record for number, count in enumerate(counts) for record in images(f"class{number}", count)]
    table = make_splits(records, plan=SplitPlan(fractions=fractions), seed=seed)
    for number, count in enumerate(counts):
        for found, share in zip(shares_of(table, f"class{number}"), fractions, strict=True):
            assert abs(found - share * count) <= 1.5


def test_patients_of_unequal_size_come_near_the_fractions_of_every_class() -> None:
    sizes = [1 + (7 * number) % 13 for number in range(60)]
    records = patients_of_one_class("a", sizes) + patients_of_one_class("b", sizes[:30])
    table = make_splits(records, plan=SplitPlan(), seed=3)
    for target, total in (("a", sum(sizes)), ("b", sum(sizes[:30]))):
        for found, share in zip(shares_of(table, target), (0.7, 0.15, 0.15), strict=True):
            assert abs(found / total - share) < 0.03


def test_another_seed_gives_another_division_and_the_order_of_records_does_not_matter() -> None:
    records = images("a", 40) + images("b", 40)
    first = splits_of(make_splits(records, plan=SplitPlan(), seed=1))
    assert splits_of(make_splits(records[::-1], plan=SplitPlan(), seed=1)) == first
    assert splits_of(make_splits(records, plan=SplitPlan(), seed=2)) != first


@pytest.mark.parametrize("folds", [None, 5])
def test_a_split_with_a_seed_of_its_own_does_not_follow_that_of_the_run(folds: int | None) -> None:
    records = images("a", 40) + images("b", 40)
    first = make_splits(records, plan=SplitPlan(folds=folds), seed=1).rows
    assert make_splits(records, plan=SplitPlan(folds=folds, seed=1), seed=2).rows == first
    assert make_splits(records, plan=SplitPlan(folds=folds, seed=0), seed=1).rows != first


def test_three_patients_of_a_class_go_one_to_each_split() -> None:
    records = patients_of_one_class("common", [5] * 20) + patients_of_one_class("rare", [4, 4, 4])
    table = make_splits(records, plan=SplitPlan(), seed=0)
    assert shares_of(table, "rare") == [4, 4, 4]
    assert table.notes == []


def test_a_class_of_two_patients_is_trained_and_tested_and_the_note_says_what_is_not() -> None:
    records = patients_of_one_class("common", [5] * 20) + patients_of_one_class("rare", [4, 3])
    table = make_splits(records, plan=SplitPlan(), seed=0)
    assert shares_of(table, "rare")[1] == 0
    assert min(shares_of(table, "rare")[::2]) >= 3
    assert table.notes == [
        "Class 'rare': 7 images of 2 patients (train 4, val 0, test 3), so it cannot be judged in val. "
        "Add patients of it, merge it with another class."
    ]


def test_a_class_of_one_patient_is_trained_only() -> None:
    records = patients_of_one_class("common", [5] * 20) + patients_of_one_class("other", [5] * 20)
    records += patients_of_one_class("rare", [32])
    table = make_splits(records, plan=SplitPlan(), seed=0)
    assert shares_of(table, "rare") == [32, 0, 0]
    assert table.notes == [
        "Class 'rare': 32 images of 1 patient (train 32, val 0, test 0), so it cannot be judged in val and test. "
        "Add patients of it, merge it with another class, or leave it out: data.class_names=[common,other]."
    ]


def test_too_few_patients_for_three_splits_is_an_error_with_counts() -> None:
    with pytest.raises(DataError, match=r"(val|test) stays empty: 8 images are of 2 patients or groups of copies"):
        make_splits(patients_of_one_class("a", [4, 4]), plan=SplitPlan(), seed=0)


def test_no_test_split_is_made_where_its_fraction_is_zero() -> None:
    table = make_splits(images("a", 20), plan=SplitPlan(fractions=[0.8, 0.2, 0.0]), seed=0)
    assert shares_of(table, "a") == [16, 4, 0]


# Cross-validation


def test_every_patient_is_tested_once_and_validated_once_over_the_folds() -> None:
    records = patients_of_one_class("a", [3] * 11) + patients_of_one_class("b", [2] * 9)
    tested: Counter[str] = Counter()
    validated: Counter[str] = Counter()
    for fold in range(5):
        table = make_splits(records, plan=SplitPlan(folds=5, fold=fold), seed=4)
        tested.update(table.rows[index].id for index in table.indices("test"))
        validated.update(table.rows[index].id for index in table.indices("val"))
    expected = Counter(record.id for record in records)
    assert (tested, validated) == (expected, expected)


def test_val_of_a_fold_is_the_test_of_the_next() -> None:
    records = images("a", 30)
    first = make_splits(records, plan=SplitPlan(folds=3, fold=2), seed=0)
    second = make_splits(records, plan=SplitPlan(folds=3, fold=0), seed=0)
    assert first.indices("val") == second.indices("test")


@pytest.mark.parametrize("num", [1, 2, 3])
def test_folds_that_would_train_without_a_class_are_known_beforehand(num: int) -> None:
    records = patients_of_one_class("common", [5] * 20) + patients_of_one_class("rare", [4] * num)
    tables = [make_splits(records, plan=SplitPlan(folds=5, fold=fold), seed=0) for fold in range(5)]
    found = [fold for fold, table in enumerate(tables) if table.counts()["train"].get("rare", 0) == 0]
    assert all(table.untrained == ({"rare": found} if found else {}) for table in tables)
    if num == 1:
        assert len(found) == 2, "the one patient is tested once and watched once"
    if num == 3:
        assert found == []


def test_a_class_that_a_fold_does_not_test_is_tested_by_the_others() -> None:
    records = patients_of_one_class("common", [5] * 20) + patients_of_one_class("rare", [4] * 3)
    notes = [make_splits(records, plan=SplitPlan(folds=5, fold=fold), seed=0).notes for fold in range(5)]
    told = [note for found in notes for note in found]
    assert told
    assert all(note.endswith("The other folds test the rest of its patients.") for note in told)


def test_more_folds_than_patients_is_an_error() -> None:
    with pytest.raises(DataError, match="5 folds need as many patients or groups; there are 4"):
        make_splits(patients_of_one_class("a", [3] * 4), plan=SplitPlan(folds=5), seed=0)


# What is not divided


def test_near_duplicates_stay_together_where_no_patient_is_known() -> None:
    records = images("a", 60)
    groups = {record.id: number // 3 for number, record in enumerate(records)}
    table = make_splits(records, plan=SplitPlan(), seed=0, groups=groups)
    for number in range(0, 60, 3):
        assert len({table.rows[number + step].split for step in range(3)}) == 1
    assert (
        "No patient is known: near-duplicates are kept together instead (20 groups, the largest of 3 images)"
        in (table.notes[0])
    )
    assert table.rows[4].group == "near-duplicates-1"


def test_known_patients_go_before_near_duplicates() -> None:
    records = patients_of_one_class("a", [2] * 12)
    groups = dict.fromkeys((record.id for record in records), 0)
    table = make_splits(records, plan=SplitPlan(), seed=0, groups=groups)
    assert {row.group for row in table.rows} == {record.patient for record in records}


@pytest.mark.parametrize("seed", range(10))
def test_a_copy_without_a_name_goes_where_its_patient_goes(seed: int) -> None:
    known = patients_of_one_class("a", [2] * 12)
    nameless = images("b", 3)
    groups: dict[str, int | str] = {record.id: number for number, record in enumerate(known)}
    groups |= {
        nameless[0].id: 3,
        nameless[1].id: 8,
        nameless[2].id: 99,
    }  # copies of images of patients 1 and 4; a stranger
    table = make_splits([*known, *nameless], plan=SplitPlan(), seed=seed, groups=groups)
    split = {row.id: row.split for row in table.rows}
    assert split[nameless[0].id] == split[known[2].id] == split[known[3].id]
    assert split[nameless[1].id] == split[known[8].id] == split[known[9].id]
    assert len({row.group for row in table.rows}) == 13


def test_images_one_by_one_are_announced() -> None:
    table = make_splits(images("a", 20), plan=SplitPlan(), seed=0)
    assert table.notes == [
        "No patient is known: images are divided one by one, and results may be better than for new patients."
    ]


def test_patients_that_are_asked_for_and_not_known_are_an_error() -> None:
    records = patients_of_one_class("a", [2] * 12) + images("a", 3)
    with pytest.raises(
        DataError, match=r"split.by=patient, but 3 of 27 images have no patient, such as 'None/a/0000.png'"
    ):
        make_splits(records, plan=SplitPlan(by="patient"), seed=0)


def test_near_duplicates_that_were_not_looked_for_are_an_error() -> None:
    with pytest.raises(DataError, match=r"Set data.look_for_duplicates=true"):
        make_splits(images("a", 20), plan=SplitPlan(by="near_duplicates"), seed=0)


# Splits that the data set brings along


def test_given_splits_are_kept_and_val_is_cut_out_of_train() -> None:
    records = images("a", 85, split="train") + images("a", 20, split="test")
    table = make_splits(records, plan=SplitPlan(), seed=0)
    assert shares_of(table, "a") == [70, 15, 20]
    assert all(row.split == "test" for row in table.rows[85:])
    assert "The data set gives no val; it was cut out of the given train." in table.notes


def test_three_given_splits_are_kept_exactly() -> None:
    records = [*images("a", 9, split="train"), *images("a", 5, split="val"), *images("a", 2, split="test")]
    assert shares_of(make_splits(records, plan=SplitPlan(), seed=0), "a") == [9, 5, 2]


def test_given_splits_can_be_ignored() -> None:
    records = images("a", 20, split="train") + images("a", 20, split="test")
    assert shares_of(make_splits(records, plan=SplitPlan(given="ignore"), seed=0), "a") == [28, 6, 6]


def test_leaking_test_images_move_to_train_and_are_counted() -> None:
    records = images("a", 60, split="train") + images("a", 20, split="test")
    groups: dict[str, int] = {record.id: number for number, record in enumerate(records)}
    for number in range(8):  # eight test images copy a train image
        groups[f"test/a/{number:04d}.png"] = groups[f"train/a/{number:04d}.png"]
    table = make_splits(records, plan=SplitPlan(), seed=0, groups=groups)
    assert shares_of(table, "a")[2] == 12
    assert (
        "8 of 20 given test images have their patient or a near-duplicate in train and were moved there." in table.notes
    )
    units: dict[str, set[str]] = defaultdict(set)
    for row in table.rows:
        units[row.group].add(row.split)
    assert all(len(found) == 1 for found in units.values())


def test_a_test_that_loses_most_of_a_class_is_filled_up_with_whole_groups() -> None:
    records = [*images("a", 80, split="train"), *images("b", 80, split="train")]
    records += [*images("a", 20, split="test"), *images("b", 20, split="test")]
    groups: dict[str, int] = {record.id: number for number, record in enumerate(records)}
    for number in range(15):
        groups[f"test/b/{number:04d}.png"] = groups[f"train/b/{number:04d}.png"]
    table = make_splits(records, plan=SplitPlan(), seed=0, groups=groups)
    assert shares_of(table, "b") == [70, 15, 15]
    assert shares_of(table, "a")[2] == 20
    assert any("Given test lost more than half of a class that way and was filled up" in note for note in table.notes)
    units: dict[str, set[str]] = defaultdict(set)
    for row in table.rows:
        units[row.group].add(row.split)
    assert all(len(found) == 1 for found in units.values())


def test_given_splits_used_as_they_are_keep_leaks_and_say_so() -> None:
    records = images("a", 60, split="train") + images("a", 20, split="test")
    groups = {record.id: number % 60 for number, record in enumerate(records)}
    table = make_splits(records, plan=SplitPlan(given="use"), seed=0, groups=groups)
    assert all(row.split == "test" for row in table.rows[60:])
    assert all(row.split != "test" for row in table.rows[:60])
    assert any(note.startswith("20 of 20 given test images have a near-duplicate in train") for note in table.notes)


def test_patients_shared_by_given_splits_are_an_error_that_names_five() -> None:
    train = [Record(id=f"a{n}", path="", target="x", patient=f"P{n}", split="train") for n in range(9)]
    test = [Record(id=f"b{n}", path="", target="x", patient=f"P{n}", split="test") for n in range(7)]
    with pytest.raises(DataError) as caught:
        make_splits(train + test, plan=SplitPlan(given="use"), seed=0)
    assert str(caught.value) == (
        "7 patients are in more than one split of the data set's own division: P0 (train, test), P1 (train, test), "
        "P2 (train, test), P3 (train, test), P4 (train, test) and 2 more. "
        "Set split.given=fix to move them out of val and test, or split.given=ignore to divide anew."
    )


def test_images_without_a_given_split_follow_their_patient() -> None:
    records = [Record(id=f"t{n}", path="", target="x", patient=f"P{n}", split="train") for n in range(20)]
    records += [Record(id="u0", path="", target="x", patient="Q", split="test")]
    records += [Record(id="u1", path="", target="x", patient="Q")]
    assert splits_of(make_splits(records, plan=SplitPlan(), seed=0))["u1"] == "test"


# Files


def test_a_division_is_written_and_read_back(tmp_path: Path) -> None:
    records = [*patients_of_one_class("a", [3] * 10), Record(id="z", path="", target=None, patient=None)]
    table = make_splits(records, plan=SplitPlan(), seed=0)
    table.write(tmp_path / "split.csv")
    lines = (tmp_path / "split.csv").read_text().splitlines()
    assert lines[0] == "index,id,patient,group,target,split"
    assert lines[-1] == f"30,z,,z,,{table.rows[30].split}"
    assert list(tmp_path.iterdir()) == [tmp_path / "split.csv"]
    assert read_split(tmp_path / "split.csv", records).rows == table.rows
    again = make_splits(records, plan=SplitPlan(file=str(tmp_path / "split.csv")), seed=99)
    assert again.rows == table.rows


def test_a_division_of_files_called_like_formulas_is_read_back(tmp_path: Path) -> None:
    names = ["=SUM(1)/a.png", "+b.png", "@c.png", "-1", "'=d.png"]
    records = [Record(id=name, path="", target="=x", patient=f"-{n}a") for n, name in enumerate(names)]
    rows = [SplitRow(n, r.id, r.patient, str(r.patient), r.target, "train") for n, r in enumerate(records)]
    SplitTable(rows).write(tmp_path / "split.csv")
    assert "\n0,'=SUM(1)/a.png,'-0a,'-0a,'=x,train\n" in (tmp_path / "split.csv").read_text(encoding="utf-8")
    assert read_split(tmp_path / "split.csv", records).rows == rows


def test_a_file_that_does_not_fit_the_data_set_says_how(tmp_path: Path) -> None:
    records = images("a", 3)
    names = [records[0].id, records[1].id, records[1].id, "other.png"]
    _write(tmp_path / "split.csv", [{"id": name, "split": "train"} for name in names])
    with pytest.raises(DataError) as caught:
        read_split(tmp_path / "split.csv", records)
    assert "1 images are listed more than once, such as 'None/a/0001.png'" in str(caught.value)
    assert "1 images of the data set are missing, such as 'None/a/0002.png'" in str(caught.value)
    assert "1 images are not in the data set, such as 'other.png'" in str(caught.value)


def test_a_file_that_divides_a_patient_is_an_error_that_names_it(tmp_path: Path) -> None:
    records = patients_of_one_class("a", [2, 2])
    rows = [{"id": r.id, "split": s} for r, s in zip(records, ("train", "test", "val", "val"), strict=True)]
    _write(tmp_path / "split.csv", rows)
    with pytest.raises(DataError, match=r"1 patients are in more than one split of .*: a-0 \(train, test\)"):
        read_split(tmp_path / "split.csv", records)
    assert len(read_split(tmp_path / "split.csv", records, may_share_patients=True).rows) == 4


@pytest.mark.parametrize(
    "change, told",
    [
        (
            {"target": "b"},
            r"contradicts the data set: 1 images have another class, such as 'a/1_0.png' \(row 4: 'a' in the",
        ),
        (
            {"target": None},
            r"1 images have another class, such as 'a/1_0.png' \(row 4: 'a' in the file, without a class in",
        ),
        ({"patient": "Doe^Jane"}, r"1 images have another patient, such as 'a/1_0.png' \(row 4\)"),
    ],
    ids=["relabeled", "label lost", "another patient"],
)
def test_a_file_of_other_labels_or_patients_is_refused(tmp_path: Path, change: dict[str, str], told: str) -> None:
    records = patients_of_one_class("a", [2] * 9)
    make_splits(records, plan=SplitPlan(), seed=0).write(tmp_path / "split.csv")
    changed = [replace(record, **change) if record.id == "a/1_0.png" else record for record in records]
    with pytest.raises(DataError, match=told) as caught:
        read_split(tmp_path / "split.csv", changed)
    assert "split.file=null" in str(caught.value)
    assert "Jane" not in str(caught.value)


def test_patients_that_only_the_file_knows_are_kept_together(tmp_path: Path) -> None:
    records = patients_of_one_class("a", [2] * 9)
    table = make_splits(records, plan=SplitPlan(), seed=0)
    table.write(tmp_path / "split.csv")
    nameless = [replace(record, patient=None) for record in records]
    again = read_split(tmp_path / "split.csv", nameless)
    assert [(row.group, row.split) for row in again.rows] == [(row.group, row.split) for row in table.rows]
    assert {row.patient for row in again.rows} == {None}


@pytest.mark.parametrize("change", ["added", "removed"])
def test_a_file_of_a_data_set_that_grew_or_shrank_is_refused(tmp_path: Path, change: str) -> None:
    records = patients_of_one_class("a", [2] * 9)
    make_splits(records, plan=SplitPlan(), seed=0).write(tmp_path / "split.csv")
    now = [*records, Record(id="new.png", path="", target="a")] if change == "added" else records[1:]
    told = "of the data set are missing, such as 'new.png'" if change == "added" else "are not in the data set, such as"
    with pytest.raises(DataError, match=told):
        read_split(tmp_path / "split.csv", now)


def test_an_unknown_split_or_column_in_a_file_is_named(tmp_path: Path) -> None:
    records = images("a", 1)
    _write(tmp_path / "split.csv", [{"id": records[0].id, "split": "holdout"}])
    with pytest.raises(DataError, match="has the split 'holdout'; train, val or test is expected"):
        read_split(tmp_path / "split.csv", records)
    _write(tmp_path / "split.csv", [{"id": records[0].id, "spilt": "train"}])
    with pytest.raises(DataError, match=r"column 'split' .* Did you mean 'spilt'"):
        read_split(tmp_path / "split.csv", records)


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


# Plans


def test_all_mistakes_of_a_plan_come_together() -> None:
    with pytest.raises(ConfigError) as caught:
        SplitPlan(fractions=[0.5, 0.1, 0.1], by="patients", given="fixed", folds=2)  # type: ignore[arg-type]
    assert caught.value.mistakes == [
        "split.fractions: three shares that sum to 1 are expected, [0.5, 0.1, 0.1] came.",
        "split.by: 'patients' is unknown. Did you mean 'patient'?",
        "split.given: 'fixed' is unknown. Did you mean 'fix'?",
        "split.folds: 3 or more are expected (test, val, train), 2 came.",
    ]


def test_a_fold_beyond_the_folds_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 to 4 is expected with folds=5, 5 came"):
        SplitPlan(folds=5, fold=5)


def test_patients_who_share_exactly_the_same_picture_are_kept_on_one_side() -> None:
    records = [Record(f"{who}{i}", "", target="ab"[who % 2], patient=f"p{who}") for who in range(12) for i in range(2)]
    chain = {"00": 0, "30": 0, "31": 1, "70": 1}  # p0, p3 and p7 hang together
    for seed in range(8):
        table = make_splits(records, plan=SplitPlan(), seed=seed, copies=chain)
        split_of = {row.id: row.split for row in table.rows}
        assert len({split_of[f"{who}{i}"] for who in (0, 3, 7) for i in range(2)}) == 1
    assert "2 times, exactly the same picture stands under two patients" in " ".join(table.notes)
    apart = [make_splits(records, plan=SplitPlan(by="image"), seed=seed, copies=chain) for seed in range(8)]
    assert any(len({row.split for row in table.rows if row.id in chain}) > 1 for table in apart)
