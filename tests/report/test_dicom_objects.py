"""DICOM objects hold what was said of a case, at the right place, and nobody's name; opened again with pydicom."""

from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import JPEG2000Lossless, RLELossless

from fakes.dicom_cases import ANSWER, COLUMNS, HAS_DCIODVFY, PIXELS, ROWS, explained, faults, issue, stored, withheld
from fakes.dicom_scans import ENHANCED_MR, SECRET_WORDS
from scanlens.data.dicom_pixels import read_frame
from scanlens.data.dicom_reference import read_reference
from scanlens.data.pseudonyms import VARIABLE, Pseudonyms
from scanlens.errors import ConfigError
from scanlens.report.dicom.case import KINDS, NOTICE, Kind, NotMade
from scanlens.report.dicom.objects import build_object
from scanlens.report.dicom.outlines import MAX_POINTS, area_of, outlines_of
from scanlens.report.dicom.picture import side_by_side

pytest.importorskip("highdicom", reason="the extra dicom is not installed")
MULTI_FRAME = np.stack([PIXELS] * 3)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a secret of many characters")


def built(kind: Kind, folder: Path, *, is_withheld: bool = False, **elements: Any) -> Dataset:
    case = explained(folder, **elements)
    return stored(build_object(kind, withheld(case) if is_withheld else case, issue()))[1]


def items(report: Dataset, name: str) -> list[Dataset]:
    """Content items of a report called so, wherever they stand."""
    found = []
    for one in report.get("ContentSequence", ()):
        named = one.get("ConceptNameCodeSequence")
        found += [one] if named and named[0].CodeMeaning == name else []
        found += items(one, name)
    return found


def value_of(report: Dataset, name: str) -> tuple[float, str]:
    measured = items(report, name)[0].MeasuredValueSequence[0]
    return float(measured.NumericValue), measured.MeasurementUnitsCodeSequence[0].CodeValue


def code_of(report: Dataset, name: str) -> str:
    return str(items(report, name)[0].ConceptCodeSequence[0].CodeMeaning)


def comments(report: Dataset) -> str:
    return "\n".join(str(one.TextValue) for one in items(report, "Comment"))


def points(data: Any) -> np.ndarray:
    return np.array(data, dtype=np.float64).reshape(-1, 2)


def assert_around_the_region(line_N2: np.ndarray) -> None:
    """Edges of pixels: 0 is the outer corner of the first one."""
    box = [line_N2[:, 0].min(), line_N2[:, 0].max(), line_N2[:, 1].min(), line_N2[:, 1].max()]
    assert box == [COLUMNS.start, COLUMNS.stop, ROWS.start, ROWS.stop]
    assert area_of(line_N2) == pytest.approx(15 * 10, rel=0.02)
    assert (line_N2[0] == line_N2[-1]).all()


# --- structured report ---------------------------------------------------------------------------------------------------


def test_the_report_says_class_probability_call_verdict_and_quality(tmp_path: Path) -> None:
    report = built("sr", tmp_path)
    assert report.ContentTemplateSequence[0].TemplateIdentifier == "1500"
    assert (report.CompletionFlag, report.VerificationFlag, report.PreliminaryFlag) == (
        "PARTIAL",
        "UNVERIFIED",
        "PRELIMINARY",
    )
    certainty = items(report, "Certainty of Finding")[0].ConceptNameCodeSequence[0]
    assert (certainty.CodeValue, certainty.CodingSchemeDesignator) == ("111012", "DCM")
    assert value_of(report, "Certainty of Finding") == (93.0, "%")
    assert value_of(report, "Calibrated probability of the predicted class") == (88.0, "%")
    assert value_of(report, "Threshold of the score") == (40.0, "%")
    assert value_of(report, "p value of removing the region of model evidence") == (0.04, "1")
    assert [code_of(report, name) for name in ("Predicted class", "Call at the threshold", "Verdict on the heat map")] == [
        "ill", "Positive", "SUPPORTED",
    ]  # fmt: skip
    assert code_of(report, "Quality of the input image") == "odd"
    for words in (
        NOTICE,
        "Called positive for ill (image)",
        "It matters.",
        "the image is darker than those of the training",
    ):
        assert words in comments(report)


