"""Classes of new images and of a run."""

from __future__ import annotations

import pytest

from scanlens.errors import ConfigError, DataError
from scanlens.pipeline.external.classes import match_classes, same_name

RUN = ["glioma_tumor", "no_tumor", "pituitary_tumor"]


def test_names_are_matched_exactly_then_without_case_spaces_and_signs() -> None:
    found = match_classes({"no_tumor": 5, "Glioma Tumor": 3, "PITUITARY-tumor": 2, "glioma_tumor": 1}, RUN)
    assert found.run_name_of == {
        "no_tumor": "no_tumor",
        "Glioma Tumor": "glioma_tumor",
        "PITUITARY-tumor": "pituitary_tumor",
        "glioma_tumor": "glioma_tumor",
    }
    assert (found.left_out, found.absent) == ({}, [])
    assert found.told == [
        "Class 'Glioma Tumor' is taken for 'glioma_tumor'.",
        "Class 'PITUITARY-tumor' is taken for 'pituitary_tumor'.",
    ]


def test_classes_that_are_none_of_the_run_are_left_out_with_counts_and_a_suggestion() -> None:
    found = match_classes({"no_tumor": 5, "gliom_tumors": 3}, RUN)
    assert found.left_out == {"gliom_tumors": 3}
    assert found.absent == ["glioma_tumor", "pituitary_tumor"]
    assert found.told[0] == (
        "3 images of class 'gliom_tumors' are left out: the run knows no such class. Did you mean 'glioma_tumor'? "
        "If so: classes={gliom_tumors: ...}."
    )
    assert "hold no 'glioma_tumor', 'pituitary_tumor'" in found.told[1]


def test_what_was_asked_for_goes_before_names() -> None:
    found = match_classes({"no_tumor": 5, "a": 1, "b": 2}, RUN, {"a": "glioma_tumor", "b": None, "no_tumor": None})
    assert found.run_name_of == {"a": "glioma_tumor"}
    assert found.left_out == {"no_tumor": 5, "b": 2}
    assert "2 images of class 'b' are left out: as asked for (classes)." in found.told


def test_nothing_in_common_is_an_error_that_says_how_to_go_on() -> None:
    with pytest.raises(
        DataError, match=r"no class of the new images is one of the run .*\n.*'cat'.*\n.*classes=\{new_name"
    ):
        match_classes({"cat": 4}, RUN)


def test_asking_for_classes_that_there_are_not_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        match_classes({"cat": 4, "dog": 3}, RUN, {"catt": "no_tumor", "dog": "no_tumour"})
    assert "the new images have no class 'catt'. Did you mean 'cat'?" in str(caught.value)
    assert "'no_tumour', for 'dog', is no class of the run. Did you mean 'no_tumor'?" in str(caught.value)


def test_a_name_that_is_like_two_is_like_none() -> None:
    assert same_name("AB", ["a_b", "ab"]) is None
    assert same_name("ab", ["a_b", "ab"]) == "ab"
