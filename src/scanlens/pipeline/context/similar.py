"""The training images nearest to a case in what the network sees: of the predicted class, and of others.

Legend of axes: N training images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.callbacks.predictions import case_name
from scanlens.evaluation.similar import distances, nearest_units, percentile_among
from scanlens.pipeline.context.batch import Batch
from scanlens.pipeline.context.neighbors import Neighbors
from scanlens.pipeline.context.pictures import Pictures
from scanlens.report.pictures import scan_png
from scanlens.runs import Run

NUM = 3  # of each kind
CLOSE = 95.0  # percent of validation images have a nearer neighbor than a case that has none
NOTE = (
    "The network was trained on these images, so what it says of them is surer than of new ones. A label is that of the "
    "data set."
)
DISTANCE = (
    "root mean square difference of the features that the last linear layer sees, each in standard deviations over the "
    "searched training images"
)
ReadPicture = Callable[[int], NDArray[np.float32]]


def pictures_of(run: Run) -> Pictures:
    """What `callbacks.show_similar` and the data of the run allow."""
    wanted, data = run.config["callbacks"].get("show_similar", "auto"), run.config["data"]
    if wanted != "auto":
        return Pictures(bool(wanted), bool(wanted), f"callbacks.show_similar={str(bool(wanted)).lower()}")
    if run.facts.get("is_phantom"):
        return Pictures(True, True, "the images are built-in phantoms")
    if data.get("may_be_shared") is not True:
        reason = "images of the training are not marked as shareable (data.may_be_shared=true, or callbacks.show_similar=true)"
        return Pictures(False, False, reason)
    if data.get("axis") == "sagittal":
        return Pictures(False, False, "sagittal slices can show a face (callbacks.show_similar=true shows them)")
    return Pictures(True, False, "the data are marked as shareable (data.may_be_shared=true)")


@dataclass(slots=True)
class Similar:
    """Looks for the nearest training images of cases.

    Args:
        known: the training images.
        class_names: in the order of the logits.
        folder: receives `similar_<case>.png`.
        pictures: whether it does.
        read: gives the image x_CHW of a row of `split.csv`; None where the training images are not at hand.
    """

    known: Neighbors
    class_names: Sequence[str]
    folder: Path
    pictures: Pictures
    read: ReadPicture | None = None
    _written: set[int] = field(default_factory=set)

    def about(self) -> dict[str, Any]:
        """What is told once of all cases."""
        known, reference = self.known, self.known.reference_M
        shown = self.pictures
        if self.read is None and shown.are_allowed:
            shown = Pictures(False, False, "the training images are not at hand")
        return {
            "distance": DISTANCE,
            "num_features": known.scale.num_varying,
            "num_searched": len(known.index_N),
            "num_searched_units": len(np.unique(known.unit_N)),
            "num_training": known.num_training,
            "num_reference": len(reference),
            "num_reference_units": known.num_reference_units,
            "close_percentile": CLOSE,
            "close_distance": float(np.percentile(reference, CLOSE)) if len(reference) else None,
            "pictures": {"are_shown": shown.are_allowed, "reason": shown.reason},
            "note": NOTE,
            "reason": None if len(reference) else "no validation image: whether a distance is usual is not known",
        }

    def of(self, batch: Batch) -> list[dict[str, Any]]:
        """For each case `same` and `other`: up to three neighbors of the predicted class and of others, nearest first."""
        return [
            self._of_one(one.predicted, one.unit, features_D)
            for one, features_D in zip(batch.cases, batch.features_BD, strict=True)
        ]

    def _of_one(self, predicted: int, unit: int, features_D: NDArray[np.float64]) -> dict[str, Any]:
        known = self.known
        distance_N = distances(known.features_ND, known.scale.of(features_D[None])[0])
        is_same_N, is_allowed_N = known.target_N == predicted, known.unit_N != unit
        found = {
            kind: [
                self._entry(place, float(distance_N[place]))
                for place in nearest_units(distance_N, known.unit_N, is_allowed_N & is_kind_N, num=NUM)
            ]
            for kind, is_kind_N in (("same", is_same_N), ("other", ~is_same_N))
        }
        closest = [one["is_close"] for ones in found.values() for one in ones]
        return {
            **found,
            "same_reason": self._why_few(found["same"], "the predicted class"),
            "other_reason": self._why_few(found["other"], "another class"),
            "is_close": None if not closest or closest[0] is None else any(closest),
        }

    def _why_few(self, found: Sequence[Any], of: str) -> str | None:
        if len(found) == NUM:
            return None
        return f"only {len(found)} patients or groups of {of} among {len(self.known.index_N)} searched training images"

    def _entry(self, place: int, distance: float) -> dict[str, Any]:
        known = self.known
        probabilities_K, label = known.probabilities_NK[place], int(known.target_N[place])
        said = int(probabilities_K.argmax())
        percentile = percentile_among(known.reference_M, distance) if len(known.reference_M) else None
        return {
            "case": case_name("train", int(known.index_N[place])),
            "label": self.class_names[label],
            "predicted": self.class_names[said],
            "probability": float(probabilities_K[said]),
            "probability_of_label": float(probabilities_K[label]),
            "distance": distance,
            "percentile": percentile,
            "is_close": None if percentile is None else percentile <= CLOSE,
            "has_text": bool(known.has_text_N[place]),
            "picture": self._picture(place),
        }

    def _picture(self, place: int) -> str | None:
        if self.read is None or not self.pictures.are_allowed:
            return None
        if self.known.has_text_N[place] and not self.pictures.has_text_too:
            return None
        index = int(self.known.index_N[place])
        name = f"similar_{case_name('train', index)}.png"
        if index not in self._written:
            x_CHW = self.read(index)
            scan_png(x_CHW[0] if len(x_CHW) == 1 else np.moveaxis(x_CHW, 0, -1), self.folder / name)
            self._written.add(index)
        return name
