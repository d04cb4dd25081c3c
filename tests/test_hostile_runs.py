"""Run folders that were tampered with, moved or made by other versions: opened, or refused in one sentence; nothing in them is run."""

from __future__ import annotations

import errno
import json
import os
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from fakes.commands import train
from fakes.run_folder import write_run_folder
from scanlens import cli, files, run_schema
from scanlens.config import freeze, load_frozen
from scanlens.errors import ModelError, RunError
from scanlens.files import locked
from scanlens.models.lenet import LeNet
from scanlens.models.weights import read_weights
from scanlens.pipeline.checkpoints import checkpoint_to_resume
from scanlens.pipeline.fingerprint import read_fingerprint
from scanlens.report.page import write_report
from scanlens.runs import Run, load_run

SMALL = [
    "model=lenet",
    "data.num_patients=24",
    "data.slices_per_patient=2",
    "preprocess.size=32",
    "trainer.max_epochs=1",
]
SMALL += [
    "callbacks.num_explained_cases=1",
    "callbacks.bootstrap_resamples=0",
    "verdict.enabled=false",
    "audit.enabled=false",
]


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def mark(tmp_path: Path) -> Iterator[Path]:
    """What a payload makes: it must not be there in the end."""
    path = tmp_path / "ran"
    pickle.loads(pickle.dumps(Payload(path)))
    path.rmdir()
    yield path
    assert not path.exists(), "the payload was run"


def payloads(mark: Path, path: Path) -> dict[str, bytes]:
    torch.save({"state_dict": {"x": Payload(mark)}}, path)
    zipped = path.read_bytes()
    return {
        "pickle": pickle.dumps(Payload(mark)),
        "torch": zipped,
        "old pickle": pickle.dumps(Payload(mark), protocol=0),
    }


@pytest.mark.parametrize("kind", ["pickle", "torch", "old pickle"])
@pytest.mark.parametrize("name", ["weights.safetensors", "initial.safetensors", "best.ckpt", "x.pt", "x.pth"])
def test_code_in_weights_is_not_run(name: str, kind: str, mark: Path, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(payloads(mark, tmp_path / "made")[kind])
    with pytest.raises(ModelError, match=name):
        read_weights(tmp_path / name)


@pytest.mark.parametrize("kind", ["pickle", "torch", "old pickle"])
@pytest.mark.parametrize("name", ["last.ckpt", "before.ckpt", "best.ckpt"])
def test_code_in_a_checkpoint_is_not_run(
    name: str, kind: str, mark: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    network = LeNet(num_classes=2, in_channels=1, input_size=32, input_mean=[0.5], input_std=[0.5])
    run = Run(tmp_path / "r")
    run.checkpoints.mkdir(parents=True)
    (run.checkpoints / name).write_bytes(payloads(mark, tmp_path / "made")[kind])
    assert checkpoint_to_resume(run, network) is None
    assert f"checkpoints/{name} is damaged" in caplog.text


def test_code_in_arrays_is_not_run(mark: Path, tmp_path: Path) -> None:
    np.savez(
        tmp_path / "fingerprint.npz",
        a=np.array([Payload(mark)], dtype=object),
        version=np.array([Payload(mark)], dtype=object),
    )
    with pytest.raises(RunError, match="Object arrays cannot be loaded when allow_pickle=False"):
        read_fingerprint(tmp_path / "fingerprint.npz")


# The report, which reads a folder that somebody else may have sent.


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("evaluation.json", "{", "cannot be read as JSON"),
        ("evaluation.json", "[]", "expected a mapping"),
        ("evaluation.json", '{"schema_version": 99}', "expected schema_version 1, got 99"),
        ("evaluation.json", "[" * 100_000, "cannot be read as JSON"),
        ("provenance.json", "[]", "expected a mapping"),
        ("provenance.json", "", "cannot be read as JSON"),
        ("config.yaml", "- 1", "expected a mapping|no configuration"),
        ("config.yaml", "schema_version: 99\nfacts: {}\n", "was made by a newer scanlens"),
        ("config.yaml", "schema_version: new\nfacts: {}\n", "schema_version must be a whole number, got 'new'"),
        ("config.yaml", "schema_version: true\nfacts: {}\n", "schema_version must be a whole number, got True"),
        ("predictions/test.csv", "case,id\n" + "x" * 200_000 + ",1\n", "cannot be read as CSV"),
        ("predictions/test.csv", b"\xff\xfe\x00", "is not UTF-8 text"),
        ("explanations/cases.json", "null", "expected a mapping"),
        ("missed/cases.json", '{"a": ', "cannot be read as JSON"),
    ],
    ids=lambda value: str(value)[:40].replace("\n", " "),
)
def test_a_damaged_file_is_named(name: str, content: str | bytes, told: str, tmp_path: Path) -> None:
    run = write_run_folder(tmp_path / "r")
    (run / name).parent.mkdir(exist_ok=True)
    (run / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(RunError, match=told):
        write_report(run)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("evaluation.json", "{}"),
        ("evaluation.json", '{"task": 1e999, "splits": NaN, "class_names": {"a": NaN}}'),
        ("metrics.csv", ",".join(f"c{i}" for i in range(100_000)) + "\n" + ",".join("1" * 100_000) + "\n"),
    ],
    ids=["nothing", "numbers that are none", "100,000 columns"],
)
def test_what_is_missing_is_not_assessed(name: str, content: str, tmp_path: Path) -> None:
    run = write_run_folder(tmp_path / "r")
    (run / name).write_text(content, encoding="utf-8")
    assert write_report(run).is_file()


