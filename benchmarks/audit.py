"""What the audit finds in public data sets, against what is known of them.

    SCANLENS_TEST_DATA=/path/to/data python benchmarks/audit.py

Each data set is audited by the ordinary command, twice: decoding everything, and from the cache. The numbers come out of audit.json and
the lists beside it; truth from images.csv (near_duplicate_group) and subjects.csv. Written to benchmarks/audit.json and audit.md.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from sklearn.metrics import adjusted_rand_score

from scanlens.files import read_csv

SETS = {
    "brain_tumor_mri": ("brain-tumour-mri", []),
    "dementia_mri": ("dementia-mri", []),
    "dementia_mri, subjects withheld": ("dementia-mri", ["data.sidecar=null"]),
    "lgg_flair": ("lgg-flair-masks", []),
    "malaria": ("malaria-cells", []),
    "blood_cells": ("blood-cells-pbc", []),
    "blood_smear": ("blood-smear-bccd", []),
    "mnist": ("mnist", []),
}
PROGRAM = "import sys; from scanlens.cli import main; main(sys.argv[1:])"
PACKAGES = ("scanlens", "numpy", "scipy", "scikit-learn")


def audited(name: str, root: Path, outputs: Path) -> dict[str, object]:
    """One row: what the audit said, and how long it took."""
    folder, words = SETS[name]
    run_id = name.split(",")[0] + ("_withheld" if words else "")
    seconds = []
    for repeat in ("cold", "warm"):
        command = ["audit", f"data={name.split(',')[0]}", f"data.root={root / folder}", *words]
        command += [f"paths.outputs={outputs}", f"run_id={run_id}_{repeat}"]
        print("scanlens", *command, flush=True)
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", PROGRAM, *command], check=True, stdout=subprocess.DEVNULL)
        seconds.append(round(time.perf_counter() - began, 1))
    run = outputs / f"{run_id}_warm"
    found = json.loads((run / "audit.json").read_text(encoding="utf-8"))
    return {
        "data": name,
        "num_images": found["num_images"],
        "seconds_cold": seconds[0],
        "seconds_from_cache": seconds[1],
        "copies": found["duplicates"]["copies"],
        "near": found["duplicates"]["near"],
        "leaks_given": found["duplicates"]["leaks"]["given"],
        "leaks_final": found["duplicates"]["leaks"]["final"],
        "hidden_patients": (found["hidden_patients"] or {}).get("num_chains"),
        "shortcuts": {
            one["name"]: {key: one[key] for key in ("auroc", "low", "high", "verdict", "reason")}
            for one in found["shortcuts"]
        },
        "conflicts": found["conflicts"],
        "doubtful": {key: found["doubtful"][key] for key in ("num", "reason", "agreement")},
        "odd": {kind: one["num"] for kind, one in found["odd"].items()},
        **truth(name, root / folder, run),
    }


def named(run: Path, table: str) -> list[dict[str, str]]:
    """Rows of a list of the audit, with the id of each image."""
    id_of = {row["index"]: row["id"] for row in read_csv(run / "split.csv")}
    return [{**row, "id": id_of[row["index"]]} for row in read_csv(run / "audit" / table)]


def truth(name: str, folder: Path, run: Path) -> dict[str, object]:
    """Agreement with what is known of a data set."""
    if name == "brain_tumor_mri":
        with (folder / "images.csv").open(encoding="utf-8", newline="") as file:
            known = {row["file"]: row["near_duplicate_group"] for row in csv.DictReader(file)}
        rows = named(run, "copies.csv")
        mine = {row["id"]: row["group"] for row in rows if row["kind"] == "near"}
        mine |= {row["id"]: f"copy{row['group']}" for row in rows if row["id"] not in mine}
        return {"pairs": agreement(known, mine)}
    if name.startswith("dementia_mri,"):
        with (folder / "subjects.csv").open(encoding="utf-8", newline="") as file:
            known = {row["file"]: row["subject"] for row in csv.DictReader(file)}
        mine = {row["id"]: row["chain"] for row in named(run, "chains.csv")}
        ids = sorted(known)
        score = adjusted_rand_score([known[i] for i in ids], [mine.get(i, i) for i in ids])
        return {"pairs": agreement(known, mine), "adjusted_rand": round(float(score), 4)}
    return {}


def agreement(known: dict[str, str], mine: dict[str, str]) -> dict[str, float | int]:
    """Pairs of images of one known group against pairs of one found group."""
    ids = sorted(known)
    both = Counter((known[i], mine.get(i, i)) for i in ids)
    pairs = {
        "both": sum(n * (n - 1) // 2 for n in both.values()),
        "known": sum(n * (n - 1) // 2 for n in Counter(known.values()).values()),
        "found": sum(n * (n - 1) // 2 for n in Counter(mine.get(i, i) for i in ids).values()),
    }
    return pairs | {
        "precision": round(pairs["both"] / pairs["found"], 4),
        "recall": round(pairs["both"] / pairs["known"], 4),
    }


def table(rows: list[dict]) -> str:
    """Markdown."""
    lines = [
        "| data | images | seconds, decoding / from the cache | exact copies | near-duplicates | given test images with a near-duplicate in train | the same, in the mended split | chains of slices |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        given = next((one for one in r["leaks_given"] or [] if one["kind"] == "near" and one["later"] == "test"), None)
        given_text = (
            "no given split"
            if r["leaks_given"] is None
            else f"{given['num_images']} of {given['of']}"
            if given
            else "0"
        )
        final = sum(one["num_images"] for one in r["leaks_final"] if one["kind"] == "near" and one["later"] == "test")
        near = (
            "not looked for" if r["near"] is None else f"{r['near']['num_images']} in {r['near']['num_groups']} groups"
        )
        lines.append(
            f"| {r['data']} | {r['num_images']} | {r['seconds_cold']} / {r['seconds_from_cache']} | {r['copies']['num_images']} | {near} | "
            f"{given_text} | {final} | "
            f"{'–' if r['hidden_patients'] is None else r['hidden_patients']} |"
        )
    lines += ["", "Shortcuts: AUROC (95 % interval) of one property alone; **bold** where the audit speaks up.", ""]
    names = list(dict.fromkeys(name for r in rows for name in r["shortcuts"]))
    lines += [f"| data | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|"]
    lines += [f"| {r['data']} | {' | '.join(cell(r['shortcuts'].get(name)) for name in names)} |" for r in rows]
    for r in rows:
        if "pairs" in r:
            p = r["pairs"]
            rand = f", adjusted Rand index {r['adjusted_rand']}" if "adjusted_rand" in r else ""
            lines += [
                "",
                f"{r['data']}, pairs against the known groups: precision {p['precision']}, recall {p['recall']}{rand}.",
            ]
    return "\n".join(lines)


def cell(one: dict | None) -> str:
    """One AUROC with its interval."""
    if one is None:
        return ""
    if one["auroc"] is None:
        return "–"
    bounds = "" if one["low"] is None else f" ({one['low']:.2f} to {one['high']:.2f})"
    text = f"{one['auroc']:.2f}{bounds}"
    return f"**{text}**" if one["verdict"] else text


def main() -> None:
    """Audit everything, then write the table."""
    if "SCANLENS_TEST_DATA" not in os.environ:
        sys.exit("set SCANLENS_TEST_DATA to the folder that holds the data sets")
    root = Path(os.environ["SCANLENS_TEST_DATA"]).resolve()
    with tempfile.TemporaryDirectory(prefix="scanlens-audit-") as outputs:
        rows = [audited(name, root, Path(outputs)) for name in SETS]
    about = {
        "command": "python benchmarks/audit.py",
        "created": f"{datetime.now(UTC):%Y-%m-%d}",
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[2], 1),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
    }
    here = Path(__file__).resolve().parent
    (here / "audit.json").write_text(json.dumps({"about": about, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    head = (
        f"# What the audit finds\n\nMade by `{about['command']}` on {about['created']}, {about['cores']} cores (load {about['load']} "
        f"over 15 minutes), Python {about['python']}, scikit-learn {about['packages']['scikit-learn']}.\n\n"  # type: ignore[index]
    )
    (here / "audit.md").write_text(head + table(rows) + "\n", encoding="utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