def test_the_report_names_the_algorithm_with_version_and_settings(tmp_path: Path) -> None:
    report = built("sr", tmp_path)
    texts = {name: {str(one.TextValue) for one in items(report, f"Algorithm {name}")} for name in ("Name", "Version")}
    assert texts == {"Name": {"scanlens LeNet"}, "Version": {"1.2.3"}}
    settings = {str(one.TextValue) for one in items(report, "Algorithm Parameters")}
    assert settings == {"weights: abcdef", "layer: features.4"}


def test_the_report_outlines_the_region_on_the_source_and_measures_it(tmp_path: Path) -> None:
    case = explained(tmp_path)
    report = stored(build_object("sr", case, issue()))[1]
    (region,) = items(report, "Image Region")
    assert (region.ValueType, region.GraphicType) == ("SCOORD", "POLYLINE")
    assert_around_the_region(points(region.GraphicData))
    source = region.ContentSequence[0].ReferencedSOPSequence[0]
    assert source.ReferencedSOPInstanceUID == case.header.SOPInstanceUID
    assert value_of(report, "Area") == (pytest.approx(15 * 1.0 * 10 * 0.5, rel=0.02), "mm2")
    assert code_of(report, "Finding") in ("Region of model evidence", "Model output, not a diagnosis")
    evidence = report.CurrentRequestedProcedureEvidenceSequence[0]
    assert evidence.StudyInstanceUID == report.StudyInstanceUID == case.header.StudyInstanceUID


def test_a_report_without_call_and_calibration_says_why(tmp_path: Path) -> None:
    answer = replace(ANSWER, calibrated=None, score=None, threshold=None, is_called=None, why_not="no class was named")
    case = replace(explained(tmp_path, PixelSpacing=None), answer=answer)
    report = stored(build_object("sr", case, issue()))[1]
    assert not items(report, "Call at the threshold")
    assert not items(report, "Threshold of the score")
    assert not items(report, "Area"), "without spacing there are no square millimeters"
    assert "Threshold: not applied (no class was named)" in comments(report)


def test_a_withheld_map_is_drawn_nowhere_and_the_report_says_why(tmp_path: Path) -> None:
    report = built("sr", tmp_path, is_withheld=True)
    assert code_of(report, "Verdict on the heat map") == "WITHHELD"
    assert "Map not drawn: the map is withheld: it is blank" in comments(report)
    assert not items(report, "Image Region")
    state = built("pr", tmp_path, is_withheld=True)
    assert "GraphicObjectSequence" not in state.GraphicAnnotationSequence[0]
    assert "WITHHELD" in state.GraphicAnnotationSequence[0].TextObjectSequence[0].UnformattedTextValue
    case = withheld(explained(tmp_path))
    for kind in ("seg", "pmap"):
        with pytest.raises(NotMade, match="the map is withheld: it is blank"):
            build_object(kind, case, issue())
    # in the picture the right half is one plate: no color, and nothing of the scan
    picture = side_by_side(case).astype(int)
    right = picture[:160, 490:]
    assert (right.max(axis=2) == right.min(axis=2)).all()
    assert (right[:40] == 24).all()


# --- secondary capture ---------------------------------------------------------------------------------------------------


def test_the_picture_has_the_scan_on_the_left_and_evidence_at_its_place_on_the_right(tmp_path: Path) -> None:
    capture = built("sc", tmp_path)
    assert (capture.SOPClassUID.name, capture.PhotometricInterpretation) == ("Secondary Capture Image Storage", "RGB")
    assert (list(capture.ImageType), capture.BurnedInAnnotation) == (["DERIVED", "SECONDARY"], "YES")
    assert list(capture.PatientOrientation) == ["L", "P"]
    picture = capture.pixel_array.astype(int)
    left, right = picture[:160, :480], picture[:160, 488:]
    assert (left.max(axis=2) == left.min(axis=2)).all(), "the scan is gray"
    yellow = (right[..., 0] > 240) & (right[..., 1] > 210) & (right[..., 2] < 100)
    rows, columns = np.nonzero(yellow)
    # 60 columns of 1 mm and 40 rows of 0.5 mm in 480 x 160 pixels: 8 a column, 4 a row
    assert (columns.min(), columns.max()) == (pytest.approx(8 * 30, abs=3), pytest.approx(8 * 45, abs=3))
    assert (rows.min(), rows.max()) == (pytest.approx(4 * 10, abs=3), pytest.approx(4 * 20, abs=3))
    inside = right[50:70, 260:340]
    assert (inside[..., 0] > inside[..., 2] + 20).all(), "warm, which speaks for the class"
    assert picture[160:].max() > 200, "words in the pixels"
    assert capture.ImageComments == NOTICE


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [((40, 60), (0.5, 1.0)), ((300, 20), (1.0, 1.0)), ((32, 32), (3.0, 0.1)), ((2000, 1500), None)],
)
def test_pictures_of_any_shape_are_bounded(tmp_path: Path, shape: tuple[int, int], spacing: Any) -> None:
    pixels = np.zeros(shape, np.uint16)
    case = explained(tmp_path, pixels, PixelSpacing=None if spacing is None else list(spacing))
    height, width = side_by_side(case).shape[:2]
    assert 448 <= width <= 2 * 1024 + 8
    assert height <= 1024 + 400


