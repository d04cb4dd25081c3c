"""Tables of labels: their settings, contradictions, and the classes asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from scanlens.data.sources.label_table import chosen_classes, keyed_by, label_mistakes, read_label_meta, read_labels
from scanlens.errors import DataError

LABELS = {"file": "labels.csv", "by": "patient", "key": "who", "label": "dx"}


def table(folder: Path, text: str) -> Path:
    path = folder / "labels.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_without_a_class_are_left_out_and_names_of_files_get_forward_slashes(tmp_path: Path) -> None:
    path = table(tmp_path, "who,dx\na\\1.nii,ill\nb,\nc,nan\n")
    assert read_labels(path, LABELS | {"by": "file"}) == {"a/1.nii": "ill"}
    assert read_labels(path, LABELS) == {"a\\1.nii": "ill"}


def test_a_contradiction_names_the_row_and_not_the_patient(tmp_path: Path) -> None:
    path = table(tmp_path, "who,dx\nDoe^Jane,ill\nDoe^Jane,ill\nDoe^Jane,well\n")
    with pytest.raises(DataError, match=r"row 4: this patient has two classes, 'ill' and 'well'") as told:
        read_labels(path, LABELS)
    assert "Doe" not in str(told.value)


def test_all_mistakes_of_the_setting_are_told() -> None:
    wrong = {"file": "labels.csv", "by": "person", "kye": "who", "label": "dx"}
    assert label_mistakes(wrong, choices=("file", "patient")) == [
        "labels.kye is unknown. Did you mean 'key'?",
        "labels.key is missing.",
        "labels.by: file or patient is expected, 'person' came.",
    ]
    assert label_mistakes({"file": "f", "key": "k", "label": "l"}, choices=("file", "patient")) == []
    assert keyed_by({}) == "file"


def test_classes_keep_the_order_asked_for_and_absent_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    assert chosen_classes({"well", "ill"}, None, table=path) == ["ill", "well"]
    assert chosen_classes({"well", "ill"}, ["well", "ill"], table=path) == ["well", "ill"]
    with pytest.raises(DataError, match=r"class 'il' is not in .* \(found: ill, well\)\. Did you mean 'ill'\?"):
        chosen_classes({"well", "ill"}, ["il"], table=path)


def test_further_columns_are_kept_by_key_and_must_agree(tmp_path: Path) -> None:
    path = table(tmp_path, "who,dx,site\np,ill,East\np,ill,East\nq,well,West\n")
    assert read_label_meta(path, LABELS) == {}
    assert read_label_meta(path, {**LABELS, "meta": ["site"]}) == {"p": {"site": "East"}, "q": {"site": "West"}}
    with pytest.raises(DataError, match=r"column 'sites' \(data.labels.meta\[0\]\).*Did you mean 'site'"):
        read_label_meta(path, {**LABELS, "meta": "sites"})
    path = table(tmp_path, "who,dx,site\nDoe^Jane,ill,East\nDoe^Jane,ill,West\n")
    with pytest.raises(DataError, match="row 3: this patient has two values of site") as told:
        read_label_meta(path, {**LABELS, "meta": ["site"]})
    assert "Doe" not in str(told.value)
