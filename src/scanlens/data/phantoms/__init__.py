"""Built-in synthetic pictures, so that everything can be tried without any download."""

from scanlens.data.phantoms.facts import PhantomImage
from scanlens.data.phantoms.microscopy import (
    MICROSCOPY_CLASSES,
    MICROSCOPY_RANGE,
    MICROSCOPY_SHARES,
    microscopy_facts,
    microscopy_field,
)
from scanlens.data.phantoms.mri import MRI_CLASSES, MRI_RANGE, MRI_SHARES, mri_facts, mri_slice

__all__ = [
    "MICROSCOPY_CLASSES",
    "MICROSCOPY_RANGE",
    "MICROSCOPY_SHARES",
    "MRI_CLASSES",
    "MRI_RANGE",
    "MRI_SHARES",
    "PhantomImage",
    "microscopy_facts",
    "microscopy_field",
    "mri_facts",
    "mri_slice",
]
