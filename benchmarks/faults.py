"""Ways to disturb a training from outside, and what has to be the same afterwards as in one that nobody disturbed."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from safetensors.numpy import load_file

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = [
    "model=lenet", "data=mri", "data.num_patients=24", "data.slices_per_patient=3", "preprocess.size=32", "model.dropout=0.2",
    "trainer.max_epochs=6", "trainer.num_threads=1", "trainer.accelerator=cpu", "loader.batch_size=4", "callbacks.checkpoint_minutes=0.02",
    "callbacks.num_explained_cases=2", "callbacks.bootstrap_resamples=50", "callbacks.explain_every_n_epochs=2",
    "callbacks.explain_max_share=1.0", "verdict.max_minutes=1000",  # nothing may depend on how fast the machine is
]  # fmt: skip
TIMES = ("seconds", "duration_s", "created", "time", "explain_s")  # keys whose values are never twice the same
PATIENCE_S = 600.0
KILLED_IN = ("prepare", "fit", "fit", "judge", "report")


@dataclass(frozen=True)
class Disturbance:
    """One disturbance and how it ended.

    Args:
        fault: what was done.
        moment_s: after the start of the command.
        stage: of the run at that time: the first one that had not ended.
        epochs: rows of metrics.csv at that time.
        status: of the command, negative for a signal.
        ended_s: from the disturbance to the end of the command.
        told: last line of what the command said of it.
    """

    fault: str
    moment_s: float
    stage: str
    epochs: int
    status: int
    ended_s: float
    told: str = ""

    def as_row(self) -> dict[str, Any]:
        """For a table."""
        return asdict(self)


def command_of(*words: str) -> list[str]:
    """A training of the size that is used here."""
    return [sys.executable, str(REPOSITORY / "train.py"), *SMALL, *words]


def started(words: Sequence[str], *, cwd: Path, log: Path) -> subprocess.Popen[bytes]:
    """The command in a process group of its own, what it says added to a file."""
    environment = {k: v for k, v in os.environ.items() if k != "RUN_ID"}
    environment |= {
        "OMP_NUM_THREADS": "1",
        "PYTHONUNBUFFERED": "1",
        "SCANLENS_PSEUDONYM_KEY": "a key that is known to all",
    }
    with log.open("ab") as file:
        return subprocess.Popen(
            command_of(*words), cwd=cwd, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )


def undisturbed(words: Sequence[str], *, cwd: Path) -> dict[str, float]:
    """Seconds of each stage of a whole training, and under "start" those before the first.

    Raises:
        RuntimeError: if it fails.
    """
    began, log = time.monotonic(), cwd / "whole.log"
    process = started([*words, "run_id=whole"], cwd=cwd, log=log)
    if process.wait(timeout=PATIENCE_S):
        raise RuntimeError(log.read_text(encoding="utf-8")[-2000:])
    lasted = {name: float(s) for name, s in _json(cwd / "outputs/whole/provenance.json")["duration_s"].items()}
    return lasted | {"start": time.monotonic() - began - sum(lasted.values())}


def kill(process: subprocess.Popen[bytes]) -> None:
    """End a command and all its children at once, as a machine that loses its power does."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(timeout=PATIENCE_S)


def killed_until_done(
    name: str, words: Sequence[str], *, cwd: Path, lasts: dict[str, float], dice: random.Random
) -> Iterator[Disturbance]:
    """Start a run again and again and kill it at a random moment of each stage in turn, twice of the training; then let it end.

    Args:
        name: of the run.
        words: settings.
        cwd: where the command is typed.
        lasts: seconds of each stage, as `undisturbed` measured them.
        dice: draws the moments.

    Raises:
        RuntimeError: if it ends by itself with another status than 0.
    """
    log, run = cwd / f"{name}.log", cwd / "outputs" / name
    for stage in (*KILLED_IN, None):
        process, began = started([*words, f"run_id={name}"], cwd=cwd, log=log), time.monotonic()
        if stage is not None and _reached(stage, run, process):
            time.sleep(dice.uniform(0.0, lasts[stage] + (lasts["start"] if stage == KILLED_IN[0] else 0.0)))
            if process.poll() is None:
                found, epochs = where(run)
                moment = time.monotonic() - began
                kill(process)
                yield Disturbance("SIGKILL", round(moment, 2), found, epochs, -9, 0.0)
                continue
        if process.wait(timeout=PATIENCE_S):
            raise RuntimeError(f"{name} ended with {process.returncode}: {log.read_text(encoding='utf-8')[-2000:]}")
        return


def _reached(stage: str, run: Path, process: subprocess.Popen[bytes]) -> bool:
    """Wait until a run is in a stage; False if it ends before."""
    while where(run)[0] != stage:
        if process.poll() is not None:
            return False
        time.sleep(0.02)
    return True


