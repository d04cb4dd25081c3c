"""Planted names, numbers, dates, paths and header text reach nothing that a person may pass on."""

from __future__ import annotations

import base64
import io
import json
import os
import stat
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from fakes.commands import run_command, train
from fakes.optional import why_no_pdf
from fakes.secret_search import leaks_in, secrets_of
from fakes.secrets import NAME, SECRETS, home, write_dicoms, write_niftis, write_pictures, write_table
from scanlens.files import read_csv
from scanlens.runs import Run

QUICK = ["model=lenet", "trainer.max_epochs=1", "augment=none", "preprocess.size=32", "split.fractions=[0.4,0.3,0.3]",
         "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=0", "run_id=r"]  # fmt: skip
QUICK += ["loader.max_quarantined_share=0.5", "callbacks.explain_every_n_epochs=0"]
SETS: dict[str, tuple[Callable[..., Path], list[str]]] = {
    "pictures": (write_pictures, ["data=folder", "data.patient_from=folder"]),
    "table": (write_table, ["data=table", "data.meta=[site]"]),
    "niftis": (write_niftis, ["data=nifti", r"data.patient_pattern='(\w+_ida\S*)[.]nii'"]),
    "dicoms": (write_dicoms, ["data=dicom", "data.labels={file: labels.csv, by: patient, key: patient, label: label}"]),
}
# What names files, so that a run can go on and be checked (docs/privacy.md); of hidden names only what says where the data lie.
PRIVATE = ("config.yaml", "split.csv", "images.csv", "quarantine.csv", "volumes.csv", "meta.csv", "manifest.json",
           "predictions/*.csv", "new/*/*.csv")  # fmt: skip
WHERE = ("config.yaml",)
PROGRAM = "from scanlens.cli import main; main()"
POSIX = pytest.mark.skipif(os.name != "posix", reason="modes of files are those of POSIX")


def trained(folder: Path, kind: str, *words: str, num: int = 12) -> tuple[Run, subprocess.CompletedProcess[str]]:
    """A run of one epoch on one of the sets, all of whose people are called alike."""
    write, settings = SETS[kind]
    root = home(folder)
    if not root.is_dir():
        write(root, num=num)
    (folder / "work").mkdir(exist_ok=True)
    done = train(*settings, f"data.root={root}", *QUICK, *words, cwd=folder / "work")
    assert done.returncode == 0, done.stderr
    return Run(folder / "work" / "outputs" / "r"), done


def scanlens(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    done = run_command(["-c", PROGRAM, *words], cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, subprocess.CompletedProcess[str]]:
    return trained(tmp_path_factory.mktemp("pictures"), "pictures")


def test_the_search_finds_what_is_packed_drawn_or_encoded() -> None:
    chunk = PngImagePlugin.PngInfo()
    chunk.add_text("Comment", NAME, zip=True)
    png, archive, plain = io.BytesIO(), io.BytesIO(), io.BytesIO()
    Image.new("L", (4, 4)).save(png, "PNG", pnginfo=chunk)
    np.savez_compressed(archive, names=np.array([NAME]))
    with zipfile.ZipFile(plain, "w") as file:
        file.writestr(f"{NAME}/x.txt", b"")
    for data in (
        png.getvalue(),
        archive.getvalue(),
        plain.getvalue(),
        b"<img src='data:image/png;base64," + base64.b64encode(png.getvalue()) + b"'>",
        NAME.upper().encode("utf-16"),
        base64.b64encode(f"x{NAME}!".encode()),
    ):
        assert secrets_of(data) == {NAME}
    for secret in SECRETS:
        assert secrets_of(json.dumps({"a": secret}).encode()) >= {secret}
    assert secrets_of(b"Spital%20Nirgendwo M%C3%BC%C3%9Fig-Notiz") == {"Spital Nirgendwo", "Müßig-Notiz"}


def test_a_run_on_pictures_names_nobody_in_what_may_be_passed_on(
    pictures: tuple[Run, subprocess.CompletedProcess[str]],
) -> None:
    run, done = pictures
    assert leaks_in(run.folder.parent, leaving_out=PRIVATE) == {}
    assert secrets_of((done.stdout + done.stderr).encode()) == set()
    assert NAME in run.split_file.read_text(encoding="utf-8"), "by default the tables of pictures name files"
    assert len(read_csv(run.quarantine_file)) == 1
    assert list(run.folder.glob("logs/tensorboard/events*"))
    assert list(run.folder.glob("report/cases/*.html"))


@POSIX
def test_tables_that_name_images_are_their_owners_alone(
    pictures: tuple[Run, subprocess.CompletedProcess[str]],
) -> None:
    run, _ = pictures
    named = leaks_in(run.folder.parent)
    assert {Path(name).name for name in named} >= {"config.yaml", "split.csv", "quarantine.csv", "test.csv"}
    for name in named:
        assert stat.S_IMODE((run.folder.parent / name).stat().st_mode) == 0o600, name
    assert stat.S_IMODE(run.report_file.parent.stat().st_mode) == 0o700


@pytest.mark.slow
def test_commands_on_a_run_name_nobody_in_what_may_be_passed_on(tmp_path: Path) -> None:
    run, _ = trained(tmp_path, "pictures", "report.pdf=true")
    work, new = run.folder.parents[1], home(tmp_path / "new")
    write_pictures(new, num=4)
    told = scanlens("predict", f"run={run.folder}", f"path={new}", cwd=work)
    assert secrets_of(told.stdout.encode()) == set()
    assert len(read_csv(next(run.folder.glob("new/*/predictions.csv")))) == 9
    scanlens("explain", f"run={run.folder}", "parts=score_card,registration,shortcuts", cwd=work)
    scanlens("evaluate", f"run={run.folder}", f"data.root={new}", "on_seen=warn", cwd=work)
    scanlens("robustness", f"run={run.folder}", cwd=work)
    scanlens("report", f"run={run.folder}", cwd=work)
    assert (run.explanations / "score_card_cases.csv").is_file()
    assert why_no_pdf() or list(run.folder.glob("report/**/*.pdf"))
    assert leaks_in(work, leaving_out=PRIVATE) == {}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["table", "niftis"])