def test_a_color_source_has_a_picture_and_no_grayscale_state(tmp_path: Path) -> None:
    case = explained(tmp_path, np.stack([PIXELS.astype(np.uint8)] * 3, axis=-1))
    assert stored(build_object("sc", case, issue()))[1].SamplesPerPixel == 3
    with pytest.raises(NotMade, match="in color"):
        build_object("pr", case, issue())


# --- presentation state --------------------------------------------------------------------------------------------------


def test_the_state_draws_the_contour_over_the_untouched_source(tmp_path: Path) -> None:
    case = explained(tmp_path, RescaleSlope=2, RescaleIntercept=-5, WindowCenter=100, WindowWidth=200)
    state = stored(build_object("pr", case, issue()))[1]
    referenced = state.ReferencedSeriesSequence[0].ReferencedImageSequence[0]
    assert referenced.ReferencedSOPInstanceUID == case.header.SOPInstanceUID
    annotation = state.GraphicAnnotationSequence[0]
    (line,) = annotation.GraphicObjectSequence
    assert (line.GraphicAnnotationUnits, line.GraphicType, line.GraphicFilled) == ("PIXEL", "POLYLINE", "N")
    assert_around_the_region(points(line.GraphicData))
    words = annotation.TextObjectSequence[0].UnformattedTextValue
    assert NOTICE in words
    assert "SUPPORTED, p = 0.04" in words
    window = state.SoftcopyVOILUTSequence[0]
    assert (float(window.WindowCenter), float(window.WindowWidth)) == (100, 200)
    assert (float(state.RescaleSlope), float(state.RescaleIntercept)) == (2, -5)
    area = state.DisplayedAreaSelectionSequence[0]
    assert [float(one) for one in area.PresentationPixelSpacing] == [0.5, 1.0]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [60, 40]


@pytest.mark.parametrize(("meaning", "shape"), [("MONOCHROME2", "IDENTITY"), ("MONOCHROME1", "INVERSE")])
def test_the_state_keeps_what_is_white(tmp_path: Path, meaning: str, shape: str) -> None:
    assert built("pr", tmp_path, PhotometricInterpretation=meaning).PresentationLUTShape == shape


# --- segmentation and map ------------------------------------------------------------------------------------------------


def test_the_segment_is_the_region_on_the_grid_of_the_source(tmp_path: Path) -> None:
    case = explained(tmp_path, ImageOrientationPatient=[0, 1, 0, 0, 0, -1], ImagePositionPatient=[7, -3, 11])
    made = stored(build_object("seg", case, issue()))[1]
    expected = np.zeros((40, 60), bool)
    expected[ROWS, COLUMNS] = True
    np.testing.assert_array_equal(np.squeeze(made.pixel_array) > 0, expected)
    (segment,) = made.SegmentSequence
    assert segment.SegmentLabel == "region of model evidence"
    assert "tumor" not in str(made).lower()
    assert segment.SegmentationAlgorithmIdentificationSequence[0].AlgorithmVersion == "1.2.3"
    shared, own = made.SharedFunctionalGroupsSequence[0], made.PerFrameFunctionalGroupsSequence[0]
    assert shared.PlaneOrientationSequence[0].ImageOrientationPatient == [0, 1, 0, 0, 0, -1]
    assert own.PlanePositionSequence[0].ImagePositionPatient == [7, -3, 11]
    assert shared.PixelMeasuresSequence[0].PixelSpacing == [0.5, 1.0]
    places = [*shared.get("DerivationImageSequence", ()), *own.get("DerivationImageSequence", ())]
    assert places[0].SourceImageSequence[0].ReferencedSOPInstanceUID == case.header.SOPInstanceUID


