"""The self-test: what it asks, when it fails, and that it passes here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from fakes.commands import REPOSITORY, run_command
from scanlens import cli
from scanlens.errors import RunError
from scanlens.pipeline import selftest as module
from scanlens.pipeline.explanations import command
from scanlens.pipeline.selftest import TWINS, selftest

SCRIPT = ["-c", "from scanlens.cli import main; main()", "selftest"]


def metric(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "reason": None}


def judged(
    auroc: dict[str, Any], hits: dict[str, Any] | None = None, excess: dict[str, Any] | None = None
) -> dict[str, Any]:
    localization = (
        None if hits is None else {"hires_cam": {"hit_rate": hits, "excess": excess, "chance": 0.03, "num_images": 40}}
    )
    return {
        "splits": {"test": {"slice": {"metrics": {"auroc": auroc}, "num_images": 90}}},
        "localization": localization,
    }


def right() -> dict[str, Any]:
    return {
        "lesion": judged(metric(0.97, 0.9, 1.0), metric(0.8, 0.6, 0.9), metric(0.77, 0.57, 0.87)),
        "no_signal": judged(metric(0.45, 0.3, 0.6)),
        "shortcut": judged(metric(1.0), metric(0.05, 0.0, 0.2), metric(0.02, -0.03, 0.17)),
        "regions": {"upper left corner": "convicted", "lower right corner": "acquitted"},
    }


@pytest.fixture
def tested(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the self-test with answers in place of trainings; the checks that failed."""

    def run(answers: dict[str, Any], *, broken: Sequence[str] = ()) -> list[str]:
        def train_run(config: dict[str, Any]) -> None:
            folder = Path(config["run_dir"])
            if folder.name in broken:
                raise RunError("the loss is not a number.\nLower optim.lr.")
            folder.mkdir(parents=True)
            (folder / "evaluation.json").write_text(json.dumps(answers[folder.name]), encoding="utf-8")

        def explain(folder: Path, *, parts: Sequence[str], max_cases: int) -> dict[str, Any]:
            effect = {"change": metric(0.9, 0.8, 1.0), "elsewhere": None}
            regions = [
                {"name": n, "verdict": v, "worst": 0, "effects": [effect]} for n, v in answers["regions"].items()
            ]
            return {"shortcuts": {"regions": regions}}

        monkeypatch.setattr(module, "train_run", train_run)
        monkeypatch.setattr(command, "explain", explain)

        def settle(words: Sequence[str], name: str) -> dict[str, Any]:
            assert tuple(words) == TWINS[name]
            model, method = {"_target_": "scanlens.models.lenet.LeNet"}, {"_target_": "scanlens.explain.auto.Auto"}
            return {"run_dir": str(tmp_path / name), "model": model, "explain": method, "seed": 1}

        passed = selftest(settle, tmp_path)
        content = json.loads((tmp_path / "selftest.json").read_text(encoding="utf-8"))
        assert content["passed"] == passed
        failed = [one["name"] for one in content["checks"] if not one["passed"]]
        assert passed == (not failed)
        page = (tmp_path / "selftest.html").read_text(encoding="utf-8")
        assert f"<h1>{'PASS' if passed else 'FAIL'}: LeNet with Auto, seed 1</h1>" in page
        return failed

    return run


def test_right_answers_pass(tested) -> None:
    assert tested(right()) == []


def test_a_perfect_ranking_without_an_interval_passes(tested) -> None:
    answers = right()
    answers["lesion"]["splits"]["test"]["slice"]["metrics"]["auroc"] = metric(1.0)
    assert tested(answers) == []


@pytest.mark.parametrize(
    "change, failed",
    [
        ({"lesion": judged(metric(0.6, 0.45, 0.75), metric(0.8, 0.6, 0.9), metric(0.77, 0.57, 0.87))}, ["learns to tell a tumor from none"]),
        ({"lesion": judged(metric(0.97, 0.9, 1.0), metric(0.05, 0.0, 0.2), metric(0.02, -0.03, 0.17))},
         ["the heat map points at the tumor", "the heat map follows the network, away from the tumor"]),
        ({"lesion": judged(metric(0.97, 0.9, 1.0))}, ["the heat map points at the tumor", "the heat map follows the network, away from the tumor"]),
        ({"no_signal": judged(metric(0.7, 0.55, 0.85))}, ["finds nothing where there is nothing"]),
        ({"no_signal": judged(metric(0.5))}, []),
        ({"shortcut": judged(metric(1.0), metric(0.8, 0.6, 0.9), metric(0.77, 0.57, 0.87))}, ["the heat map follows the network, away from the tumor"]),
        ({"regions": {"upper left corner": "not decided", "lower right corner": "acquitted"}}, ["is caught going by the letter"]),
        ({"regions": {"upper left corner": "convicted", "lower right corner": "convicted"}}, ["and not by a corner without one"]),
    ],
)  # fmt: skip
def test_each_wrong_answer_fails_its_check(tested, change: dict[str, Any], failed: list[str]) -> None:
    assert tested(right() | change) == failed


def test_a_training_that_stops_fails_with_its_sentence_and_the_others_go_on(tested, tmp_path: Path) -> None:
    assert tested(right(), broken=["no_signal"]) == ["trains to the end"]
    content = json.loads((tmp_path / "selftest.json").read_text(encoding="utf-8"))
    told = next(one for one in content["checks"] if not one["passed"])
    assert (told["run"], told["found"]) == ("no_signal", "the loss is not a number. Lower optim.lr.")
    assert len(content["checks"]) == 9


@pytest.mark.parametrize(
    "words, told",
    [
        (["data=folder", "data.root=x"], "selftest decides data itself"),
        (["experiment=demo"], "selftest decides experiment itself"),
        (["+data.signal=false"], "selftest decides data.signal itself"),
        (["-m", "seed=1,2"], "trains three times, once each"),
        (["optim.lrr=1"], "Did you mean 'lr'?"),
    ],
)
def test_what_would_be_another_test_is_refused(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUN_ID", "a-run")
    with pytest.raises(SystemExit) as stopped:
        cli.main(["selftest", *words])
    assert stopped.value.code == cli.WRONG_CONFIGURATION
    assert told in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_it_passes_here(tmp_path: Path) -> None:
    done = run_command(
        [*SCRIPT, "run_id=s", "trainer.num_threads=1"],
        cwd=tmp_path,
        timeout_s=1800,
        env={"PYTHONPATH": str(REPOSITORY / "src")},
    )
    assert done.returncode == cli.DONE, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith("PASS  in ")
    assert len([line for line in done.stdout.splitlines() if line.startswith("     PASS")]) == 10
    for name in TWINS:
        assert (tmp_path / "outputs" / "s" / name / "report" / "index.html").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(
    "words, told",
    [
        (["explain=random"], "FAIL  the heat map points at the tumor: random hits"),
        (
            ["explain=blurred_intensity"],
            "FAIL  the heat map follows the network, away from the tumor: blurred_intensity hits",
        ),
        (["optim.lr=1e-9"], "FAIL  learns to tell a tumor from none: test AUROC"),
    ],
)
def test_what_is_broken_fails_with_a_sentence(words: list[str], told: str, tmp_path: Path) -> None:
    done = run_command(
        [*SCRIPT, "run_id=s", "trainer.num_threads=1", *words],
        cwd=tmp_path,
        timeout_s=1800,
        env={"PYTHONPATH": str(REPOSITORY / "src")},
    )
    assert done.returncode == cli.FAILED, done.stdout + done.stderr
    assert told in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
