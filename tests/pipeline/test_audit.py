"""The audit as a user meets it: on a folder whose own split leaks, with each answer to leaks."""

from __future__ import annotations

import json
import os
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from PIL import Image

from fakes.commands import run_command
from scanlens.files import read_csv

PROGRAM = "import sys; from scanlens.cli import main; main(sys.argv[1:])"
PER_CLASS = {"Training": 12, "Testing": 4}
REAL = os.environ.get("SCANLENS_TEST_DATA")


@pytest.fixture(scope="module")
def leaky(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise in two classes; three test images are copies of training images, one of them mirrored, one of the other class."""
    generator = np.random.default_rng(5)
    root = tmp_path_factory.mktemp("leaky") / "scans"
    for split, num in PER_CLASS.items():
        for name in ("a", "b"):
            for number in range(num):
                coarse = generator.integers(0, 256, (12, 12)).astype(np.uint8)
                save(
                    Image.fromarray(coarse).resize((48, 48), Image.Resampling.BICUBIC),
                    root / split / name / f"{number}.png",
                )
    picture = Image.open(root / "Training/a/0.png")
    save(picture, root / "Testing/a/0.png")
    save(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT), root / "Testing/a/1.png")
    save(Image.open(root / "Training/a/1.png").convert("RGB"), root / "Testing/b/2.bmp")
    (root / "Testing/b/2.png").unlink()
    return root


def save(image: Image.Image, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path)


def audit(root: Path, *words: str, cwd: Path) -> CompletedProcess[str]:
    return run_command(["-c", PROGRAM, "audit", "data=folder", f"data.root={root}", "run_id=r", *words], cwd=cwd)


def content(cwd: Path) -> dict:
    return json.loads((cwd / "outputs/r/audit.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def audited(leaky: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """Where the audit ran, and what it printed."""
    folder = tmp_path_factory.mktemp("audited")
    done = audit(leaky, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout + done.stderr


def test_leaks_of_the_given_split_are_named_and_mended(audited: tuple[Path, str]) -> None:
    folder, printed = audited
    found = content(folder)["duplicates"]
    given = {leak["kind"]: leak for leak in found["leaks"]["given"]}
    assert (given["copy"]["num_images"], given["copy"]["of"], given["copy"]["earlier"]) == (2, 8, "train")
    assert given["near"]["num_images"] == 3
    assert found["leaks"]["final"] == []
    assert found["copies"] == {"num_groups": 2, "num_images": 4, "largest": 2}
    assert "2 of 8 test images (25 %) have an exact copy in train" in printed
    split_of = {row["id"]: row["split"] for row in read_csv(folder / "outputs/r/split.csv")}
    assert split_of["Testing/a/0.png"] == split_of["Training/a/0.png"] == split_of["Testing/a/1.png"]
    rows = read_csv(folder / "outputs/r/audit/copies.csv")
    id_of = {row["index"]: row["id"] for row in read_csv(folder / "outputs/r/split.csv")}
    first = [row for row in rows if row["group"] == rows[0]["group"] and row["kind"] == rows[0]["kind"]]
    conflicting = {id_of[row["index"]] for row in first}
    assert conflicting == {"Training/a/1.png", "Testing/b/2.bmp"}  # two labels come first


def test_the_page_shows_the_groups_without_names_of_files(audited: tuple[Path, str]) -> None:
    page = (audited[0] / "outputs/r/report/audit.html").read_text(encoding="utf-8")
    assert "Exact copies, 2 images: in two splits as given, two labels" in page
    assert page.count("data:image/") >= 3
    assert "Testing/" not in page
    assert "<script" not in page


@pytest.mark.slow
@pytest.mark.parametrize("on_leak", ["warn", "error"])
def test_nothing_is_mended_where_that_was_said(leaky: Path, tmp_path: Path, on_leak: str) -> None:
    done = audit(leaky, f"audit.on_leak={on_leak}", cwd=tmp_path)
    final = {leak["kind"]: leak["num_images"] for leak in content(tmp_path)["duplicates"]["leaks"]["final"]}
    assert final["copy"] == 2
    assert final["near"] == 3
    assert done.returncode == (1 if on_leak == "error" else 0)
    assert ("the split leaks" in done.stderr) == (on_leak == "error")
    assert f"audit.on_leak={on_leak}" in json.dumps(content(tmp_path)["overrides"])


@pytest.mark.slow
def test_training_stops_at_a_leak_or_tells_of_it_in_its_report(leaky: Path, tmp_path: Path) -> None:
    words = [
        "-c",
        PROGRAM,
        "train",
        "model=mlp",
        "data=folder",
        f"data.root={leaky}",
        "run_id=r",
        "trainer.max_epochs=1",
    ]
    words += ["explain=none", "callbacks.bootstrap_resamples=0"]
    stopped = run_command([*words, "audit.on_leak=error"], cwd=tmp_path)
    assert stopped.returncode == 1
    assert "2 of 8 test images (25 %) have an exact copy in train" in stopped.stderr
    told = run_command([*words, "audit.on_leak=warn", "run_id=t"], cwd=tmp_path)
    assert told.returncode == 0, told.stderr
    page = (tmp_path / "outputs/t/report/index.html").read_text(encoding="utf-8")
    assert "results there are too good" in page
    assert "Override: audit.on_leak=warn" in page
    assert (tmp_path / "outputs/t/report/audit.html").is_file()


def test_an_audit_never_replaces_the_split_of_a_training(leaky: Path, tmp_path: Path) -> None:
    run = tmp_path / "outputs/r"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("facts: {}\n", encoding="utf-8")
    (run / "split.csv").write_text("index\n", encoding="utf-8")
    done = audit(leaky, cwd=tmp_path)
    assert done.returncode == 1
    assert "holds a training run" in done.stderr
    assert "Choose another run_id" in done.stderr
    assert (run / "split.csv").read_text(encoding="utf-8") == "index\n"
    assert not (run / "audit.json").exists()


@pytest.mark.slow
def test_an_audit_writes_through_no_link_and_leaves_nothing_of_an_earlier_one(leaky: Path, tmp_path: Path) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "outputs/r/audit"
    elsewhere.mkdir()
    folder.parent.mkdir(parents=True)
    folder.symlink_to(elsewhere)
    done = audit(leaky, cwd=tmp_path)
    assert done.returncode == 1
    assert "is a link" in done.stderr
    assert list(elsewhere.iterdir()) == []
    folder.unlink()
    folder.mkdir()
    for name in ("chains.csv", "chain-00003.png", "notes.txt"):
        (folder / name).write_text("old", encoding="utf-8")
    assert audit(leaky, cwd=tmp_path).returncode == 0
    left = {path.name for path in folder.iterdir() if path.read_bytes() == b"old"}
    assert left == {"notes.txt"}


@pytest.mark.slow
def test_hostile_names_of_classes_do_no_harm(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    for name in ("=1+1", "<b>'\"&", "two\nlines"):
        for number in range(8):
            coarse = generator.integers(0, 256, (6, 6)).astype(np.uint8)
            save(Image.fromarray(coarse).resize((24, 24)), tmp_path / "scans" / name / f"{number}.png")
    save(Image.open(tmp_path / "scans/=1+1/0.png"), tmp_path / "scans/<b>'\"&/0.png")
    done = audit(tmp_path / "scans", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "outputs/r/report/audit.html").read_text(encoding="utf-8")
    assert "<b>'" not in page
    assert "&lt;b&gt;&#39;&#34;&amp;" in page
    assert "1 group of exact copies carries more than one label (2 images)." in page
    targets = {row["target"] for row in read_csv(tmp_path / "outputs/r/audit/copies.csv")}
    assert targets == {"=1+1", "<b>'\"&"}
    assert {row["target"] for row in read_csv(tmp_path / "outputs/r/split.csv")} == {"=1+1", "<b>'\"&", "two\nlines"}
    for name in ("audit/copies.csv", "split.csv"):
        text = (tmp_path / "outputs/r" / name).read_text(encoding="utf-8")
        assert ",'=1+1" in text
        assert ",=1+1" not in text, "no formula in a spreadsheet"


def test_a_typo_is_told_before_anything_is_read(tmp_path: Path) -> None:
    done = audit(tmp_path, "audit.on_leak=mend", cwd=tmp_path)
    assert done.returncode == 2
    assert "audit.on_leak" in done.stderr
    helped = run_command(["-c", PROGRAM, "audit", "--help"], cwd=tmp_path)
    assert helped.returncode == 0
    assert "audit.on_leak=fix|error|warn" in helped.stdout


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="set SCANLENS_TEST_DATA to the folder of real data sets")
def test_the_author_s_folders_of_a_popular_set_leak_two_thirds_of_its_test_images(tmp_path: Path) -> None:
    root = f"data.root={REAL}/brain-tumour-mri"
    done = run_command(["-c", PROGRAM, "audit", "data=brain_tumor_mri", root, "run_id=r"], cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (given,) = (leak for leak in content(tmp_path)["duplicates"]["leaks"]["given"] if leak["kind"] == "near")
    assert given["of"] == 207
    assert 138 <= given["num_images"] <= 146
    assert content(tmp_path)["duplicates"]["leaks"]["final"] == []


def test_data_that_cannot_be_divided_are_audited_all_the_same(leaky: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        save(Image.open(leaky / "Training" / name / "0.png"), tmp_path / "two" / name / "0.png")
    done = audit(tmp_path / "two", cwd=tmp_path)
    assert done.returncode == 1
    assert "stays empty" in done.stderr
    assert content(tmp_path)["num_images"] == 2
    assert not (tmp_path / "outputs/r/split.csv").exists()
    assert "Not made: " in (tmp_path / "outputs/r/report/audit.html").read_text(encoding="utf-8")
