"""`scanlens explain runs=...`: what the maps of several training runs of the same kind have in common.

All runs explain the same class of the same test images: the one that they find most probable together.

Legend: N images, R runs, K classes, B images of a batch, H rows, W columns.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

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
from scanlens.pipeline.fold_runs import seed_folders
from scanlens.pipeline.trust import named_class
from scanlens.report.map_spread import MOST_SHOWN, SCHEMA_VERSION, sentences, write_map_spread
from scanlens.report.pictures import display_scale, overlay_png

log = logging.getLogger(__name__)
BATCH = 8
Row = dict[str, str]


@dataclass(frozen=True)
class _Side:
    """One run, or the folds of one seed, of which each has tested its own images.

    Args:
        candidate: what it said.
        subjects: its runs, opened.
    """

    candidate: Candidate
    subjects: tuple[Subject, ...]

    @cached_property
    def tester_of(self) -> dict[str, Subject]:
        """The run that has tested an image, by its id."""
        return {row["id"]: subject for subject in self.subjects for row in subject.test.rows}

    def row(self, name: str) -> Row:
        """Of predictions/test.csv."""
        return dict(self.candidate.tested[name])

    def image_and_mask(self, name: str) -> tuple[Tensor, Mask | None]:
        """The image x_CHW and its mask, by its id."""
        return self.tester_of[name].data.image_and_mask(index_of(self.row(name)))


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
        folders: run folders (or folders of folds, each a seed), at least two; or one folder that holds them, such as that of
            a sweep or of a study over seeds.
        max_cases: test images looked at, drawn at random by the seed of the first run.
        out: the folder to write, made if absent.

    Returns:
        The contents of map_spread.json.

    Raises:
        RunError: if a folder holds no finished run, or they were not judged on the same images in the same form.
    """
    candidates = read_candidates(_below(folders))
    sides = [_Side(one, tuple(open_subject(run.folder, max_cases=max_cases) for run in one.runs)) for one in candidates]
    _check_alike(sides)
    asked = _chosen(sides, max_cases=max_cases)
    content = _content(sides, asked, out)
    write_json(out / "map_spread.json", content)
    page = write_map_spread(content, out)
    log.info("%s\n\n%s", "\n".join(sentences(content)), page)
    return content


def _below(folders: Sequence[Path]) -> list[Path]:
    """What one folder holds that is no run itself: runs, or seeds with their folds; else what was given."""
    if len(folders) != 1 or (folders[0] / "config.yaml").is_file():
        return list(folders)
    runs = sorted(path.parent for path in folders[0].glob("*/config.yaml"))
    return seed_folders(folders[0]) or runs or list(folders)


def _check_alike(sides: Sequence[_Side]) -> None:
    first = sides[0].subjects[0]
    for side in sides:
        for subject in side.subjects:
            _check_one(side.candidate.name, subject, sides[0].candidate.name, first)


def _check_one(name: str, subject: Subject, first_name: str, first: Subject) -> None:
    for whose, one in ((first_name, first), (name, subject)):
        if not one.explainers:
            raise RunError(f"{whose} was configured without explanations (explain=none)")
    if Path(subject.run.facts["cache"]).name != Path(first.run.facts["cache"]).name:
        raise RunError(
            f"{name} and {first_name} saw their images in another form (other files, or another preprocess.size, channels or "
            "intensity), so that places in them do not compare. Train them alike."
        )
    titles = [one.explainers[0].title for one in (first, subject)]
    if titles[0] != titles[1]:
        raise RunError(
            f"{first_name} explains with {titles[0]} and {name} with {titles[1]}. Give runs that explain with the same method."
        )


def _chosen(sides: Sequence[_Side], *, max_cases: int) -> _Asked:
    """Images that are called by the runs together, as the class that must not be missed if there is one."""
    first, subject = sides[0].candidate, sides[0].subjects[0]
    names, order = first.class_names, random_order(subject.seed)
    ids = sorted(first.tested, key=lambda one: (order(first.tested[one]), one))
    probability_RNK = np.stack([side.candidate.probabilities(ids, names) for side in sides])
    class_N = probability_RNK.mean(axis=0).argmax(axis=1)
    target, _ = named_class(subject.run.config, names)
    kept_N, about = np.ones(len(ids), dtype=bool), "all test images"
    if target is not None and np.isin(class_N, target.members).any():
        kept_N, about = np.isin(class_N, target.members), f"test images that the runs together name as '{target.name}'"
    kept = np.flatnonzero(kept_N)[:max_cases]
    return _Asked([ids[n] for n in kept], class_N[kept].astype(np.int64), probability_RNK[:, kept], about)


