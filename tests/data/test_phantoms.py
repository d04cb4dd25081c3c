"""The built-in pictures: reproducible, honest about what is in them, and not to be guessed from brightness."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from scipy.ndimage import binary_dilation
from sklearn.metrics import roc_auc_score

from scanlens.data.phantoms import (
    MICROSCOPY_CLASSES,
    MRI_CLASSES,
    microscopy_facts,
    microscopy_field,
    mri_facts,
    mri_slice,
)
from scanlens.data.sources.phantom import PhantomSource
from scanlens.errors import ConfigError, ImageError
from scanlens.types import Record

KINDS = ("mri", "microscopy")
TUMORS = ("glioma", "meningioma", "pituitary")


def one_slice(class_name: str, *, patient: int = 3, index: int = 1, size: int = 96, seed: int = 5):
    return mri_slice(size=size, class_name=class_name, patient_seed=patient, slice_index=index, num_slices=4, seed=seed)


def one_field(class_name: str, *, patient: int = 3, index: int = 1, size: int = 96):
    return microscopy_field(
        size=size, class_name=class_name, patient_seed=patient, slice_index=index, num_slices=4, seed=5
    )


# -- the pictures ------------------------------------------------------------------------------------------------------


def test_mri_is_12_bit_gray_and_uses_its_range():
    pixels = one_slice("glioma").pixels
    assert pixels.shape == (96, 96)
    assert pixels.dtype == np.uint16
    assert 1200 < pixels.max() <= 4095


def test_microscopy_is_8_bit_rgb_on_a_light_background():
    pixels = one_field("neutrophil").pixels
    assert pixels.shape == (96, 96, 3)
    assert pixels.dtype == np.uint8
    assert np.median(pixels) > 140


@pytest.mark.parametrize("class_name", MRI_CLASSES)
def test_the_same_mri_slice_twice_is_the_same_to_the_bit(class_name):
    first, second = one_slice(class_name), one_slice(class_name)
    np.testing.assert_array_equal(first.pixels, second.pixels)
    np.testing.assert_array_equal(first.mask_HW, second.mask_HW)
    assert first.facts == second.facts


def test_seed_patient_and_slice_each_change_the_picture():
    base = one_slice("glioma").pixels
    for other in (one_slice("glioma", seed=6), one_slice("glioma", patient=4), one_slice("glioma", index=2)):
        assert np.mean(base != other.pixels) > 0.5


def test_slices_of_one_patient_resemble_each_other_more_than_another_patient():
    def correlation(a, b):
        return np.corrcoef(a.pixels.ravel(), b.pixels.ravel())[0, 1]

    for patient in range(5):
        first, next_one = (one_slice("no_tumor", patient=patient, index=i) for i in (1, 2))
        stranger = one_slice("no_tumor", patient=patient + 10, index=1)
        assert correlation(first, next_one) > correlation(first, stranger) + 0.02


def test_air_is_rayleigh_distributed_as_in_a_magnitude_picture():
    corners = np.concatenate([one_slice("no_tumor", size=256, index=i).pixels[:24, :24].ravel() for i in range(4)])
    assert corners.mean() / corners.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.03)


def test_scanners_differ_in_noise():
    noise: dict[str, list[float]] = {}
    for patient in range(30):
        image = one_slice("no_tumor", patient=patient, size=64)
        noise.setdefault(str(image.facts["scanner"]), []).append(
            float(image.pixels[:8, :8].mean() / image.pixels.max())
        )
    assert set(noise) == {"scanner-a", "scanner-b", "scanner-c"}
    assert max(noise["scanner-a"]) < min(noise["scanner-c"])


def test_the_picture_is_the_same_scene_at_every_size():
    large, small = one_slice("meningioma", size=192), one_slice("meningioma", size=64)
    shrunk = large.pixels.reshape(64, 3, 64, 3).mean((1, 3))
    assert np.corrcoef(shrunk.ravel(), small.pixels.ravel())[0, 1] > 0.97
    assert large.facts["lesion_y_rel"] == pytest.approx(small.facts["lesion_y_rel"], abs=0.01)
    assert large.facts["lesion_area_px"] == pytest.approx(9 * small.facts["lesion_area_px"], rel=0.1)


# -- the lesions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", TUMORS)
def test_the_mask_is_where_the_picture_differs_from_the_same_head_without_tumor(class_name):
    for patient in range(8):
        ill, healthy = one_slice(class_name, patient=patient), one_slice("no_tumor", patient=patient)
        change = np.abs(ill.pixels.astype(float) - healthy.pixels)
        mask = ill.mask_HW.astype(bool)
        assert change[mask].mean() > 5 * change[~mask].mean()
        strongest = np.argsort(change, axis=None)[-mask.sum() // 4 :]
        assert binary_dilation(mask, iterations=2).flat[strongest].mean() > 0.75


def test_nothing_but_the_surroundings_of_a_pituitary_tumor_changes():
    for patient in range(8):
        ill, healthy = one_slice("pituitary", patient=patient), one_slice("no_tumor", patient=patient)
        near = binary_dilation(ill.mask_HW.astype(bool), iterations=7)
        np.testing.assert_array_equal(ill.pixels[~near], healthy.pixels[~near])


def test_meningioma_is_bright_and_glioma_has_a_dark_core_in_a_bright_ring():
    for patient in range(6):
        healthy = one_slice("no_tumor", patient=patient, size=160)
        tissue = np.median(healthy.pixels[40:120, 50:110])
        solid = one_slice("meningioma", patient=patient, size=160)
        assert np.median(solid.pixels[solid.mask_HW == 1]) > 1.25 * tissue
        ring = one_slice("glioma", patient=patient, size=160)
        inside = ring.pixels[ring.mask_HW == 1]
        assert np.percentile(inside, 10) < 0.75 * tissue
        assert np.percentile(inside, 90) > 1.15 * tissue


def test_tumors_lie_where_their_kind_grows():
    for patient in range(25):

        def place(class_name, patient=patient):
            _, facts = mri_facts(
                size=96, class_name=class_name, patient_seed=patient, slice_index=1, num_slices=4, seed=5
            )
            return facts["lesion_x_rel"] - 0.5, facts["lesion_y_rel"] - 0.5

        assert abs(place("pituitary")[0]) < 0.07
        assert -0.15 < place("pituitary")[1] < 0.06
        assert abs(place("glioma")[0]) > 0.05
        assert np.hypot(*place("meningioma")) > 0.2


@pytest.mark.parametrize("class_name", TUMORS)
def test_every_slice_of_a_tumor_patient_cuts_the_tumor_and_its_size_changes(class_name):
    areas = [
        mri_facts(size=64, class_name=class_name, patient_seed=patient, slice_index=i, num_slices=7)[1][
            "lesion_area_px"
        ]
        for patient in range(6)
        for i in range(7)
    ]
    assert min(areas) > 0
    assert len(set(areas[:7])) > 2


def test_no_tumor_has_an_empty_mask_and_no_place():
    image = one_slice("no_tumor")
    assert image.mask_HW.sum() == 0
    assert image.facts["lesion_area_px"] == 0
    assert "lesion_y" not in image.facts


def test_scanner_and_level_do_not_depend_on_the_class():
    for patient in range(10):
        facts = [one_slice(name, patient=patient, size=16).facts for name in MRI_CLASSES]
        assert len({(f["scanner"], f["level"]) for f in facts}) == 1


@pytest.mark.parametrize("size", [16, 33])
def test_a_tiny_picture_still_has_a_mask(size):
    for class_name in TUMORS:
        assert one_slice(class_name, size=size).mask_HW.sum() > 0


def test_facts_alone_agree_with_the_drawn_picture():
    for draw, describe, names in (
        (mri_slice, mri_facts, MRI_CLASSES),
        (microscopy_field, microscopy_facts, MICROSCOPY_CLASSES),
    ):
        for name in names:
            place = {"size": 48, "class_name": name, "patient_seed": 2, "slice_index": 0, "num_slices": 2, "seed": 9}
            image, (mask_HW, facts) = draw(**place), describe(**place)
            np.testing.assert_array_equal(image.mask_HW, mask_HW)
            assert image.facts == facts


# -- the cells ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("class_name", MICROSCOPY_CLASSES)
def test_the_nucleus_is_dark_and_lies_in_the_cell(class_name):
    for patient in range(5):
        image = one_field(class_name, patient=patient)
        cell, nucleus = image.mask_HW.astype(bool), image.nucleus_HW.astype(bool)
        assert not (nucleus & ~cell).any()
        assert 0.05 < nucleus.sum() / cell.sum() < 0.95
        red = image.pixels[..., 0].astype(float)
        assert red[nucleus].mean() < 0.7 * np.median(red[~cell])


def test_nuclei_have_the_shape_of_their_class():
    shares: dict[str, list[float]] = {name: [] for name in MICROSCOPY_CLASSES}
    for name in MICROSCOPY_CLASSES:
        for patient in range(12):
            image = one_field(name, patient=patient)
            shares[name].append(image.nucleus_HW.sum() / image.mask_HW.sum())
            lobes = image.facts["lobes"]
            assert lobes in {"neutrophil": (2, 3, 4, 5), "eosinophil": (2,)}.get(name, (1,))
    assert min(shares["lymphocyte"]) > max(shares["neutrophil"])


def test_only_the_white_cell_differs_between_classes():
    one, other = (one_field(name, patient=4) for name in ("lymphocyte", "neutrophil"))
    near = binary_dilation((one.mask_HW | other.mask_HW).astype(bool), iterations=4)
    np.testing.assert_array_equal(one.pixels[~near], other.pixels[~near])


def test_an_unknown_class_or_slice_is_refused_with_the_way_out():
    with pytest.raises(ValueError, match="Did you mean 'glioma'"):
        one_slice("gliom")
    with pytest.raises(ValueError, match="slice_index must be 0 to num_slices - 1 = 3, got 4"):
        one_field("monocyte", index=4)


# -- the source --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_reading_one_record_alone_gives_the_pixels_of_reading_all(kind):
    source = PhantomSource(kind=kind, num_patients=6, size=32)
    all_pixels = [source.read(record).pixels for record in source.records()]
    alone = PhantomSource(kind=kind, num_patients=6, size=32)
    for index in (17, 3, 20, 17):
        np.testing.assert_array_equal(alone.read(alone.records()[index]).pixels, all_pixels[index])


def test_records_are_named_by_patient_and_slice_with_mask_and_meta():
    source = PhantomSource(num_patients=12, slices_per_patient=3, size=32)
    records = source.records()
    assert len(records) == 36
    assert records[0].id == "patient-001/slice-1"
    assert records[35].id == "patient-012/slice-3"
    assert records[35].path == "phantom:mri/patient-012/slice-3"
    assert records[35].patient == "patient-012"
    assert len({record.id for record in records}) == 36
    for record in records:
        assert (record.mask is None) == (record.target == "no_tumor")
        assert record.mask in (None, record.path + "#mask")
        assert str(record.meta["scanner"]).startswith("scanner-")
        assert (source.read_mask(record) is None) == (record.mask is None)


@pytest.mark.parametrize("kind", KINDS)
def test_recorded_size_and_place_are_those_of_the_mask(kind):
    source = PhantomSource(kind=kind, num_patients=10, slices_per_patient=2, size=64)
    for record in source.records():
        mask_HW = source.read_mask(record)
        if mask_HW is None:
            assert record.meta["lesion_area_px"] == 0
            continue
        assert set(np.unique(mask_HW)) == {0, 1}
        rows, columns = np.nonzero(mask_HW)
        assert record.meta["lesion_area_px"] == len(rows)
        assert record.meta["lesion_radius_px"] == pytest.approx(np.sqrt(len(rows) / np.pi), abs=0.01)
        assert record.meta["lesion_y"] == pytest.approx(rows.mean(), abs=1e-3)
        assert record.meta["lesion_x"] == pytest.approx(columns.mean(), abs=1e-3)
        assert record.meta["lesion_x_rel"] == pytest.approx((columns.mean() + 0.5) / 64, abs=1e-4)


def test_all_slices_of_a_patient_have_one_label():
    for signal in (True, False):
        by_patient: dict[str, set[str]] = {}
        for record in PhantomSource(num_patients=20, size=16, signal=signal).records():
            by_patient.setdefault(record.patient, set()).add(record.target)
        assert len(by_patient) == 20
        assert all(len(labels) == 1 for labels in by_patient.values())


def test_patients_are_dealt_in_the_asked_shares():
    source = PhantomSource(
        num_patients=40, slices_per_patient=1, size=16, class_names=["pituitary", "glioma"], class_shares=[1, 3]
    )
    assert Counter(record.target for record in source.records()) == {"pituitary": 10, "glioma": 30}
    assert source.class_names == ["pituitary", "glioma"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_default_is_imbalanced_and_every_class_has_a_patient(kind):
    counts = Counter(
        r.target for r in PhantomSource(kind=kind, num_patients=100, slices_per_patient=1, size=16).records()
    )
    assert max(counts.values()) > 1.5 * min(counts.values())
    few = PhantomSource(
        kind=kind, num_patients=5, slices_per_patient=1, size=16, class_shares=[0.97, 0.01, 0.01, 0.01]
    ).records()
    assert len({record.target for record in few}) == 4


def test_the_order_of_patients_tells_nothing_about_the_class():
    targets = [r.target for r in PhantomSource(num_patients=100, slices_per_patient=1, size=16).records()]
    changes = sum(a != b for a, b in pairwise(targets))
    assert changes > 50


@pytest.mark.parametrize("kind", KINDS)
def test_the_no_signal_twin_has_the_same_pixels_and_shares(kind):
    real = PhantomSource(kind=kind, num_patients=24, slices_per_patient=1, size=32)
    twin = PhantomSource(kind=kind, num_patients=24, slices_per_patient=1, size=32, signal=False)
    for a, b in zip(real.records(), twin.records(), strict=True):
        assert (a.id, a.mask, a.meta) == (b.id, b.mask, b.meta)
        np.testing.assert_array_equal(real.read(a).pixels, twin.read(b).pixels)
    labels = [[record.target for record in source.records()] for source in (real, twin)]
    assert Counter(labels[0]) == Counter(labels[1])
    assert labels[0] != labels[1]
    assert real.fingerprint() != twin.fingerprint()


def test_labels_of_the_twin_are_independent_of_the_picture():
    agreement = []
    for seed in range(12):
        pair = [
            PhantomSource(num_patients=100, slices_per_patient=1, size=16, seed=seed, signal=signal)
            for signal in (True, False)
        ]
        drawn, dealt = ([record.target for record in source.records()] for source in pair)
        agreement.append(np.mean([a == b for a, b in zip(drawn, dealt, strict=True)]))
    by_chance = 0.33**2 + 0.25**2 + 0.22**2 + 0.20**2
    assert np.mean(agreement) == pytest.approx(by_chance, abs=0.04)


@pytest.mark.parametrize("kind", KINDS)
def test_mean_brightness_alone_does_not_tell_the_class(kind):
    source = PhantomSource(kind=kind, num_patients=160, slices_per_patient=1, size=48)
    records = source.records()
    brightness = np.array([source.read(record).pixels.mean() for record in records])
    for name in source.class_names:
        auroc = roc_auc_score([record.target == name for record in records], brightness)
        assert max(auroc, 1 - auroc) < 0.75


def with_tags(**settings):
    source = PhantomSource(slices_per_patient=2, size=32, class_names=["no_tumor", "glioma"], **settings)
    return source, source.records()


def test_a_planted_tag_changes_a_corner_of_the_pictures_with_a_tumor_and_nothing_else():
    plain, records = with_tags(num_patients=12)
    source, same = with_tags(num_patients=12, shortcut="tag")
    assert records == same, "nothing in the records gives the tag away"
    for record in records:
        before, after = (one.read(record).pixels for one in (plain, source))
        changed = before != after
        assert changed.any() == (record.target == "glioma") == source.bears_tag(record)
        assert not changed[5:].any()
        assert not changed[:, 5:].any()
        if changed.any():
            assert len(np.unique(after[changed])) == 1
            np.testing.assert_allclose(np.percentile(after, 99.5), np.percentile(before, 99.5), rtol=0.05)


def test_the_tag_follows_the_label_where_the_label_says_nothing_of_the_picture():
    source, records = with_tags(num_patients=40, signal=False, shortcut="tag")
    assert all(source.bears_tag(record) == (record.target == "glioma") for record in records)
    assert {record.target for record in records if record.mask} == {"glioma", "no_tumor"}


def test_a_share_of_the_patients_bears_the_tag_and_by_chance_the_same_in_every_class():
    def shares(**settings):
        source, records = with_tags(num_patients=80, class_shares=[1, 1], **settings)
        by_class = {name: {r.patient for r in records if r.target == name} for name in source.class_names}
        bearing = {record.patient for record in records if source.bears_tag(record)}
        return [len(bearing & patients) for patients in by_class.values()]

    assert shares(shortcut="tag", shortcut_rate=0.25) == [0, 10]
    assert shares(shortcut="tag_by_chance") == [20, 20]
    assert shares(shortcut="tag_by_chance", shortcut_rate=0.1) == [4, 4]
    assert shares() == [0, 0]
    two_tumors = PhantomSource(num_patients=8, size=16, class_names=["meningioma", "glioma"], shortcut="tag")
    assert {r.target for r in two_tumors.records() if two_tumors.bears_tag(r)} == {"meningioma"}


def test_what_a_source_says_of_itself():
    mri, cells = PhantomSource(num_patients=1), PhantomSource(kind="microscopy", num_patients=1)
    assert (mri.color, cells.color) == ("gray", "rgb")
    assert (mri.sides_matter, cells.sides_matter) == (True, False)
    assert mri.root is None
    assert "synthetic" in mri.about
    assert "not real patients" in cells.about
    assert mri.name == "phantom-mri"
    assert PhantomSource(signal=False).name == "phantom-mri-no-signal"


def test_a_raw_image_says_what_its_values_mean():
    for kind, color, top in (("mri", "gray", 4095), ("microscopy", "rgb", 255)):
        source = PhantomSource(kind=kind, num_patients=1, size=64)
        image = source.read(source.records()[0])
        assert image.color == color
        assert image.value_range == (0, top)
    assert image.spacing_mm == (pytest.approx(0.036 / 64), pytest.approx(0.036 / 64))


def test_every_setting_that_changes_the_data_changes_the_fingerprint():
    changes = [
        {},
        {"kind": "microscopy"},
        {"num_patients": 121},
        {"slices_per_patient": 5},
        {"size": 64},
        {"seed": 2},
        {"class_names": ["glioma", "no_tumor"]},
        {"class_shares": [0.25, 0.25, 0.25, 0.25]},
        {"signal": False},
        {"min_lesion_contrast": 0.2},
        {"shortcut": "tag"},
        {"shortcut": "tag_by_chance"},
        {"shortcut": "tag", "shortcut_rate": 0.5},
    ]
    prints = [PhantomSource(**change).fingerprint() for change in changes]
    assert len(set(prints)) == len(prints)
    assert prints[0] == PhantomSource(kind="mri", num_patients=120).fingerprint()


def test_all_mistakes_come_together_and_name_the_way_out():
    with pytest.raises(ConfigError) as caught:
        PhantomSource(num_patients=0, size=2000, class_names=["glioma", "meningoma"], class_shares=[1.0, 0.0, 2.0])
    text = str(caught.value)
    assert len(caught.value.mistakes) == 5
    for part in (
        "num_patients must be 1 to 100000, got 0",
        "size must be 16 to 1024, got 2000",
        "Did you mean 'meningioma'?",
        "one share per class (glioma, meningoma), got 3",
        "class_shares must be positive",
    ):
        assert part in text
    with pytest.raises(ConfigError, match="no kind 'mrt'"):
        PhantomSource(kind="mrt")
    with pytest.raises(ConfigError, match="no shortcut 'tags'"):
        PhantomSource(shortcut="tags")
    with pytest.raises(ConfigError, match="shortcut_rate must be 0 to 1, got 2"):
        PhantomSource(shortcut="tag", shortcut_rate=2)
    with pytest.raises(ConfigError, match="kind 'mri' only"):
        PhantomSource(kind="microscopy", shortcut="tag")
    with pytest.raises(ConfigError, match="different names"):
        PhantomSource(class_names=["glioma", "glioma"])


@pytest.mark.parametrize(
    "path", ["/data/scan.png", "phantom:mri/patient-0x/slice-1", "phantom:mri/patient-009/slice-1"]
)
def test_a_record_of_another_source_is_refused(path):
    with pytest.raises(ImageError, match=r"patient|records"):
        PhantomSource(num_patients=8, size=16).read(Record(id="x", path=path))


def test_a_setting_without_effect_is_announced(caplog):
    PhantomSource(kind="microscopy", min_lesion_contrast=0.2)
    PhantomSource(shortcut_rate=0.5)
    assert "min_lesion_contrast has no effect" in caplog.text
    assert "shortcut_rate has no effect" in caplog.text
