"""What an autoencoder of another run and the headers of files add to the context of a case."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from fakes.commands import train
from scanlens.config import freeze
from scanlens.files import read_csv
from scanlens.pipeline.context.anomaly import open_anomaly
from scanlens.pipeline.context.batch import Batch, ContextCase
from scanlens.pipeline.context.native import stored_modality, stored_spacing
from scanlens.pipeline.run_images import open_data
from scanlens.runs import Run, load_run

pytestmark = pytest.mark.slow  # whole trainings

TINY = ["data=mri", "data.num_patients=24", "data.slices_per_patient=2", "preprocess.size=32", "trainer.max_epochs=1"]
TINY += ["callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=0", "audit.enabled=false", "report=none"]
TINY += ["verdict.enabled=false", "trainer.num_threads=1"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    """An autoencoder, and a classifier that asks it."""
    folder = tmp_path_factory.mktemp("anomaly")
    for words in (
        ["model=autoencoder", "run_id=ae"],
        ["model=lenet", "run_id=net", "callbacks.anomaly_run=outputs/ae"],
    ):
        done = train(*TINY, *words, cwd=folder)
        assert done.returncode == 0, done.stderr
    return Run(folder / "outputs" / "ae"), Run(folder / "outputs" / "net")


def test_the_error_of_a_case_lies_among_those_of_validation_images(runs: tuple[Run, Run]) -> None:
    ae, run = runs
    found = json.loads((run.explanations / "context.json").read_text(encoding="utf-8"))
    reference = np.array([float(row["mse"]) for row in read_csv(ae.predictions / "val.csv")])
    assert found["quality"]["anomaly"] == {"run": "ae", "num_reference": len(reference), "reason": None}
    _, network = load_run(ae.folder)
    data = open_data(run)
    for case in found["cases"]:
        x_1CHW = data.image_and_mask(int(case["case"][5:]))[0][None]
        with torch.no_grad():
            error = float((network(x_1CHW) - x_1CHW).square().mean())
        told = case["quality"]["anomaly"]
        assert told["error"] == pytest.approx(error, rel=1e-4)
        assert told["percentile"] == pytest.approx(100 * float(np.mean(reference < error)), abs=0.01)
        assert told["seen_in_training"] is False, "the same seed divides the same patients in the same way"
    assert not (ae.explanations / "context.json").exists()


def asked(run: Run, folder: Path | None, **facts: Any) -> tuple[Any, dict[str, Any]]:
    config = {"callbacks": {"anomaly_run": None if folder is None else str(folder)}}
    return open_anomaly(config, run.facts | facts)


def test_a_run_that_does_not_fit_is_refused_with_the_reason_and_without_its_path(
    runs: tuple[Run, Run], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ae, run = runs
    assert "no autoencoder was named" in asked(run, None)[1]["reason"]
    with caplog.at_level(logging.WARNING):
        for folder, facts, words in (
            (run.folder, {}, "it is a classifier"),
            (ae.folder, {"preprocess": run.facts["preprocess"] | {"size": 64}}, "size 32 instead of 64"),
            (tmp_path / "jane_doe", {}, "could not be opened as a finished run"),
        ):
            found, told = asked(run, folder, **facts)
            assert found is None
            assert words in told["reason"]
            assert str(folder) not in json.dumps(told)
    assert sum("callbacks.anomaly_run=" in one for one in caplog.messages) == 3


def test_an_image_that_the_autoencoder_was_trained_on_is_told(runs: tuple[Run, Run]) -> None:
    ae, run = runs
    anomaly, _ = asked(run, ae.folder)
    data, index = open_data(run), ae.indices("train")[0]
    x_CHW = data.image_and_mask(index)[0]
    one = ContextCase("new-00000", 0, x_CHW.numpy(), np.zeros(1), np.zeros((48, 48), np.float32),
                      data.cached.pixel_hashes[index].tobytes())  # fmt: skip
    (told,) = anomaly.of(Batch([one], x_CHW[None], torch.zeros(1, 2), np.zeros((1, 1))))
    assert told["seen_in_training"] is True


DICOM = {"_target_": "scanlens.data.sources.dicom.DicomSource"}


@pytest.mark.parametrize(
    ("data", "row_mm", "meta", "expected"),
    [
        (DICOM, 0.5, {"spacing_mm": "0.5 x 0.25"}, ((0.5, 0.25), False)),
        (DICOM, np.nan, {"spacing_mm": ""}, (None, False)),
        (DICOM, 0.5, {"spacing_mm": "0.5 x -1"}, (None, False)),
        ({"axis": "axial"}, 0.5, {"spacing_mm": "9 x 9"}, ((0.5, 0.5), True)),
        ({"axis": "coronal"}, 0.5, {}, (None, False)),
        ({}, np.nan, {}, (None, False)),
        ({}, 0.0, {}, (None, False)),
    ],
)
def test_spacing_is_that_of_headers_and_columns_of_other_tables_are_not_believed(
    data: dict[str, Any], row_mm: float, meta: dict[str, str], expected: Any, tmp_path: Path
) -> None:
    freeze({"data": data, "facts": {}}, tmp_path)
    run = Run(tmp_path)
    assert stored_spacing(run, row_mm, meta) == expected
    assert stored_modality(run, {"modality": "MR"}) == ("MR" if data is DICOM else "")