def rank_killed(name: str, words: Sequence[str], *, cwd: Path, victim: str, after_epochs: int = 2) -> Disturbance:
    """Kill one process of a training on two, and wait for the end of the others.

    Args:
        name: of the run.
        words: settings.
        cwd: where the command is typed.
        victim: "rank" (one of the two), "agent" (torchrun) or "run" (the command itself).
        after_epochs: rows of metrics.csv to wait for.

    Raises:
        RuntimeError: if a process is left.
    """
    log, run = cwd / f"{name}.log", cwd / "outputs" / name
    process = started([*words, "trainer=ddp", "trainer.devices=2", f"run_id={name}"], cwd=cwd, log=log)
    began = time.monotonic()
    _wait_for_epochs(after_epochs, run, process)
    family = descendants(process.pid)
    ranks = sorted(
        pid for pid in family if "scanlens.worker" in _words_of(pid) and "scanlens.agent" not in _words_of(pid)
    )
    agents = [pid for pid in family if "scanlens.agent" in _words_of(pid)]
    target = {"rank": ranks[-1], "agent": agents[0], "run": process.pid}[victim]
    stage, epochs = where(run)
    moment = time.monotonic()
    os.kill(target, signal.SIGKILL)
    status = process.wait(timeout=PATIENCE_S)
    while left := [pid for pid in family if _is_alive(pid)]:
        if time.monotonic() - moment > 60:
            raise RuntimeError(f"processes {left} outlive {victim}")
        time.sleep(0.05)
    ended = time.monotonic() - moment
    return Disturbance(
        f"SIGKILL of the {victim}, two ranks",
        round(moment - began, 2),
        stage,
        epochs,
        status,
        round(ended, 2),
        last_line(log),
    )


def loader_killed(name: str, words: Sequence[str], *, cwd: Path) -> Disturbance:
    """Kill a process that reads ahead for a training."""
    log, run = cwd / f"{name}.log", cwd / "outputs" / name
    process, began = started([*words, "loader.num_workers=2", f"run_id={name}"], cwd=cwd, log=log), time.monotonic()
    _wait_for_epochs(2, run, process)
    readers = [pid for pid in descendants(process.pid) if "train.py" in _words_of(pid)]
    stage, epochs = where(run)
    moment = time.monotonic()
    os.kill(readers[0], signal.SIGKILL)
    status = process.wait(timeout=PATIENCE_S)
    return Disturbance(
        "SIGKILL of a loader process",
        round(moment - began, 2),
        stage,
        epochs,
        status,
        round(time.monotonic() - moment, 2),
        last_line(log),
    )


def disk_full(name: str, words: Sequence[str], *, cwd: Path, free_kib: int) -> Disturbance:
    """A training on a disk with so much room left; afterwards room is made.

    Args:
        name: of the run.
        words: settings.
        cwd: a folder on a small file system of its own.
        free_kib: what is left of it when the command is typed.
    """
    filler, log, run = cwd / "filler", cwd.parent / f"{cwd.name}-{name}.log", cwd / "outputs" / name
    room = os.statvfs(cwd)
    filler.write_bytes(b"x" * max(0, room.f_bavail * room.f_frsize - free_kib * 1024))
    process, began = started([*words, f"run_id={name}"], cwd=cwd, log=log), time.monotonic()
    status = process.wait(timeout=PATIENCE_S)
    stage, epochs = where(run)
    filler.unlink()
    return Disturbance(
        f"disk full, {free_kib} KiB left",
        0.0,
        stage,
        epochs,
        status,
        round(time.monotonic() - began, 2),
        last_line(log),
    )


def finished(name: str, words: Sequence[str], *, cwd: Path) -> None:
    """Type the command again, until it ends.

    Raises:
        RuntimeError: if it fails.
    """
    log = cwd / f"{name}.log"
    if started([*words, f"run_id={name}"], cwd=cwd, log=log).wait(timeout=PATIENCE_S):
        raise RuntimeError(f"{name} does not go on: {log.read_text(encoding='utf-8')[-2000:]}")