# Configurations changed by hand, and layouts of other versions.

FOREIGN = {
    "a function": ("model", "os.system"),
    "an alias": ("optim", "torch.optim.sgd.torch.load"),
    "a method": ("trainer", "pathlib.Path.unlink"),
    "no text": ("model", 7),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_class_in_a_run_is_refused_by_whoever_opens_it(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part, target = FOREIGN[name]
    run = write_run_folder(tmp_path / "r")
    content = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
    content[part] = (content.get(part) or {}) | {"deep": [{"_target_": target}]}
    (run / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(RunError, match="names what a run may not build"):
        load_frozen(run)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", f"run={run}"])
    assert stopped.value.code == cli.FAILED
    assert f"{part} has _target_ {target!r}" in capsys.readouterr().err


def test_a_run_without_a_number_is_read_as_what_it_did(tmp_path: Path) -> None:
    old = {"seed": 1, "callbacks": {"patience": 3}, "facts": {}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(old), encoding="utf-8")
    found = load_frozen(tmp_path)
    assert found["privacy"]["names"] == "keep"
    assert found["robustness"]["enabled"] is False
    assert found["uncertainty"]["mc_passes"] == 0
    assert found["callbacks"] == {
        "patience": 3,
        "explain_max_share": 0.05,
        "register_maps": False,
        "checkpoint_minutes": None,
    }
    assert found["seed"] == 1


def test_a_run_of_today_has_the_number_of_today_and_comes_back_as_it_was(tmp_path: Path) -> None:
    values = {"seed": 1, "privacy": {"names": "hide"}, "facts": {"x": 1}}
    freeze(values, tmp_path)
    assert yaml.safe_load((tmp_path / "config.yaml").read_text())["schema_version"] == run_schema.RUN_SCHEMA
    assert load_frozen(tmp_path) == values
    assert set(run_schema.MIGRATIONS) == set(range(run_schema.RUN_SCHEMA))


# Folders.


def test_a_page_is_not_written_while_another_process_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run_folder(tmp_path / "r")
    with locked(run / ".lock"), pytest.raises(SystemExit) as stopped:
        cli.main(["report", f"run={run}"])
    assert stopped.value.code == cli.FAILED
    assert "another process is writing into" in capsys.readouterr().err
    with pytest.raises(SystemExit) as stopped:  # a lock file that nobody holds is none
        cli.main(["report", f"run={run}"])
    assert stopped.value.code == cli.DONE


def test_a_folder_that_cannot_be_written_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run_folder(tmp_path / "r")

    def refuse(**words: Any) -> tuple[int, str]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(words["dir"]))

    monkeypatch.setattr(files.tempfile, "mkstemp", refuse)
    with pytest.raises(SystemExit) as stopped:
        cli.main(["report", f"run={run}"])
    assert stopped.value.code == cli.FAILED
    assert f"the disk refuses {run}: Read-only file system" in capsys.readouterr().err


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("hostile")
    done = train(*SMALL, "run_id=r", cwd=where)
    assert done.returncode == 0, done.stderr
    return where


@pytest.mark.slow
def test_a_run_that_was_moved_and_renamed_goes_on_without_its_cache(finished: Path, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere" / "renamed"
    shutil.copytree(finished / "outputs" / "r", moved)
    content = (moved / "config.yaml").read_text(encoding="utf-8")
    (moved / "config.yaml").write_text(content.replace(str(finished), str(tmp_path / "gone")), encoding="utf-8")
    run, network = load_run(moved)
    from scanlens.pipeline.run_images import open_data

    data = open_data(run)
    assert len(data.cached.images) == len(run.split_rows)
    assert data.cached.folder.parent == moved.parent / ".cache"
    assert not network.training


@pytest.mark.slow
@pytest.mark.parametrize("change", ["gone", "new", "touched"])
def test_a_run_that_goes_on_tells_of_other_images(change: str, tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a", "b"):
        for number in range(12):
            path = tmp_path / "scans" / name / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.effect_noise((40, 40), 60).save(path)
    words = [*SMALL[:1], *SMALL[3:], "data=folder", f"data.root={tmp_path / 'scans'}", "preprocess.size=32", "run_id=r"]
    assert train(*words, cwd=tmp_path).returncode == 0
    run = Run(tmp_path / "outputs" / "r")
    noted = json.loads(run.provenance_file.read_text(encoding="utf-8")) | {"stages": ["prepare"]}
    run.provenance_file.write_text(json.dumps(noted), encoding="utf-8")
    one = tmp_path / "scans" / "a" / "3.png"
    if change == "gone":
        one.unlink()
    elif change == "new":
        shutil.copy(one, one.with_name("99.png"))
    else:
        os.utime(one, (1, 1))
    done = train(*words, cwd=tmp_path)
    assert done.returncode == (0 if change == "touched" else 1), done.stderr
    told = {"gone": "1 of 24 are gone, 0 are new (gone: a/3.png)", "new": "0 of 24 are gone, 1 are new (new: a/99.png)"}
    assert told.get(change, "going on with the images decoded then") in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("provenance.json", "{", "provenance.json cannot be read"),
        ("provenance.json", "[]", "a mapping of names to values is expected, got list"),
        ("provenance.json", '{"stages": "fit"}', "stages must be some of prepare, fit, judge, report"),
    ],
    ids=["broken", "a list", "stages that are none"],
)
def test_a_run_whose_stages_cannot_be_read_is_refused(
    finished: Path, name: str, content: str, told: str, tmp_path: Path
) -> None:
    shutil.copytree(finished / "outputs", tmp_path / "outputs")
    (tmp_path / "outputs" / "r" / name).write_text(content, encoding="utf-8")
    done = train(*SMALL, "run_id=r", cwd=tmp_path)
    assert done.returncode == cli.FAILED
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_network_that_no_memory_holds_is_told(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / "outputs" / "r", tmp_path / "r")
    content = yaml.safe_load((tmp_path / "r" / "config.yaml").read_text(encoding="utf-8"))
    content["facts"]["class_names"] = 10**13
    (tmp_path / "r" / "config.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(RunError, match="does not describe a network of this version"):
        load_run(tmp_path / "r")
