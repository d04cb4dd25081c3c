"""What do heat maps, their verdicts and the score card cost on a processor?

    python benchmarks/explanation_cost.py [--only vgg19] [--parts verdicts score_card methods] [--cases 4 8] [--before SRC] [--table]

Trains LeNet-5 (64 px) and VGG-19 (224 px, from random weights, so with batch norm, which is the dearer one) on phantoms for a
moment, since weights do not matter for what is measured, and then runs each part in a process of its own with one thread:

- verdicts: HiResCAM and the whole test of a verdict on each of some test images;
- score_card: `scanlens explain parts=score_card` with its usual methods. Deletion and ROAD cost alike for every method; with
  `--removed 1` they are run for one of them and counted for all, and the table says so;
- methods: one map of each option of `explain`, of one image each.

`--before` names the `src` folder of another version, measured in turns with this one. Seconds are those of the processor
(user and system), which hardly depend on what else runs; those on the clock of a shared machine do. With two numbers of cases
the part that grows with them is told from the rest. Results are added to benchmarks/explanation_cost.json as they come.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
OUTPUTS = REPOSITORY / "outputs"
RESULTS = REPOSITORY / "benchmarks" / "explanation_cost.json"
PARTS = ("verdicts", "score_card", "methods")
QUICK = (
    "data=mri", "audit.enabled=false", "callbacks.num_explained_cases=1", "callbacks.explain_every_n_epochs=0",
    "callbacks.bootstrap_resamples=50", "verdict.enabled=false",
)  # fmt: skip
VGG = (
    "model=vgg19", *QUICK, "data.num_patients=24", "data.size=224", "data.class_shares=[8,1,1,1]", "balance=none",
    "split.fractions=[0.25,0.1,0.65]", "lineage.on_seen=warn",
)  # fmt: skip
TRAINED: dict[str, tuple[tuple[str, ...], ...]] = {
    "lenet": (
        ("model=lenet", *QUICK, "data.num_patients=60", "split.fractions=[0.4,0.1,0.5]", "trainer.max_epochs=12", "run_id=cost_lenet"),
    ),
    "vgg19": (  # small images first: a network that names a tumor is enough
        (*VGG, "model.weights=none", "preprocess.size=64", "trainer.max_epochs=8", "loader.batch_size=4", "explain=none", "optim.lr=3e-4", "run_id=cost_vgg19_64"),
        (*VGG, "model.weights={outputs}/cost_vgg19_64", "model.frozen_blocks=5", "preprocess=imagenet_224", "trainer.max_epochs=1", "loader.batch_size=8", "optim.lr=1e-5", "run_id=cost_vgg19"),
    ),
}  # fmt: skip
NOW, BEFORE = "now", "before"
SIDES = {"lenet": "64 px", "vgg19": "224 px"}
CAMS = ("grad_cam", "grad_cam_plus_plus", "hires_cam", "layer_cam", "xgrad_cam", "eigen_cam", "ablation_cam", "fusion")
SLOW = ("integrated_gradients", "occlusion", "score_cam")
STAGES = ("mapped", "measure_consistency", "measure_randomization", "shuffled_labels_network", "measure_labels",
          "measure_removal", "measure_plausibility")  # fmt: skip


class Stages:
    """Seconds of the processor by stage."""

    def __init__(self) -> None:
        self.cpu_s: dict[str, float] = defaultdict(float)

    def timed(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """The same, with its seconds noted."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            started = time.process_time()
            try:
                return call(*args, **kwargs)
            finally:
                self.cpu_s[name] += time.process_time() - started

        return timed


class _EnoughError(Exception):
    """All that costs has been done."""


def verdicts(subject: Any, cases: int, stages: Stages, _removed: int | None) -> int:
    """HiResCAM and its verdict on test images; how many."""
    from scanlens.callbacks.case_maps import explain_cases
    from scanlens.callbacks.case_verdicts import case_of, made_map
    from scanlens.callbacks.predictions import index_of
    from scanlens.explain.cam import HiResCam
    from scanlens.explain.verdict.measured import Measuring
    from scanlens.pipeline.explanations.asked import usual_look

    rows, method = subject.drawn(subject.test.rows)[:cases], HiResCam()
    targets, usual = subject.classes(rows).tolist(), usual_look(subject.run, subject.data)
    places, names = [index_of(row) for row in rows], [row["case"] for row in rows]
    made = stages.timed("maps", explain_cases)(
        method, subject.network, places, names, targets, subject.data.image_and_mask
    )

    def test_all() -> None:
        for one, target, place in zip(made, targets, places, strict=True):
            case_of(subject.network, one, target, Measuring(seed=place, usual=usual)).measured(method, made_map(one))

    stages.timed("verdicts", test_all)()
    return len(rows)