def test_other_sets_name_nobody_in_what_may_be_passed_on(kind: str, tmp_path: Path) -> None:
    run, done = trained(tmp_path, kind)
    assert leaks_in(run.folder.parent, leaving_out=PRIVATE) == {}
    assert secrets_of((done.stdout + done.stderr).encode()) == set()


@pytest.mark.slow
def test_a_run_on_dicom_files_holds_no_name_but_where_the_data_lie(tmp_path: Path) -> None:
    run, done = trained(tmp_path, "dicoms")
    work, new = run.folder.parents[1], home(tmp_path / "new")
    write_dicoms(new, num=2)
    told = scanlens("predict", f"run={run.folder}", f"path={new}", cwd=work)
    assert leaks_in(work, leaving_out=WHERE) == {}
    assert secrets_of((done.stdout + done.stderr + told.stdout).encode()) == set()
    assert len(read_csv(run.quarantine_file)) == 1
    table = read_csv(next(run.folder.glob("new/*/predictions.csv")))
    split_of = {row["patient"]: row["split"] for row in run.split_rows}
    for row in table:
        if not row["reason"]:
            assert row["seen_in_training"] == ("" if split_of[row["patient"]] == "test" else "image")
    scanlens("predict", f"run={run.folder}", f"path={new}", "names=keep", cwd=work)
    assert any(NAME in path.read_text(encoding="utf-8") for path in run.folder.glob("new/*/predictions.csv"))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pictures", "niftis"])
def test_hidden_names_leave_no_name_and_everything_works(kind: str, tmp_path: Path) -> None:
    run, _ = trained(tmp_path, kind, "privacy.names=hide")
    work = run.folder.parents[1]
    assert leaks_in(work, leaving_out=WHERE) == {}
    (run.folder / "evaluation.json").unlink()
    content = json.loads(run.provenance_file.read_text(encoding="utf-8"))
    run.provenance_file.write_text(json.dumps(content | {"stages": ["prepare"]}), encoding="utf-8")
    trained(tmp_path, kind, "privacy.names=hide")  # the same command goes on
    told = scanlens("predict", f"run={run.folder}", f"path={home(tmp_path)}", cwd=work)
    table = read_csv(next(run.folder.glob("new/*/predictions.csv")))
    split_of = {row["id"]: row["split"] for row in run.split_rows}
    patients = {row["patient"] for row in run.split_rows}
    assert {row["patient"] for row in table if not row["reason"]} == patients
    if kind == "pictures":
        seen = {row["file"]: row["seen_in_training"] for row in table if not row["reason"]}
        assert {split_of[name] for name, word in seen.items() if word == "image"} == {"train", "val"}
        assert {split_of[name] for name, word in seen.items() if not word} == {"test"}
    refused = run_command(["-c", PROGRAM, "evaluate", f"run={run.folder}", f"data.root={home(tmp_path)}"], cwd=work)
    assert refused.returncode == 1
    assert "were used for" in refused.stderr
    scanlens("evaluate", f"run={run.folder}", f"data.root={home(tmp_path)}", "on_seen=warn", cwd=work)
    assert secrets_of(told.stdout.encode()) == set()
    assert leaks_in(work, leaving_out=WHERE) == {}


@pytest.mark.slow
def test_an_audit_names_nobody_in_what_may_be_passed_on(tmp_path: Path) -> None:
    root = write_pictures(home(tmp_path), num=6)
    for name in list(root.rglob("*.png"))[:2]:  # copies, so that lists have rows
        name.with_name(f"{NAME} copy {name.name}").write_bytes(name.read_bytes())
    scanlens("audit", "data=folder", f"data.root={root}", "loader.max_quarantined_share=0.5", "run_id=a", cwd=tmp_path)
    scanlens("audit", "data=folder", f"data.root={root}", "loader.max_quarantined_share=0.5", "run_id=h", "privacy.names=hide", cwd=tmp_path)  # fmt: skip
    undivided = ["audit", "data=folder", f"data.root={root}", "loader.max_quarantined_share=0.5", "split.by=patient"]
    assert run_command(["-c", PROGRAM, *undivided, "run_id=b"], cwd=tmp_path).returncode == 1
    assert json.loads((tmp_path / "outputs/b/audit.json").read_text(encoding="utf-8"))["not_divided"]
    assert len(read_csv(tmp_path / "outputs/a/audit/copies.csv")) >= 4
    assert len(read_csv(tmp_path / "outputs/b/images.csv")) == 14
    assert leaks_in(tmp_path / "outputs", leaving_out=PRIVATE) == {}
    assert leaks_in(tmp_path / "outputs/h") == {}