def test_the_map_keeps_its_numbers_and_what_is_unknown_is_padding(tmp_path: Path) -> None:
    case = explained(tmp_path)
    made = stored(build_object("pmap", case, issue()))[1]
    values = np.frombuffer(made.FloatPixelData, "<f4").reshape(40, 60)
    np.testing.assert_array_equal(values[3:], case.drawn.map_HW[3:])
    assert (values[:3] == np.float32(made.FloatPixelPaddingValue)).all()
    mapping = made.SharedFunctionalGroupsSequence[0].RealWorldValueMappingSequence[0]
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "130402"
    assert mapping.LUTExplanation == "log-odds, for ill"
    assert (mapping.DoubleFloatRealWorldValueFirstValueMapped, mapping.DoubleFloatRealWorldValueLastValueMapped) == (
        -1,
        2,
    )


@pytest.mark.parametrize("kind", ["seg", "pmap"])
@pytest.mark.parametrize("missing", ["PixelSpacing", "FrameOfReferenceUID", "ImagePositionPatient", "SliceThickness"])
def test_an_image_that_lies_nowhere_gets_no_segment_and_no_map(tmp_path: Path, kind: Kind, missing: str) -> None:
    with pytest.raises(NotMade, match=rf"how it lies in space \(no {missing}\)"):
        build_object(kind, explained(tmp_path, **{missing: None}), issue())


# --- all of them ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_no_byte_names_the_patient_and_the_object_says_that_it_does_not(tmp_path: Path, kind: Kind) -> None:
    content, made = stored(build_object(kind, explained(tmp_path), issue()))
    assert [word for word in SECRET_WORDS if word.encode() in content] == []
    assert made.PatientID == Pseudonyms().of("Elsewhere\0HOSP-0815")
    assert (made.PatientIdentityRemoved, made.LongitudinalTemporalInformationModified) == ("YES", "REMOVED")
    method = made.DeidentificationMethodCodeSequence[0]
    assert (method.CodeValue, method.CodingSchemeDesignator) == ("113100", "DCM")
    assert "not for diagnosis" in made.SeriesDescription
    assert "20" + datetime.now().strftime("%y%m%d") not in str(made), "nothing is dated"


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_input_gives_the_same_bytes_and_another_one_another_instance(tmp_path: Path, kind: Kind) -> None:
    case = explained(tmp_path)
    first, again = (stored(build_object(kind, case, issue()))[0] for _ in range(2))
    assert first == again
    one, other = (stored(build_object(kind, case, issue(seed=seed)))[1] for seed in "ab")
    assert one.SOPInstanceUID != other.SOPInstanceUID
    assert one.SeriesInstanceUID == other.SeriesInstanceUID


