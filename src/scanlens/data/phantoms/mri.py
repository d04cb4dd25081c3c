"""Synthetic axial brain MRI (T1-weighted, after contrast medium), one slice at a time.

Every picture is a pure function of (seed, patient, slice). Nothing here comes from a real patient: the shapes are drawn
from formulas, the noise follows the physics of the scanner.

References:
    Gudbjartsson, Patz: The Rician distribution of noisy MRI data, Magn Reson Med 1995 (noise of magnitude pictures).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from scanlens.data.phantoms.brain import draw_head
from scanlens.data.phantoms.facts import Facts, PhantomImage, check_request, mask_facts, mask_of
from scanlens.data.phantoms.head import make_frame, make_head
from scanlens.data.phantoms.lesions import Lesion, cross_section, draw_lesion, lesion_cover, make_lesion, pushed_frame
from scanlens.data.phantoms.shapes import Plane, smooth_noise

MRI_CLASSES = ("glioma", "meningioma", "pituitary", "no_tumor")
MRI_SHARES = (0.33, 0.25, 0.22, 0.20)
MRI_RANGE = (0.0, 4095.0)  # 12 bit, as scanners store


@dataclass(frozen=True, slots=True)
class Scanner:
    """What a machine does to the picture.

    Args:
        name: as written in the records; share: of the patients.
        gain: stored value of brightness 1; noise: standard deviation in each channel, as a share of brightness 1.
        blur: standard deviation of the partial-volume blur, in head-sized pixels of a 128-pixel picture.
        bias: how much the brightness drifts over the picture (standard deviation of its logarithm).
    """

    name: str
    share: float
    gain: float
    noise: float
    blur: float
    bias: float


SCANNERS = (
    Scanner(name="scanner-a", share=0.45, gain=2400, noise=0.020, blur=0.35, bias=0.07),
    Scanner(name="scanner-b", share=0.35, gain=2000, noise=0.032, blur=0.50, bias=0.12),
    Scanner(name="scanner-c", share=0.20, gain=2700, noise=0.038, blur=0.65, bias=0.05),
)


def mri_slice(
    *,
    size: int,
    class_name: str,
    patient_seed: int,
    slice_index: int,
    num_slices: int,
    seed: int = 0,
    min_lesion_contrast: float = 0.6,
) -> PhantomImage:
    """One axial slice with its lesion mask.

    The head, the scanner and the noise do not depend on the class: the same patient and slice with class "no_tumor" is
    the same picture without the tumor (and without what the tumor pushes aside).

    Args:
        size: rows and columns, pixels.
        class_name: one of `MRI_CLASSES`.
        patient_seed: number of the patient; all slices of one number show one head and one tumor.
        slice_index: 0 .. num_slices - 1, from the base upwards; every slice of a tumor patient cuts the tumor.
        num_slices: slices of this patient.
        seed: of the whole data set.
        min_lesion_contrast: contrast of the faintest tumor, 0..1.

    Returns:
        Pixels (H, W) uint16 in 0..4095; facts: scanner, level (0 base .. 1 top) and size and place of the lesion.

    Raises:
        ValueError: if the class or the slice does not exist.
    """
    check_request(class_name=class_name, classes=MRI_CLASSES, slice_index=slice_index, num_slices=num_slices)
    seeds = (seed, patient_seed)
    head = make_head(seeds)
    scanner, brightness = _scanner_of(seeds)
    level, offset = _slice_place(seeds, slice_index, num_slices)
    frame = make_frame(head, size=size)
    lesion = _lesion_in_slice(class_name, seeds, offset=offset, min_contrast=min_lesion_contrast)
    mask_HW = _mask(lesion, seeds, size=size)
    signal, white = draw_head(head, pushed_frame(frame, lesion) if lesion else frame, level=level)
    if lesion:
        draw_lesion(signal, lesion, head, frame, white=white)
    pixels = _scan(signal, scanner, brightness=brightness, seeds=seeds, slice_index=slice_index)
    return PhantomImage(
        pixels=pixels, mask_HW=mask_HW, facts=_facts(mask_HW, scanner=scanner, level=level, lesion=lesion)
    )


def mri_facts(
    *,
    size: int,
    class_name: str,
    patient_seed: int,
    slice_index: int,
    num_slices: int,
    seed: int = 0,
    min_lesion_contrast: float = 0.6,
) -> tuple[NDArray[np.uint8], Facts]:
    """(mask_HW, facts) of the same call of `mri_slice`, without drawing the picture (several times faster)."""
    check_request(class_name=class_name, classes=MRI_CLASSES, slice_index=slice_index, num_slices=num_slices)
    seeds = (seed, patient_seed)
    level, offset = _slice_place(seeds, slice_index, num_slices)
    lesion = _lesion_in_slice(class_name, seeds, offset=offset, min_contrast=min_lesion_contrast)
    mask_HW = _mask(lesion, seeds, size=size)
    return mask_HW, _facts(mask_HW, scanner=_scanner_of(seeds)[0], level=level, lesion=lesion)


def _scanner_of(seeds: tuple[int, ...]) -> tuple[Scanner, float]:
    """The machine of a patient, and the gain that its operator chose that day."""
    rng = np.random.default_rng((*seeds, 3))
    scanner = SCANNERS[rng.choice(len(SCANNERS), p=[s.share for s in SCANNERS])]
    return scanner, float(np.exp(rng.normal(0, 0.06)))


def _slice_place(seeds: tuple[int, ...], slice_index: int, num_slices: int) -> tuple[float, float]:
    """(level 0..1 of the slice in the head, height above the middle of a tumor in -1..1)."""
    rng = np.random.default_rng((*seeds, 4))
    middle, shift = rng.uniform(0.10, 0.68), rng.uniform(-0.12, 0.12)
    along = 2 * slice_index / (num_slices - 1) - 1 if num_slices > 1 else 0.0
    thickness = min(0.05 * (num_slices - 1), 0.36)
    return float(np.clip(middle + along * thickness / 2, 0.02, 0.98)), float(0.64 * along + shift)


def _lesion_in_slice(class_name: str, seeds: tuple[int, ...], *, offset: float, min_contrast: float) -> Lesion | None:
    if class_name == "no_tumor":
        return None
    return cross_section(make_lesion(class_name, patient_seed=seeds, min_contrast=min_contrast), offset=offset)


def _mask(lesion: Lesion | None, seeds: tuple[int, ...], *, size: int) -> NDArray[np.uint8]:
    if lesion is None:
        return np.zeros((size, size), np.uint8)
    head = make_head(seeds)
    return mask_of(lesion_cover(lesion, head, make_frame(head, size=size)))


def _facts(mask_HW: NDArray[np.uint8], *, scanner: Scanner, level: float, lesion: Lesion | None) -> Facts:
    facts: Facts = {"scanner": scanner.name, "level": round(level, 3)}
    facts |= mask_facts(mask_HW, noun="lesion")
    if lesion:
        facts["lesion_contrast"] = round(lesion.contrast, 3)
    return facts


def _scan(
    signal: Plane, scanner: Scanner, *, brightness: float, seeds: tuple[int, ...], slice_index: int
) -> NDArray[np.uint16]:
    """What the machine stores: blurred, unevenly bright, with Rician noise, 12 bit."""
    size = signal.shape[0]
    drift = smooth_noise(size, np.random.default_rng((*seeds, 5)).normal(size=(5, 5)))
    seen = gaussian_filter(signal, scanner.blur * size / 128, mode="constant", truncate=3.0)
    seen *= np.exp(np.float32(scanner.bias) * drift)
    rng = np.random.default_rng((*seeds, 6, slice_index))
    noise = rng.standard_normal((2, size, size), dtype=np.float32) * np.float32(scanner.noise)
    magnitude = np.hypot(seen + noise[0], noise[1])
    return np.clip(np.rint(magnitude * np.float32(scanner.gain * brightness)), *MRI_RANGE).astype(np.uint16)
