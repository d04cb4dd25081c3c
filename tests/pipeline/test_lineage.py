"""A network that starts from the weights of a former run is not judged on what that run has seen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from scanlens.data.splits import SplitRow, SplitTable
from scanlens.errors import DataError
from scanlens.files import write_csv, write_json
from scanlens.pipeline.lineage import check_lineage
from scanlens.types import Split

Division = Sequence[tuple[str, str | None, Split]]  # image, patient, split
FORMER: Division = [("1.png", "a", "train"), ("2.png", "b", "val"), ("3.png", "c", "test")]


def former_run(folder: Path, division: Division = FORMER, *, weights: str = "none") -> Path:
    rows = [{"index": i, "id": name, "patient": who, "split": split} for i, (name, who, split) in enumerate(division)]
    write_csv(folder / "split.csv", ["index", "id", "patient", "split"], rows)
    write_json(folder / "provenance.json", {"data_fingerprint": "same"})
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": {"weights": weights}, "facts": {}}), encoding="utf-8")
    (folder / "weights.safetensors").write_bytes(b"")
    return folder


def table(division: Division) -> SplitTable:
    return SplitTable(
        [SplitRow(i, name, who, who or name, "x", split) for i, (name, who, split) in enumerate(division)]
    )


def config(weights: Path | str) -> dict:
    return {"model": {"weights": str(weights)}}


def test_the_same_division_is_fine(tmp_path: Path) -> None:
    run = former_run(tmp_path / "former")
    assert check_lineage(config(run), table(FORMER), data_fingerprint="same") == []


@pytest.mark.parametrize(
    ("division", "told"),
    [
        ([("1.png", "a", "test")], "1 test images of 1 patients"),
        ([("9.png", "a", "test")], "1 test images of 1 patients"),  # another image of a patient who was seen
        ([("2.png", "b", "test")], "1 test images of 1 patients"),  # chose the epoch
        ([("1.png", None, "val"), ("1.png", None, "test")], "1 val images and 1 test images"),
    ],
)
def test_images_and_patients_that_were_seen_are_refused_with_the_way_out(
    tmp_path: Path, division: Division, told: str
) -> None:
    run = former_run(tmp_path / "former")
    with pytest.raises(DataError, match=rf"{told} of this run were used.*split\.file=.*former/split\.csv"):
        check_lineage(config(run / "weights.safetensors"), table(division), data_fingerprint="same")


def test_what_an_earlier_ancestor_saw_counts_too(tmp_path: Path) -> None:
    first = former_run(tmp_path / "first")
    second = former_run(tmp_path / "second", [("7.png", "z", "train")], weights=str(first))
    with pytest.raises(DataError, match=r"\(first\)"):
        check_lineage(config(second), table([("1.png", "a", "test")]), data_fingerprint="same")


def test_equal_names_in_another_data_set_are_a_warning(tmp_path: Path) -> None:
    run = former_run(tmp_path / "former")
    told = check_lineage(config(run), table([("1.png", None, "test")]), data_fingerprint="other")
    assert len(told) == 1
    assert told[0].startswith("By their names, 1 test images of this run were used for training")


@pytest.mark.parametrize("weights", ["none", "auto", "imagenet"])
def test_weights_of_no_run_have_no_lineage(weights: str) -> None:
    assert check_lineage(config(weights), table(FORMER), data_fingerprint="same") == []
