"""How long does the report of 1,000 explained cases take, and how large is it?

    python benchmarks/report.py run=outputs/RUN_ID [--cases 1000]

Copies a finished run into a folder of its own, gives it so many cases (each a copy of one that it has, under a name of its own), and
writes page, sheets and records. Results go to benchmarks/report.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import tempfile
import time
from pathlib import Path

from scanlens.report.page import write_report

RESULTS = Path(__file__).with_suffix(".json")


def multiplied(run: Path, folder: Path, num: int) -> None:
    """Copy the run and multiply its explained cases."""
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("report", "checkpoints", "tensorboard", "training"))
    explanations = folder / "explanations"
    listed = {
        name: json.loads((explanations / f"{name}.json").read_text(encoding="utf-8"))
        for name in ("cases", "calls", "context")
    }
    own, beside = listed["cases"]["cases"], {one["case"]: one for one in listed["context"]["cases"]}
    cases, calls, context = [], {}, []
    for n in range(num):
        one = own[n % len(own)]
        old, new = one["case"], f"test-{n:05d}"
        if n >= len(own):
            new = f"test-{100000 + n:06d}"
            cases.append({**json.loads(json.dumps(one)), "case": new})
        else:
            cases.append(one)
            new = old
        calls[new] = listed["calls"]["cases"][old]
        context.append({**beside[old], "case": new})
    for name, content in (("cases", cases), ("calls", calls), ("context", context)):
        (explanations / f"{name}.json").write_text(json.dumps(listed[name] | {"cases": content}), encoding="utf-8")


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="run=FOLDER of a finished run with explained cases")
    parser.add_argument("--cases", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "run"
        multiplied(Path(args.run.removeprefix("run=")), folder, args.cases)
        started, cpu = time.perf_counter(), time.process_time()
        page = write_report(folder, pdf=False)
        sizes = {path.name: path.stat().st_size for path in (page.parent / "cases").glob("*.html")}
        found = {
            "cases": len(sizes),
            "seconds": round(time.perf_counter() - started, 1),
            "cpu_seconds": round(time.process_time() - cpu, 1),
            "page_mib": round(page.stat().st_size / 2**20, 2),
            "largest_sheet_mib": round(max(sizes.values()) / 2**20, 2),
            "all_sheets_mib": round(sum(sizes.values()) / 2**20, 1),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
        }
    RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