def unreadable_file(*, cwd: Path) -> Disturbance | None:
    """A training on a folder of pictures, of which one cannot be read: the system says that it is there and gives nothing of it.

    None where a file that does so cannot be put there, which only an administrator can.
    """
    scans, dice = cwd / "scans", np.random.default_rng(1)
    for kind, brightness in (("ill", 90), ("well", 30)):
        (scans / kind).mkdir(parents=True)
        for number in range(40):
            pixels = np.clip(dice.normal(brightness, 30, (32, 32)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(scans / kind / f"{number:02d}.png")
    broken, log = scans / "ill" / "07.png", cwd / "eio.log"
    words = command_of("data=folder", f"data.root={scans}", "run_id=eio")
    words = [word for word in words if not word.startswith(("data=mri", "data.num_patients", "data.slices"))]
    # The beginning of another process's memory: every attempt to read it is an input/output error.
    if subprocess.run(["mount", "--bind", "/proc/1/mem", str(broken)], check=False, capture_output=True).returncode:
        return None
    try:
        began = time.monotonic()
        with log.open("ab") as file:
            status = subprocess.run(
                words, cwd=cwd, stdout=file, stderr=subprocess.STDOUT, timeout=PATIENCE_S, check=False
            ).returncode
    finally:
        subprocess.run(["umount", str(broken)], check=False)
    run = cwd / "outputs" / "eio"
    quarantined = _rows(run / "quarantine.csv") if status == 0 else []
    told = "; ".join(f"{row['id']}: {row['reason']}" for row in quarantined) or last_line(log)
    return Disturbance(
        "a picture of which the disk gives nothing",
        0.0,
        where(run)[0],
        where(run)[1],
        status,
        round(time.monotonic() - began, 2),
        told,
    )


def last_line(log: Path) -> str:
    """What a command said last."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:240] if lines else ""


def descendants(pid: int) -> list[int]:
    """Children of a process, their children and so on."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                parent = int((folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
                if parent == pid:
                    found += [int(folder.name), *descendants(int(folder.name))]
    return found


def _wait_for_epochs(num: int, run: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while where(run)[1] < num:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{run} never came to epoch {num}")
        time.sleep(0.02)


def _words_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):
        return False


def where(run: Path) -> tuple[str, int]:
    """The stage that a run is in, and how many epochs it has behind it."""
    stages = ("prepare", "fit", "judge", "report")
    done: list[str] = []
    with contextlib.suppress(OSError, ValueError):
        done = json.loads((run / "provenance.json").read_text(encoding="utf-8")).get("stages", [])
    rows = 0
    with contextlib.suppress(OSError):
        rows = max(0, len((run / "metrics.csv").read_text(encoding="utf-8").splitlines()) - 1)
    return next((stage for stage in stages if stage not in done), "done"), rows


def differences(run: Path, whole: Path) -> list[str]:
    """In what a run that was disturbed differs from the undisturbed one; empty if in nothing but times.

    Weights to the bit, predictions to the byte, metrics and evaluation to the last digit; every file whole, none left over, every
    image once.
    """
    found = []
    first, second = (load_file(folder / "weights.safetensors") for folder in (run, whole))
    if first.keys() != second.keys() or any(not np.array_equal(first[k], second[k]) for k in second):
        found.append("weights.safetensors")
    for name in ("predictions/val.csv", "predictions/test.csv", "split.csv"):
        if (run / name).read_bytes() != (whole / name).read_bytes():
            found.append(name)
    if _rows(run / "metrics.csv") != _rows(whole / "metrics.csv"):
        found.append("metrics.csv")
    for name in ("evaluation.json", "explanations/cases.json"):
        if _timeless(_json(run / name)) != _timeless(_json(whole / name)):
            found.append(name)
    names = [{str(f.relative_to(folder)) for f in folder.rglob("*") if f.is_file()} for folder in (run, whole)]
    names = [{name for name in of_one if _is_compared(name)} for of_one in names]
    found += [f"{name} is left over" for name in sorted(names[0] - names[1])]
    found += [f"{name} is missing" for name in sorted(names[1] - names[0])]
    return found + [f"{file.name}: {why}" for file, why in broken_files(run)]


def broken_files(run: Path) -> list[tuple[Path, str]]:
    """Files of a run that cannot be read to their end, or count an image twice."""
    readers: dict[str, Callable[[Path], object]] = {
        ".json": _json, ".csv": _rows, ".npz": _whole_archive, ".ckpt": _whole_archive, ".png": _whole_picture,
    }  # fmt: skip
    found: list[tuple[Path, str]] = []
    for file in sorted(run.rglob("*")):
        reader = readers.get(file.suffix)
        if file.is_file() and file.suffix == ".partial":
            found.append((file, "half a file"))
        if reader is None or not file.is_file():
            continue
        try:
            reader(file)
        except (OSError, ValueError, zipfile.BadZipFile, SyntaxError) as error:
            found.append((file, str(error)))
    for split in ("val", "test"):
        cases = [row["case"] for row in _rows(run / "predictions" / f"{split}.csv")]
        if len(cases) != len(set(cases)):
            found.append((run / "predictions" / f"{split}.csv", "an image twice"))
    return found


def _is_compared(name: str) -> bool:
    """Event files, logs and checkpoints depend on how often a run was started."""
    return not name.startswith(("logs/", "checkpoints/", ".group/", ".lock"))


def _json(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="", encoding="utf-8") as opened:
        rows = list(csv.DictReader(opened))
    if any(None in row or None in row.values() for row in rows):
        raise ValueError("a row of another length")
    return [{name: cell for name, cell in row.items() if name not in TIMES} for row in rows]


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _timeless(one) for name, one in value.items() if not any(t in name for t in TIMES)}
    return [_timeless(one) for one in value] if isinstance(value, list) else value


def _whole_archive(file: Path) -> None:
    with zipfile.ZipFile(file) as packed:
        if (broken := packed.testzip()) is not None:
            raise ValueError(f"{broken} is damaged")


def _whole_picture(file: Path) -> None:
    with Image.open(file) as picture:
        picture.load()
