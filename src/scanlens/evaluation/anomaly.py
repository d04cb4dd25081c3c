"""How unusual an image is to an autoencoder, and which images are known to be unusual.

Legend of axes: N images.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from scanlens.evaluation.checks import Floats, Ints, checked_values


def anomaly_score(error_N: ArrayLike, reference_errors: ArrayLike) -> Floats:
    """How unusual a reconstruction error is, to either side: |error - median| / MAD of the reference.

    Two-sided, because blank, blurred or half-missing images are *easier* to give back than healthy ones: with the
    plain error they would rank as the most normal of all.

    Args:
        error_N: reconstruction errors, such as mean squared errors.
        reference_errors: errors of normal images that the network was not trained on (the validation split), never
            of the test images that are judged.

    Returns:
        One score per image, 0 or more, in median absolute deviations of the reference.

    Raises:
        ValueError: if there is no reference or an error is not finite.
    """
    errors = checked_values(error_N, name="error_N")
    reference = checked_values(reference_errors, name="reference_errors")
    if len(reference) == 0:
        raise ValueError(
            "reference_errors: expected errors of normal validation images, got none. "
            "Give the validation split images of the classes that the network was trained on."
        )
    median = float(np.median(reference))
    deviation = float(np.median(np.abs(reference - median)))
    least = max(1e-6 * abs(median), 1e-12)  # where all reference errors are alike, scores are large but finite
    return np.abs(errors - median) / max(deviation, least)


class AnomalyLabels:
    """Classes of the images as far as they are known, and which of them count as abnormal.

    Args:
        targets: name of the class of each image; None or "" if unknown.
        normal_classes: those that count as normal, all others are abnormal; None or empty if the network was trained on
            all, so that none is abnormal.
    """

    def __init__(self, targets: Sequence[str | None], *, normal_classes: Sequence[str] | None) -> None:
        self.names = sorted({name for name in targets if name})
        number = {name: k for k, name in enumerate(self.names)}
        self.normal = sorted(set(normal_classes)) if normal_classes else None
        self.abnormal = [] if self.normal is None else [name for name in self.names if name not in self.normal]
        self.is_known_N: NDArray[np.bool_] = np.array([bool(name) for name in targets], dtype=bool)
        self.is_abnormal_N: NDArray[np.bool_] = np.array([name in self.abnormal for name in targets], dtype=bool)
        self.stratum_N: Ints = np.array([number[name] if name else len(number) for name in targets], dtype=np.int64)

    @property
    def is_normal_N(self) -> NDArray[np.bool_]:
        return self.is_known_N & ~self.is_abnormal_N

    @property
    def counts(self) -> dict[str, int]:
        """Images of each class."""
        return {name: int(is_member_N.sum()) for name, is_member_N in self.members().items()}

    @property
    def why_no_anomaly(self) -> str | None:
        """Why abnormal and normal images cannot be compared; None if they can."""
        if not self.is_known_N.any():
            return "the images have no labels"
        if self.normal is None:
            return "the network was trained on all classes, so that none counts as abnormal"
        if not self.is_abnormal_N.any():
            return f"all images here are of classes that count as normal ({', '.join(self.normal)})"
        if not self.is_normal_N.any():
            return f"no image here is of a class that counts as normal ({', '.join(self.normal)})"
        return None

    def members(self) -> dict[str, NDArray[np.bool_]]:
        """The images of each class."""
        return {name: self.stratum_N == k for k, name in enumerate(self.names)}
