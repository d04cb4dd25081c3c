"""The context of new images, from the run folder alone: the training images are not needed, and no picture of them is shown."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from scanlens.data.cache import noted
from scanlens.data.image_facts import pixel_hash
from scanlens.data.preprocess import Preprocess
from scanlens.models.base import Network
from scanlens.pipeline.context import Guarded, write_context
from scanlens.pipeline.context.batch import ContextCase
from scanlens.pipeline.context.native import usable
from scanlens.pipeline.context.neighbors import Neighbors, read_neighbors
from scanlens.pipeline.context.pictures import Pictures
from scanlens.pipeline.context.similar import Similar
from scanlens.pipeline.new_patients import Judged
from scanlens.runs import Run

log = logging.getLogger(__name__)
NO_PICTURES = Pictures(False, False, "the training images are not at hand")


def add_new_context(
    run: Run, network: Network, preprocess: Preprocess, mapped: Sequence[tuple[Judged, int]], folder: Path
) -> None:
    """Write `context.json` of the new images that got a map; nothing for runs of before there were neighbors.npz.

    Args:
        run: of the network.
        network: with its best weights.
        preprocess: of the run.
        mapped: images, with the number of the class that is explained.
        folder: of the maps.
    """
    if not mapped or not run.neighbors_file.is_file():
        return
    known: list[Neighbors] = []

    def similar() -> Similar:
        found = read_neighbors(run.neighbors_file, class_names=run.facts["class_names"])
        if found is None:
            raise FileNotFoundError(run.neighbors_file)
        known.append(found)
        return Similar(found, run.facts["class_names"], folder, NO_PICTURES)

    first = Guarded("similar", similar)
    try:
        cases = _cases(preprocess, mapped)
        write_context(folder, run, network, cases, similar=first, known=known[0] if known else None)
    except Exception as error:  # the answers stand without it
        log.warning("the context of new images was not written: %s: %s", type(error).__name__, error)


def _cases(preprocess: Preprocess, mapped: Sequence[tuple[Judged, int]]) -> Iterator[ContextCase]:
    for one, target in mapped:
        raw = one.image.read()
        thumb_HW, facts_F = noted(raw, "")
        yield ContextCase(
            case=one.case,
            predicted=target,
            x_CHW=preprocess(raw),
            facts_F=facts_F,
            thumb_HW=thumb_HW,
            pixel_hash=pixel_hash(raw),
            patient=one.image.patient or None,
            spacing_mm=usable(raw.spacing_mm),
            modality=one.image.modality,
            seen=one.seen,
        )
