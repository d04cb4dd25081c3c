"""Numbers as a reader sees them, and text without places."""

from __future__ import annotations

import pytest

from scanlens.report.words import (
    counted,
    duration,
    interval,
    joined,
    number,
    percent,
    public_config,
    whole,
    with_interval,
    without_paths,
)


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.974, 2, "0.97"),
        (0.125, 2, "0.13"),  # half up, where binary rounding would give 0.12
        (2.675, 2, "2.68"),  # 2.675 is stored as 2.67499...; the digits as written count
        (0.9951, 2, "> 0.99"),
        (1.0, 2, "1.00"),
        (0.0004, 3, "< 0.001"),
        (-0.0004, 3, "> -0.001"),
        (0, 2, "0.00"),
        (26.72, 1, "26.7"),
        (1e30, 2, "1e+30"),
        ("0.5", 2, "0.50"),
        (None, 2, "not assessed"),
        (float("nan"), 2, "not assessed"),
        ("high", 2, "not assessed"),
        (True, 2, "not assessed"),
    ],
)
def test_numbers_are_rounded_half_up_and_never_up_to_perfection(value: object, digits: int, text: str) -> None:
    assert number(value, digits) == text


def test_intervals_are_shown_with_both_bounds_or_not_at_all() -> None:
    assert with_interval({"value": 0.97, "low": 0.936, "high": 0.9951}) == "0.97 (0.94 to 1.00)"
    assert with_interval({"value": 0.97, "low": None, "high": 0.99}) == "0.97"
    assert interval({"value": 0.5, "low": -0.001, "high": 0.2}, 2) == "0.00 to 0.20"
    assert with_interval({"value": None, "reason": "one class"}) == "not assessed"
    assert with_interval(0.25) == "0.25"


def test_shares_counts_and_durations_are_in_words() -> None:
    assert percent(0.126) == "13\u00a0%"
    assert percent(0.999) == "> 99\u00a0%"
    assert percent(0.001) == "< 1\u00a0%"
    assert percent(1.0) == "100\u00a0%"
    assert whole(431080) == "431\u202f080"
    assert [counted(n, "patient") for n in (1, 2, None)] == ["1 patient", "2 patients", "not assessed patients"]
    assert [duration(s) for s in (4.21, 192.4, 3725)] == ["4.2 s", "3 min 12 s", "1 h 02 min"]
    assert joined(["a", "b", "c"]) == "a, b and c"
    assert joined(list("abcdefgh"), most=4) == "a, b, c and 5 more"


@pytest.mark.parametrize(
    "text",
    [
        "could not open /data/jane_doe/scan.png today",
        r"could not open C:\data\jane_doe\scan.png today",
        "train.py data.root=/data/jane_doe trainer=cpu",
        "train.py data.root=jane_doe/scans",
        "train.py data.root='jane_doe scans' seed=1",
        "read from ~/jane_doe",
        "read from ../jane_doe/x",
        "'/data/jane_doe': empty",
        "file:///data/jane_doe",
        "folders [/jane_doe,/b]",
    ],
)
def test_paths_are_taken_out_of_text(text: str) -> None:
    assert "jane_doe" not in without_paths(text)
    assert "(path not shown)" in without_paths(text)


def test_metric_names_and_ordinary_slashes_are_no_paths() -> None:
    text = "val/auroc rose and/or fell; 3 / 4 of train/loss, model=lenet data=mri"
    assert without_paths(text) == text


def test_configuration_keeps_settings_and_hides_places() -> None:
    config = {
        "monitor": "val/auroc",
        "data": {"root": "jane_doe", "mask_dir": "m", "size": 96, "classes": ["a", "b"]},
        "split": {"file": None},
        "extra": ["/home/jane_doe"],
    }
    assert public_config(config) == {
        "monitor": "val/auroc",
        "data": {"root": "(path not shown)", "mask_dir": "(path not shown)", "size": 96, "classes": ["a", "b"]},
        "split": {"file": None},
        "extra": ["(path not shown)"],
    }
