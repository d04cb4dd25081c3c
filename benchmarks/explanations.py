"""Put heat maps to the test on public data with marked lesions: every method and control, over every measure, three seeds.

    SCANLENS_TEST_DATA=/path/to/data python benchmarks/explanations.py [--model lenet] [--data lgg_flair] [--seeds 1 2 3] [--cases 24] [--table]

Each step is one ordinary command, printed before it starts; what is finished is not repeated. All seeds of a data set share one
split (split.seed=1). The folder holds one folder per data set, named as in `FOLDERS`. Results go to
benchmarks/explanations.md and explanations.json; with --table they are only gathered.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from statistics import fmean
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUTS = REPOSITORY / "outputs"
FOLDERS = {
    "lgg_flair": "lgg-flair-masks",
    "brain_tumor_mri": "brain-tumour-mri",
    "blood_smear": "blood-smear-bccd",
}
MARKS = {"lgg_flair": "masks", "brain_tumor_mri": "boxes", "blood_smear": "boxes"}
EXTRA = {"lgg_flair": ["split.fractions=[0.5,0.15,0.35]"]}  # 18 patients: more of them for the test
MODELS = {"lenet": [], "vgg19": ["preprocess.size=48", "trainer.max_epochs=15"]}
MEASURES = {
    "peak in the mark": ("plausibility", "hit"),
    "within the tolerance": ("plausibility", "hit_near"),
    "distance (px)": ("plausibility", "distance_px"),
    "mass over chance": ("plausibility", "mass_lift"),
    "IoU at the mark's area": ("plausibility", "iou_at_area"),
    "removal": ("fidelity", "removal", "advantage"),
    "ROAD": ("fidelity", "road", "advantage"),
    "kept with random weights": ("fidelity", "randomization", "kept"),
    "stability": ("consistency", "rank_correlation"),
}
COMMAND = "from scanlens.cli import main; main()"
HEADINGS = ("consistency", "plausibility", "fidelity")


def run_id(data: str, model: str, seed: int) -> str:
    """The same name for the same run, so that it resumes."""
    return f"explained_{data}_{model}_{seed}"


def commands(data: str, model: str, root: Path, seed: int, cases: int) -> list[list[str]]:
    """The words after `python` of the training and of its test, those that are not done."""
    folder = OUTPUTS / run_id(data, model, seed)
    wanted = []
    if not (folder / "report" / "index.html").is_file():
        words = [
            f"model={model}",
            f"data={data}",
            *MODELS[model],
            *EXTRA.get(data, []),
            f"data.root={root / FOLDERS[data]}",
        ]
        wanted.append(["train.py", *words, f"seed={seed}", "split.seed=1", f"run_id={run_id(data, model, seed)}"])
    if not (folder / "explanations" / "score_card.json").is_file():
        wanted.append(["-c", COMMAND, "explain", f"run={folder}", "parts=score_card", f"cases={cases}"])
    return wanted


def cards_of(data: str, model: str, seeds: list[int]) -> dict[int, dict[str, Any]]:
    """The score cards that are finished, by seed."""
    paths = {seed: OUTPUTS / run_id(data, model, seed) / "explanations" / "score_card.json" for seed in seeds}
    return {seed: json.loads(path.read_text(encoding="utf-8")) for seed, path in paths.items() if path.is_file()}


def measured(method: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    """One measure of one method, {value, low, high, num_images, num_units}; None where it was not assessed."""
    found: Any = method
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    return found if isinstance(found, dict) and found.get("value") is not None else None


def pooled(cards: dict[int, dict[str, Any]]) -> list[dict[str, Any]]:
    """Of each method: the mean over seeds, and from the lowest to the highest end of the seeds' intervals over patients."""
    names = list(dict.fromkeys(m["name"] for card in cards.values() for m in card["methods"]))
    rows = []
    for name in names:
        methods = {s: m for s, card in cards.items() for m in card["methods"] if m["name"] == name}
        first = next(iter(methods.values()))
        row = {
            "name": name,
            "title": first["title"],
            "is_control": first["is_control"],
            "seeds": list(methods),
            "measures": {},
        }
        row["num_blank"] = sum(m["num_blank"] for m in methods.values())
        row["num_maps"] = sum(m["num_maps"] for m in methods.values())
        for heading in HEADINGS:
            row[heading] = [m[heading]["status"] for m in methods.values()]
        for measure, path in MEASURES.items():
            each = [one for m in methods.values() if (one := measured(m, path)) is not None]
            if each:
                ends = [one[end] for one in each for end in ("low", "high") if one.get(end) is not None]
                row["measures"][measure] = {
                    "mean": fmean(one["value"] for one in each),
                    "of_seeds": [one["value"] for one in each],
                    "low": min(ends, default=None),
                    "high": max(ends, default=None),
                    "num_images": [one.get("num_images") for one in each],
                    "num_units": [one.get("num_units") for one in each],
                }
        rows.append(row)
    return rows


