"""A training that is stopped within an epoch goes on at that batch, and ends as one that was never disturbed."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from fakes.commands import train
from scanlens.callbacks.last_checkpoint import GO_ON, SAVE, STOP, LastCheckpoint
from scanlens.cluster import stopping
from scanlens.files import read_csv
from scanlens.pipeline.build import rebuild_network
from scanlens.pipeline.checkpoints import checkpoint_to_resume
from scanlens.pipeline.fit import fit_this_process
from scanlens.runs import Run

SMALL = [
    "model=lenet",
    "data=mri",
    "data.num_patients=24",
    "data.slices_per_patient=2",
    "preprocess.size=32",
    "model.dropout=0.3",
]
SMALL += ["trainer.max_epochs=3", "trainer.accumulate_grad_batches=2", "trainer.num_threads=1", "audit.enabled=false"]
SMALL += ["callbacks.num_explained_cases=0", "callbacks.bootstrap_resamples=0", "callbacks.explain_every_n_epochs=0"]
SMALL += ["loader.batch_size=4", "explain=none", "report=none"]  # 8 batches, 4 steps an epoch


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("whole")
    done = train(*SMALL, "run_id=whole", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Run(folder / "outputs" / "whole")


def begun(whole: Run, folder: Path) -> Run:
    """The same run, prepared and not trained."""
    (folder / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", "split.csv", "checkpoints/initial.safetensors"):
        shutil.copy(whole.folder / name, folder / name)
    return Run(folder)


def train_with(run: Run, wishes: Callable[[int], int], patch: pytest.MonkeyPatch) -> int:
    """Train, with a wish after each batch that ends a step; how many such batches there were."""
    asked = []

    def wish(self: LastCheckpoint) -> int:
        asked.append(True)
        return wishes(len(asked))

    with patch.context() as changed:
        changed.setattr(LastCheckpoint, "_own_wish", wish)
        with contextlib.suppress(stopping.Stopped):
            fit_this_process(run)
    return len(asked)


def assert_as_undisturbed(run: Run, whole: Run) -> None:
    ends = [torch.load(r.checkpoints / "last.ckpt", weights_only=True) for r in (run, whole)]
    for part in ("state_dict", "global_step", "epoch"):
        first, second = (end[part] for end in ends)
        assert first == second if part != "state_dict" else all(torch.equal(first[k], second[k]) for k in second)
    rows = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in read_csv(r.metrics_file)] for r in (run, whole)
    ]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("step", [1, 5, 8])  # of three in an epoch that may be saved: the last of its four is not
def test_stopped_after_any_step_it_ends_the_same(
    whole: Run, tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(whole, tmp_path / "cut")
    assert train_with(run, lambda n: STOP if n == step else GO_ON, monkeypatch) == step
    found = checkpoint_to_resume(run, rebuild_network(run.config))
    assert found is not None
    assert found[1] == step + (step - 1) // 3
    fit_this_process(run)
    assert_as_undisturbed(run, whole)


def test_stopped_at_the_end_of_an_epoch_it_ends_the_same(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(whole, tmp_path / "end")
    with monkeypatch.context() as changed, contextlib.suppress(stopping.Stopped):
        changed.setattr(stopping, "asked", lambda: 15 if len(read_csv(run.metrics_file)) == 2 else 0)
        changed.setattr(LastCheckpoint, "_own_wish", lambda self: GO_ON)
        run.metrics_file.write_text("epoch\n", encoding="utf-8")
        fit_this_process(run)
    assert len(read_csv(run.metrics_file)) == 2
    fit_this_process(run)
    assert_as_undisturbed(run, whole)


def test_saved_while_it_goes_on_and_killed_it_goes_on_from_there(
    whole: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun(whole, tmp_path / "saved")
    assert train_with(run, lambda n: {4: SAVE, 6: STOP}.get(n, GO_ON), monkeypatch) == 6
    (run.checkpoints / "last.ckpt").unlink()  # what a kill before the last saving would have left
    found = checkpoint_to_resume(run, rebuild_network(run.config))
    assert found is not None
    assert (found[0].name, found[1]) == ("before.ckpt", 5)
    fit_this_process(run)
    assert_as_undisturbed(run, whole)


def flip_a_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def change(path: Path, name: str, value: object) -> None:
    content = torch.load(path, weights_only=True)
    content["state_dict"][name] = value
    torch.save(content, path)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-1000]),
    "one bit": flip_a_byte,
    "empty": lambda path: path.write_bytes(b""),
    "not finite": lambda path: change(path, "network.head.4.bias", torch.full((4,), torch.nan)),
    "of another network": lambda path: change(path, "network.more", torch.zeros(3)),
    "no training": lambda path: torch.save({"state_dict": {}}, path),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES.keys())
def test_a_damaged_checkpoint_is_told_and_the_one_before_is_used(
    whole: Run, tmp_path: Path, damage: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    run = Run(tmp_path / "run")
    shutil.copytree(whole.folder, run.folder)
    damage(run.checkpoints / "last.ckpt")
    found = checkpoint_to_resume(run, rebuild_network(whole.config))
    assert found is not None
    assert found[0].name == "before.ckpt"
    assert "last.ckpt is damaged" in caplog.text
    for name in ("before.ckpt", "best.ckpt"):
        damage(run.checkpoints / name)
    assert checkpoint_to_resume(run, rebuild_network(whole.config)) is None
