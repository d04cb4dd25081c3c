"""The command line as a process: exit statuses, messages, folders, and how fast a typo is answered."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from scanlens import __version__, cli
from scanlens.errors import ConfigError, DataError

HERE = Path(__file__).parent
JOB = HERE / "fakes" / "recorded_job.py"
NO_TORCH = """
import atexit, sys
heavy = ("torch", "numpy", "pytorch_lightning", "monai", "matplotlib")
atexit.register(lambda: print("HEAVY", [name for name in heavy if name in sys.modules]))
from scanlens.cli import train
train(sys.argv[1:])
"""


def run(*arguments: str, cwd: Path, script: Path = JOB, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(("RUN_ID", "SLURM_"))}
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        cwd=cwd,
        env=inherited | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def status_of(command: Callable[[list[str]], object], arguments: list[str]) -> object:
    with pytest.raises(SystemExit) as stopped:
        command(arguments)
    return stopped.value.code


def seen(folder: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((folder / "seen.json").read_text())


def only_run(cwd: Path) -> Path:
    (folder,) = [path for path in (cwd / "outputs").iterdir() if not path.name.startswith(".")]
    return folder


def test_typos_are_answered_fast_and_without_torch(tmp_path: Path) -> None:
    words = ["modle=lenet", "sede=7", "optim.lrr=1", "experiment=smok", "trainer.max_epochs=many"]
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, *words], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    seconds = time.perf_counter() - began
    sys.stdout.write(f"five typos answered in {seconds:.2f} s\n")
    assert done.returncode == 2, done.stderr
    assert done.stdout.strip() == "HEAVY []"
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("5 mistakes in the configuration:\n")
    for suggestion in ("'model'", "'seed'", "'lr'", "'smoke'"):
        assert f"Did you mean {suggestion}?" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert seconds < 4


@pytest.mark.parametrize("question", [["--help"], ["--cfg", "job"], ["--info", "defaults"]])
def test_questions_are_answered_without_torch(question: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, *question],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().endswith("HEAVY []")
    assert list(tmp_path.iterdir()) == []


def test_help_lists_groups_options_and_the_way_on(tmp_path: Path) -> None:
    text = run("--help", cwd=tmp_path).stdout
    assert "model: autoencoder, " in text
    assert "balance: balanced_sampler, class_weights, focal, logit_adjustment, none" in text
    for word in ("--cfg job", "Exit status", "not for diagnosis", "python train.py model=vgg19 data=mri"):
        assert word in text


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a question prints, asked in this process."""
    for name in (cli.RUN_ID, "HYDRA_FULL_ERROR", "SLURM_JOB_ID", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)

    def answer(*words: str) -> str:
        assert status_of(cli.train, list(words)) == 0
        return capsys.readouterr().out

    return answer


def test_cfg_job_shows_the_configuration_of_the_command(ask: Callable[..., str]) -> None:
    assert "lr: 0.25" in ask("--cfg", "job", "seed=5", "-p", "optim", "optim.lr=0.25")


def test_flags_and_settings_come_in_any_order(ask: Callable[..., str]) -> None:
    assert ask("seed=5", "--cfg", "job", "model=mlp").startswith("seed: 5\n")


