"""New images of a labeled set, listed and decoded as in the training of a run."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.image_facts import are_blank
from scanlens.data.image_io import as_color
from scanlens.data.leaks import copies
from scanlens.data.preprocess import Preprocess
from scanlens.errors import DataError
from scanlens.pipeline.decode import Listed, open_source, read_all
from scanlens.pipeline.external.classes import ClassMatch, match_classes
from scanlens.pipeline.external.request import Request
from scanlens.types import Color, RawImage, Record

log = logging.getLogger(__name__)


class AsTrained:
    """A source whose images are read in the color that a run was trained on.

    Args:
        source: of the new images.
        color: of the run.
    """

    def __init__(self, source: Any, color: Color) -> None:
        self._source, self.color = source, color

    def read(self, record: Record) -> RawImage:
        """The picture of one record.

        Raises:
            ImageError: it cannot be read, or shown in this color.
        """
        return as_color(self._source.read(record), self.color)

    def fingerprint(self) -> str:
        """Changes with what is read, hence with the color."""
        return f"{self._source.fingerprint()}-{self.color}"

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


def new_images(request: Request) -> tuple[Listed, ClassMatch]:
    """The images whose class is one of the run, with its names, decoded as the run prepares them.

    Raises:
        DataError: if there are none, or too many cannot be read.
        ConfigError: if classes that were named do not exist.
    """
    facts = request.run.facts
    source, records, match = _matched(request)
    if source.color != facts["color"]:
        source = AsTrained(source, facts["color"])
    listed = read_all(source, records, Preprocess(**facts["preprocess"]), request.run.config)
    return listed, match


def num_copies(listed: Listed) -> int:
    """Images that repeat another one of the set, pixel by pixel: of a group of copies, all but one."""
    copy_N = copies(np.asarray(listed.images.pixel_hashes), is_blank_N=are_blank(listed.images.facts))
    known = copy_N[copy_N >= 0]
    return len(known) - len(np.unique(known))


def _matched(request: Request) -> tuple[Any, list[Record], ClassMatch]:
    """Class names are found on disk first: those of the node are of the training, and others would not even be seen."""
    nodes = [request.data]
    if not request.names_are_given and request.data.get("class_names"):
        nodes.insert(0, request.data | {"class_names": None})
    told: DataError | None = None
    for node in nodes:
        try:
            return _listed(node, request)
        except DataError as error:
            told = told or error
    raise told or DataError("no data node was given")


def _listed(node: dict[str, Any], request: Request) -> tuple[Any, list[Record], ClassMatch]:
    color = request.run.facts["color"]
    is_color_open = node.get("root") is not None and "color" in node and node["color"] is None
    source = open_source(node | {"color": color} if is_color_open else node, request.run.config)
    records = _of_split(source, only_test=request.only_test)
    counts = Counter(record.target for record in records if record.target is not None)
    if not counts:
        raise DataError(
            f"data={source.name}: no image of a known class was found under {source.root}. Check data.root."
        )
    match = match_classes(dict(counts.most_common()), request.run.facts["class_names"], request.classes)
    kept = [
        replace(record, target=match.run_name_of[record.target], split=None)
        for record in records
        if record.target in match.run_name_of
    ]
    return source, kept, match


def _of_split(source: Any, *, only_test: bool) -> Sequence[Record]:
    records = source.records()
    if not only_test:
        return records
    kept = [record for record in records if record.split == "test"]
    if not kept:
        raise DataError(
            f"data={source.name}: split=test was asked for, and the data set brings no test split. Use split=all."
        )
    return kept


def number_of(match: ClassMatch) -> int:
    """Images that were left out for their class."""
    return sum(match.left_out.values())


def groups_as_text(group_N: NDArray[np.int64]) -> list[str]:
    """Names of groups for `split.csv`."""
    return [f"g{number:05d}" for number in group_N.tolist()]
