"""From images to patients."""

from __future__ import annotations

import numpy as np
import pytest

from scanlens.evaluation.patients import patient_level

PROBABILITIES = np.array([[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.6, 0.4]])


def test_a_patient_has_the_mean_probability_of_his_images() -> None:
    level, reason = patient_level(PROBABILITIES, np.array([0, 0, 1, 1, 1, 0]), ["x", "x", "y", "y", "y", "z"])
    assert reason is None
    assert level is not None
    assert level.patients == ["x", "y", "z"]
    np.testing.assert_array_equal(level.target_P, [0, 1, 0])
    np.testing.assert_allclose(level.probabilities_PK, [[0.7, 0.3], [0.3, 0.7], [0.6, 0.4]])
    assert (level.num_mixed, level.num_images_alone) == (0, 0)


def test_mixed_patients_and_images_without_a_patient_are_left_out_and_counted() -> None:
    level, _ = patient_level(PROBABILITIES, np.array([0, 1, 1, 1, 0, 0]), ["x", "x", "y", "y", "z", None])
    assert level is not None
    assert level.patients == ["y", "z"]
    np.testing.assert_allclose(level.probabilities_PK, [[0.3, 0.7], [0.3, 0.7]])
    assert (level.num_images, level.num_mixed, level.num_images_alone) == (3, 1, 1)


@pytest.mark.parametrize(
    ("patients", "target", "words"),
    [
        ([None, "", None, None, "", None], [0, 0, 1, 1, 0, 1], "no patient is known"),
        (list("abcdef"), [0, 0, 1, 1, 0, 1], "single image"),
        (list("aaaaaa"), [0, 0, 0, 0, 0, 0], "of one patient"),
        (list("aabbcc"), [0, 1, 0, 1, 0, 0], "2 of 3 patients have images of several classes"),
        (list("aabbbb"), [0, 1, 0, 0, 0, 0], "only one patient"),
    ],
)
def test_where_there_is_no_patient_level_a_sentence_says_why(
    patients: list[str | None], target: list[int], words: str
) -> None:
    level, reason = patient_level(PROBABILITIES, np.array(target), patients)
    assert level is None
    assert words in str(reason)
