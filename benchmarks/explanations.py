"""What are explanations worth on public data? Score cards of several training runs of one division, pooled over patients.

    SCANLENS_TEST_DATA=/path/to/data python benchmarks/explanations.py [--only lenet] [--data lgg_flair] [--seeds 1 2 3] [--table]

The first seed divides the patients; the others train on its split.csv, so that all runs are tested on the same images. Every
run is an ordinary command, printed before it starts; a finished run, and a finished score card, is not repeated.
`--only vgg19` adds VGG-19, which takes hours on two cores. `--table` only gathers. Results go to
benchmarks/explanations.md and explanations.json.

Numbers are means over images and seeds, with intervals that resample patients (groups of near-duplicates where they are unknown);
"over seeds" is the smallest and largest value of a single run.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from real_data import EPOCHS, MODELS
from real_data import FOLDERS as FOLDERS_OF_RUNS

from scanlens.evaluation.explanations.numbers import Number, Whose, kept_number, mean_number, ratio_number, share_number
from scanlens.files import read_csv

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUTS = REPOSITORY / "outputs"
DATA = (
    "lgg_flair",
    "brain_tumor_mri",
    "blood_smear_context",
)  # masks; boxes of tumors; boxes of cells
FOLDERS = FOLDERS_OF_RUNS | {"blood_smear_context": FOLDERS_OF_RUNS["blood_smear"]}
SPLIT = {"lgg_flair": ["split.fractions=[0.5,0.15,0.35]"]}  # 18 patients: six of them must be left to judge by
METHODS = (
    "grad_cam", "grad_cam_plus_plus", "xgrad_cam", "hires_cam", "layer_cam", "eigen_cam", "score_cam", "ablation_cam",
    "integrated_gradients", "occlusion",
)  # fmt: skip
HEADINGS = ("consistency", "plausibility", "fidelity", "usefulness")
UNITS = {"blood_smear_context": "smears"}  # what stands for patients there, who are not known
SEED = 1
MEASURES: dict[str, tuple[str, int]] = {  # name: what the column says, decimals
    "stability": ("same map after small changes", 2),
    "hit": ("peak in the lesion", 2),
    "hit_near": ("peak near it", 2),
    "chance_near": ("by chance", 2),
    "distance_px": ("distance (px)", 1),
    "mass_lift": ("evidence, times chance", 1),
    "iou_at_area": ("overlap", 2),
    "random_weights": ("same map, random weights", 2),
    "other_images": ("other images", 2),
    "kept": ("left", 2),
    "random_labels": ("same map, random labels", 2),
    "deletion": ("deletion", 2),
    "road": ("ROAD", 2),
    "insertion": ("insertion", 2),
    "gap_share": ("missing sum", 3),
}
SHARES = ("hit", "hit_near", "iou_at_area")
Rows = list[dict[str, str]]


def run_id(model: str, data: str, seed: int) -> str:
    """The same name for the same run, so that it resumes."""
    return f"explanations_{data}_{model}_{seed}"


def train_command(model: str, data: str, root: Path, seed: int, first: int) -> list[str]:
    """The words after `python` of one training."""
    words = [f"model={model}", f"data={data}", *MODELS[model], f"data.root={root / FOLDERS[data]}", f"seed={seed}"]
    if (model, data) in EPOCHS:
        words = [*(word for word in words if "max_epochs" not in word), f"trainer.max_epochs={EPOCHS[model, data]}"]
    split = (
        SPLIT.get(data, []) if seed == first else [f"split.file={OUTPUTS / run_id(model, data, first) / 'split.csv'}"]
    )
    return ["train.py", *words, *split, f"run_id={run_id(model, data, seed)}"]


def explain_command(model: str, data: str, seed: int, cases: int) -> list[str]:
    """The words after `python` of one score card."""
    words = [
        f"run={OUTPUTS / run_id(model, data, seed)}",
        "parts=score_card",
        f"cases={cases}",
        f"methods={','.join(METHODS)}",
    ]
    return ["-c", "from scanlens.cli import main; main()", "explain", *words]


def card_of(model: str, data: str, seed: int) -> Path:
    """Where the score card of a run lies."""
    return OUTPUTS / run_id(model, data, seed) / "explanations" / "score_card.json"


def run_missing(model: str, data: str, root: Path, seeds: Sequence[int], cases: int) -> None:
    """Train and explain what is not there yet."""
    for seed in seeds:
        for words in (train_command(model, data, root, seed, seeds[0]), explain_command(model, data, seed, cases)):
            if words[0] == "-c" and card_of(model, data, seed).is_file():
                continue
            print("python", *words, flush=True)
            subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=False)


def gathered(model: str, data: str, seeds: Sequence[int]) -> dict[str, Any] | None:
    """Everything about one model on one data set; None if no run is finished."""
    done = [seed for seed in seeds if card_of(model, data, seed).is_file()]
    if not done:
        return None
    cards = [json.loads(card_of(model, data, seed).read_text(encoding="utf-8")) for seed in done]
    tables = [read_csv(card_of(model, data, seed).with_name("score_card_cases.csv")) for seed in done]
    folder = OUTPUTS / run_id(model, data, done[0])
    provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
    return {
        "data": data,
        "model": model,
        "seeds": done,
        "auroc": [_auroc(OUTPUTS / run_id(model, data, seed)) for seed in done],
        "images": [card["images"] for card in cards],
        "tolerance": cards[0]["tolerance"],
        "sanity": [card["sanity"]["status"] for card in cards],
        "methods": [_method(one, cards, tables) for one in cards[0]["methods"]],
        "duration_s": [card["duration_s"] for card in cards],
        "commit": (provenance["git"] or {}).get("commit"),
        "cpu": provenance["hardware"]["cpu"],
        "packages": provenance["packages"],
        "created": provenance["created"],
    }


def _auroc(folder: Path) -> float | None:
    judged = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))["splits"]["test"]["slice"]
    return judged["metrics"]["auroc"]["value"]


def _method(first: dict[str, Any], cards: list[dict[str, Any]], tables: list[Rows]) -> dict[str, Any]:
    name = first["name"]
    parts = [found for card in cards if (found := next((one for one in card["methods"] if one["name"] == name), None))]
    own = [[row for row in table if row["method"] == name] for table in tables]
    together = [row for rows in own for row in rows]
    numbers = {}
    for measure in MEASURES:
        found = number_of(measure, together)
        single = [value for rows in own if (value := number_of(measure, rows)["value"]) is not None]
        numbers[measure] = found | {"over_seeds": [min(single), max(single)] if single else None}
    return {
        "name": name,
        "title": first["title"],
        "is_control": first["is_control"],
        "verdicts": {heading: [part[heading]["status"] for part in parts] for heading in HEADINGS},
        "num_blank": sum(part["num_blank"] for part in parts),
        "num_maps": sum(part["num_maps"] for part in parts),
        "numbers": numbers,
    }


def number_of(measure: str, rows: Rows) -> Number:
    """One measure over all rows: images of the same patient belong together, whatever the seed."""
    whose = Whose(tuple(row["patient"] or None for row in rows), tuple(row["group"] or None for row in rows))

    def column(name: str) -> list[float | None]:
        return [float(row[name]) if row[name] else None for row in rows]

    pairs: dict[str, Callable[[], Number]] = {
        "kept": lambda: kept_number(column("random_weights"), column("other_images"), whose, seed=SEED),
        "mass_lift": lambda: ratio_number(column("mass"), column("chance"), whose, seed=SEED),
        "gap_share": lambda: ratio_number(column("gap"), column("log_odds"), whose, seed=SEED),
    }
    if measure in pairs:
        return pairs[measure]()
    if measure in SHARES:
        return share_number(column(measure), whose)
    return mean_number(column(measure), whose, is_distance=measure == "distance_px")


def shown(number: Number, digits: int) -> str:
    """Value with its interval in brackets."""
    if number["value"] is None:
        return "–"
    if number["low"] is None or number["low"] == number["high"]:
        return f"{number['value']:.{digits}f}"
    return f"{number['value']:.{digits}f} ({number['low']:.{digits}f} to {number['high']:.{digits}f})"


def verdict_words(statuses: Sequence[str]) -> str:
    """ "PASS 3" or "PASS 2, FAIL 1"."""
    return ", ".join(f"{word} {statuses.count(word)}" for word in ("PASS", "FAIL", "NOT ASSESSED") if word in statuses)


def table(found: dict[str, Any]) -> str:
    """Markdown of one model on one data set: verdicts of the seeds, then numbers; columns without any number are left out."""
    images = found["images"][0]
    aurocs = ", ".join("–" if value is None else f"{value:.2f}" for value in found["auroc"])
    lines = [
        f"## {found['model']} on {found['data']}",
        "",
        f"Seeds {', '.join(map(str, found['seeds']))} with AUROC {aurocs}; in the first {images['num_found']} images with a finding "
        f"({images['num_found_units']} {UNITS.get(found['data'], images['unit'])}), {images['num_marked']} rightly named with a marked lesion; near: within "
        f"{found['tolerance']['px']:g} of {found['tolerance']['side_px']} px. Sanity of the first method: {verdict_words(found['sanity'])}.",
        "",
        "| method | " + " | ".join(HEADINGS) + " |",
        "|---|" + "---|" * len(HEADINGS),
    ]
    for one in found["methods"]:
        name = f"*{one['title']}*" if one["is_control"] else one["title"]
        lines.append(
            f"| {name} | " + " | ".join(verdict_words(one["verdicts"][heading]) for heading in HEADINGS) + " |"
        )
    known = [m for m in MEASURES if any(one["numbers"][m]["value"] is not None for one in found["methods"])]
    lines += ["", "| method | " + " | ".join(MEASURES[m][0] for m in known) + " |", "|---|" + "---|" * len(known)]
    for one in found["methods"]:
        name = f"*{one['title']}*" if one["is_control"] else one["title"]
        lines.append(f"| {name} | " + " | ".join(shown(one["numbers"][m], MEASURES[m][1]) for m in known) + " |")
    first = found["methods"][0]
    spread = [
        f"{MEASURES[m][0]} {low:.{MEASURES[m][1]}f} to {high:.{MEASURES[m][1]}f}"
        for m in known
        if (ends := first["numbers"][m]["over_seeds"])
        for low, high in [ends]
    ]
    return "\n".join([*lines, "", f"{first['title']} over seeds: {'; '.join(spread)}."])


def main() -> None:
    """Run what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=("lenet", "vgg19"), default="lenet", help="one model")
    parser.add_argument("--data", choices=DATA, help="one data set")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--cases", type=int, default=50, help="images looked at")
    parser.add_argument("--table", action="store_true", help="train nothing, gather what is finished")
    args = parser.parse_args()
    if not args.table:
        if "SCANLENS_TEST_DATA" not in os.environ:
            sys.exit(
                "set SCANLENS_TEST_DATA to the folder that holds the data sets: " + ", ".join(FOLDERS[d] for d in DATA)
            )
        root = Path(os.environ["SCANLENS_TEST_DATA"]).resolve()
        for data in DATA:
            if args.data in (None, data):
                run_missing(args.only, data, root, args.seeds, args.cases)
    found = [one for model in ("lenet", "vgg19") for data in DATA if (one := gathered(model, data, args.seeds))]
    if not found:
        sys.exit("no run is finished")
    (REPOSITORY / "benchmarks" / "explanations.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    head = (
        f"# What explanations are worth\n\nMade by `python benchmarks/explanations.py --cases {args.cases}` on {found[0]['cpu']} ({os.cpu_count()} cores, no GPU), "
        f"torch {found[0]['packages']['torch']}, {str(found[0]['created'])[:10]}. Controls are in italics. Deletion and ROAD: log-odds lost "
        "without what a map marks, more than without the same shapes elsewhere; insertion: held by it alone. Intervals hold 95 %.\n\n"
    )
    text = head + "\n\n".join(table(one) for one in found) + "\n"
    (REPOSITORY / "benchmarks" / "explanations.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
