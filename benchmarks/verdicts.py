"""Does the verdict on a heat map hold on networks that none of its thresholds were set on?

    python benchmarks/verdicts.py [--seeds 21 22 23] [--table]

Trains LeNet-5 and the classifier on an encoder on phantoms with each seed (which also draws the phantoms), and judges maps as
if the score card had passed: four maps at random of 100 test images, which should be SUPPORTED seldom, in 2 to 12 %, and maps
of three methods of the images whose lesion was named rightly. A map is right if its peak lies in the lesion or within one cell
of the map from it. The highlighted region is tried at two sizes (`verdict.share`); the rule is otherwise the default one. Its size and
`agreement_alpha` were chosen on seeds 11 and 12, so that these seeds are no proof of them. Intervals are Wilson's
over images, each a patient of its own, for all seeds together; "single runs" is the smallest and the largest share of one run.
Results go to benchmarks/verdicts.md and verdicts.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from scanlens.callbacks.case_maps import CaseMap, explain_cases
from scanlens.callbacks.case_verdicts import case_of, made_map
from scanlens.callbacks.predictions import index_of
from scanlens.evaluation.explanations.verdict import PASS, Sanity, verdict_of
from scanlens.evaluation.explanations.verdict_plan import VerdictPlan
from scanlens.evaluation.intervals import wilson
from scanlens.explain.base import Explainer
from scanlens.explain.cam import GradCam, HiResCam
from scanlens.explain.controls import RandomMap
from scanlens.explain.integrated_gradients import IntegratedGradients
from scanlens.explain.verdict.measured import Measuring
from scanlens.pipeline.explanations.asked import usual_look
from scanlens.pipeline.explanations.subject import Subject, open_subject
from scanlens.seeds import derived_seed

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUTS = REPOSITORY / "outputs"
MODELS = ("lenet", "encoder_classifier")
TRAINED = (
    "data=mri", "data.num_patients=200", "split.fractions=[0.5,0.1,0.4]", "trainer.max_epochs=25", "audit.enabled=false",
    "callbacks.num_explained_cases=1", "callbacks.explain_every_n_epochs=0", "callbacks.bootstrap_resamples=50",
)  # fmt: skip
NUM, NUM_RANDOM = 100, 4
SHARES = (0.02, 0.06)  # the default one last
METHODS: tuple[Explainer, ...] = (IntegratedGradients(), HiResCam(), GradCam())


def judged(subject: Subject, explainer: Explainer, rows: Sequence[dict[str, str]]) -> Iterator[dict[str, Any]]:
    """Of each image: whether the peak is right, and the verdict at each of `SHARES`."""
    targets = subject.classes(rows).tolist()
    places = [index_of(row) for row in rows]
    maps = explain_cases(
        explainer, subject.network, places, [row["case"] for row in rows], targets, subject.data.image_and_mask
    )
    usual = usual_look(subject.run, subject.data)
    for made, target, place in zip(maps, targets, places, strict=True):
        levels = {}
        for share in SHARES:
            how = Measuring(share=share, seed=derived_seed(1, place), usual=usual)
            measured = case_of(subject.network, made, target, how).measured(explainer, made_map(made)).as_dict()
            levels[str(share)] = verdict_of(measured, VerdictPlan(share=share), Sanity(PASS)).level
        yield {"is_right": is_right(made), "levels": levels}


def is_right(made: CaseMap) -> bool | None:
    """Whether the peak lies in the lesion or within one cell of it; None without a marked lesion."""
    if made.mask_HW is None or not made.has_lesion:
        return None
    apart_HW = distance_transform_edt(made.mask_HW == 0)
    peaks_HW = made.evidence_HW == np.nanmax(made.evidence_HW)
    return not made.is_blank and bool(np.mean(apart_HW[peaks_HW]) <= max(made.grid.cell_px))


def measured_run(model: str, seed: int) -> dict[str, Any]:
    """Train one network unless it is there, and judge its maps."""
    folder = OUTPUTS / f"verdicts_{model}_{seed}"
    words = ["train.py", f"model={model}", f"seed={seed}", *TRAINED, f"run_id={folder.name}"]
    print("python", *words, flush=True)
    subprocess.run([sys.executable, *words], cwd=REPOSITORY, check=True)
    subject = open_subject(folder, max_cases=NUM)
    rows = subject.drawn(subject.test.rows)
    detected = subject.drawn([row for row in subject.test.rows if row["predicted"] == row["target"] != "no_tumor"])
    chance = [one for k in range(NUM_RANDOM) for one in judged(subject, RandomMap(seed=k), rows)]
    evaluation = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    return {
        "model": model,
        "seed": seed,
        "auroc": evaluation["splits"]["test"]["slice"]["metrics"]["auroc"]["value"],
        "maps": {"random": chance} | {one.name: list(judged(subject, one, detected)) for one in METHODS},
    }


def supported(runs: Sequence[dict[str, Any]], method: str, share: float, right_only: bool = False) -> dict[str, Any]:
    """Share of maps that are SUPPORTED, with its interval and the smallest and largest of single runs."""
    single = []
    for run in runs:
        rows = [one for one in run["maps"][method] if one["is_right"] or not right_only]
        single.append((sum(one["levels"][str(share)] == "SUPPORTED" for one in rows), len(rows)))
    count, total = (sum(one[k] for one in single) for k in range(2))
    low, high = wilson(count, total) if total else (0.0, 1.0)
    shares = [got / of for got, of in single if of]
    return {
        "count": count,
        "total": total,
        "low": low,
        "high": high,
        "single": [min(shares), max(shares)] if shares else None,
    }


def in_words(found: dict[str, Any]) -> str:
    """Share, interval, single runs, counts."""
    if not found["total"]:
        return "none"
    ratio, (smallest, largest) = found["count"] / found["total"], found["single"]
    return (
        f"{ratio:.3f} ({found['low']:.3f} to {found['high']:.3f}), {found['count']} of {found['total']}; "
        f"{smallest:.2f} to {largest:.2f}"
    )


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown: one row for each kind of maps, one column for each size of the region."""
    lines = [
        "| network | maps | " + " | ".join(f"region of {100 * share:g} %" for share in SHARES) + " |",
        "|---" * (2 + len(SHARES)) + "|",
    ]
    for model in MODELS:
        own = [run for run in runs if run["model"] == model]
        if not own:
            continue
        kinds = [("at random", "random", False)]
        for one in METHODS:
            kinds += [
                (f"{one.title}, lesion named rightly", one.name, False),
                (f"{one.title}, and the map is right", one.name, True),
            ]
        for title, method, right_only in kinds:
            cells = [in_words(supported(own, method, share, right_only)) for share in SHARES]
            lines.append(f"| {model} | {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure, then write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[21, 22, 23])
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table again")
    args = parser.parse_args()
    results = REPOSITORY / "benchmarks" / "verdicts.json"
    if not args.table:
        runs = [measured_run(model, seed) for seed in args.seeds for model in MODELS]
        results.write_text(json.dumps(runs) + "\n", encoding="utf-8")
    runs = json.loads(results.read_text(encoding="utf-8"))
    aurocs = ", ".join(f"{run['model']} {run['seed']}: {run['auroc']:.2f}" for run in runs)
    text = (
        f"# Verdicts on new networks\n\nShare of maps that are SUPPORTED (95 %), counts; smallest and largest share of a single run. "
        f"Made by `python benchmarks/verdicts.py`; AUROC of the networks: {aurocs}.\n\n{table(runs)}\n"
    )
    (REPOSITORY / "benchmarks" / "verdicts.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