def shown(measure: dict[str, Any] | None) -> str:
    """The mean over seeds, with the widest interval."""
    if measure is None:
        return "-"
    bounds = "" if measure["low"] is None else f" ({measure['low']:.2f} to {measure['high']:.2f})"
    return f"{measure['mean']:.2f}{bounds}"


def table(found: dict[str, list[dict[str, Any]]], cards: dict[str, dict[int, dict[str, Any]]]) -> str:
    """Markdown, one table for each data set and network."""
    lines = []
    for key, rows in found.items():
        data, model = key.split("/")
        images = next(iter(cards[key].values()))["images"]
        units, kind = images["num_found_units"], next(iter(cards[key].values()))["images"]["resampled"]
        lines += [
            f"## {model} on `{data}` ({MARKS[data]})",
            "",
            f"{len(cards[key])} seeds; up to {images['num_found']} images of {units} {kind} each; explained: "
            f"{next(iter(cards[key].values()))['explained']}.",
            "",
            "| method | " + " | ".join(MEASURES) + " | passes (consistency, plausibility, fidelity) | blank |",
            "|---" * (len(MEASURES) + 3) + "|",
        ]
        for row in sorted(rows, key=lambda one: one["is_control"]):
            cells = [shown(row["measures"].get(measure)) for measure in MEASURES]
            passes = ", ".join(f"{row[h].count('PASS')} of {len(row[h])}" for h in HEADINGS)
            name = f"*{row['title']}* (control)" if row["is_control"] else row["title"]
            lines.append(
                f"| {name} | " + " | ".join(cells) + f" | {passes} | {row['num_blank']} of {row['num_maps']} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=MODELS, action="append", help="default: lenet")
    parser.add_argument("--data", choices=FOLDERS, action="append", help="default: all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cases", type=int, default=24)
    parser.add_argument("--table", action="store_true", help="train and test nothing, gather what is finished")
    args = parser.parse_args()
    models, sets = args.model or ["lenet"], args.data or list(FOLDERS)
    if not args.table:
        if "SCANLENS_TEST_DATA" not in os.environ:
            sys.exit("set SCANLENS_TEST_DATA to the folder that holds the data sets: " + ", ".join(FOLDERS.values()))
        root = Path(os.environ["SCANLENS_TEST_DATA"]).resolve()
        for seed in args.seeds:
            for model in models:
                for data in sets:
                    for words in commands(data, model, root, seed, args.cases):
                        print(*(["scanlens", *words[2:]] if words[0] == "-c" else ["python", *words]), flush=True)
                        subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=False)
    cards = {f"{d}/{m}": found for m in MODELS for d in FOLDERS if (found := cards_of(d, m, args.seeds))}
    pools = {key: pooled(found) for key, found in cards.items()}
    content = {"cases": args.cases, "cores": os.cpu_count(), "python": platform.python_version(), "found": pools}
    target = REPOSITORY / "benchmarks" / "explanations.json"
    target.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    head = (
        "# Heat maps put to the test\n\n"
        f"Made by `python benchmarks/explanations.py`, {args.cases} test images a run at most, {os.cpu_count()} cores without GPU. "
        "Means over seeds; brackets: from the lowest to the highest end of the seeds' 95 % intervals over patients (or groups of "
        "near-duplicates), so they hold the spread over seeds too. Removal and ROAD: how much more the log-odds fall without what "
        "the map marks than without places drawn at random. Kept with random weights: share of what is a map's own that is left "
        "when all weights are drawn anew; near 0 is right.\n\n"
    )
    target.with_suffix(".md").write_text(head + table(pools, cards), encoding="utf-8")
    print(table(pools, cards))


if __name__ == "__main__":
    main()
