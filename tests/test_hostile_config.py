"""Hostile configurations: each is refused before anything is run, written or followed, in words that say what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fakes.commands import REPOSITORY, train
from scanlens import cli
from scanlens.config import load_frozen
from scanlens.config.composing import Composer
from scanlens.config.precheck import precheck
from scanlens.errors import RunError
from scanlens.paths import config_dir

SECRET = "hunter2-of-the-environment"
LAUGHS = "".join(f"  a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 10))
BOMB = f"  a0: &a0 [x, x, x, x, x, x, x, x, x]\n{LAUGHS}"
MERGES = "  m0: &m0 {a: 1, b: 2}\n" + "".join(f"  m{i}: &m{i} {{x: *m{i - 1}, y: *m{i - 1}}}\n" for i in range(1, 30))

# Files of a folder given by --config-dir: what an experiment holds, and words of its refusal.
FILES: dict[str, tuple[str | bytes, str]] = {
    "bomb of aliases": (f"data:\n{BOMB}", "at most 20,000 values are expected of a configuration"),
    "bomb of mappings": (f"data:\n{MERGES}", "at most 20,000 values are expected of a configuration"),
    "alias of itself": ("data: &d\n  sidecar: {x: *d}\n", "'*d' stands in what it refers to, which has no end"),
    "alias of itself in a list": ("data: {sidecar: &s [1, *s]}\n", "which has no end"),
    "alias of nothing": ("data: {root: *nobody}\n", "undefined alias"),
    "3000 mappings deep": ("data:\n  sidecar: " + "{a: " * 3000 + "1" + "}" * 3000, "nested more than 32 deep"),
    "300 mappings deep": ("data:\n  sidecar: " + "{a: " * 300 + "1" + "}" * 300, "nested more than 32 deep"),
    "5000 lists deep": ("data:\n  sidecar: " + "[" * 5000 + "]" * 5000, "nested more than 32 deep"),
    "deep by aliases": (
        "a0: &a0 [1]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}]\n" for i in range(1, 50)),
        "nested more than 32 deep",
    ),
    "100,000 settings": ("".join(f"x{i}: 1\n" for i in range(100_000)), "at most 1,048,576 bytes|at most 20,000 values"),
    "2 MiB of comment": ("#" * 2**21, "at most 1,048,576 bytes are expected"),
    "a Python call": ("data: {root: !!python/object/apply:os.system ['touch MARK']}\n", "could not determine a constructor"),
    "a Python object": ("data: {root: !!python/object/new:os.system ['touch MARK']}\n", "could not determine a constructor"),
    "a Python name": ("data: {root: !!python/name:os.system }\n", "could not determine a constructor"),
    "a Python module": ("data: {root: !!python/module:os }\n", "could not determine a constructor"),
    "an own tag": ("data: {root: !evil x}\n", "could not determine a constructor"),
    "binary": ("data:\n  root: !!binary aGVsbG8=\n", "data.root must be text or null, got b'hello'"),
    "twice the same key": ("seed: 1\nseed: 2\n", "found duplicate key seed"),
    "NUL in a path": ('data: {root: "a\\0b"}\n', "data.root holds a NUL character"),
    "NUL in a list": ('data: {class_names: ["a\\0b", "c"]}\n', "data.class_names.0 holds a NUL character"),
    "half of a character": ('data: {root: "\\ud800"}\n', "data.root holds bytes that are no UTF-8"),
    "a number as a key": ("1: 2\n", "there is no setting '1'"),
    "a truth value as a key": ("true: 2\n", "there is no setting 'True'"),
    "null as a key": ("null: 2\n", "Incompatible key type"),
    "a tab": ("data:\n\troot: x\n", "cannot start any token"),
    "UTF-16": ("seed: 1".encode("utf-16"), "codec can't decode|character"),
    "rubbish": (bytes(range(128, 256)) * 8, "codec can't decode"),
    "a number of 6000 digits": ("seed: 1" + "0" * 6000 + "\n", "Exceeds the limit"),
    "a float of 6000 digits": ("optim: {lr: 1" + "0" * 6000 + ".0}\n", "optim.lr must be a number, got inf"),
    "a list for all": ("- 1\n- 2\n", "settings are expected"),
    "a foreign class": ("callbacks: {extra: [{_target_: os.system, command: touch MARK}]}\n", "is not on the list"),
    "a foreign class in depth": (
        "logger: {extra: [{_target_: pytorch_lightning.loggers.CSVLogger, save_dir: {_target_: os.system}}]}\n",
        "is not on the list",
    ),
    "a logging factory": ("hydra: {job_logging: {formatters: {x: {(): os.system}}}}\n", "factories are refused"),
    "a log elsewhere": (
        "hydra: {job_logging: {formatters: {plain: {format: 'touch MARK'}}, handlers: {file: {filename: /root/.bashrc}}}}\n",
        "handlers.file.filename must lie in the run folder",
    ),
    "a log above": (
        "hydra: {job_logging: {handlers: {file: {filename: '${hydra.runtime.output_dir}/../../x.log'}}}}\n",
        "handlers.file.filename must lie in the run folder",
    ),
    "a log sent away": (
        "hydra: {job_logging: {handlers: {x: {class: logging.handlers.HTTPHandler, host: 'x:1', url: /}}}}\n",
        "must be a class of Python's logging that writes to a terminal or a file",
    ),
    "a library to load first": ("hydra: {job: {env_set: {LD_PRELOAD: /x.so}}}\n", "env_set.LD_PRELOAD is refused"),
    "a place of Python's modules": ("hydra: {job: {env_set: {PYTHONPATH: /x}}}\n", "env_set.PYTHONPATH is refused"),
    "a copied secret": ("hydra: {job: {env_copy: [AWS_SECRET]}}\n", "'AWS_SECRET' is refused"),
    "another search path": ("hydra: {searchpath: ['file:///etc']}\n", "searchpath is only supported from the primary config"),
    "defaults from elsewhere": ("defaults:\n  - /../../../../../../etc/passwd\n", "leads out of the folder of options"),
    "a group from elsewhere": ("defaults:\n  - override /model: ../../../../etc/x\n", "there is no model=../../../../etc/x"),
    "a secret": ("data: {root: '${oc.env:AWS_SECRET}'}\n", "data.root=${oc.env:AWS_SECRET} is refused"),
    "a secret with a default": ("data: {root: '${oc.env:AWS_SECRET,x}'}\n", "is refused"),
    "a secret within text": ("data: {root: 'a${oc.env:AWS_SECRET}b'}\n", "is refused"),
    "a secret decoded": ("data: {root: '${oc.decode:${oc.env:AWS_SECRET}}'}\n", "is refused"),
    "a secret of a made-up resolver": ("data: {root: '${oc.${monitor}:AWS_SECRET}'}\n", "is refused"),
    "a secret as a dictionary": ("data: {sidecar: '${oc.create:${oc.env:AWS_SECRET}}'}\n", "is refused"),
    "a secret behind escapes": ("data: {root: '\\\\\\${oc.env:AWS_SECRET}'}\n", "is refused"),
    "a secret in Hydra's part": ("hydra: {job: {name: '${oc.env:AWS_SECRET}'}}\n", "is refused"),
    "a reference in a circle": ("data: {root: '${data.mask_folder}', mask_folder: '${data.root}'}\n", "leads nowhere"),
    "facts": ("facts: {class_names: [a, b]}\n", "facts are what the data decided"),
}  # fmt: skip

# Words of a command line.
WORDS: dict[str, tuple[list[str], str]] = {
    "an experiment from elsewhere": (["experiment=../../../../PLACE/experiment/facts"], "there is no experiment=../../"),
    "an experiment by its path": (["experiment=/etc/passwd"], "there is no experiment=/etc/passwd"),
    "a model of another group": (["model=../optim/adamw"], "there is no model=../optim/adamw"),
    "a foreign class": (["model._target_=os.system"], "_target_ 'os.system' is not on the list"),
    "an alias of a foreign class": (["optim._target_=torch.optim.sgd.torch.load"], "'sgd' in optim is a module, and nothing"),
    "an alias of a module": (["data._target_=scanlens.data.sources.folder.os"], "there is no class 'os'"),
    "a method": (["model._target_=scanlens.models.lenet.LeNet.__init__"], "'lenet' in models is a module, and nothing"),
    "a dunder name": (["model._target_=scanlens.models.lenet.__builtins__"], "there is no class '__builtins__'"),
    "a private function": (["optim._target_=torch.optim._functional.F"], "there is no class 'F'"),
    "a class of another part": (["model._target_=scanlens.tasks.optim.OptimPlan"], "is not on the list of classes"),
    "_partial_": (["+model._partial_=true"], "there is no setting 'model._partial_'"),
    "_args_": (["+model._args_=[1]"], "there is no setting 'model._args_'"),
    "_recursive_": (["+model._recursive_=false"], "there is no setting 'model._recursive_'"),
    "_convert_": (["+model._convert_=all"], "there is no setting 'model._convert_'"),
    "a class in a list": (
        ["callbacks.extra=[{_target_:pytorch_lightning.callbacks.Timer,duration:{_target_:os.system}}]"],
        "callbacks.extra.0.duration: _target_ 'os.system' is not on the list",
    ),
    "a launcher that runs": (["hydra.launcher._target_=os.system"], "is not one of Hydra's plugins"),
    "a callback of Hydra": (["+hydra.callbacks.x._target_=os.system"], "is not on the list of what Hydra may call"),
    "a preloaded library": (["+hydra.job.env_set.LD_PRELOAD=/x.so"], "env_set.LD_PRELOAD is refused"),
    "copies of Hydra": (["hydra.output_subdir=/elsewhere"], "hydra.output_subdir=/elsewhere is refused"),
    "jobs elsewhere": (["hydra.sweep.subdir=../../x"], "leads out of the folder of the sweep"),
    "a name of the job with a path": (["hydra.job.name=../../x"], "must be a name without '/'"),
    "batches of minus one": (["hydra.sweeper.max_batch_size=-1"], "hydra.sweeper.max_batch_size must be at least 1"),
    "a search path": (["hydra.searchpath=[file:///etc]", "model=evil"], "there is no model=evil"),
    "a secret": (["data.root=${oc.env:AWS_SECRET}"], "is refused: only ${other.setting}"),
    "a secret decoded": (["data.root=${oc.decode:${oc.env:AWS_SECRET}}"], "is refused|cannot be read"),
    "a secret by selection": (["data.root=${oc.select:paths.outputs}"], "is refused"),
    "a secret of Hydra": (["data.root=${hydra:runtime.cwd}"], "is refused"),
    "a secret by a default that warns": (["data.root=${oc.deprecated:seed}"], "is refused"),
    "a secret in quotes": (["data.root='${oc.env:AWS_SECRET}'"], "is refused"),
    "a secret as a key": (["+data.${oc.env:AWS_SECRET}=1"], "cannot be read"),
    "a secret as the folder": (["paths.outputs=${oc.env:AWS_SECRET}"], "is refused"),
    "a secret of a run's folder": (["hydra.run.dir=${oc.env:AWS_SECRET}"], "is refused"),
    "a secret of a log": (["hydra.job_logging.formatters.plain.format=${oc.env:AWS_SECRET}"], "is refused"),
    "a reference to itself": (["data.root=${data.root}"], "leads nowhere"),
    "facts": (["+facts={a:1}"], "facts are what the data decided"),
    "an empty folder": (["paths.outputs="], "paths.outputs must be a path, got an empty text"),
    "an empty root": (["data.root=' '"], "data.root must be a path, got an empty text"),
    "200 mappings deep": ([f"data.class_folders={'{a:' * 200}1{'}' * 200}"], "nested more than 32 deep"),
    "3000 lists deep": ([f"+data.sidecar={'[' * 3000}{']' * 3000}"], "nested more than 32 deep"),
    "a long word": (["data.root=" + "a" * 200_000], "it has 200,010 characters"),
    "5000 digits": (["seed=" + "9" * 5000], "a number of more than 400 digits"),
    "26 digits": (["seed=99999999999999999999999999"], "It is larger than 64 bits hold"),
    "1e308": (["seed=1e308"], "seed must be a whole number, got 1e+308."),
    "1e308 of a share": (["loader.max_cache_gib=1e308"], "must be above 0 and at most 1000000, got 1e+308"),
    "nan": (["optim.lr=nan"], "optim.lr must be a number, got nan"),
    "inf": (["optim.lr=-inf"], "optim.lr must be a number, got -inf"),
    "a truth value": (["seed=true"], "seed must be a whole number, got true"),
    "hexadecimal": (["seed=0x10"], "seed must be a whole number, got '0x10'"),
    "huge pictures": (["preprocess.size=100000"], "preprocess.size must be at least 8 and at most 4096"),
    "huge layers": (["model=mlp", "model.hidden_sizes=[1000000000]"], "each of model.hidden_sizes must be at least 1"),
    "many patients": (["data.num_patients=10000000000"], "data.num_patients must be at least 1 and at most 1000000"),
    "minus one slice": (["data.slices_per_patient=-1"], "data.slices_per_patient must be at least 1"),
    "a negative channel": (["model=autoencoder", "model.channels=[-1]"], "each of model.channels must be at least 1"),
    "nothing": (["="], "there is no ="),
    "no value": (["seed"], "'seed' cannot be read"),
    "no seed": (["~seed"], "seed is missing"),
    "no paths": (["~paths"], "paths is missing"),
    "depth that is not there": (["+a.b.c.d=1"], "there is no setting 'a'"),
}  # fmt: skip
SWEEPS = {
    "a sweep without end": (["seed=range(0,100000000000)"], "gives 100,000,000,000 values, at most 100,000 are swept over"),
    "a sweep without steps": (["optim.lr=range(0,1,0)"], "arg 3 must not be zero"),
    "an interval to infinity": (["optim.lr=interval(0,inf)"], "optim.lr must be a number, got inf"),
}  # fmt: skip


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUN_ID", "a-run")
    monkeypatch.setenv("AWS_SECRET", SECRET)


def file_of(name: str) -> str:
    return name.replace(" ", "-").replace(",", "").replace("'", "")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    here = tmp_path_factory.mktemp("mine")
    (here / "experiment").mkdir()
    for name, (text, _) in FILES.items():
        content = text if isinstance(text, bytes) else f"# @package _global_\n{text}".encode()
        (here / "experiment" / f"{file_of(name)}.yaml").write_bytes(content)
    return here


@pytest.fixture(scope="module")
def composer(folder: Path) -> Composer:
    return Composer(config_dir(), extra_dir=folder)


def assert_refused(found: list[str], told: str) -> None:
    assert any(one in text for one in told.split("|") for text in found), found
    assert not any(SECRET in text for text in found)
    assert all(len(text) < 1000 and "\n" not in text for text in found)


@pytest.mark.parametrize("name", FILES)
def test_a_hostile_file_is_refused(
    composer: Composer, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.process_time()
    assert_refused(precheck([f"experiment={file_of(name)}"], composer), FILES[name][1])
    assert time.process_time() - began < 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WORDS)
def test_a_hostile_word_is_refused(
    composer: Composer, folder: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words, told = WORDS[name]
    began = time.process_time()
    assert_refused(precheck([word.replace("PLACE", str(folder)) for word in words], composer), told)
    assert time.process_time() - began < 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SWEEPS)
def test_a_hostile_sweep_is_refused(composer: Composer, name: str) -> None:
    words, told = SWEEPS[name]
    assert_refused(precheck(words, composer, is_multirun=True), told)


def test_what_the_bounds_let_through() -> None:
    composer = Composer(config_dir())
    names = ",".join(f"class_{i}" for i in range(1000))
    assert precheck([f"data.class_names=[{names}]"], composer) == []
    assert precheck(["+hydra.job.env_set.OMP_NUM_THREADS=2"], composer) == []
    assert (
        precheck(["hydra.job_logging.handlers.file.filename=${hydra.runtime.output_dir}/logs/own.log"], composer) == []
    )


@pytest.mark.parametrize("name", ["bomb of aliases", "3000 mappings deep", "a log elsewhere"])
def test_the_program_refuses_in_one_message(
    folder: Path, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        cli.main(["train", f"--config-dir={folder}", f"experiment={file_of(name)}"])
    assert stopped.value.code == cli.WRONG_CONFIGURATION
    shown = capsys.readouterr()
    assert FILES[name][1] in shown.err
    assert "Traceback" not in shown.err


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("model: &m {x: [*m]}\n", "which has no end"),
        ("a: " + "[" * 500 + "]" * 500 + "\n", "nested more than 32 deep"),
        ("a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + LAUGHS.replace("  a", "a"), "at most 500,000 values"),
        ("a: !!python/object/apply:os.system ['touch MARK']\n", "is no plain YAML"),
        ("- 1\n", "holds no configuration"),
        ("", "holds no configuration"),
    ],
    ids=["alias of itself", "500 deep", "bomb", "a Python call", "a list", "empty"],
)
def test_a_hostile_frozen_configuration_is_refused(text: str, told: str, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(text, encoding="utf-8")
    began = time.process_time()
    with pytest.raises(RunError, match=told):
        load_frozen(tmp_path)
    assert time.process_time() - began < 2
    assert [path.name for path in tmp_path.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("paths.outputs=/proc/x", "the disk refuses /proc/x"),
        ("paths.outputs=" + "a" * 300, "the disk refuses"),
        ("paths.outputs=/dev/null", "the disk refuses /dev/null"),
    ],
    ids=["a folder of the kernel", "a long name", "a device"],
)
@pytest.mark.slow
def test_a_folder_that_cannot_be_made_is_told(word: str, told: str, tmp_path: Path) -> None:
    done = train(word, cwd=tmp_path)
    assert done.returncode == cli.FAILED
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr) < 1000


@pytest.mark.slow
def test_bytes_of_the_command_line_that_are_no_text_are_told(tmp_path: Path) -> None:
    words = [sys.executable, str(REPOSITORY / "train.py"), os.fsencode("data.root=") + b"/scans/\xff"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, errors="replace")
    assert done.returncode == cli.WRONG_CONFIGURATION
    assert "Traceback" not in done.stderr