def score_card(subject: Any, cases: int, stages: Stages, removed: int | None) -> int:
    """The score card; images with a finding."""
    from scanlens.pipeline.explanations import score_card as card

    counts = {"methods": 0, "found": 0}
    measure_removal, plausibility = card.measure_removal, card.measure_plausibility

    def some_removed(measured: Sequence[Any], network: Any, images: Any, *args: Any, **kwargs: Any) -> None:
        counts.update(methods=len(measured), found=len(images))
        measure_removal(measured[:removed], network, images, *args, **kwargs)

    def last(*args: Any, **kwargs: Any) -> None:
        stages.timed("measure_plausibility", plausibility)(*args, **kwargs)
        raise _EnoughError

    for name in STAGES:
        setattr(card, name, stages.timed(name, getattr(card, name)))
    if removed is not None:
        card.measure_removal, card.measure_plausibility = stages.timed("measure_removal", some_removed), last  # type: ignore[assignment]
    try:
        card.measure(subject)
    except _EnoughError:
        stages.cpu_s["measure_removal"] *= counts["methods"] / (removed or 1)
    return counts["found"] or cases


def methods(subject: Any, cases: int, stages: Stages, _removed: int | None) -> int:
    """One map of each option; cheap ones first, so that what was measured is had if the rest takes too long."""
    from scanlens.errors import ExplainError
    from scanlens.pipeline.explanations.card.compared import option

    rows = subject.drawn(subject.test.rows)[:cases]
    x_BCHW, _ = subject.images(rows)
    target_B = subject.classes(rows)
    for name in (*CAMS, *SLOW):
        explainer = option(name)
        with suppress(ExplainError, RuntimeError):
            explainer.explain(subject.network, x_BCHW[:1, :, :32, :32], target_B[:1])  # imports
        for b in range(len(rows)):
            stages.timed(name, explainer.explain)(subject.network, x_BCHW[b : b + 1], target_B[b : b + 1])
        print(json.dumps({name: stages.cpu_s[name] / len(rows)}), file=sys.stderr, flush=True)
    return len(rows)


def child(model: str, part: str, cases: int, removed: int | None) -> None:
    """Measure in this process, and print one line of JSON."""
    import torch

    torch.set_num_threads(1)
    from scanlens.pipeline.explanations.subject import open_subject

    subject, stages = open_subject(OUTPUTS / f"cost_{model}", max_cases=cases), Stages()
    started = time.process_time(), time.perf_counter()
    num = globals()[part](subject, cases, stages, removed)
    cpu_s, wall_s = time.process_time() - started[0], time.perf_counter() - started[1]
    if part == "score_card" and removed is not None:
        cpu_s, wall_s = sum(stages.cpu_s.values()), None
    peak_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cases": num, "cpu_s": cpu_s, "wall_s": wall_s, "stages": stages.cpu_s, "peak_mib": peak_mib}))


