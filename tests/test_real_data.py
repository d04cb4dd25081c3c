"""Every network goes the whole way on real scans, and broken files cost a line, not a run. Needs SCANLENS_TEST_DATA."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fakes.commands import train
from scanlens.files import read_csv
from scanlens.runs import Run

FOLDERS = {
    "brain_tumor_mri": "brain-tumour-mri",
    "dementia_mri": "dementia-mri",
    "lgg_flair": "lgg-flair-masks",
    "blood_cells": "blood-cells-pbc",
    "malaria": "malaria-cells",
}
QUICK = [
    "preprocess.size=32",
    "trainer.max_epochs=1",
    "trainer.limit_train_batches=3",
    "callbacks.num_explained_cases=2",
]
QUICK += ["callbacks.bootstrap_resamples=20", "callbacks.explain_every_n_epochs=0", "run_id=r"]


def real_data(folder: str) -> Path:
    root = os.environ.get("SCANLENS_TEST_DATA")
    if not root:
        pytest.skip("SCANLENS_TEST_DATA is not set")
    return Path(root, folder).resolve()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.mark.slow
@pytest.mark.parametrize("data", FOLDERS)
@pytest.mark.parametrize("model", ["lenet", "vgg19", "mlp", "autoencoder"])
def test_every_network_finishes_on_real_scans(model: str, data: str, tmp_path: Path, cache: Path) -> None:
    root = real_data(FOLDERS[data])
    done = train(
        f"model={model}",
        f"data={data}",
        f"data.root={root}",
        f"paths.cache={cache}",
        *QUICK,
        cwd=tmp_path,
        timeout_s=400,
    )
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "r")
    judged = json.loads(run.evaluation_file.read_text(encoding="utf-8"))
    assert len(read_csv(run.predictions / "test.csv")) == len(run.indices("test")) > 0
    assert judged["task"] == ("reconstruction" if model == "autoencoder" else "classification")
    assert run.report_file.stat().st_size > 10_000
    page = run.report_file.read_text(encoding="utf-8")
    assert str(root) not in page, "paths of the data must not be on the page"


@pytest.mark.slow
def test_testing_images_with_a_near_copy_in_training_are_found_and_moved(tmp_path: Path, cache: Path) -> None:
    root = real_data("brain-tumour-mri")
    words = ["model=mlp", "data=brain_tumor_mri", f"data.root={root}", f"paths.cache={cache}", *QUICK]
    done = train(*words, cwd=tmp_path, timeout_s=400)
    assert done.returncode == 0, done.stderr
    run = Run(tmp_path / "outputs" / "r")
    group_of = {row["file"]: row["near_duplicate_group"] for row in read_csv(root / "images.csv")}
    splits: dict[str, set[str]] = {}
    for row in run.split_rows:
        splits.setdefault(group_of[row["id"]], set()).add(row["split"])
    divided = [group for group, found in splits.items() if len(found) > 1]
    assert len(divided) < 0.02 * len(splits), f"{len(divided)} known near-duplicate groups are divided between splits"


@pytest.mark.slow
def test_odd_files_are_read_or_quarantined_and_the_run_goes_on(tmp_path: Path) -> None:
    odd = real_data("odd-images")
    rng = np.random.default_rng(1)
    for name, level in (("dark", 60), ("light", 180)):
        folder = tmp_path / "scans" / name
        folder.mkdir(parents=True)
        for i in range(30):
            pixels = np.clip(rng.normal(level, 30, (40, 40)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    for file in odd.iterdir():
        if file.suffix.lower() in (".png", ".jpg", ".tif", ".tiff"):
            shutil.copy(file, tmp_path / "scans" / "light" / file.name)
    root = tmp_path / "scans"
    words = [
        "model=lenet",
        "data=mri",
        f"data.root={root}",
        "data.color=gray",
        "loader.max_quarantined_share=0.2",
        *QUICK,
    ]
    done = train(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bad = {Path(row["id"]).name: row["reason"] for row in read_csv(Run(tmp_path / "outputs" / "r").quarantine_file)}
    assert {"broken.png", "truncated_image.png", "truncated_jpeg.jpg"} <= set(bad)
    assert len(bad) <= 4
    assert all(reason and str(tmp_path) not in reason for reason in bad.values())


def test_too_many_unreadable_files_stop_the_run_with_examples(tmp_path: Path) -> None:
    for name in ("a", "b"):
        folder = tmp_path / "scans" / name
        folder.mkdir(parents=True)
        for i in range(6):
            Image.fromarray(np.full((20, 20), 40 * i, np.uint8)).save(folder / f"{i}.png")
        (folder / "broken.png").write_bytes(b"not a picture")
    done = train("data=mri", f"data.root={tmp_path / 'scans'}", "run_id=r", cwd=tmp_path)
    assert done.returncode == 1
    assert "2 of 14 images cannot be read" in done.stderr
    assert "a/broken.png" in done.stderr
    assert "loader.max_quarantined_share" in done.stderr
    assert "Traceback" not in done.stderr
