"""What several seeds say together, with or without a cross-validation: folds.json, folds.csv and folds.html of a study.

All seeds train on one split. What differs between them is therefore the training alone: initial weights, the order of
images, augmentation and dropout.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

from scanlens.evaluation.spread import PARTS, error_of_intervals, fold_spread, seed_spread, spread_parts
from scanlens.files import write_csv, write_json
from scanlens.pipeline.fold_runs import seed_folders
from scanlens.pipeline.folds import OTHER_CODE, are_of_other_code, gather, gathered, write_folds
from scanlens.pipeline.seed_runs import Seed, read_seeds
from scanlens.report.seeds import build_seeds_page, seed_table
from scanlens.runs import Config

log = logging.getLogger(__name__)
SAME_SPLIT = (
    "All seeds train on one division of the patients. The spread over seeds is that of training alone: initial weights, order "
    "of images, augmentation and dropout. Its interval (chi-square, as if values were normal) says how little few seeds tell "
    "(Bouthillier et al., MLSys 2021, arXiv:2103.03098)."
)
PARTS_NOTE = (
    "Parts are standard deviations of one network on one fold, by a two-way analysis of variance with random effects: seed is "
    "what a seed does to all folds alike, fold what the patients of a fold do to all seeds alike, rest what a seed does to "
    "one fold. An estimate of a variance that comes out below 0 is told as 0 (Searle, Casella & McCulloch, Variance Components, "
    "1992, chapter 4)."
)
PATIENTS_NOTE = (
    "Other patients: the standard error over patients for which the 95 % intervals stand, of networks as they were trained; it "
    "does not cover what other training patients would change."
)


def gather_study(folder: Path) -> Config:
    """Put together what a folder holds: folds, seeds, or folds of seeds; folds.json, folds.csv and folds.html go into it, and
    those of the folds of one seed into the folder of that seed.

    Args:
        folder: that scanlens folds filled.

    Returns:
        The contents of folds.json (see `gathered`, `gathered_seeds`).

    Raises:
        RunError: something is missing or unfinished, or does not fit together.
    """
    folder = Path(folder).resolve()
    if not seed_folders(folder):
        return gather(folder)
    seeds = read_seeds(folder)
    folds = [gathered(seed.folds) for seed in seeds]
    for seed, of_seed in zip(seeds, folds, strict=True):
        if not seed.is_one_run:
            write_folds(of_seed, seed.folder)
    content = gathered_seeds(seeds, folds)
    write_json(folder / "folds.json", content)
    write_csv(folder / "folds.csv", *_table(content))
    page = build_seeds_page(folder)
    log.info("\n%s\n%s", seed_table(folder), page)
    return content


def gathered_seeds(seeds: Sequence[Seed], contents: Sequence[Config]) -> Config:
    """The contents of folds.json of a study of several seeds.

    Args:
        seeds: of one study (see `read_seeds`).
        contents: what the folds of each seed say together (see `gathered`).

    Returns:
        `split_seed` (None where a file divides), `seeds`, `folds` (of the first seed, see `gathered`; empty without a
        cross-validation), `num_images` and `num_patients` of all tests of a seed, `levels` (level to metric to `values_SF`,
        `pooled` (value and interval of each seed), `over_seeds` (see `seed_spread`) `of` the pooled values or of the means of
        folds, `parts` (see `spread_parts`) and `over_patients` (standard error)) and `notes`. Neither images nor patients are
        named.
    """
    first, config = contents[0], seeds[0].folds[0].run.config["split"]
    patients = [fold["num_patients"] for fold in first["folds"]]
    return {
        **{key: first[key] for key in ("schema_version", "task", "model", "data", "class_names", "nearest_neighbor")},
        "split_seed": None if config.get("file") else config.get("seed"),
        "seeds": [_about(seed) for seed in seeds],
        "folds": [] if seeds[0].is_one_run else first["folds"],
        "num_images": sum(fold["num_images"] for fold in first["folds"]),
        "num_patients": None if None in patients else sum(patients),
        "levels": {
            level: {name: _metric([one["levels"].get(level, {}).get(name) for one in contents]) for name in metrics}
            for level, metrics in first["levels"].items()
        },
        "notes": _notes(seeds, contents),
    }


def _about(seed: Seed) -> Config:
    spent = [fold.provenance["duration_s"].get("fit") for fold in seed.folds]
    return {
        "seed": seed.number,
        "page": seed.page.relative_to(seed.folder.parent).as_posix() if seed.page.is_file() else None,
        "fit_s": None if None in spent else math.fsum(spent),
    }


def _metric(of_seeds: Sequence[Config | None]) -> Config:
    """One metric over seeds, folds and patients; `of_seeds` are its entries in the levels of each seed's folds."""
    num_folds = max(len(one["each"]) for one in of_seeds if one)
    each = [one["each"] if one else [{"value": None}] * num_folds for one in of_seeds]
    pooled = [(one and one["pooled"]) or {"value": None, "low": None, "high": None} for one in of_seeds]
    values_SF = [[value["value"] for value in values] for values in each]
    values_S, means_S = [value["value"] for value in pooled], [fold_spread(values_F)["mean"] for values_F in values_SF]
    is_of_means = set(values_S) == {None} != set(means_S)
    return {
        "values_SF": values_SF,
        "pooled": pooled,
        "over_seeds": seed_spread(means_S if is_of_means else values_S),
        "of": "mean of folds" if is_of_means else "pooled",
        "parts": spread_parts(values_SF),
        "over_patients": error_of_intervals(pooled),
    }


def _notes(seeds: Sequence[Seed], contents: Sequence[Config]) -> list[str]:
    own = [SAME_SPLIT, PATIENTS_NOTE] if seeds[0].is_one_run else [SAME_SPLIT, PARTS_NOTE, PATIENTS_NOTE]
    notes = [*own, *(note for content in contents for note in content["notes"])]
    if are_of_other_code([fold for seed in seeds for fold in seed.folds]):
        notes.append(OTHER_CODE)
    return list(dict.fromkeys(notes))


def _table(content: Config) -> tuple[list[str], list[Config]]:
    """Columns and rows of folds.csv: one row a metric."""
    rows = []
    for level, metrics in content["levels"].items():
        for name, metric in metrics.items():
            over, parts = metric["over_seeds"], metric["parts"]
            row = {"level": "image" if level == "slice" else level, "metric": name, "of": metric["of"], **over}
            row |= {
                "std_folds": parts["within_seed"],
                "num_folds": parts["num_folds"],
                "std_patients": metric["over_patients"],
            }
            row |= {f"part_{part}": parts[part] for part in (*PARTS, "total")}
            row["parts_below_zero"] = " ".join(parts["below_zero"])
            for seed, pooled, values in zip(content["seeds"], metric["pooled"], metric["values_SF"], strict=True):
                key = f"seed_{seed['seed']}"
                row |= {key: pooled["value"], f"{key}_low": pooled["low"], f"{key}_high": pooled["high"]}
                row |= {f"{key}_fold_{f['fold']}": value for f, value in zip(content["folds"], values, strict=False)}
            rows.append(row)
    return list(rows[0]), rows