@pytest.mark.parametrize(
    "environment, pattern",
    [
        ({"SLURM_ARRAY_JOB_ID": "17", "SLURM_ARRAY_TASK_ID": "4"}, r"slurm-17-4"),
        ({"SLURM_JOB_ID": "17"}, r"slurm-17"),
        ({"RUN_ID": "outer", "SLURM_JOB_ID": "17"}, r"outer"),
        ({}, r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d+"),
    ],
)
def test_a_run_without_a_name_is_called_after_an_outer_process_or_slurm_or_the_time(
    ask: Callable[..., str], monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], pattern: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    shown = ask("--cfg", "job", "--resolve", "-p", "paths", "paths.cache=${run_id}")
    assert re.search(rf"^cache: {pattern}$", shown, re.MULTILINE), shown


def test_a_run_gets_a_folder_without_files_of_hydra_which_hold_paths(tmp_path: Path) -> None:
    done = run("seed=3", "run_id=first-try", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "first-try"
    config = seen(folder)
    assert config["seed"] == 3
    assert config["run_dir"] == str(folder)
    assert config["paths"] == {"outputs": str(tmp_path / "outputs"), "cache": str(tmp_path / "outputs" / ".cache")}
    assert config["run_id"] == "first-try"
    assert not list(folder.rglob("*hydra*"))


@pytest.mark.parametrize("word", ["run_id=../elsewhere", "run_id=a,b", "run_id=", "run_id=.hidden", "+run_id=a/b"])
def test_a_name_that_could_leave_the_folder_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(cli.train, [word]) == 2
    assert "run_id must be letters, digits" in capsys.readouterr().err


def test_each_job_of_a_sweep_has_a_folder_below_the_one_of_the_run(tmp_path: Path) -> None:
    done = run("-m", "model=lenet,autoencoder", "seed=2", "run_id=sweep", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "sweep"
    jobs = {name: seen(folder / name) for name in ("0", "1")}
    assert [(job["seed"], job["task"]["_target_"].rpartition(".")[2]) for job in jobs.values()] == [
        (2, "ClassificationTask"),
        (2, "ReconstructionTask"),
    ]
    assert all(job["run_dir"] == str(folder / name) for name, job in jobs.items())


def test_a_sweep_with_one_wrong_value_starts_no_job(tmp_path: Path) -> None:
    done = run("-m", "seed=1,x", cwd=tmp_path)
    assert done.returncode == 2
    assert "seed must be a whole number, got 'x'" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_fold_is_chosen_at_the_top_or_by_its_old_name(tmp_path: Path) -> None:
    for words in (["folds=5", "fold=2"], ["split.folds=5", "split.fold=2"], ["split.folds=5", "fold=2"]):
        done = run(*words, f"run_id={words[0][0]}{words[1][0]}", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        split = seen(tmp_path / "outputs" / f"{words[0][0]}{words[1][0]}")["split"]
        assert (split["folds"], split["fold"]) == (5, 2)


def test_groups_of_the_user_are_found_in_their_own_folder(tmp_path: Path) -> None:
    done = run("--config-dir", str(HERE / "fakes" / "config_tree"), "experiment=fake", "run_id=r", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert seen(tmp_path / "outputs" / "r")["seed"] == 7


class SIGTERMException(SystemExit):
    """Lightning's, which carries no status."""


@pytest.mark.parametrize(
    "raised, status, text",
    [
        (DataError("no images under /nowhere"), 1, "no images under /nowhere\n"),
        (ConfigError(["seed must be a whole number"]), 2, "1 mistake in the configuration:\n  - seed must be"),
        (KeyboardInterrupt(), 130, "goes on from the last checkpoint"),
        (SIGTERMException(), 143, ""),
        (SystemExit(99), 99, ""),
        (SystemExit(), 0, ""),
        (SystemExit("no"), 1, "no\n"),
    ],
    ids=repr,
)
def test_every_way_to_stop_has_its_exit_status(
    raised: BaseException, status: int, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        raise raised

    assert cli.exit_status(command) == status
    assert text in capsys.readouterr().err


def test_a_mistake_of_ours_keeps_its_traceback() -> None:
    with pytest.raises(ZeroDivisionError):
        cli.exit_status(lambda: print(1 / 0))


@pytest.mark.parametrize(
    "behavior, status, text, has_traceback",
    [
        ("data", 1, "no images under /nowhere", False),
        ("crash", 1, "RuntimeError: a mistake of ours", True),
        ("sigterm", 143, "", False),
    ],
)
def test_whatever_stops_a_run_has_its_exit_status(
    tmp_path: Path, behavior: str, status: int, text: str, has_traceback: bool
) -> None:
    done = run("run_id=r", cwd=tmp_path, FAKE_BEHAVIOR=behavior)
    assert done.returncode == status, done.stderr
    assert text in done.stderr
    assert ("Traceback" in done.stderr) == has_traceback


def test_a_job_of_a_sweep_that_fails_fails_the_sweep(tmp_path: Path) -> None:
    assert run("-m", "seed=1", cwd=tmp_path, FAKE_BEHAVIOR="data").returncode == 1


def test_pickles_are_not_rerun(capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(cli.train, ["--experimental-rerun", "config.pickle"]) == 2
    assert "reads a pickle" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, status, text",
    [
        (["--version"], 0, f"scanlens {__version__}"),
        (["--help"], 0, "scanlens report run=outputs/RUN_ID"),
        ([], 0, "scanlens predict run=outputs/RUN_ID path=FILE"),
        (["trian"], 2, "there is no command 'trian'. Did you mean 'train'?"),
        (["report"], 2, "scanlens report needs run=..."),
        (["report", "rum=x"], 2, "scanlens report has no 'rum'. Did you mean 'run'?"),
        (["report", "run=no-such-run"], 1, "no-such-run"),
        (["report", "run=r", "reveal_after_commit=maybe"], 2, "reveal_after_commit=maybe: true or false is expected."),
        (
            ["report", "run=r", f"intended_use={'x' * 601}"],
            2,
            "intended_use has 601 letters, at most 600 are expected.",
        ),
        (["predict", "run=r", "path=a.png", "path=b.png"], 0, "r ['a.png', 'b.png'] 3 True False"),
        (["predict", "run=r", "path=a.nii", "maps=12", "overlay=false"], 0, "r ['a.nii'] 12 False False"),
        (["predict", "run=r", "path=a.dcm", "names=keep"], 0, "r ['a.dcm'] 3 True True"),
        (["predict", "run=r", "path=a.dcm", "names=hide"], 2, "auto (as in the run) or keep is expected, got 'hide'"),
        (["predict", "run=r", "path=a.nii", "overlay=no"], 2, "true or false is expected, got 'no'"),
        (["predict", "run=r", "path=a.nii", "maps=-1"], 2, "a whole number from 0, is expected, got '-1'"),
        (["predict", "run=r", "a.png"], 2, "'a.png' is not of the form name=value"),
        (["train", "sede=1"], 2, "Did you mean 'seed'?"),
        (["cache"], 1, "there is no folder outputs/.cache"),
        (["cache", "clear", "older_then=3"], 2, "scanlens cache has no 'older_then'. Did you mean 'older_than'?"),
        (["cache", "older_than=3"], 2, "scanlens cache has no 'older_than'"),
        (["cache", "cler"], 2, "'cler' is not of the form name=value"),
        (["train", "--version"], 0, f"scanlens {__version__}"),
    ],
)
def test_the_console_script(
    arguments: list[str],
    status: int,
    text: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pipeline = ModuleType("scanlens.pipeline.predict")
    pipeline.predict = lambda run, paths, num_mapped, overlay, shows_files: sys.stdout.write(
        f"{run} {[str(path) for path in paths]} {num_mapped} {overlay} {shows_files}\n"
    )  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, pipeline.__name__, pipeline)
    monkeypatch.setenv("RUN_ID", "a-run")
    monkeypatch.chdir(tmp_path)
    assert status_of(cli.main, arguments) == status
    shown = capsys.readouterr()
    assert text in shown.out + shown.err


def test_a_run_id_of_an_experiment_cannot_leave_the_folder_of_runs(tmp_path: Path) -> None:
    (tmp_path / "mine" / "experiment").mkdir(parents=True)
    text = "# @package _global_\nrun_id: ../../elsewhere\n"
    (tmp_path / "mine" / "experiment" / "away.yaml").write_text(text, encoding="utf-8")
    done = run(f"--config-dir={tmp_path / 'mine'}", "experiment=away", cwd=tmp_path, script=HERE.parent / "train.py")
    assert done.returncode == cli.WRONG_CONFIGURATION
    assert "run_id must be letters" in done.stderr
    assert not (tmp_path.parent / "elsewhere").exists()


@pytest.mark.parametrize("command", ["report", "predict", "folds", "compare", "explain", "dicom", "selftest", "cache"])
def test_each_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(cli.main, [command, "--help"]) == cli.DONE
    assert capsys.readouterr().out.startswith(f"scanlens {command} ")