@pytest.mark.parametrize("kind", KINDS)
def test_with_the_identity_kept_it_belongs_to_the_study_of_the_source(tmp_path: Path, kind: Kind) -> None:
    case = explained(tmp_path, keeps_identity=True)
    made = stored(build_object(kind, case, issue(is_identified=True, created=datetime(2031, 5, 6, 7, 8, 9))))[1]
    assert (made.StudyInstanceUID, made.PatientID, str(made.PatientName)) == (
        "1.2.3.4.1",
        "HOSP-0815",
        "Zebedee^Quagmire",
    )
    assert (made.StudyDate, made.AccessionNumber, made.PatientBirthDate) == ("20190607", "ACC-4711", "19470311")
    assert "1.2.3.4.5.1" in str(made), "the instance itself is referred to"
    assert made.SeriesInstanceUID.startswith("2.25."), "a series of its own"
    assert "PatientIdentityRemoved" not in made
    assert "20310506" in str(made)
    assert not [word for word in ("Frontal-Rd", "555-0199", "PRIVATE-77") if word in str(made)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_of_a_file_of_many_is_named(tmp_path: Path, kind: Kind) -> None:
    made = built(kind, tmp_path, pixels=MULTI_FRAME, frame=1, SOPClassUID=ENHANCED_MR)
    frames = [int(one.value) for one in made.iterall() if one.keyword == "ReferencedFrameNumber"]
    assert frames
    assert set(frames) == {2}


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_a_compressed_source_is_no_different(tmp_path: Path, syntax: str) -> None:
    plain = explained(tmp_path)
    compressed = pydicom.dcmread(tmp_path / "source.dcm")
    compressed.compress(syntax, generate_instance_uid=False)
    compressed.save_as(tmp_path / "compressed.dcm")
    reference = read_reference(tmp_path / "compressed.dcm", 0, pseudonyms=Pseudonyms())
    np.testing.assert_array_equal(read_frame(tmp_path / "compressed.dcm").pixels, PIXELS)
    for kind in KINDS:
        same = stored(build_object(kind, replace(plain, header=reference.header), issue()))[0]
        assert same == stored(build_object(kind, plain, issue()))[0]


def test_side_and_missing_verdict_are_said_as_they_are(tmp_path: Path) -> None:
    case = explained(tmp_path, Laterality="L")
    assert built("pr", tmp_path, Laterality="L").Laterality == "L"
    untested = replace(case, map_facts=replace(case.map_facts, level="", p_value=None, quality="", faults=()))
    report = stored(build_object("sr", untested, issue()))[1]
    assert code_of(report, "Verdict on the heat map") == code_of(report, "Quality of the input image") == "not assessed"
    assert items(report, "Image Region"), "a map that was not tested is drawn, and said to be untested"


@pytest.mark.skipif(not HAS_DCIODVFY, reason="dciodvfy (dicom3tools) is not installed")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("of", ["mr", "enhanced", "ct", "identified", "withheld"])
def test_dciodvfy_finds_no_error(tmp_path: Path, kind: Kind, of: str) -> None:
    if of == "withheld" and kind in ("seg", "pmap"):
        pytest.skip("is not made")
    if of == "enhanced":
        case = explained(tmp_path, MULTI_FRAME, frame=1, SOPClassUID=ENHANCED_MR)
    elif of == "ct":
        ct = "1.2.840.10008.5.1.4.1.1.2"
        pixels = PIXELS.astype(np.int16) - 100
        units = {"RescaleSlope": 1.5, "RescaleIntercept": -1024.123456789012, "WindowCenter": 40, "WindowWidth": 400}
        case = explained(tmp_path, pixels, SOPClassUID=ct, Modality="CT", **units)
    else:
        case = explained(tmp_path, keeps_identity=of == "identified")
    made = build_object(kind, withheld(case) if of == "withheld" else case, issue(is_identified=of == "identified"))
    assert faults(stored(made)[0], tmp_path) == []


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_the_run_cannot_break_an_object(tmp_path: Path, kind: Kind) -> None:
    hostile = "<b>Tumeur\\évidente\n\0" + "x" * 5000
    case = explained(tmp_path)
    answer, facts = (
        replace(case.answer, predicted=hostile),
        replace(case.map_facts, explained=hostile, reasons=(hostile,)),
    )
    content, made = stored(build_object(kind, replace(case, answer=answer, map_facts=facts), issue()))
    assert len(content) < 2_000_000
    values = [one.value for one in made.iterall() if one.VR == "LO" and isinstance(one.value, str)]
    assert all(len(one) <= 64 and "\n" not in one for one in values)


def test_without_highdicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = explained(tmp_path)
    monkeypatch.setitem(sys.modules, "highdicom", None)
    with pytest.raises(ConfigError, match=r"pip install 'scanlens\[dicom\]'"):
        build_object("sc", case, issue())


# --- outlines ------------------------------------------------------------------------------------------------------------


def test_outlines_stay_in_the_image_and_the_largest_come_first() -> None:
    cover = np.zeros((20, 30))
    cover[0:4, 0:4] = cover[10:20, 20:30] = 1
    lines, left_out = outlines_of(cover)
    assert ([round(area_of(one)) for one in lines], left_out) == ([100, 16], 0)
    assert (lines[0].min(axis=0).tolist(), lines[0].max(axis=0).tolist()) == ([20, 10], [30, 20])
    assert lines[1].min() == 0


def test_many_pieces_and_long_lines_are_bounded() -> None:
    noise = np.random.default_rng(1).random((120, 120)) > 0.5
    lines, left_out = outlines_of(noise.astype(float))
    assert len(lines) == 16
    assert left_out > 100
    comb = np.zeros((100, 1000))
    comb[:, ::2] = 1
    comb[0] = 1
    assert max(len(one) for one in outlines_of(comb)[0]) <= MAX_POINTS + 1
