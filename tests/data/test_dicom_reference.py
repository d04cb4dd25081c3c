"""Of a DICOM header, only named elements get on, and who the image is of only where it is asked for."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from fakes.dicom_scans import ENHANCED_MR, SECRET_WORDS, write_scan
from scanlens.data.dicom_reference import Reference, read_reference
from scanlens.data.pseudonyms import VARIABLE, Pseudonyms
from scanlens.errors import ImageError

PIXELS = np.zeros((4, 6), np.uint16)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "a secret of many characters")


def reference(folder: Path, pixels: Any = PIXELS, *, frame: int = 0, keep: bool = False, **elements: Any) -> Reference:
    path = write_scan(folder / "a.dcm", pixels, **elements)
    return read_reference(path, frame, pseudonyms=Pseudonyms(), keeps_identity=keep)


def group(**elements: Any) -> Dataset:
    made = Dataset()
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def test_nothing_that_names_somebody_gets_on(tmp_path: Path) -> None:
    header = reference(tmp_path).header
    buffer = BytesIO()
    header.save_as(buffer, implicit_vr=False, little_endian=True)
    assert [word for word in SECRET_WORDS if word.encode() in buffer.getvalue()] == []
    assert header.PatientID == Pseudonyms().of("Elsewhere\0HOSP-0815") == header.PatientName
    assert [header[name].value for name in ("StudyDate", "AccessionNumber", "PatientSex", "PatientBirthDate")] == [
        ""
    ] * 4
    assert (header.PixelSpacing, header.ImagePositionPatient) == ([0.5, 1], [-10, -20, 3])


def test_uids_are_replaced_alike_everywhere_and_differ_under_another_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = (reference(tmp_path, number=number).header for number in (1, 2))
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        assert one[name].value == two[name].value
        assert one[name].value.startswith("2.25.")
        assert len(one[name].value) <= 64
        assert one[name].value.is_valid
    assert one.SOPInstanceUID != two.SOPInstanceUID
    monkeypatch.setenv(VARIABLE, "another secret of many characters")
    assert reference(tmp_path).header.StudyInstanceUID != one.StudyInstanceUID


def test_identity_is_kept_where_it_is_asked_for_and_nothing_else(tmp_path: Path) -> None:
    header = reference(tmp_path, keep=True, PatientName="Müller^Jörg", SpecificCharacterSet="ISO_IR 100").header
    assert (str(header.PatientName), header.PatientID, header.AccessionNumber) == (
        "Müller^Jörg",
        "HOSP-0815",
        "ACC-4711",
    )
    assert (header.StudyDate, header.PatientBirthDate, header.PatientSex) == ("20190607", "19470311", "F")
    assert (header.StudyInstanceUID, header.SOPInstanceUID) == ("1.2.3.4.1", "1.2.3.4.5.1")
    told = str(header)
    assert not [word for word in ("Frontal-Rd", "555-0199", "PRIVATE-77", "Operators", "Institution") if word in told]


@pytest.mark.parametrize(
    "elements",
    [
        {"PatientBirthDate": "20230230"},
        {"StudyDate": "2019-06-07"},
        {"StudyTime": "99"},
        {"PatientSex": "unknown"},
        {"AccessionNumber": "A" * 40},
    ],
)
def test_a_kept_value_that_dicom_does_not_allow_is_left_empty(tmp_path: Path, elements: dict[str, str]) -> None:
    header = reference(tmp_path, keep=True, **elements).header
    assert header[next(iter(elements))].value == ""


@pytest.mark.parametrize("name", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"])
@pytest.mark.parametrize("keep", [True, False])
def test_an_image_that_nothing_can_refer_to_is_told(tmp_path: Path, name: str, keep: bool) -> None:
    with pytest.raises(ImageError, match=f"no {name}, so that nothing can refer to the image"):
        reference(tmp_path, keep=keep, **{name: None})


def test_text_in_fields_that_are_no_text_does_not_get_on(tmp_path: Path) -> None:
    odd = {
        "Modality": "ZEBEDEE",
        "FrameOfReferenceUID": "Zebedee",
        "SeriesInstanceUID": "Hush",
        "VOILUTFunction": "HUSH",
    }
    header = reference(tmp_path, **odd).header
    assert (header.Modality, "VOILUTFunction" in header) == ("OT", False)
    assert not [word for word in ("Zebedee", "ZEBEDEE", "Hush", "HUSH") if word in str(header)]
    with pytest.raises(ImageError, match="SeriesInstanceUID is no UID"):
        reference(tmp_path, keep=True, SeriesInstanceUID="Hush")
    with pytest.raises(ImageError, match="a class of image"):
        reference(tmp_path, SOPClassUID="1.2.840.10008.5.1.4.1.1.4.19470311")


def test_a_table_is_kept_without_its_explanation(tmp_path: Path) -> None:
    table = group(LUTDescriptor=[4, 0, 16], LUTExplanation="Hush", LUTData=np.arange(4, dtype="<u2").tobytes())
    kept = reference(tmp_path, VOILUTSequence=[table]).header.VOILUTSequence[0]
    assert sorted(element.keyword for element in kept) == ["LUTData", "LUTDescriptor"]


@pytest.mark.parametrize(
    ("elements", "gone"),
    [
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "ImageOrientationPatient"),
        ({"PixelSpacing": [0, 1]}, "PixelSpacing"),
        ({"WindowCenter": 10, "WindowWidth": -5}, "WindowCenter"),
    ],
)
def test_numbers_that_cannot_be_are_left_out(tmp_path: Path, elements: dict[str, Any], gone: str) -> None:
    header = reference(tmp_path, **elements).header
    assert gone not in header
    assert gone not in str(header)


def test_the_frame_of_many_brings_its_own_place_and_window(tmp_path: Path) -> None:
    each = [
        group(
            PlanePositionSequence=[group(ImagePositionPatient=[0, 0, 3 * place])],
            FrameVOILUTSequence=[group(WindowCenter=100 + place, WindowWidth=200)],
            FrameContentSequence=[group(FrameAcquisitionDateTime="20190607081509")],
        )
        for place in range(3)
    ]
    shared = group(
        PixelMeasuresSequence=[group(PixelSpacing=[0.5, 0.7], SliceThickness=3)],
        PlaneOrientationSequence=[group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
    )
    none = dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"))
    found = reference(
        tmp_path, np.zeros((3, 4, 6), np.uint16), frame=2, SOPClassUID=ENHANCED_MR,
        SharedFunctionalGroupsSequence=[shared], PerFrameFunctionalGroupsSequence=each, **none,
    )  # fmt: skip
    assert (found.frame, found.spacing_mm) == (3, (0.5, 0.7))
    assert (found.header.ImagePositionPatient, found.header.WindowCenter) == ([0, 0, 6], 102)
    assert "20190607" not in str(found.header)
    with pytest.raises(ImageError, match="frame 4 was asked for, and the file has 3"):
        read_reference(tmp_path / "a.dcm", 3, pseudonyms=Pseudonyms())
