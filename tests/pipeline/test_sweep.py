"""The table of a sweep: every job with its settings, status and results, whatever became of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from fakes.commands import run_command
from fakes.slurm import programs
from scanlens.cluster.sweep_jobs import CANCELLED, DONE, FAILED, RUNNING, SweepJob, read_jobs, write_job
from scanlens.errors import RunError
from scanlens.files import read_csv
from scanlens.pipeline.sweep import gather_sweep, refuse_unfinished
from scanlens.report.sweep import sweep_table

RECORDED = str(Path(__file__).parents[1] / "fakes" / "recorded_job.py")


def finished(folder: Path, *, auroc: float) -> None:
    """What the table reads of a finished run."""
    metrics = {"auroc": {"value": auroc, "low": auroc - 0.1, "high": auroc + 0.05}}
    judged = {"slice": {"metrics": metrics}, "patient": {"metrics": metrics}}
    folder.mkdir()
    (folder / "config.yaml").write_text(yaml.safe_dump({"facts": {"monitor": {"name": "val/loss", "mode": "min"}}}))
    (folder / "evaluation.json").write_text(json.dumps({"task": "classification", "splits": {"test": judged}}))
    (folder / "provenance.json").write_text(json.dumps({"duration_s": {"fit": 65.0}, "stages": []}))


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    finished(tmp_path / "0", auroc=0.8)
    finished(tmp_path / "1", auroc=0.9)
    words = ("model=lenet", "data.root=/home/anna/scans")
    write_job(tmp_path, SweepJob(0, (*words, "seed=1"), DONE, folder="0", value=0.4321))
    write_job(tmp_path, SweepJob(1, (*words, "seed=2"), DONE, folder="1", value=0.25))
    write_job(tmp_path, SweepJob(2, (*words, "seed=3"), FAILED, "no images <under> here", folder="2"))
    write_job(
        tmp_path, SweepJob(10, (*words, "seed=4"), CANCELLED, "it was cancelled; see /home/anna/log", folder="10")
    )
    return tmp_path


def test_one_row_a_job_with_what_differs_and_its_results(sweep: Path) -> None:
    content = gather_sweep(sweep)
    assert content["varied"] == ["seed"]
    assert content["common"] == ["model=lenet", "data.root=(path not shown)"]
    rows = read_csv(sweep / "sweep.csv")
    assert [row["job"] for row in rows] == ["0", "1", "2", "10"]
    assert [row["seed"] for row in rows] == ["1", "2", "3", "4"]
    assert [row["status"] for row in rows] == ["done", "done", "failed", "cancelled"]
    assert (rows[1]["best"], rows[1]["monitor"]) == ("0.25", "val/loss")
    assert [rows[1][f"patient_auroc{end}"] for end in ("", "_low", "_high")] == ["0.9", "0.8", "0.9500000000000001"]
    assert (rows[2]["patient_auroc"], rows[2]["reason"]) == ("", "no images <under> here")
    assert rows[0]["folder"] == "0"


def test_the_terminal_and_the_page_tell_the_same(sweep: Path) -> None:
    gather_sweep(sweep)
    text = sweep_table(sweep)
    lines = text.splitlines()
    assert lines[1].split()[:4] == ["0", "1", "done", "0.4321"]
    assert "0.900 (0.800 to 0.950)" in lines[2]
    assert "1 min 05 s" in lines[2]
    assert "4 jobs: 2 done, 1 cancelled and 1 failed." in lines
    assert "job 2 failed: no images <under> here" in lines
    page = (sweep / "sweep.html").read_text(encoding="utf-8")
    assert "no images &lt;under&gt; here" in page
    assert "anna" not in page + text
    assert "has chosen on the test images" in page


def test_what_is_not_done_is_refused_at_the_end(sweep: Path) -> None:
    with pytest.raises(RunError, match=r"(?s)2 of 4 jobs.*job 2: failed, no images.*run_id=abc goes on"):
        refuse_unfinished(sweep, run_id="abc")


def test_jobs_that_ended_without_a_word_are_not_running_for_ever(sweep: Path) -> None:
    write_job(sweep, SweepJob(11, ("seed=5",), RUNNING, folder="11"))
    write_job(sweep, SweepJob(12, ("seed=6",)))
    gather_sweep(sweep)
    assert [job.status for job in read_jobs(sweep)][-2:] == ["running", "queued"]
    gather_sweep(sweep, is_over=True)
    assert [(job.status, job.reason) for job in read_jobs(sweep)][-2:] == [
        ("stopped", "it ended without a word"),
        ("stopped", "not begun"),
    ]


def test_a_job_that_slurm_has_lost_is_found_when_gathered_later(sweep: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_job(sweep, SweepJob(11, ("seed=5",), RUNNING, folder="11", cluster_job="7_0"))
    write_job(sweep, SweepJob(12, ("seed=6",), cluster_job="7_1"))
    environment = programs(sweep / "bin", sacct="echo '7_0|TIMEOUT'; echo '7_1|PENDING'")
    monkeypatch.setenv("PATH", environment["PATH"])
    gather_sweep(sweep)
    assert [job.status for job in read_jobs(sweep)][-2:] == ["failed", "queued"]


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="holds no sweep"):
        gather_sweep(tmp_path)


def test_a_job_that_fails_does_not_lose_the_others(tmp_path: Path) -> None:
    words = ["-m", "seed=1,2,3", "run_id=s", "hydra.sweeper.max_batch_size=1"]
    done = run_command([RECORDED, *words], cwd=tmp_path, env={"FAKE_BEHAVIOR": "data-2"})
    assert done.returncode == 1
    folder = tmp_path / "outputs" / "s"
    assert [row["status"] for row in read_csv(folder / "sweep.csv")] == ["done", "failed", "done"]
    assert [row["best"] for row in read_csv(folder / "sweep.csv")] == ["1.0", "", "3.0"]
    assert "1 of 3 jobs of the sweep are not done:\n  job 1: failed, no images under /nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    again = run_command([RECORDED, *words], cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [row["status"] for row in read_csv(folder / "sweep.csv")] == ["done"] * 3


def test_a_sweep_that_is_stopped_still_has_its_table(tmp_path: Path) -> None:
    done = run_command([RECORDED, "-m", "seed=1,2,3", "run_id=s"], cwd=tmp_path, env={"FAKE_BEHAVIOR": "sigterm-2"})
    assert done.returncode == 143
    rows = read_csv(tmp_path / "outputs" / "s" / "sweep.csv")
    assert [(row["status"], row["reason"]) for row in rows] == [
        ("done", ""),
        ("stopped", "stopped by SIGTERM"),
        ("stopped", "not begun"),
    ]


SLURM_PROGRAMS = {"sbatch": "touch queued; exit 1", "srun": "exit 0", "scontrol": "exit 0"}


@pytest.mark.parametrize(
    ("bodies", "told"),
    [
        ({**SLURM_PROGRAMS, "sacct": "echo Slurm accounting storage is disabled >&2; exit 1"}, "storage is disabled"),
        ({**SLURM_PROGRAMS, "sacct": "exit 0"}, "Slurm refuses the jobs"),
    ],
    ids=["no accounting", "the cluster has no such partition"],
)
def test_slurm_that_cannot_be_used_is_refused_with_the_remedy(
    bodies: dict[str, str], told: str, tmp_path: Path
) -> None:
    pytest.importorskip("submitit")
    words = ["-m", "hydra/launcher=slurm", "seed=1,2", "run_id=s"]
    done = run_command([RECORDED, *words], cwd=tmp_path, env=programs(tmp_path / "bin", **bodies))
    assert done.returncode == 1
    assert told in done.stderr
    assert ("docs/clusters.md" if "storage" in told else "gpus_per_node=null") in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "queued").exists() == ("refuses" in told)
