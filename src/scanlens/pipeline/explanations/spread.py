"""`scanlens explain runs=...`: what the maps of several training runs of the same kind have in common.

All runs explain the same class of the same test images: the one that they find most probable together.

Legend: N images, R runs, K classes, B images of a batch, H rows, W columns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scanlens.callbacks.case_choice import random_order
from scanlens.callbacks.predictions import index_of
from scanlens.errors import RunError
from scanlens.evaluation.checks import Floats, Ints
from scanlens.evaluation.explanations.map_spread import DrawnMap, of_one_class, spread_of_answers, spread_of_maps
from scanlens.evaluation.intervals import share_entry
from scanlens.evaluation.resampling import PatientGroups
from scanlens.explain.base import Explanation
from scanlens.explain.measure import peak_yx, pointing_hit
from scanlens.files import write_json
from scanlens.pipeline.candidates import Candidate, read_candidates, training_warnings
from scanlens.pipeline.explanations.limits import pixel_mm_of
from scanlens.pipeline.explanations.subject import Mask, Subject, open_subject
from scanlens.pipeline.trust import named_class
from scanlens.report.map_spread import MOST_SHOWN, SCHEMA_VERSION, sentences, write_map_spread
from scanlens.report.pictures import display_scale, overlay_png

log = logging.getLogger(__name__)
BATCH = 8


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """The images that are looked at, and what all runs explain of them."""

    ids: list[str]
    class_N: Ints
    probability_RNK: Floats
    about: str


def explain_runs(folders: Sequence[Path], *, max_cases: int, out: Path) -> dict[str, Any]:
    """Hold the maps of runs against each other and write map_spread.{json,html} into a folder.

    Args:
        folders: run folders, at least two; or one folder that holds runs, such as that of a sweep over seeds.
        max_cases: test images looked at, drawn at random by the seed of the first run.
        out: the folder to write, made if absent.

    Returns:
        The contents of map_spread.json.

    Raises:
        RunError: if a folder holds no finished run, or they were not judged on the same images in the same form.
    """
    candidates = read_candidates(_below(folders))
    subjects = [_opened(one, max_cases=max_cases) for one in candidates]
    _check_alike(candidates, subjects)
    asked = _chosen(candidates, subjects[0], max_cases=max_cases)
    content = _content(candidates, subjects, asked, out)
    write_json(out / "map_spread.json", content)
    page = write_map_spread(content, out)
    log.info("%s\n\n%s", "\n".join(sentences(content)), page)
    return content


def _below(folders: Sequence[Path]) -> list[Path]:
    """The runs in a folder that is none itself; else what was given."""
    if len(folders) != 1 or (folders[0] / "config.yaml").is_file():
        return list(folders)
    return sorted(path.parent for path in folders[0].glob("*/config.yaml")) or list(folders)


def _opened(candidate: Candidate, *, max_cases: int) -> Subject:
    if len(candidate.runs) > 1:
        raise RunError(
            f"{candidate.name} holds several runs. Folds test different images, so their maps cannot be held against each "
            "other; give runs of several seeds on one division (split.file=outputs/RUN_ID/split.csv)."
        )
    return open_subject(candidate.runs[0].folder, max_cases=max_cases)


def _check_alike(candidates: Sequence[Candidate], subjects: Sequence[Subject]) -> None:
    first = subjects[0]
    for candidate, subject in zip(candidates, subjects, strict=True):
        if not subject.explainers:
            raise RunError(f"{candidate.name} was configured without explanations (explain=none)")
        if Path(subject.run.facts["cache"]).name != Path(first.run.facts["cache"]).name:
            raise RunError(
                f"{candidate.name} and {candidates[0].name} saw their images in another form (other files, or another "
                "preprocess.size, channels or intensity), so that places in them do not compare. Train them alike."
            )
        names = [one.explainers[0].title for one in (first, subject)]
        if names[0] != names[1]:
            raise RunError(
                f"{candidates[0].name} explains with {names[0]} and {candidate.name} with {names[1]}. Give runs that explain "
                "with the same method."
            )


def _chosen(candidates: Sequence[Candidate], first: Subject, *, max_cases: int) -> _Asked:
    """Images that are called by the runs together, as the class that must not be missed if there is one."""
    names = candidates[0].class_names
    ids = sorted(candidates[0].tested, key=lambda one: random_order(first.seed)(candidates[0].tested[one]))
    probability_RNK = np.stack([one.probabilities(ids, names) for one in candidates])
    class_N = probability_RNK.mean(axis=0).argmax(axis=1)
    target, _ = named_class(first.run.config, names)
    kept_N, about = np.ones(len(ids), dtype=bool), "all test images"
    if target is not None and np.isin(class_N, target.members).any():
        kept_N, about = np.isin(class_N, target.members), f"test images that the runs together name as '{target.name}'"
    kept = np.flatnonzero(kept_N)[:max_cases]
    return _Asked([ids[n] for n in kept], class_N[kept].astype(np.int64), probability_RNK[:, kept], about)


def _content(candidates: Sequence[Candidate], subjects: Sequence[Subject], asked: _Asked, out: Path) -> dict[str, Any]:
    first = candidates[0]
    rows = [[dict(one.tested[name]) for name in asked.ids] for one in candidates]
    patients, group_of = [row["patient"] or None for row in rows[0]], first.groups()
    groups = of_one_class(patients, [group_of[name] for name in asked.ids])
    maps, masks = [], subjects[0].images(rows[0])[1]
    for subject, own in zip(subjects, rows, strict=True):
        maps.append(_maps(subject, own, asked.class_N))
    names = [one.name for one in candidates]
    probability_RN = np.take_along_axis(asked.probability_RNK, asked.class_N[None, :, None], axis=2)[..., 0]
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": [
            {
                "name": one.name,
                "model": one.runs[0].facts["model_summary"]["name"],
                "seed": one.runs[0].config["seed"],
                "hits": hits,
            }
            for one, hits in zip(candidates, _hits(maps, masks, groups), strict=True)
        ],
        "method_title": subjects[0].explainers[0].title,
        "cell_px": list(maps[0][0].cell_yx),
        "image_px": list(maps[0][0].map_HW.shape),
        "pixel_mm": pixel_mm_of(subjects[0], rows[0]),
        "images": asked.about,
        "maps": spread_of_maps(maps, names, groups, seed=subjects[0].seed),
        "answers": spread_of_answers(probability_RN, asked.probability_RNK.argmax(axis=2), names, groups),
        "shown": _write_pictures(subjects[0], rows[0], maps, masks, out),
        "warnings": training_warnings(candidates),
    }


def _maps(subject: Subject, rows: Sequence[dict[str, str]], class_N: Ints) -> list[DrawnMap]:
    """The map of the primary method for each image and the class asked for."""
    found: list[DrawnMap] = []
    for start in range(0, len(rows), BATCH):
        x_BCHW, _ = subject.images(rows[start : start + BATCH])
        target_B = torch.from_numpy(class_N[start : start + BATCH])
        found += _drawn(subject.explainers[0].explain(subject.network, x_BCHW, target_B))
    return found


def _drawn(explanation: Explanation) -> list[DrawnMap]:
    covered_HW = explanation.covered_HW.numpy().astype(bool)
    return [
        DrawnMap(map_HW, covered_HW, None if is_blank else peak_yx(map_HW), explanation.geometry.jump_yx)
        for map_HW, is_blank in zip(explanation.map_BHW.numpy(), explanation.is_blank_B.tolist(), strict=True)
    ]


def _hits(
    maps: Sequence[Sequence[DrawnMap]], masks: Sequence[Mask | None], groups: PatientGroups
) -> list[dict[str, Any] | None]:
    """How often the peak of each run lies in the marked lesion; None without masks."""
    is_marked_N = np.array([mask is not None and bool(mask.any()) for mask in masks])
    if not is_marked_N.any():
        return [None] * len(maps)
    found: list[dict[str, Any] | None] = []
    for of_run in maps:
        hit_N = np.array(
            [
                0.0 if mask_HW is None or one.peak_yx is None else pointing_hit(one.map_HW, mask_HW) or 0.0
                for one, mask_HW in zip(of_run, masks, strict=True)
            ]
        )
        found.append(share_entry(hit_N, is_marked_N, groups, absent="") | {"num_images": int(is_marked_N.sum())})
    return found


def _write_pictures(
    subject: Subject,
    rows: Sequence[dict[str, str]],
    maps: Sequence[Sequence[DrawnMap]],
    masks: Sequence[Mask | None],
    out: Path,
) -> list[dict[str, Any]]:
    """The maps of all runs for the first images of the draw, each run in its own scale of color."""
    folder = out / "maps"
    folder.mkdir(parents=True, exist_ok=True)
    scales = [display_scale([one.map_HW for one in of_run]) for of_run in maps]
    shown = []
    for place, row in enumerate(rows[:MOST_SHOWN]):
        image_CHW = subject.data.image_and_mask(index_of(row))[0].numpy()
        scan = image_CHW[0] if len(image_CHW) == 1 else np.moveaxis(image_CHW, 0, -1)
        files = []
        for number, (of_run, scale) in enumerate(zip(maps, scales, strict=True)):
            drawn, name = of_run[place], f"{row['case']}_{number}.png"
            overlay_png(
                scan, drawn.map_HW, scale=scale, covered_HW=drawn.covered_HW, mask_HW=masks[place], path=folder / name
            )
            files.append(name)
        shown.append({"case": row["case"], "pictures": files})
    return shown
