"""Is anything lost when a training is disturbed? Kills at random moments, dead ranks and readers, full disks, unreadable files.

    python benchmarks/reliability.py [--kills 30] [--seed 1] [--only kills ranks readers disk files]

After every disturbance the same command is typed again until it ends, and the run is compared with one that nobody disturbed: weights to
the bit, predictions to the byte, metrics and evaluation to the last digit, every file whole, no image twice. A full disk needs a small
file system of its own, which only an administrator can mount; without, it is said not to have been tried. Results go to
benchmarks/reliability.md and reliability.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from faults import (
    KILLED_IN,
    SMALL,
    Disturbance,
    differences,
    disk_full,
    finished,
    killed_until_done,
    loader_killed,
    rank_killed,
    undisturbed,
    unreadable_file,
)

BENCHMARKS = Path(__file__).resolve().parent
KINDS = ("kills", "ranks", "readers", "disk", "files")
TWO = ["trainer=ddp", "trainer.devices=2"]
READERS = ["loader.num_workers=2"]
DISK_MIB = 64
Tried = tuple[Disturbance, list[str]]


def kills(folder: Path, *, num: int, dice: random.Random) -> list[Tried]:
    """SIGKILL of everything, at random moments of every stage, until there were `num`."""
    lasts, tried = undisturbed([], cwd=folder), list[Tried]()
    for number in range(num):
        if len(tried) >= num:
            break
        own = folder / f"kills{number}"
        own.mkdir()
        found = list(killed_until_done("cut", [], cwd=own, lasts=lasts, dice=dice))
        wrong = differences(own / "outputs" / "cut", folder / "outputs" / "whole")
        tried += [(one, wrong) for one in found]
        print(f"{len(tried)} kills, differences: {wrong or 'none'}", flush=True)
    return tried


def ranks(folder: Path) -> list[Tried]:
    """One of two ranks, torchrun, and the command itself."""
    undisturbed(TWO, cwd=folder)
    tried = []
    for victim in ("rank", "agent", "run"):
        found = rank_killed(victim, TWO, cwd=folder, victim=victim)
        tried.append((found, _after(victim, TWO, folder)))
        print(found.fault, found.ended_s, tried[-1][1] or "no difference", flush=True)
    return tried


def readers(folder: Path) -> list[Tried]:
    """A process that reads ahead."""
    undisturbed(READERS, cwd=folder)
    found = loader_killed("reader", READERS, cwd=folder)
    return [(found, _after("reader", READERS, folder))]


def disk(folder: Path, *, dice: random.Random, num: int = 6) -> list[Tried]:
    """A disk that is full at random moments."""
    tried = list[Tried]()
    with _small_disk(folder / "disk") as small:
        if small is None:
            return []
        undisturbed([], cwd=small)
        taken = sum(file.stat().st_size for file in (small / "outputs").rglob("*") if file.is_file()) // 1024
        for number in range(num):
            found = disk_full(f"full{number}", [], cwd=small, free_kib=int(dice.uniform(0.05, 0.9) * taken))
            tried.append((found, _after(f"full{number}", [], small)))
            print(found.fault, found.status, tried[-1][1] or "no difference", flush=True)
    return tried


def files(folder: Path) -> list[Tried]:
    """A picture whose disk answers with an error."""
    found = unreadable_file(cwd=folder)
    return (
        [] if found is None else [(found, [] if "07.png" in found.told else ["the picture is not in quarantine.csv"])]
    )


def _after(name: str, words: Sequence[str], folder: Path) -> list[str]:
    finished(name, words, cwd=folder)
    return differences(folder / "outputs" / name, folder / "outputs" / "whole")


@contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(folder)]
    if os.name != "posix" or subprocess.run(words, check=False, capture_output=True).returncode:
        print("a file system cannot be mounted here: a full disk is not tried", flush=True)
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def table(tried: dict[str, list[Tried]], about: dict[str, Any]) -> str:
    """Markdown."""
    lines = [
        "# What survives",
        "",
        f"Made by `{about['command']}` on {about['machine']}, {about['date']}. LeNet on 72 phantom slices, six epochs, with audit, verdicts, "
        "explanations and report. After each disturbance the same command was typed again; compared with an undisturbed run.",
        "",
        "| disturbance | tried | in which stage | longest time to a clear end | runs that differ afterwards |",
        "|---|---|---|---|---|",
    ]
    for kind in KINDS:
        if kind not in tried:
            continue
        if not tried[kind]:
            lines.append(f"| {kind} | not tried | – | – | – |")
            continue
        for fault in dict.fromkeys(one.fault.split(",")[0] for one, _ in tried[kind]):
            of_it = [(one, wrong) for one, wrong in tried[kind] if one.fault.split(",")[0] == fault]
            stages = Counter(one.stage for one, _ in of_it)
            longest = max(one.ended_s for one, _ in of_it)
            lines.append(
                f"| {fault} | {len(of_it)} | {', '.join(f'{s} {n}' for s, n in stages.items())} | "
                f"{'at once' if not longest else f'{longest:.1f} s'} | {sum(bool(wrong) for _, wrong in of_it)} |"
            )
    lines += ["", "What was said at the end:", ""]
    told = dict.fromkeys(
        (one.fault.split(",")[0], one.status, one.told) for of_kind in tried.values() for one, _ in of_kind if one.told
    )
    lines += [f"- {fault} (status {status}): {text}" for fault, status, text in told]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Try everything, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=KINDS)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    tried: dict[str, list[Tried]] = {}
    with tempfile.TemporaryDirectory() as above:
        for kind in args.only:
            folder = Path(above, kind)
            folder.mkdir()
            if kind == "kills":
                tried[kind] = kills(folder, num=args.kills, dice=dice)
            elif kind == "disk":
                tried[kind] = disk(folder, dice=dice)
            else:
                tried[kind] = {"ranks": ranks, "readers": readers, "files": files}[kind](folder)
    about = {
        "command": " ".join(["python", "benchmarks/reliability.py", *sys.argv[1:]]),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "settings": SMALL,
        "killed_in": KILLED_IN,
    }
    content = {
        "about": about,
        "tried": {
            kind: [one.as_row() | {"differs": wrong} for one, wrong in of_kind] for kind, of_kind in tried.items()
        },
    }
    (BENCHMARKS / "reliability.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (BENCHMARKS / "reliability.md").write_text(table(tried, about), encoding="utf-8")
    print(table(tried, about))
    if any(wrong for of_kind in tried.values() for _, wrong in of_kind):
        sys.exit("a run that was disturbed differs from the undisturbed one")


if __name__ == "__main__":
    main()
