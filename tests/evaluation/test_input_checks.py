"""One number of an image among those of known images: limits and warnings computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.input_checks import range_check, status_of

KNOWN = np.arange(101.0)  # 1st and 99th percentile are 1 and 99; a tenth of the range is 9.8


@pytest.mark.parametrize(
    ("value", "is_inside", "is_beyond", "percentile"),
    [
        (50, True, False, 50),
        (99, True, False, 100 * 99.5 / 101),
        (99.5, False, False, 100 * 100 / 101),
        (109, False, False, 100),
        (110, False, True, 100),
        (-9.9, False, True, 0),
    ],
)
def test_outside_is_told_and_clearly_beyond_all_is_a_reason(
    value: float, is_inside: bool, is_beyond: bool, percentile: float
) -> None:
    found = range_check("noise", value, KNOWN)
    assert (found.low, found.high, found.least, found.most, found.num_known) == (1, 99, 0, 100, 101)
    assert (found.is_inside, found.is_beyond) == (is_inside, is_beyond)
    assert found.percentile == pytest.approx(percentile)
    assert found.two_sided == pytest.approx(2 * min(percentile, 100 - percentile))


def test_of_a_distance_only_the_upper_end_is_odd() -> None:
    assert not range_check("far", -50, KNOWN, is_distance=True).is_beyond
    assert range_check("far", 100.5, KNOWN, is_distance=True).is_beyond
    thousand = np.arange(1.0, 1000)
    assert range_check("far", 990.5, thousand, is_distance=True).is_beyond, "the 990th of 999 leaves one in 100 above"
    assert not range_check("far", 989.5, thousand, is_distance=True).is_beyond
    assert not range_check("far", 9.5, np.arange(1.0, 11), is_distance=True).is_beyond, "few say nothing of one in 100"


def test_what_is_not_known_is_told_with_its_reason() -> None:
    nothing = range_check("jpeg_quality", 80, [np.nan, np.nan])
    assert (nothing.value, nothing.low, nothing.is_beyond) == (80, None, False)
    assert nothing.reason == "not known of training images"
    unknown = range_check("jpeg_quality", np.nan, [70, np.nan, 90])
    assert (unknown.value, unknown.num_known, unknown.is_inside) == (None, 2, None)
    assert unknown.reason == "not known of this image"


def test_faults_go_before_oddities() -> None:
    assert status_of([], []) == {"status": "good", "reasons": []}
    assert status_of([], ["Loud."]) == {"status": "odd", "reasons": ["Loud."]}
    assert status_of(["Black."], ["Loud."]) == {"status": "bad", "reasons": ["Black.", "Loud."]}
