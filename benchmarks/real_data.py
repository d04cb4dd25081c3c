"""Train on public data sets with honest splits and write the table of the README.

    SCANLENS_TEST_DATA=/path/to/data python benchmarks/real_data.py [--only lenet] [--data malaria] [--table]

Each run is one ordinary command, printed before it starts; a finished run is not repeated. `--table` only gathers. The folder
holds one folder per data set, named as in `FOLDERS`. Results go to benchmarks/real_data.md and real_data.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

from scanlens.pipeline.fold_runs import read_folds
from scanlens.pipeline.folds import gathered

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUTS = REPOSITORY / "outputs"
FOLDERS = {
    "brain_tumor_mri": "brain-tumour-mri",
    "dementia_mri": "dementia-mri",
    "lgg_flair": "lgg-flair-masks",
    "blood_cells": "blood-cells-pbc",
    "blood_smear": "blood-smear-bccd",
    "malaria": "malaria-cells",
    "mnist": "mnist",
}
MODELS = {
    "lenet": [],
    "vgg19": ["trainer.max_epochs=15", "preprocess.size=48"],
    "mlp": ["trainer.max_epochs=20"],
    "autoencoder": ["trainer.max_epochs=10"],
}
FOLDS = {  # so few patients that each must be tested once
    ("lenet", "lgg_flair"): 6,
    ("vgg19", "lgg_flair"): 6,
    ("mlp", "lgg_flair"): 6,
    ("lenet", "dementia_mri"): 5,
    ("vgg19", "dementia_mri"): 5,
    ("mlp", "dementia_mri"): 5,
}
EPOCHS = {  # what two cores can afford: few where images are many
    ("vgg19", "malaria"): 8,
    ("vgg19", "dementia_mri"): 8,
    ("vgg19", "blood_cells"): 40,
    ("vgg19", "lgg_flair"): 15,
}
THREE_GRADES = "data.class_names=[Non_Demented,Very_Mild_Demented,Mild_Demented]"
EXTRA = {  # a class of one patient cannot be in the training of every fold
    ("lenet", "dementia_mri"): [THREE_GRADES],
    ("vgg19", "dementia_mri"): [THREE_GRADES],
    ("mlp", "dementia_mri"): [THREE_GRADES],
}
SKIPPED = {("vgg19", "mnist"), ("autoencoder", "mnist"), ("vgg19", "blood_smear")}


def command(model: str, data: str, root: Path, seed: int, fold: int | None) -> list[str]:
    """The words after `python` of one run."""
    words = [f"model={model}", f"data={data}", *MODELS[model], f"data.root={root / FOLDERS[data]}", f"seed={seed}"]
    if (model, data) in EPOCHS:
        words = [*(word for word in words if "max_epochs" not in word), f"trainer.max_epochs={EPOCHS[model, data]}"]
    words += EXTRA.get((model, data), [])
    if fold is not None:
        words += [f"folds={FOLDS[model, data]}", f"fold={fold}"]
    return ["train.py", *words, f"run_id={run_id(model, data, seed, fold)}"]


def run_id(model: str, data: str, seed: int, fold: int | None) -> str:
    """The same name for the same run, so that it resumes."""
    return f"real_{data}_{model}_{seed}" + ("" if fold is None else f"_fold{fold}")


def folds_of(model: str, data: str) -> list[int | None]:
    """The folds of a data set whose every patient is tested, or one run with a held-out test."""
    return list(range(FOLDS[model, data])) if (model, data) in FOLDS else [None]


def row(model: str, data: str, seed: int) -> dict[str, object] | None:
    """What the README says of a finished run, or of all folds together."""
    folders = [OUTPUTS / run_id(model, data, seed, fold) for fold in folds_of(model, data)]
    if not all((folder / "report" / "index.html").is_file() for folder in folders):
        return None
    evaluations = [json.loads((folder / "evaluation.json").read_text(encoding="utf-8")) for folder in folders]
    provenances = [json.loads((folder / "provenance.json").read_text(encoding="utf-8")) for folder in folders]
    together = None
    if evaluations[0]["task"] == "reconstruction":
        metrics = {name: evaluations[0]["splits"]["test"]["metrics"][name] for name in ("psnr", "ssim")}
        num_images = evaluations[0]["splits"]["test"]["num_images"]
    else:
        together = gathered(read_folds(folders)) if len(folders) > 1 else None
        judged = together["pooled"]["slice"] if together else evaluations[0]["splits"]["test"]["slice"]
        metrics = {name: judged["metrics"][name] for name in ("accuracy", "balanced_accuracy", "auroc")}
        num_images = judged["num_images"]
    return {
        "data": data + (f" ({len(folders)} folds)" if len(folders) > 1 else ""),
        "model": model,
        "seed": seed,
        "num_images": num_images,
        "metrics": metrics,
        "nearest_neighbor": together["nearest_neighbor"] if together else evaluations[0]["nearest_neighbor"],
        "localization": evaluations[0]["localization"] if len(folders) == 1 else None,
        "fit_s": sum(p["duration_s"].get("fit", 0) for p in provenances),
        "commit": (provenances[0]["git"] or {}).get("commit"),
        "cpu": provenances[0]["hardware"]["cpu"],
        "packages": provenances[0]["packages"],
        "created": provenances[0]["created"],
    }


def interval(metric: dict[str, float | None], digits: int = 3) -> str:
    """Value with its interval in brackets."""
    if metric["value"] is None:
        return "not defined"
    if metric["low"] is None:
        return f"{metric['value']:.{digits}f}"
    return f"{metric['value']:.{digits}f} ({metric['low']:.{digits}f} to {metric['high']:.{digits}f})"


def table(rows: list[dict]) -> str:
    """Markdown of the classification runs, then of the autoencoders."""
    classified = [r for r in rows if "auroc" in r["metrics"]]
    lines = [
        "| data | model | test images | balanced accuracy (95 % interval) | accuracy | AUROC | 1-NN balanced accuracy | 1-NN accuracy | training |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for r in classified:
        near, m = r["nearest_neighbor"] or {}, r["metrics"]
        lines.append(
            f"| {r['data']} | {r['model']} | {r['num_images']} | {interval(m['balanced_accuracy'])} | {interval(m['accuracy'])} | "
            f"{interval(m['auroc'])} | {near.get('balanced_accuracy', float('nan')):.3f} | {near.get('accuracy', float('nan')):.3f} | {r['fit_s']:.0f} s |"
        )
    rebuilt = [r for r in rows if "psnr" in r["metrics"]]
    if rebuilt:
        lines += ["", "| data | model | test images | PSNR (dB) | SSIM | training |", "|---|---|---|---|---|---|"]
    for r in rebuilt:
        psnr, ssim = interval(r["metrics"]["psnr"], 2), interval(r["metrics"]["ssim"])
        lines.append(f"| {r['data']} | {r['model']} | {r['num_images']} | {psnr} | {ssim} | {r['fit_s']:.0f} s |")
    return "\n".join(lines)


def main() -> None:
    """Run what is missing, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=MODELS, help="one model")
    parser.add_argument("--data", choices=FOLDERS, help="one data set")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="train nothing, gather what is finished")
    args = parser.parse_args()
    pairs = [(m, d) for m in MODELS for d in FOLDERS if (m, d) not in SKIPPED]
    if not args.table:
        if "SCANLENS_TEST_DATA" not in os.environ:
            sys.exit("set SCANLENS_TEST_DATA to the folder that holds the data sets: " + ", ".join(FOLDERS.values()))
        root = Path(os.environ["SCANLENS_TEST_DATA"]).resolve()
        for model, data in pairs:
            if args.only in (None, model) and args.data in (None, data):
                for fold in folds_of(model, data):
                    words = command(model, data, root, args.seed, fold)
                    print("python", *words, flush=True)
                    subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=False)
    rows = [found for m, d in pairs if (found := row(m, d, args.seed))]
    rows.sort(key=lambda r: (list(FOLDERS).index(str(r["data"]).split()[0]), list(MODELS).index(str(r["model"]))))
    (REPOSITORY / "benchmarks" / "real_data.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    if rows:
        packages = rows[0]["packages"]
        head = (
            f"Made by `python benchmarks/real_data.py`, seed {args.seed}, on {rows[0]['cpu']} ({os.cpu_count()} cores, no GPU), "
            f"Python {platform.python_version()}, torch {packages['torch']}, {str(rows[0]['created'])[:10]}.\n\n"  # type: ignore[index]
        )
        (REPOSITORY / "benchmarks" / "real_data.md").write_text(
            "# Real data\n\n" + head + table(rows) + "\n", encoding="utf-8"
        )
        print(table(rows))


if __name__ == "__main__":
    main()