def measured(model: str, part: str, cases: int, version: str, source: Path, removed: int | None) -> dict[str, Any]:
    """One part, in a process with one thread."""
    words = [__file__, "--child", model, part, str(cases), *([] if removed is None else [str(removed)])]
    environment = os.environ | {"PYTHONPATH": str(source), "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    print(version, "python", *words, flush=True)
    done = subprocess.run(
        [sys.executable, *words], cwd=REPOSITORY, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    print(f"  {found['cpu_s']:.1f} s of processor, {found['cases']} cases", flush=True)
    about = {"model": model, "part": part, "asked": cases, "version": version, "removed": removed}
    return about | found | {"date": time.strftime("%Y-%m-%d"), "cpu": _cpu(), "torch": _torch()}


def trained(model: str) -> None:
    """Train the network unless it is there."""
    for words in TRAINED[model]:
        run_id = words[-1].removeprefix("run_id=")
        if (OUTPUTS / run_id / "evaluation.json").is_file():
            continue
        full = ["train.py", *(word.format(outputs=OUTPUTS) for word in words)]
        print("python", *full, flush=True)
        subprocess.run([sys.executable, *full], cwd=REPOSITORY, check=True)


def _stored() -> list[dict[str, Any]]:
    """What was measured so far."""
    return json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.is_file() else []


def _cpu() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _torch() -> str:
    from importlib.metadata import version

    return version("torch")


def table(runs: Sequence[dict[str, Any]]) -> str:
    """Markdown of everything that was measured."""
    lines = [
        "| network | part | cases | processor now | a case | on the clock | before | ratio | most memory |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    mean = _means(runs)
    for (model, part, _, removed), by in mean.items():
        if part == "methods" or NOW not in by:
            continue
        now, old = by[NOW], by.get(BEFORE)
        noted = "" if removed is None else f" (removal of {removed} method counted for all)"
        lines.append(
            f"| {model} {SIDES[model]} | {part.replace('_', ' ')}{noted} | {now['cases']} | {now['cpu_s']:.0f} s | {now['cpu_s'] / now['cases']:.1f} s | "
            + (f"{now['wall_s']:.0f} s" if now["wall_s"] else "–")
            + (f" | {old['cpu_s']:.0f} s | {now['cpu_s'] / old['cpu_s']:.2f}" if old else " | – | –")
            + f" | {now['peak_mib']:.0f} MiB |"
        )
    lines += _fits(mean) + _stages(mean) + _maps(mean)
    return "\n".join(lines)


Key = tuple[str, str, int, int | None]


def _means(runs: Sequence[dict[str, Any]]) -> dict[Key, dict[str, dict[str, Any]]]:
    """Of each kind of run, the mean of its repetitions."""
    kept: dict[Key, dict[str, list[dict[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        kept[run["model"], run["part"], run["asked"], run["removed"]][run["version"]].append(run)

    def mean(same: list[dict[str, Any]]) -> dict[str, Any]:
        stages = {name: sum(one["stages"][name] for one in same) / len(same) for name in same[0]["stages"]}
        numbers = {
            name: None if same[0][name] is None else sum(one[name] for one in same) / len(same)
            for name in ("cpu_s", "wall_s", "peak_mib")
        }
        return same[0] | numbers | {"stages": stages, "repeats": len(same)}

    return {key: {version: mean(same) for version, same in by.items()} for key, by in sorted(kept.items(), key=str)}


def _fits(mean: dict[Key, dict[str, dict[str, Any]]]) -> list[str]:
    """The part that grows with the cases, where two numbers of them were measured, and what 50 would cost."""
    points: dict[tuple[str, str, str], dict[int, float]] = defaultdict(dict)
    for (model, part, _, _), by in mean.items():
        for version, found in by.items():
            if part != "methods":
                points[model, part, version][found["cases"]] = found["cpu_s"]
    lines = []
    for (model, part, version), known in points.items():
        if len(known) < 2:
            continue
        few, many = min(known), max(known)
        slope = (known[many] - known[few]) / (many - few)
        fixed = known[few] - few * slope
        lines.append(
            f"- {model}, {part.replace('_', ' ')}, {version}: {fixed:.0f} s and {slope:.1f} s a case (from {few} and {many} cases); "
            f"**extrapolated** to 50 cases {fixed + 50 * slope:.0f} s of processor, {(fixed + 50 * slope) / 120:.1f} min if both of two cores are free."
        )
    return ["", *lines] if lines else []


def _stages(mean: dict[Key, dict[str, dict[str, Any]]]) -> list[str]:
    lines = ["", "Where the seconds go:", ""]
    for (model, part, asked, _), by in mean.items():
        for version, found in by.items():
            if part != "methods":
                told = ", ".join(
                    f"{name.removeprefix('measure_').replace('_', ' ')} {cpu_s:.1f}"
                    for name, cpu_s in found["stages"].items()
                )
                lines.append(f"- {model}, {part.replace('_', ' ')}, {asked} cases, {version}: {told}.")
    return lines


def _maps(mean: dict[Key, dict[str, dict[str, Any]]]) -> list[str]:
    lines: list[str] = []
    for (model, part, _, _), by in mean.items():
        if part != "methods":
            continue
        versions = [version for version in (NOW, BEFORE) if version in by]
        lines += [
            "",
            f"Processor seconds of one map, {model} {SIDES[model]} (mean over {by[versions[0]]['cases']} images):",
            "",
        ]
        lines += [f"| explain= | {' | '.join(versions)} |", "|---" * (1 + len(versions)) + "|"]
        for name in by[versions[0]]["stages"]:
            cells = [f"{by[version]['stages'][name] / by[version]['cases']:.2f}" for version in versions]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += [f"\nThis run was {by[version]['note']}." for version in versions if by[version].get("note")]
    return lines


def main() -> None:
    """Measure in turns, then write the table."""
    if sys.argv[1:2] == ["--child"]:
        model, part, cases, *removed = sys.argv[2:]
        child(model, part, int(cases), int(removed[0]) if removed else None)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=tuple(TRAINED), nargs="+", default=list(TRAINED))
    parser.add_argument("--parts", choices=PARTS, nargs="+", default=list(PARTS))
    parser.add_argument("--cases", type=int, nargs="+", default=[50], help="one number, or two to tell the fixed part")
    parser.add_argument("--removed", type=int, help="methods whose deletion and ROAD are run; default: all")
    parser.add_argument("--before", type=Path, help="the src folder of another version")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="measure nothing, write the table again")
    args = parser.parse_args()
    versions = {NOW: REPOSITORY / "src"} | ({BEFORE: args.before.resolve()} if args.before else {})
    for model in [] if args.table else args.only:
        trained(model)
        for part in args.parts:
            for cases in args.cases:
                for _ in range(args.repeats):
                    for version, source in versions.items():
                        removed = args.removed if part == "score_card" else None
                        found = measured(model, part, cases, version, source, removed)
                        runs = [*_stored(), found]
                        RESULTS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    runs = _stored()
    if not runs:
        sys.exit("nothing was measured yet")
    text = (
        "# What explanations cost\n\nMade by `python benchmarks/explanation_cost.py` on "
        f"{runs[-1]['cpu']}, one thread, torch {runs[-1]['torch']}, {runs[-1]['date']}; the machine was shared with other work, so seconds of "
        f"the processor come first.\n\n{table(runs)}\n"
    )
    RESULTS.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