def _content(sides: Sequence[_Side], asked: _Asked, out: Path) -> dict[str, Any]:
    first, group_of = sides[0], sides[0].candidate.groups()
    rows = [first.row(name) for name in asked.ids]
    groups = of_one_class([row["patient"] or None for row in rows], [group_of[name] for name in asked.ids])
    maps = [_maps(side, asked) for side in sides]
    masks = [first.image_and_mask(name)[1] for name in asked.ids]
    names = [side.candidate.name for side in sides]
    probability_RN = np.take_along_axis(asked.probability_RNK, asked.class_N[None, :, None], axis=2)[..., 0]
    seed = first.subjects[0].seed
    return {
        "schema_version": SCHEMA_VERSION,
        "runs": [_about(side, hits) for side, hits in zip(sides, _hits(maps, masks, groups), strict=True)],
        "method_title": first.subjects[0].explainers[0].title,
        "cell_px": list(maps[0][0].cell_yx),
        "image_px": list(maps[0][0].map_HW.shape),
        "pixel_mm": pixel_mm_of(first.subjects[0], rows),
        "images": asked.about,
        "maps": spread_of_maps(maps, names, groups, seed=seed),
        "answers": spread_of_answers(probability_RN, asked.probability_RNK.argmax(axis=2), names, groups),
        "shown": _write_pictures(first, asked.ids, maps, masks, out),
        "warnings": training_warnings([side.candidate for side in sides]),
    }


def _about(side: _Side, hits: dict[str, Any] | None) -> dict[str, Any]:
    run = side.candidate.runs[0]
    model = run.facts["model_summary"]["name"]
    return {"name": side.candidate.name, "model": model, "seed": run.config["seed"], "hits": hits}


def _maps(side: _Side, asked: _Asked) -> list[DrawnMap]:
    """The map of the primary method for each image and the class asked for, by the run that has tested it."""
    found: dict[int, DrawnMap] = {}
    for subject in side.subjects:
        own = [n for n, name in enumerate(asked.ids) if side.tester_of[name] is subject]
        for start in range(0, len(own), BATCH):
            places = own[start : start + BATCH]
            x_BCHW, _ = subject.images([side.row(asked.ids[n]) for n in places])
            explained = subject.explainers[0].explain(subject.network, x_BCHW, torch.from_numpy(asked.class_N[places]))
            found |= dict(zip(places, _drawn(explained), strict=True))
    return [found[n] for n in range(len(asked.ids))]


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
    side: _Side,
    ids: Sequence[str],
    maps: Sequence[Sequence[DrawnMap]],
    masks: Sequence[Mask | None],
    out: Path,
) -> list[dict[str, Any]]:
    """The maps of all runs for the first images of the draw, each run in its own scale of color."""
    folder = out / "maps"
    folder.mkdir(parents=True, exist_ok=True)
    scales = [display_scale([one.map_HW for one in of_run]) for of_run in maps]
    shown = []
    for place, one_id in enumerate(ids[:MOST_SHOWN]):
        image_CHW, case = side.image_and_mask(one_id)[0].numpy(), side.row(one_id)["case"]
        scan = image_CHW[0] if len(image_CHW) == 1 else np.moveaxis(image_CHW, 0, -1)
        files = []
        for number, (of_run, scale) in enumerate(zip(maps, scales, strict=True)):
            drawn, name = of_run[place], f"{case}_{number}.png"
            overlay_png(
                scan, drawn.map_HW, scale=scale, covered_HW=drawn.covered_HW, mask_HW=masks[place], path=folder / name
            )
            files.append(name)
        shown.append({"case": case, "pictures": files})
    return shown
