"""Is a case an image like those that the network knows: its numbers among those of the training, and a status by a rule.

Legend of axes: N training images, C channels, H rows, W columns, F facts, D features.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.burnt_in_text import MIN_MARKS
from scanlens.data.image_facts import FACTS
from scanlens.data.picture_looks import LOOKS, picture_looks
from scanlens.data.thumbnail_rows import block_means
from scanlens.evaluation.input_checks import RULE, RangeCheck, range_check, status_of
from scanlens.explain.verdict.input_quality import input_quality
from scanlens.pipeline.context.anomaly import Anomaly
from scanlens.pipeline.context.batch import Batch, ContextCase
from scanlens.pipeline.context.neighbors import Neighbors
from scanlens.pipeline.fingerprint import SIDE, Fingerprint

STORED, PREPARED, UNLIKE = "image as stored", "image as the network gets it", "image as a whole"
PICTURE, FEATURES, TEXT = "distance_of_picture", "distance_of_features", "text_marks"
# name of the check: the fact that it is of, its title, and its unit
_OF_FACTS = {
    "rows": ("height", "Rows", "px"),
    "columns": ("width", "Columns", "px"),
    "aspect": ("", "Height over width", ""),
    "channels": ("channels", "Channels", ""),
    "bits": ("bits", "Bits of a value", ""),
    "lowest_value": ("low", "Lowest value", "share of the range"),
    "highest_value": ("high", "Highest value", "share of the range"),
    "stored_brightness": ("mean", "Brightness of the stored image", "share of the range"),
    "stored_contrast": ("spread", "Contrast of the stored image", "share of the range"),
    "border_brightness": ("border_mean", "Brightness of the border", "share of the range"),
    "spacing_mm": ("spacing_mm", "Distance of rows", "mm"),
    "jpeg_quality": ("jpeg_quality", "JPEG quality", ""),
}
_OF_LOOKS = {
    "brightness": ("Brightness", "share of the range"),
    "contrast": ("Contrast", "share of the range"),
    "noise": ("Noise", "share of the range"),
    "sharpness": ("Sharpness", ""),
    "saturated_share": ("Saturated pixels", "share of the pixels"),
    "blank_share": ("Blank pixels", "share of the pixels"),
}
_WHOLE = {
    PICTURE: ("Unlike training pictures", ""),
    FEATURES: ("Distance in the features of the network", ""),
    TEXT: ("Letter-like marks", ""),
}
NAMES: Mapping[str, dict[str, str]] = MappingProxyType(
    {name: {"title": title, "unit": unit, "of": STORED} for name, (_, title, unit) in _OF_FACTS.items()}
    | {name: {"title": title, "unit": unit, "of": PREPARED} for name, (title, unit) in _OF_LOOKS.items()}
    | {name: {"title": title, "unit": unit, "of": UNLIKE} for name, (title, unit) in _WHOLE.items()}
)
NOT_ASSESSED = ("ghosting",)


@dataclass(frozen=True, slots=True)
class Quality:
    """Holds cases against what is known of the training images.

    Args:
        fingerprint: facts, thumbnails and features of training and validation images.
        known: their looks; None if there are none.
        anomaly: the autoencoder that is asked too; None for none.
    """

    fingerprint: Fingerprint
    known: Neighbors | None
    anomaly: Anomaly | None = None

    def about(self) -> dict[str, Any]:
        """What is told once of all cases."""
        return {
            "rule": RULE,
            "names": {name: dict(words) for name, words in NAMES.items()},
            "not_assessed": list(NOT_ASSESSED),
            "num_known": len(self.fingerprint.group_N),
        }

    def of(self, batch: Batch) -> list[dict[str, Any]]:
        """For each case its `checks`, `status`, `reasons`, `text_suspected` and `anomaly`."""
        unusual = [None] * len(batch.cases) if self.anomaly is None else self.anomaly.of(batch)
        return [
            self._of_one(one, features_D, score)
            for one, features_D, score in zip(batch.cases, batch.features_BD, unusual, strict=True)
        ]

    def _of_one(
        self, one: ContextCase, features_D: NDArray[np.float64], anomaly: dict[str, Any] | None
    ) -> dict[str, Any]:
        text = self._fact_check(TEXT, one.facts_F, self.fingerprint.facts_NF, "text_score")
        has_text = text.value is not None and text.value >= MIN_MARKS
        is_rare = text.high is None or text.high < MIN_MARKS
        checks = [*self._of_facts(one), *self._of_looks(one), *self._unlike(one, features_D), text]
        odd = [_sentence(check) for check in checks if check.is_beyond and check is not text]
        if has_text and is_rare:
            odd.append(f"{text.value:g} letter-like marks are in the image; the training images hardly have any.")
        if anomaly is not None and anomaly["is_beyond"]:
            odd.append("The autoencoder gives the image back with an error unlike that of its validation images.")
        faults = input_quality(one.x_CHW).faults
        return {
            **status_of([f"The image {fault}." for fault in faults], odd),
            "checks": [check.as_dict() for check in checks],
            "text_suspected": has_text,
            "anomaly": anomaly,
        }

    def _of_facts(self, one: ContextCase) -> list[RangeCheck]:
        known_NF = self.fingerprint.facts_NF
        found = [
            self._fact_check(name, one.facts_F, known_NF, fact) for name, (fact, _, _) in _OF_FACTS.items() if fact
        ]
        height, width = FACTS.index("height"), FACTS.index("width")
        aspect = range_check(
            "aspect", float(one.facts_F[height] / one.facts_F[width]), known_NF[:, height] / known_NF[:, width]
        )
        return [*found[:2], aspect, *found[2:]]

    @staticmethod
    def _fact_check(name: str, facts_F: NDArray[np.float64], known_NF: NDArray[np.float64], fact: str) -> RangeCheck:
        place = FACTS.index(fact)
        return range_check(name, float(facts_F[place]), known_NF[:, place])

    def _of_looks(self, one: ContextCase) -> list[RangeCheck]:
        looks_L = picture_looks(one.x_CHW)
        known_NL = np.zeros((0, len(LOOKS))) if self.known is None else self.known.looks_NL
        return [range_check(name, float(looks_L[place]), known_NL[:, place]) for place, name in enumerate(LOOKS)]

    def _unlike(self, one: ContextCase, features_D: NDArray[np.float64]) -> list[RangeCheck]:
        """Distances from what training pictures show, and from what the network sees in validation images."""
        known, found = self.fingerprint, []
        if known.pictures is None:
            found.append(RangeCheck(PICTURE, None, reason="thumbnails of the training images do not vary"))
        else:
            small_1D = block_means(one.thumb_HW[None], SIDE).reshape(1, -1).astype(np.float64)
            away = float(known.pictures.residual(small_1D)[0])
            found.append(range_check(PICTURE, away, known.residual_N[known.judges_N], is_distance=True))
        if known.features is None:
            found.append(RangeCheck(FEATURES, None, reason="no validation image, or features that do not vary"))
        else:
            away = float(known.features.distance(features_D[None])[0])
            found.append(range_check(FEATURES, away, known.val_distance_N, is_distance=True))
        return found


def _sentence(check: RangeCheck) -> str:
    title = NAMES[check.name]["title"]
    if check.name in (PICTURE, FEATURES):
        return f"{title}: further away than 99 of 100 known images (or than all {check.num_known}, where they are few)."
    return (
        f"{title}: {check.value:.3g} lies beyond all {check.num_known} training images "
        f"({check.least:.3g} to {check.most:.3g})."
    )
