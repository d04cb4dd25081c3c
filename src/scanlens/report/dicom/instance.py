"""What all objects of a case have in common: UIDs, series, the notice, dates, and the frame that they refer to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import highdicom
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from scanlens.report.dicom import codes
from scanlens.report.dicom.case import TITLES, ExplainedCase, Kind
from scanlens.report.dicom.issue import Issue

MANUFACTURER = "scanlens"
DEIDENTIFICATION = "Allow-list, keyed hashes, no dates (PS3.15 basic profile)"
NO_DATE, NO_TIME = "19000101", "000000"
_FIRST_SERIES = 9000
_PLACES: dict[Kind, int] = {"sc": 1, "sr": 2, "pr": 3, "seg": 4, "pmap": 5}


def identity(case: ExplainedCase, kind: Kind, issue: Issue) -> dict[str, Any]:
    """Arguments that every constructor takes."""
    return {
        "series_instance_uid": issue.uid(f"{issue.series_seed}\0series\0{kind}\0{case.header.SeriesInstanceUID}"),
        "sop_instance_uid": issue.uid(f"{issue.seed}\0instance\0{kind}\0{case.name}"),
        "series_number": _FIRST_SERIES + _PLACES[kind],
        "instance_number": case.number,
        "manufacturer": MANUFACTURER,
        "manufacturer_model_name": case.algorithm.name[:64],
        "software_versions": case.algorithm.version[:64],
        "device_serial_number": case.algorithm.serial[:64],
        "transfer_syntax_uid": ExplicitVRLittleEndian,
        "series_description": f"Research only, not for diagnosis: {TITLES[kind]}",
    }


def algorithm_sequence(case: ExplainedCase) -> highdicom.AlgorithmIdentificationSequence:
    """Name, version and settings of the algorithm, for segments and maps."""
    algorithm = case.algorithm
    return highdicom.AlgorithmIdentificationSequence(
        name=algorithm.name[:64],
        family=codes.own("neural-network", "Artificial neural network"),
        version=algorithm.version[:64],
        source=MANUFACTURER,
        parameters=dict(algorithm.parameters),
    )


def finished(made: Dataset, case: ExplainedCase, issue: Issue) -> Dataset:
    """The same object, with its frame, dates and, where nobody is to be known, what PS3.15 asks for."""
    made.SpecificCharacterSet = "ISO_IR 192"
    made.pop("ContributingEquipmentSequence", None)
    made.CodingSchemeIdentificationSequence = [_own_scheme()]
    if made.Modality in ("OT", "PR"):
        made.Laterality = case.header.get("Laterality", "")  # of a paired part of the body, where it is known
    if case.frame is not None:
        _refer_to_frame(made, str(case.header.SOPInstanceUID), case.frame)
    _settle(made, issue)
    if not issue.is_identified:
        made.PatientIdentityRemoved = "YES"
        made.DeidentificationMethod = DEIDENTIFICATION
        made.DeidentificationMethodCodeSequence = [codes.BASIC_PROFILE]
        made.LongitudinalTemporalInformationModified = "REMOVED"
    return made


def _own_scheme() -> Dataset:
    scheme = Dataset()
    scheme.CodingSchemeDesignator = codes.OWN_SCHEME
    scheme.CodingSchemeName = "scanlens"
    scheme.CodingSchemeResponsibleOrganization = "scanlens"
    return scheme


def _refer_to_frame(made: Dataset, instance: str, frame: int) -> None:
    """In every reference to the image, but not where whole instances are listed."""
    for element in made:
        if element.VR != "SQ" or element.keyword in (
            "CurrentRequestedProcedureEvidenceSequence",
            "ReferencedInstanceSequence",
        ):
            continue
        for one in element.value:
            if one.get("ReferencedSOPInstanceUID") == instance:
                one.ReferencedFrameNumber = frame
            _refer_to_frame(one, instance, frame)


_OF_THE_STUDY = ("PatientBirthDate", "StudyDate", "StudyTime")
_DATES = {"DA": NO_DATE, "TM": NO_TIME, "DT": f"{NO_DATE}{NO_TIME}"}


def _settle(made: Dataset, issue: Issue) -> None:
    """Dates of one moment, or none; and UIDs that were drawn at random become those of the issue."""
    for element in made:
        if element.VR == "SQ":
            for one in element.value:
                _settle(one, issue)
        elif element.VR in _DATES and element.value and not (issue.is_identified and element.keyword in _OF_THE_STUDY):
            element.value = _dated(element.VR, issue.created)
        elif element.keyword == "DimensionOrganizationUID":
            element.value = issue.uid(f"{issue.seed}\0dimensions")


def _dated(vr: str, created: datetime | None) -> str:
    if created is None:
        return _DATES[vr]
    return created.strftime({"DA": "%Y%m%d", "TM": "%H%M%S", "DT": "%Y%m%d%H%M%S"}[vr])
