"""Charts: what they show, and that a strict page may hold them."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

from scanlens.report import charts
from scanlens.report.dots import Dot, DotRow, dot_chart

EPOCHS = [
    {"epoch": "0", "step": "10", "train/loss": "1.5", "val/loss": "", "val/auroc": "0.5", "val/psnr": "20"},
    {"epoch": "1", "step": "20", "train/loss": "0.5", "val/loss": "0.75", "val/auroc": "0.9", "val/psnr": "25"},
]


def label(svg: str) -> str:
    found = re.search(r'aria-label="([^"]*)"', svg)
    assert found is not None
    return found.group(1)


def test_learning_curves_put_metrics_of_other_scales_in_charts_of_their_own() -> None:
    panels = charts.learning_curves(EPOCHS, best_epoch=1)
    assert [label(svg) for svg in panels] == [
        "Loss by epoch: train/loss from 1.5 to 0.5, val/loss from 0.75 to 0.75",
        "Validation metrics by epoch: val/auroc from 0.5 to 0.9",
        "Validation metric by epoch: val/psnr from 20 to 25",
    ]
    assert all("best epoch" in svg for svg in panels)


def test_without_numbers_there_is_no_chart() -> None:
    assert charts.learning_curves([], best_epoch=None) == []
    assert charts.learning_curves([{"epoch": "0", "train/loss": "nan"}], best_epoch=None) == []
    assert charts.roc_curves({}, {}) is None
    assert charts.roc_curves({"a": {"false_positive_rate": [0, 1], "true_positive_rate": [0]}}, {}) is None
    assert charts.confusion_matrix([[1, 2]], ["a", "b"]) is None
    assert charts.confusion_matrix([[1, "x"], [0, 1]], ["a", "b"]) is None
    assert charts.class_counts({}, ["a"]) is None
    assert charts.calibration([0.9] * 19, [True] * 19) is None


def test_bars_of_validation_and_test_are_told_apart_in_gray() -> None:
    svg = charts.class_counts({split: {"a": 5, "b": 3} for split in ("train", "val", "test")}, ["a", "b"])
    assert svg is not None
    assert svg.count('fill="url(#counts-') == 3, "test is striped: two bars and the legend"
    assert svg.count("<pattern") == 1
    assert " style=" not in svg


def test_confusion_matrix_shows_every_count_in_readable_ink() -> None:
    svg = charts.confusion_matrix([[90, 10], [29, 71]], ["cat", "dog"])
    assert svg is not None
    assert label(svg) == "Confusion matrix of the test split: 161 of 200 on the diagonal"
    assert re.findall(r'fill="(#\w+)"[^>]*>(\d+)</text>', svg) == [
        ("#ffffff", "90"),
        ("#010101", "10"),
        ("#010101", "29"),
        ("#010101", "71"),
    ]


def test_counts_have_contrast_on_every_shade() -> None:
    shares = (0, 10, 30, 50, 60, 66, 70, 74, 80, 90, 100)
    rows = [[share, 100 - share] + [0] * (len(shares) - 2) for share in shares]
    svg = charts.confusion_matrix(rows, [str(share) for share in shares])
    assert svg is not None
    shades = re.findall(r'fill="(#[0-9a-f]{6})" stroke="var\(--card\)"', svg)
    inks = re.findall(r'fill="(#(?:ffffff|010101))"[^>]*>\d+</text>', svg)
    assert len(shades) == len(inks) == len(shares) ** 2
    assert min(contrast(shade, ink) for shade, ink in zip(shades, inks, strict=True)) >= 4.5


def contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_calibration_bins_hold_equal_counts() -> None:
    confidence = [0.6] * 10 + [0.9] * 10
    svg = charts.calibration(confidence, [True] * 5 + [False] * 5 + [True] * 9 + [False])
    assert svg is not None
    assert label(svg) == "Calibration in 2 bins of equal counts: stated 0.60: right 0.50, stated 0.90: right 0.90"


def test_roc_names_the_area_of_each_class() -> None:
    curve = {"false_positive_rate": [0, 0.5, 1], "true_positive_rate": [0, 1, 1]}
    svg = charts.roc_curves({"a": curve, "b": curve}, {"a": 0.75})
    assert svg is not None
    assert "a: 0.75" in svg
    assert "b: not assessed" in svg


def test_color_bar_names_its_ends_and_escapes_its_unit() -> None:
    svg = charts.color_bar(scale=0.1234, unit="log-odds <b>")
    assert ">−0.12<" in svg
    assert ">+0.12<" in svg
    assert "log-odds &lt;b&gt;" in svg
    assert "<b>" not in svg


def test_charts_are_well_formed_without_style_script_or_address_and_the_same_every_time() -> None:
    name = 'x" onload="alert(1)<script>$\\frac'

    def every() -> list[str]:
        found = [
            *charts.learning_curves(EPOCHS, best_epoch=0),
            charts.confusion_matrix([[1, 0], [0, 1]], [name, "日本"]),
            charts.class_counts({"train": {name: 3}, "test": {name: 1}}, [name]),
            charts.roc_curves({name: {"false_positive_rate": [0, 1], "true_positive_rate": [0, 1]}}, {}),
            charts.color_bar(scale=1.0, unit=name),
            dot_chart([DotRow(name, [Dot(0.5, 0.4, 0.6)])], [name], axis=name, chance=0.5, name="dots"),
        ]
        return [svg for svg in found if svg is not None]

    first = every()
    assert len(first) == 8
    assert first == every()
    for svg in first:
        root = ElementTree.fromstring(svg)
        attributes = [key for element in root.iter() for key in element.attrib]
        assert "style" not in attributes
        assert not [key for key in attributes if key.startswith("on")]
        assert not {element.tag for element in root.iter()} & {"script", "style", "image", "foreignObject"}
        assert "http" not in svg


def test_dots_leave_out_what_is_not_known_and_tell_only_a_few_series_apart() -> None:
    rows = [DotRow("fold 0", [Dot(0.5), Dot(None)]), DotRow("fold 1", [Dot(None), Dot(None)])]
    svg = dot_chart(rows, ["seed 1", "seed 2"], axis="AUROC", chance=None, name="dots")
    assert svg is not None
    assert 'aria-label="AUROC: fold 0 0.50"' in svg
    assert "seed 2" in "".join(ElementTree.fromstring(svg).itertext())
    many = [f"seed {n}" for n in range(9)]
    svg = dot_chart([DotRow("fold 0", [Dot(0.1 * n) for n in range(9)])], many, axis="AUROC", chance=None, name="dots")
    assert svg is not None
    assert "seed" not in "".join(ElementTree.fromstring(svg).itertext())
    assert dot_chart(rows[1:], ["seed 1", "seed 2"], axis="AUROC", chance=None, name="dots") is None


def test_many_classes_with_long_names_still_fit() -> None:
    names = [f"a rather long name of class number {i}" for i in range(16)]
    svg = charts.confusion_matrix([[int(i == j) for j in range(16)] for i in range(16)], names)
    assert svg is not None
    assert charts.class_counts({"train": dict.fromkeys(names, 5)}, names) is not None
    assert "a rather long n…" in svg
