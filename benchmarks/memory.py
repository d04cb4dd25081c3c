"""Does the memory of training grow with the number of images? Measured on built-in phantoms, under a hard limit.

    python benchmarks/memory.py                     1,000, 10,000 and 100,000 slices; slices of 64 x 64; about half an hour on two cores
    python benchmarks/memory.py --sizes 1000 5000

Each size is one ordinary command, `python train.py model=lenet data=mri ...`, in a process of its own whose private memory
(RLIMIT_DATA: heap and anonymous maps; pages of the memory-mapped cache belong to the kernel, which takes them back when it
needs them) is limited to LIMIT_GIB. The command runs twice: first with a cold cache, which draws and decodes every slice, then with
a warm one, so that training alone is seen. Private memory is sampled ten times a second. Written to benchmarks/memory.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from process_memory import private_mib

REPOSITORY = Path(__file__).resolve().parents[1]
SIZES = (1_000, 10_000, 100_000)
LIMIT_GIB = 4
SLICES = 4
PACKAGES = ("scanlens", "torch", "pytorch-lightning", "numpy")


def command(num: int, run_id: str, outputs: Path) -> list[str]:
    """The words after `python`."""
    return [
        *("train.py", "model=lenet", "data=mri", f"data.num_patients={num // SLICES}", f"data.slices_per_patient={SLICES}", "data.size=64"),
        *("trainer.max_epochs=1", "trainer.accelerator=cpu", f"paths.outputs={outputs}", f"run_id={run_id}"),
    ]  # fmt: skip


def measured(words: list[str]) -> dict[str, float]:
    """Run a command under the limit; its largest private memory, and how long it took.

    Raises:
        RuntimeError: if the command fails, as it does when the limit is too small.
    """
    limit = LIMIT_GIB * 2**30
    began, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)),
    )
    while process.poll() is None:
        peak = max(peak, private_mib(process.pid))
        time.sleep(0.1)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with status {process.returncode} under {LIMIT_GIB} GiB")
    return {"peak_mib": round(peak), "seconds": round(time.perf_counter() - began, 1)}


def row(num: int, outputs: Path) -> dict[str, object]:
    """One size, with a cold and a warm cache."""
    cold = measured(command(num, f"cold{num}", outputs))
    warm = measured(command(num, f"warm{num}", outputs))
    run = outputs / f"warm{num}"
    durations = json.loads((run / "provenance.json").read_text(encoding="utf-8"))["duration_s"]
    cache = sum(file.stat().st_size for file in (outputs / ".cache").rglob("*") if file.is_file())
    return {"num_images": num, "cache_gib": round(cache / 2**30, 2), "cold": cold, "warm": warm, "stages_s": durations}


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = [
        "| slices (64 x 64) | cache (all sizes so far) | private memory, cold | private memory, warm | cold | warm | of that: prepare, train one epoch, judge |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        s = r["stages_s"]
        lines.append(
            f"| {r['num_images']:,} | {r['cache_gib']} GiB | {r['cold']['peak_mib']} MiB | {r['warm']['peak_mib']} MiB | "
            f"{r['cold']['seconds']:.0f} s | {r['warm']['seconds']:.0f} s | "
            f"{s['prepare']:.0f} s, {s['fit']:.0f} s, {s['judge']:.0f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    args = parser.parse_args()
    outputs = Path(tempfile.mkdtemp(prefix="scanlens-memory-"))
    try:
        rows = []
        for num in args.sizes:
            rows.append(row(num, outputs))
            print(json.dumps(rows[-1]), flush=True)
    finally:
        shutil.rmtree(outputs, ignore_errors=True)
    about = {
        "command": "python benchmarks/memory.py",
        "limit_gib": LIMIT_GIB,
        "created": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
    text = json.dumps({"about": about, "rows": rows}, indent=1)
    (REPOSITORY / "benchmarks" / "memory.json").write_text(text + "\n", encoding="utf-8")
    head = (
        f"# Memory of training\n\nMade by `{about['command']}` on {about['created']}, {about['cores']} cores, Python {about['python']}, "
        f"torch {about['packages']['torch']}. Every run was held to {LIMIT_GIB} GiB of private memory (RLIMIT_DATA) and would have "
        "ended with an error beyond it.\n\n"
    )
    (REPOSITORY / "benchmarks" / "memory.md").write_text(head + table(rows) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
