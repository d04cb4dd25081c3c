"""`explanations/context.json`: what a reader of one case asks besides the answer and its map.

Of every explained case: the most similar training images, how usual an image it is, what it was before it was resized, and
why the next class was not it. A part that cannot be had is null in every case, and its `reason` is told once; nothing here
stops a run.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from scanlens.callbacks.predictions import index_of
from scanlens.data.cache import FULL_SCALE
from scanlens.data.image_facts import FACTS
from scanlens.data.module import ScanData
from scanlens.data.preprocess import Preprocess
from scanlens.errors import RunError
from scanlens.files import read_csv, write_json
from scanlens.models.base import Network
from scanlens.pipeline.context.anomaly import open_anomaly
from scanlens.pipeline.context.batch import Batch, ContextCase, batches
from scanlens.pipeline.context.native import Native, stored_modality, stored_spacing
from scanlens.pipeline.context.neighbors import Neighbors, look_for_neighbors, units_of, write_neighbors
from scanlens.pipeline.context.original import Originals, originals_of
from scanlens.pipeline.context.quality import Quality
from scanlens.pipeline.context.runner_up import RunnerUp, first_explainer
from scanlens.pipeline.context.similar import Similar, pictures_of
from scanlens.pipeline.fingerprint import read_fingerprint
from scanlens.pipeline.moved_maps import explainers_of
from scanlens.pipeline.source_images import SourceImages
from scanlens.runs import Config, Run
from scanlens.types import RawImage

log = logging.getLogger(__name__)
FILE = "context.json"
MOST_CASES = 1000
_DIGITS = 6  # significant ones
PARTS = ("similar", "quality", "native", "runner_up")


class Part(Protocol):
    """One kind of answer."""

    def about(self) -> dict[str, Any]: ...

    def of(self, batch: Batch) -> list[Any]: ...


class Guarded:
    """A part whose failure leaves nulls and one line in the log.

    Args:
        name: its key.
        make: builds it, or raises.
    """

    def __init__(self, name: str, make: Callable[[], Part]) -> None:
        self.name, self.reason = name, ""
        self._part = self._tried(make)

    def about(self) -> dict[str, Any]:
        """What is told once, with `reason`."""
        found = None if self._part is None else self._tried(self._part.about)
        return {"reason": self.reason} if found is None else {"reason": None} | found

    def of(self, batch: Batch) -> list[Any]:
        """An answer for each case; None for all of them from the first failure on."""
        part = self._part
        found = None if part is None else self._tried(lambda: part.of(batch))
        return [None] * len(batch.cases) if found is None else found

    def _tried(self, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except Exception as error:  # hours of training are not lost for a box of a page
            log.warning("the context of explained cases lacks '%s': %s: %s", self.name, type(error).__name__, error)
            self._part, self.reason = None, f"not assessed: it could not be measured ({type(error).__name__})"
            return None


def add_context(run: Run, network: Network, data: ScanData) -> None:
    """Write the context of the explained cases of a training, and `neighbors.npz` of its run.

    Nothing is written where no case was explained. Whatever fails, the training stands.
    """
    try:
        if not (run.explanations / "cases.json").is_file():
            return
        pictures = (path for kind in ("similar_*.png", "*_original.png") for path in run.explanations.glob(kind))
        for old in (*pictures, run.explanations / FILE, run.neighbors_file):
            old.unlink(missing_ok=True)  # of a judgement that was broken off
        device = next(network.parameters()).device
        if run.facts["hardware"]["accelerator"] == "gpu" and torch.cuda.is_available():
            network.to("cuda")
        try:
            _add_context(run, network, data)
        finally:
            network.to(device)
    except Exception as error:  # as above
        log.warning("the context of explained cases was not written: %s: %s", type(error).__name__, error)


def _add_context(run: Run, network: Network, data: ScanData) -> None:
    known: list[Neighbors] = []

    def similar() -> Similar:
        found = look_for_neighbors(run, network, data)
        write_neighbors(run.neighbors_file, found)
        known.append(found)
        return Similar(
            found, run.facts["class_names"], run.explanations, pictures_of(run),
            lambda index: data.image_and_mask(index)[0].numpy(),
        )  # fmt: skip

    first = Guarded("similar", similar)
    write_context(
        run.explanations,
        run,
        network,
        _cases(run, data),
        similar=first,
        known=known[0] if known else None,
    )


def write_context(
    folder: Path,
    run: Run,
    network: Network,
    cases: Iterable[ContextCase],
    *,
    similar: Guarded,
    known: Neighbors | None,
) -> None:
    """Ask all parts of all cases, at most 1,000 of them, and write `context.json` into the folder.

    Args:
        folder: of the maps.
        run: of the network.
        network: with its best weights.
        cases: explained images.
        similar: the part of that name.
        known: training images; None if they could not be had.
    """
    anomaly, told = open_anomaly(run.config, run.facts)

    def quality() -> Quality:
        fingerprint = read_fingerprint(run.fingerprint_file)
        if fingerprint is None:
            raise RunError("the run has no fingerprint.npz")
        return Quality(fingerprint, known, anomaly)

    def native() -> Native:
        preprocess = Preprocess(**run.facts["preprocess"])
        return Native(preprocess, Originals(folder, preprocess, originals_of(run)))

    def runner_up() -> RunnerUp:
        return RunnerUp(first_explainer(explainers_of(run, network)), network, run.facts["class_names"], folder)

    parts = [
        similar,
        Guarded("quality", quality),
        Guarded("native", native),
        Guarded("runner_up", runner_up),
    ]
    left_out = [0]
    answers: list[Config] = []
    for batch in batches(network, _bounded(cases, left_out)):
        by_part = {part.name: part.of(batch) for part in parts}
        for place, one in enumerate(batch.cases):
            known_before = {} if one.seen is None else {"seen_in_training": one.seen}
            answers.append({"case": one.case, **known_before} | {name: by_part[name][place] for name in PARTS})
    about = {part.name: part.about() for part in parts}
    about["quality"] |= {"anomaly": told}
    content = {"schema_version": 1, "num_left_out": left_out[0], **about, "cases": answers}
    write_json(folder / FILE, plain(content))


def _bounded(cases: Iterable[ContextCase], left_out: list[int]) -> Iterator[ContextCase]:
    for number, one in enumerate(cases):
        if number < MOST_CASES:
            yield one
        else:
            left_out[0] += 1


def _cases(run: Run, data: ScanData) -> Iterator[ContextCase]:
    """The explained test cases, in the order of cases.json."""
    names, cached = run.facts["class_names"], data.cached
    explained = json.loads((run.explanations / "cases.json").read_text(encoding="utf-8"))["cases"]
    meta = {int(row["index"]): row for row in read_csv(run.meta_file)} if run.meta_file.is_file() else {}
    unit_N, images = units_of(run), SourceImages(run)
    for case in explained:
        index = index_of(case)
        facts_F = np.asarray(cached.facts[index])
        row = meta.get(index, {})
        spacing_mm, is_assumed = stored_spacing(run, float(facts_F[FACTS.index("spacing_mm")]), row)
        yield ContextCase(
            case=case["case"],
            predicted=names.index(case["predicted"]),
            x_CHW=cached.images[index].astype(np.float32) / np.float32(FULL_SCALE),
            facts_F=facts_F,
            thumb_HW=np.asarray(cached.thumbnails[index]),
            pixel_hash=np.asarray(cached.pixel_hashes[index]).tobytes(),
            unit=int(unit_N[index]),
            patient=run.split_rows[index]["patient"] or None,
            spacing_mm=spacing_mm,
            is_assumed_square=is_assumed,
            modality=stored_modality(run, row),
            read=partial(_original, images, index),
        )


def _original(images: SourceImages, index: int) -> RawImage:
    return images.read(images.record(index))


def plain(value: Any) -> Any:
    """The same with numbers of six significant digits, and None for those that are none."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}") if math.isfinite(value) else None
    return value
