"""Images of a run read again from where its data lie, in full size: what the cache does not keep.

Legend of axes: H rows, W columns, C channels.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.preprocess import Preprocess
from scanlens.errors import ImageError
from scanlens.pipeline.decode import open_source
from scanlens.pipeline.external.intake import AsTrained
from scanlens.runs import Run
from scanlens.types import RawImage, Record

_SAME_WITHIN = 2e-3  # of the range; the cache of a run has 16 bits


class SourceImages:
    """The images of a run by their place in `split.csv`; the source is opened when the first one is asked for.

    Args:
        run: prepared.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def record(self, index: int) -> Record:
        """Where an image lies.

        Raises:
            ImageError: it is no longer there.
            DataError, ConfigError: the source is gone or cannot be used.
        """
        record = self._records.get(self._id_of.get(index, ""))
        if record is None:
            raise ImageError(
                "its file is no longer where the run found it (data.root), or no longer of the images that are read"
            )
        return record

    def read(self, record: Record) -> RawImage:
        """The image in the color that the run was trained on.

        Raises:
            ImageError: it cannot be read.
        """
        return self._source.read(record)  # type: ignore[no-any-return]

    @cached_property
    def _source(self) -> Any:
        return AsTrained(open_source(self._run.config["data"], self._run.config), self._run.facts["color"])

    @cached_property
    def _records(self) -> dict[str, Record]:
        return {one.id: one for one in self._source.records()}

    @cached_property
    def _id_of(self) -> dict[int, str]:
        return {int(row["index"]): row["id"] for row in self._run.split_rows}


def is_unchanged(raw: RawImage, x_CHW: NDArray[np.floating], preprocess: Preprocess) -> bool:
    """Whether preprocessing an image gives what the network was given."""
    prepared = preprocess(raw)
    return prepared.shape == x_CHW.shape and float(np.abs(prepared - x_CHW).max()) <= _SAME_WITHIN
