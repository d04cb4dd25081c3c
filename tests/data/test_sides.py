"""Which side of the patient lies where: volumes stored along known axes, headers with known orientations, and unknown ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from fakes.dicom_scans import write_scan
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.image_io import as_color
from scanlens.data.sides import sides_of, sides_stated
from scanlens.data.sources.nifti import NiftiSource
from scanlens.data.volume_slices import VolumeSlicer
from scanlens.types import Sides

AXIAL = Sides(left="R", right="L", top="A", bottom="P")
CORONAL = Sides(left="R", right="L", top="H", bottom="F")
SAGITTAL = Sides(left="A", right="P", top="H", bottom="F")


def turned(angle: float, *, about: int) -> np.ndarray:
    """Rotation matrix about one axis, in degrees."""
    one, other = [axis for axis in range(3) if axis != about]
    matrix, rad = np.eye(3), np.deg2rad(angle)
    matrix[one, one] = matrix[other, other] = np.cos(rad)
    matrix[one, other], matrix[other, one] = -np.sin(rad), np.sin(rad)
    return matrix


def volume(path: Path, affine: np.ndarray, *, code: int = 1) -> Path:
    """One bright voxel at the end of the first stored axis."""
    voxels = np.zeros((4, 5, 6), np.int16)
    voxels[3, 2, 3] = 100
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, code)
    image.set_qform(affine, code)
    nibabel.save(image, path)
    return path


def column_and_sides(path: Path, axis: Any = "axial") -> tuple[int, Sides | None]:
    """Where the bright voxel is shown, from the left, and what is said of the edges."""
    slicer = VolumeSlicer(axis=axis, min_content=0)
    loaded = slicer.load(path)
    index = int(np.argmax([slicer.image(loaded, one).pixels.max() for one in range(loaded.voxels.shape[slicer.axis])]))
    raw = slicer.image(loaded, index)
    return int(np.argmax(raw.pixels.max(axis=0))), raw.sides


@pytest.mark.parametrize(("axis", "expected"), [("axial", AXIAL), ("coronal", CORONAL), ("sagittal", SAGITTAL)])
def test_slices_of_a_volume_lie_as_radiologists_look_at_them(axis: str, expected: Sides, tmp_path: Path) -> None:
    assert column_and_sides(volume(tmp_path / "a.nii", np.eye(4)), axis)[1] == expected


def test_the_letter_stays_with_the_voxel_when_the_affine_is_flipped(tmp_path: Path) -> None:
    """What is stored last lies at the patient's right by one affine, at the left by the other: it changes sides, letters do not."""
    right = volume(tmp_path / "right.nii", np.eye(4))
    left = volume(tmp_path / "left.nii", np.diag([-1.0, 1, 1, 1]))
    assert column_and_sides(right) == (0, AXIAL)
    assert column_and_sides(left) == (3, AXIAL)


def test_a_tilted_volume_has_a_second_letter_from_15_degrees_on(tmp_path: Path) -> None:
    def tilted(angle: float) -> Sides | None:
        affine = np.eye(4)
        affine[:3, :3] = turned(angle, about=0)  # anterior goes up toward the head
        return column_and_sides(volume(tmp_path / f"{angle}.nii", affine))[1]

    assert tilted(10) == AXIAL
    assert tilted(30) == Sides(left="R", right="L", top="AH", bottom="PF")
    assert tilted(-30) == Sides(left="R", right="L", top="AF", bottom="PH")


def test_a_volume_that_does_not_say_how_it_lies_has_no_sides(tmp_path: Path) -> None:
    assert column_and_sides(volume(tmp_path / "a.nii", np.eye(4), code=0))[1] is None


def test_the_source_of_volumes_hands_them_on(tmp_path: Path) -> None:
    (tmp_path / "tumor").mkdir()
    volume(tmp_path / "tumor" / "a.nii", np.eye(4))
    source = NiftiSource(root=str(tmp_path), min_content=0)
    assert source.read(source.records()[0]).sides == AXIAL


@pytest.mark.parametrize(
    ("cosines", "expected"),
    [
        ([1, 0, 0, 0, 1, 0], AXIAL),
        ([-1, 0, 0, 0, 1, 0], Sides(left="L", right="R", top="A", bottom="P")),  # seen from above
        ([1, 0, 0, 0, 0, -1], CORONAL),
        ([0, 1, 0, 0, 0, -1], SAGITTAL),
        ([0, 1, 0, 1, 0, 0], Sides(left="A", right="P", top="R", bottom="L")),  # rows and columns exchanged
        ([0.8, 0.6, 0, -0.6, 0.8, 0], Sides(left="RA", right="LP", top="AL", bottom="PR")),
        ([1, 0, 0, 1, 0, 0], None),  # no plane
        ([0, 0, 0, 0, 1, 0], None),
    ],
)
def test_orientation_of_a_dicom_header_gives_the_letters(
    cosines: list[float], expected: Sides | None, tmp_path: Path
) -> None:
    path = write_scan(tmp_path / "a.dcm", np.arange(12, dtype=np.uint16).reshape(3, 4), ImageOrientationPatient=cosines)
    raw = read_frame(path)
    assert raw.sides == expected
    assert as_color(raw, "rgb").sides == expected, "it stays when colors are added"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        (["L", "F"], CORONAL),
        (["P", "FR"], Sides(left="A", right="P", top="HL", bottom="FR")),
        (["L", "R"], None),
        (["LR", "F"], None),
        (["CR", "CD"], None),
        ("L", None),
        ("", None),
    ],
)
def test_a_radiograph_lies_nowhere_in_space_and_is_taken_as_stated(
    stated: Any, expected: Sides | None, tmp_path: Path
) -> None:
    pixels = np.arange(12, dtype=np.uint16).reshape(3, 4)
    path = write_scan(tmp_path / "a.dcm", pixels, ImageOrientationPatient=None, PatientOrientation=stated)
    assert read_frame(path).sides == expected


def test_lengths_of_directions_do_not_count_and_numbers_that_are_none_are_unknown() -> None:
    assert sides_of([2, 0, 0], [0, 0.1, 0]) == AXIAL
    assert sides_of([np.nan, 0, 0], [0, 1, 0]) is None
    assert sides_stated(["L"]) is None
