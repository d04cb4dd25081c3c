"""What sets the test split apart from the training, and which groups nobody looked at."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fakes.run_folder import write_run_folder
from scanlens.report.folder import RunFolder, read_run
from scanlens.report.populations import missing_groups, population_sentences


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return read_run(write_run_folder(tmp_path_factory.mktemp("populations") / "run"))


def told(run: RunFolder, train: list[str], test: list[str], name: str = "grade", **split: object) -> list[str]:
    cells = [*(("train", cell) for cell in train), *(("test", cell) for cell in test)]
    rows = [{"index": str(n), "patient": f"p{n}", "split": part} for n, (part, _) in enumerate(cells)]
    meta = [{"index": str(n), name: cell} for n, (_, cell) in enumerate(cells)]
    return population_sentences(replace(run, split_rows=rows, meta_rows=meta, config={**run.config, "split": split}))


def test_groups_that_share_nothing_are_two_populations(run: RunFolder) -> None:
    assert told(run, ["II"] * 5, ["III"] * 3 + ["IV"] * 3) == [
        "By 'grade' training and test are two populations: 'II' in the one, 'III' and 'IV' in the other."
    ]


def test_a_group_that_training_never_saw_is_told(run: RunFolder) -> None:
    assert told(run, ["2"] * 5, ["2"] * 5 + ["3"] * 3) == [
        "By 'grade' the test split also holds '3', which the training never saw."
    ]
    assert told(run, ["2"] * 5, ["2"] * 5 + ["3"] * 2) == [], "two patients make no group"
    assert told(run, ["2", "3"], ["2"] * 4) == []


def test_measures_and_names_are_no_groups(run: RunFolder) -> None:
    assert told(run, [str(n) for n in range(20)], [str(n) for n in range(30, 50)]) == []
    assert told(run, [f"a{n}" for n in range(10)], [f"b{n // 3}" for n in range(30)]) == []
    assert told(run, [""] * 3, ["x"] * 3) == [], "nothing is known of the training"


def test_a_test_of_whole_sites_is_told_once(run: RunFolder) -> None:
    said = told(run, ["a"] * 3, ["b"] * 3, name="site", by="site", site_column="site")
    assert len(said) == 1
    assert said[0].startswith("The test split is of other sites than the training (column 'site'): two populations")


def test_groups_that_no_column_tells_are_named() -> None:
    assert missing_groups([]) == ["site", "scanner or stain", "sex", "age"]
    assert missing_groups(["Patient Age", "hospital", "lesion_share"]) == ["scanner or stain", "sex"]
    assert missing_groups(["stage", "sextant"]) == ["site", "scanner or stain", "sex", "age"], "words, not letters"
