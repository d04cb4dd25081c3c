"""How do time and memory of looking for near-duplicates grow, and does the index miss pairs? On made-up slices.

    OMP_NUM_THREADS=1 python benchmarks/duplicates.py           1,000 to 100,000 thumbnails; about ten minutes on two cores
    OMP_NUM_THREADS=1 python benchmarks/duplicates.py --sizes 1000 3000

The thumbnails (tests/fakes/slice_thumbnails.py) are heads in eight slices each, a tenth copied: brighter, noisy, mirrored or turned.
They lie in a file that is mapped, as the cache of a run does. Each search is a process of its own: `search` as training
calls it, `index` with the index forced, `all pairs` without it up to 20,000. Recall and precision compare pairs of images of one
group between the last two. Memory is private memory at its peak (RssAnon), sampled ten times a second, and everything resident,
mapped pages included. Written to benchmarks/duplicates.json and .md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from process_memory import private_mib

from scanlens.data.duplicates import near_duplicate_groups

REPOSITORY = Path(__file__).resolve().parents[1]
SIZES = (1_000, 3_000, 10_000, 20_000, 30_000, 100_000)
ALL_PAIRS_UP_TO = 20_000
SEED = 1
EXACT_UP_TO = {"search": None, "index": 1, "all pairs": 10**9}
PACKAGES = ("scanlens", "numpy", "scipy", "scikit-learn")


def write_thumbnails(num: int, file: Path) -> dict[str, float]:
    """Make the thumbnails; how unrelated ones correlate (10 %, 50 % and 90 % of pairs of the first batch)."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    from fakes.slice_thumbnails import slice_thumbnails

    with file.open("wb") as out:
        for batch_NHW in slice_thumbnails(num, seed=SEED):
            out.write(batch_NHW.tobytes())
    correlation = np.corrcoef(batch_NHW[:500].reshape(len(batch_NHW[:500]), -1))
    found = np.quantile(correlation[np.triu_indices(len(correlation), 1)], (0.1, 0.5, 0.9))
    return dict(zip(("10%", "50%", "90%"), found.round(2).tolist(), strict=True))


def search(num: int, file: Path, mode: str) -> None:
    """One search, in this process; groups go beside the thumbnails, times to the output."""
    thumbs_NHW = np.memmap(file, np.float32, "r", shape=(num, 48, 48))
    settings = {} if EXACT_UP_TO[mode] is None else {"exact_up_to": EXACT_UP_TO[mode]}
    began, began_cpu = time.perf_counter(), time.process_time()
    groups = near_duplicate_groups(thumbs_NHW, **settings)
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    np.save(file.with_suffix(f".{mode}.npy"), groups.group_N)
    resident = [
        line.split()[1] for line in Path("/proc/self/status").read_text("ascii").splitlines() if "VmHWM" in line
    ]
    print(
        json.dumps({"seconds": round(seconds, 1), "cpu_s": round(cpu_s, 1), "resident_mib": int(resident[0]) // 1024})
    )


def measured(num: int, file: Path, mode: str) -> dict[str, float]:
    """One search in a process of its own, with its peak of private memory."""
    words = [sys.executable, __file__, "--search", mode, str(file), "--sizes", str(num)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, private_mib(process.pid))
        time.sleep(0.1)
    out, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with status {process.returncode}")
    return {**json.loads(out), "private_mib": round(peak)}


def num_pairs(group_N: np.ndarray) -> int:
    """Pairs of images of one group."""
    counts = np.bincount(group_N)
    return int((counts * (counts - 1) // 2).sum())


def row(num: int, folder: Path) -> dict[str, object]:
    """One size."""
    file = folder / f"{num}.f32"
    result: dict[str, object] = {
        "num": num,
        "correlation": write_thumbnails(num, file),
        "search": measured(num, file, "search"),
    }
    found = np.load(file.with_suffix(".search.npy"))
    result |= {"num_groups": len(np.unique(found)), "num_pairs": num_pairs(found)}
    if num <= ALL_PAIRS_UP_TO:
        result |= {mode: measured(num, file, mode) for mode in ("index", "all pairs")}
        index_N, every_N = (np.load(file.with_suffix(f".{mode}.npy")) for mode in ("index", "all pairs"))
        _, both_N = np.unique(np.stack([index_N, every_N]), axis=1, return_inverse=True)
        shared = num_pairs(both_N.reshape(-1))
        result |= {"recall": shared / num_pairs(every_N), "precision": shared / num_pairs(index_N)}
    for written in folder.iterdir():
        written.unlink()
    return result


def cpu_name() -> str:
    """As Linux names it."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = [
        "| images | seconds (CPU) | private memory | resident, file included | all pairs, seconds (CPU) | recall of the index | precision |",
        "|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        one, every = r["search"], r.get("all pairs")
        compared = (
            f"{every['seconds']} ({every['cpu_s']}) | {r['recall']:.4f} | {r['precision']:.4f}"
            if every
            else "- | - | -"
        )
        lines.append(
            f"| {r['num']:,} | {one['seconds']} ({one['cpu_s']}) | {one['private_mib']} MiB | {one['resident_mib']} MiB | {compared} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure all sizes and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--search", nargs=2, metavar=("MODE", "FILE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.search:
        search(args.sizes[0], Path(args.search[1]), args.search[0])
        return
    rows = []
    with tempfile.TemporaryDirectory(prefix="scanlens-duplicates-") as folder:
        for num in args.sizes:
            rows.append(row(num, Path(folder)))
            print(json.dumps(rows[-1]), flush=True)
    head = {
        "command": f"OMP_NUM_THREADS={os.environ.get('OMP_NUM_THREADS', 'unset')} python benchmarks/duplicates.py",
        "cpu": cpu_name(),
        "cores": os.cpu_count(),
        "load_average": round(os.getloadavg()[2], 1),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "seed": SEED,
        "date": datetime.now(UTC).date().isoformat(),
    }
    result = {**head, "rows": rows}
    (REPOSITORY / "benchmarks" / "duplicates.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    text = (
        f"# Near-duplicates among many images\n\nMade by `{head['command']}` on {head['cpu']} ({head['cores']} cores, other work on them: "
        f"load {head['load_average']} over 15 minutes), Python {head['python']}, "
        + ", ".join(f"{name} {number}" for name, number in head["packages"].items())
        + f", seed {SEED}, {head['date']}.\n\n{table(rows)}\n\nUp to 4,096 images all pairs are compared; the recall there is of the index, forced.\n"
    )
    (REPOSITORY / "benchmarks" / "duplicates.md").write_text(text, encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
