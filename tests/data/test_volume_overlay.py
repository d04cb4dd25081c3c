"""Maps laid back on the voxels that they explain: places, orientation and affine are those of the file."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
from nibabel.orientations import io_orientation, ornt_transform

from scanlens.data.preprocess import Preprocess
from scanlens.data.volume_overlay import MAX_OVERLAY_VOXELS, VolumeOverlay
from scanlens.data.volume_slices import VolumeSlicer
from scanlens.types import RawImage

OBLIQUE = np.array([[1.9, -0.2, 0.1, -20.0], [0.2, 2.0, 0.3, -31.0], [-0.1, -0.3, 3.9, 12.0], [0, 0, 0, 1]])


def stored(path: Path, axes: str, *, codes: tuple[int, int] = (1, 2)) -> tuple[Path, np.ndarray]:
    """A file whose first voxel axis grows toward axes[0] (R, L, A ...) and so on, and its voxels as stored."""
    voxels = np.random.default_rng(0).uniform(100, 900, (7, 9, 5)).astype(np.float32)
    image = nibabel.Nifti1Image(voxels, OBLIQUE)
    turn = ornt_transform(io_orientation(OBLIQUE), nibabel.orientations.axcodes2ornt(axes))
    image = image.as_reoriented(turn)
    image.set_qform(image.affine, codes[0])
    image.set_sform(image.affine, codes[1])
    nibabel.save(image, path)
    return path, np.asarray(nibabel.load(path).dataobj)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
@pytest.mark.parametrize("axes", ["RAS", "LPS", "LAS", "PIR", "SRA", "ILP"])
def test_slices_laid_back_are_the_file_voxel_by_voxel_whatever_its_orientation(
    tmp_path: Path, axes: str, axis: str
) -> None:
    path, voxels = stored(tmp_path / "scan.nii.gz", axes)
    slicer = VolumeSlicer(axis=axis, min_content=0)  # type: ignore[arg-type]
    header, volume = slicer.header(path), slicer.load(path)
    overlay = VolumeOverlay(header, axis=slicer.axis)
    for index in slicer.slices(header, volume).kept[1:]:
        shown = slicer.image(volume, index)
        assert shown.pixels.shape == overlay.shape_hw
        assert shown.spacing_mm == overlay.spacing_mm
        overlay.put(index, shown.pixels)
    overlay.write(tmp_path / "map.nii.gz", about="a test")
    scan, laid = nibabel.load(path), nibabel.load(tmp_path / "map.nii.gz")
    np.testing.assert_allclose(laid.affine, scan.affine, atol=1e-5)
    assert (int(laid.header["qform_code"]), int(laid.header["sform_code"])) == (1, 2)
    np.testing.assert_allclose(laid.header.get_zooms(), scan.header.get_zooms(), atol=1e-5)
    found = laid.get_fdata()
    assert np.isnan(found).sum() == found.size // header.shape[slicer.axis]  # the slice that nobody explained
    assert np.array_equal(found[~np.isnan(found)], voxels[~np.isnan(found)].astype(np.float64))
    assert laid.header.get_intent()[2] == "log-odds"


def test_a_file_that_says_no_place_gets_a_map_that_says_none_either(tmp_path: Path) -> None:
    path, _ = stored(tmp_path / "scan.nii", "RAS", codes=(0, 0))
    slicer = VolumeSlicer(min_content=0)
    VolumeOverlay(slicer.header(path), axis=slicer.axis).write(tmp_path / "map.nii.gz", about="")
    laid = nibabel.load(tmp_path / "map.nii.gz")
    assert (int(laid.header["qform_code"]), int(laid.header["sform_code"])) == (0, 0)
    np.testing.assert_allclose(laid.affine, nibabel.load(path).affine, atol=1e-5)


def test_equal_maps_give_equal_bytes_and_a_huge_volume_is_refused(tmp_path: Path) -> None:
    path, _ = stored(tmp_path / "scan.nii", "LPS")
    header = VolumeSlicer(min_content=0).header(path)
    for name in ("a.nii.gz", "b.nii.gz"):
        VolumeOverlay(header, axis=2).write(tmp_path / name, about="x" * 200)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
    import dataclasses

    huge = dataclasses.replace(header, shape=(1000, 1000, 1 + MAX_OVERLAY_VOXELS // 1_000_000))
    with pytest.raises(ValueError, match="over the limit"):
        VolumeOverlay(huge, axis=2)


@pytest.mark.parametrize(("shape", "spacing"), [((60, 40), None), ((40, 60), (1.0, 1.0)), ((20, 60), (3.0, 1.0))])
def test_a_blob_comes_back_to_the_pixels_it_came_from(
    shape: tuple[int, int], spacing: tuple[float, float] | None
) -> None:
    row, column = np.indices(shape)
    blob = np.exp(-((row - 0.3 * shape[0]) ** 2 / 9 + (column - 0.7 * shape[1]) ** 2 / 18)).astype(np.float32)
    preprocess = Preprocess(size=48, channels=1, intensity="range")
    seen = preprocess(RawImage(blob, "gray", (0.0, 1.0), spacing))[0]
    back = preprocess.placed_back(seen, shape_hw=shape, spacing_mm=spacing)
    assert back.shape == shape
    for place, axis in ((row, 0), (column, 1)):
        assert abs((back * place).sum() / back.sum() - (blob * place).sum() / blob.sum()) < 0.3, axis
    assert np.abs(back - blob).max() < 0.25


def test_what_a_map_does_not_cover_stays_uncovered() -> None:
    preprocess = Preprocess(size=8, channels=1)
    known = np.full((8, 8), np.nan, dtype=np.float32)
    known[2:6, 2:6] = 5.0
    back = preprocess.placed_back(known, shape_hw=(16, 16))
    assert np.array_equal(np.isnan(back[:, 8]), [*[True] * 4, *[False] * 8, *[True] * 4])
    assert set(back[~np.isnan(back)]) == {np.float32(5.0)}
