"""A search for settings: by validation alone, gone on with after a stop, and honest about what it found."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from fakes.commands import run_command, train
from scanlens.cluster.sweep_jobs import read_jobs
from scanlens.errors import ConfigError
from scanlens.files import read_csv

pytest.importorskip("optuna")
RECORDED = str(Path(__file__).parent / "fakes" / "recorded_job.py")
LR = "optim.lr=tag(log,interval(1e-5,1e-1))"


def search(*words: str, cwd: Path, behavior: str = "") -> subprocess.CompletedProcess[str]:
    """A search whose value is |log10(lr) + 3|, least at 1e-3."""
    where = [] if any(word.startswith("optim.lr=") for word in words) else [LR]
    fixed = ["optim.weight_decay=1e-4", "model.dropout=0.0"]
    asked = ["hparams_search=optuna", *fixed, *where, "run_id=s", *words]
    return run_command(["-P", RECORDED, *asked], cwd=cwd, env={"FAKE_BEHAVIOR": behavior})


def found(cwd: Path) -> dict:  # type: ignore[type-arg]
    return json.loads((cwd / "outputs" / "s" / "sweep.json").read_text(encoding="utf-8"))


@pytest.mark.slow
def test_the_best_is_found_and_told_to_be_too_good(tmp_path: Path) -> None:
    done = search("hydra.sweeper.n_trials=12", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = found(tmp_path)
    values = [job["monitor"]["value"] for job in content["jobs"]]
    best = content["search"]["best"]
    assert len(values) == 12
    assert (best["value"], best["number"]) == (min(values), values.index(min(values)))
    assert float(best["params"]["optim.lr"]) == pytest.approx(
        float(content["jobs"][best["number"]]["values"]["optim.lr"])
    )
    assert content["search"]["median"] == pytest.approx(sorted(values)[5] / 2 + sorted(values)[6] / 2)
    assert content["varied"] == ["optim.lr"]
    for told in (
        f"job {best['number']}",
        "best of 12, chosen by the very images",
        f"run_dir=outputs/s/{best['number']}",
    ):
        assert told in done.stdout
    page = (tmp_path / "outputs" / "s" / "sweep.html").read_text(encoding="utf-8")
    assert "best of 12" in page
    assert "chart-trials" in page


@pytest.mark.slow
def test_the_same_command_goes_on_and_more_trials_may_be_asked_for(tmp_path: Path) -> None:
    assert search("hydra.sweeper.n_trials=2", cwd=tmp_path).returncode == 0
    first = found(tmp_path)["jobs"]
    done = search("hydra.sweeper.n_trials=4", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(found(tmp_path)["jobs"]) == 4
    assert found(tmp_path)["jobs"][:2] == first
    other = search("hydra.sweeper.n_trials=4", "seed=5", cwd=tmp_path)
    assert other.returncode == 1
    assert "holds a search that was begun with other settings" in other.stderr
    assert "Choose another run_id" in other.stderr


@pytest.mark.slow
def test_a_stopped_trial_is_gone_on_with_and_not_dealt_anew(tmp_path: Path) -> None:
    assert search("hydra.sweeper.n_trials=2", cwd=tmp_path, behavior="sigterm").returncode == 143
    (stopped,) = read_jobs(tmp_path / "outputs" / "s")
    assert (stopped.status, stopped.reason) == ("stopped", "stopped by SIGTERM")
    done = search("hydra.sweeper.n_trials=2", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    jobs = read_jobs(tmp_path / "outputs" / "s")
    assert [job.status for job in jobs] == ["done", "done"]
    assert jobs[0].overrides == stopped.overrides


@pytest.mark.slow
def test_failed_trials_and_those_without_a_number_are_recorded_and_the_search_goes_on(tmp_path: Path) -> None:
    done = search("hydra.sweeper.n_trials=6", "hydra.sweeper.sampler=random", cwd=tmp_path, behavior="nan")
    assert done.returncode == 0, done.stderr
    jobs = found(tmp_path)["jobs"]
    is_known = [float(job["values"]["optim.lr"]) <= 1e-3 for job in jobs]
    assert [job["monitor"]["value"] is not None for job in jobs] == is_known
    assert (found(tmp_path)["search"]["num_complete"], len(jobs)) == (sum(is_known), 6)
    assert 0 < sum(is_known) < 6


@pytest.mark.slow
def test_a_search_in_which_all_fails_is_given_up(tmp_path: Path) -> None:
    done = search("hydra.sweeper.n_trials=9", cwd=tmp_path, behavior="data")
    assert done.returncode == 1
    assert len(found(tmp_path)["jobs"]) == 3
    assert "the first 3 trials all failed" in done.stdout + done.stderr
    assert "no images under /nowhere" in done.stdout + done.stderr


def test_what_cannot_be_searched_is_refused(tmp_path: Path) -> None:
    done = search("fold=0,1", "folds=3", "seed=1,2", "optim.lr=1e-3", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert "'fold=0,1' cannot be searched over" in done.stderr
    assert "'seed=1,2' cannot be searched over" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"n_trials": 0}, "n_trials must be a whole number from 1, got 0"),
        ({"sampler": "grid"}, "must be tpe or random"),
    ],
)
def test_plans_that_make_no_sense_are_refused(changed: dict[str, object], told: str) -> None:
    from hydra_plugins.scanlens_sweeps.search import SearchSweeper

    plan = {"n_trials": 2, "n_jobs": 1, "sampler": "tpe", "seed": 1, "params": None}
    with pytest.raises(ConfigError, match=told):
        SearchSweeper(**(plan | changed))


def test_words_of_hydra_become_distributions_of_optuna() -> None:
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    from hydra_plugins.scanlens_sweeps.search import distribution_of, words_of

    expected = {
        "a=tag(log, interval(1e-4, 1e-2))": FloatDistribution(1e-4, 1e-2, log=True),
        "a=interval(0, 0.5)": FloatDistribution(0.0, 0.5),
        "a=int(interval(2, 9))": IntDistribution(2, 9),
        "a=range(16, 65, 16)": IntDistribution(16, 64, step=16),
        "a=x,y": CategoricalDistribution(["x", "y"]),
        "a=choice(8, 32)": CategoricalDistribution(["8", "32"]),
    }
    for text, distribution in expected.items():
        (override,) = OverridesParser.create().parse_overrides([text])
        assert distribution_of(override) == distribution
    assert words_of({"optim.lr": 0.1 + 0.2, "model": "lenet", "n": 3}) == [
        "optim.lr=0.30000000000000004",
        "model=lenet",
        "n=3",
    ]


SMALL = ["model=lenet", "data=mri", "data.num_patients=24", "data.slices_per_patient=2", "preprocess.size=32"]
SMALL += ["trainer.max_epochs=1", "trainer.accelerator=cpu", "callbacks.bootstrap_resamples=0", "explain=none"]
SMALL += ["logger=none", "audit.enabled=false"]


@pytest.mark.slow
def test_no_trial_looks_at_test_images_and_the_best_is_judged_by_the_command_that_is_told(tmp_path: Path) -> None:
    done = train("hparams_search=optuna", "hydra.sweeper.n_trials=2", *SMALL, "run_id=s", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "s"
    assert not list(folder.rglob("evaluation.json"))
    assert not list(folder.rglob("predictions"))
    search = found(tmp_path)["search"]
    best = folder / str(search["best"]["number"])
    weights = (best / "weights.safetensors").read_bytes()
    assert min(float(row["val/loss"]) for row in read_csv(best / "metrics.csv")) == search["best"]["value"]
    judged = train(*search["command"].split()[2:], cwd=tmp_path)
    assert judged.returncode == 0, judged.stderr
    assert (best / "weights.safetensors").read_bytes() == weights, "judged, not trained again"
    assert (best / "report" / "index.html").is_file()
    gathered = run_command(["-c", "from scanlens.cli import main; main()", "sweep", "run=outputs/s"], cwd=tmp_path)
    assert "Judged on test images, it has AUROC per image" in gathered.stdout + gathered.stderr
