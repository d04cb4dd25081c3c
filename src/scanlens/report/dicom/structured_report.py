"""Structured Report (TID 1500): what the network said, in codes and numbers that machines read.

References:
    DICOM PS3.16 TID 1500, 1410 and 1501, TID 4019 (algorithm identification); PS3.3 A.35.3 (Comprehensive SR).
"""

from __future__ import annotations

from typing import Any

import highdicom
from highdicom import sr
from pydicom.dataset import Dataset

from scanlens.report.dicom import codes
from scanlens.report.dicom.case import NOTICE, ExplainedCase
from scanlens.report.dicom.instance import MANUFACTURER, finished, identity
from scanlens.report.dicom.issue import Issue
from scanlens.report.dicom.outlines import area_of
from scanlens.report.dicom.picture import call_in_words, plain


def structured_report(case: ExplainedCase, issue: Issue) -> Dataset:
    """A partial, unverified, preliminary report: one group for the image, one for each outline of the region."""
    algorithm = sr.AlgorithmIdentification(
        name=case.algorithm.name,
        version=case.algorithm.version,
        parameters=[f"{name}: {value}" for name, value in case.algorithm.parameters.items()],
    )
    groups: list[Any] = [_image_group(case, issue, algorithm), *_regions(case, issue, algorithm)]
    content = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=_device(case, issue)),
        procedure_reported=codes.PROCEDURE,
        imaging_measurements=groups,
        title=highdicom.sr.CodedConcept("126000", "DCM", "Imaging Measurement Report"),
    )
    made = sr.ComprehensiveSR(evidence=[case.header], content=content, **identity(case, "sr", issue))
    made.CompletionFlagDescription = "Made by research software; not for diagnosis"
    return finished(made, case, issue)


def _device(case: ExplainedCase, issue: Issue) -> sr.ObserverContext:
    return sr.ObserverContext(
        observer_type=codes.DEVICE,
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=issue.uid(f"device\0{case.algorithm.serial}"),
            name=case.algorithm.name,
            manufacturer_name=MANUFACTURER,
            model_name=case.algorithm.name,
            serial_number=case.algorithm.serial,
        ),
    )


def _image_group(
    case: ExplainedCase, issue: Issue, algorithm: sr.AlgorithmIdentification
) -> sr.MeasurementsAndQualitativeEvaluations:
    header = case.header
    group = sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=_tracking(case, issue, "output"),
        finding_type=codes.MODEL_OUTPUT,
        algorithm_id=algorithm,
        measurements=_measurements(case),
        qualitative_evaluations=_evaluations(case),
        source_images=[sr.SourceImageForMeasurementGroup(header.SOPClassUID, header.SOPInstanceUID)],
    )
    for words in _comments(case):
        group[0].ContentSequence.append(
            sr.TextContentItem(codes.COMMENT, plain(words, 1000), relationship_type="CONTAINS")
        )
    return group


def _measurements(case: ExplainedCase) -> list[sr.Measurement]:
    answer = case.answer
    found = [sr.Measurement(codes.CERTAINTY, _share(answer.probability), codes.PERCENT)]
    if answer.calibrated is not None:
        found.append(sr.Measurement(codes.CALIBRATED, _share(answer.calibrated), codes.PERCENT))
    if answer.score is not None and answer.threshold is not None:
        found.append(sr.Measurement(codes.SCORE, _share(answer.score), codes.PERCENT))
        found.append(sr.Measurement(codes.THRESHOLD, _share(answer.threshold), codes.PERCENT))
    if case.map_facts.p_value is not None:
        found.append(sr.Measurement(codes.P_VALUE, round(case.map_facts.p_value, 6), codes.NO_UNIT))
    return found


def _share(value: float) -> float:
    return round(100 * value, 4)


def _evaluations(case: ExplainedCase) -> list[sr.QualitativeEvaluation]:
    answer, facts = case.answer, case.map_facts
    found = [
        sr.QualitativeEvaluation(codes.PREDICTED_CLASS, codes.own("class", answer.predicted)),
        sr.QualitativeEvaluation(codes.VERDICT, codes.VERDICTS[facts.level]),
        sr.QualitativeEvaluation(
            codes.QUALITY, codes.own(facts.quality or "not-assessed", facts.quality or "not assessed")
        ),
    ]
    if answer.is_called is not None:
        found.append(sr.QualitativeEvaluation(codes.CALL, codes.POSITIVE if answer.is_called else codes.NEGATIVE))
    return found


def _comments(case: ExplainedCase) -> list[str]:
    """What codes cannot say."""
    facts, more = case.map_facts, 0 if case.evidence is None else case.evidence.num_left_out
    said = [
        NOTICE,
        call_in_words(case.answer),
        f"Map by {facts.method} for {facts.explained}: {facts.verdict}. {' '.join(facts.reasons)}",
        f"Map not drawn: {facts.hidden}" if case.evidence is None else "",
        *(f"Quality: the image {fault}" for fault in facts.faults),
        f"{more} smaller pieces of the region have no outline." if more else "",
    ]
    return [one for one in said if one]


def _regions(
    case: ExplainedCase, issue: Issue, algorithm: sr.AlgorithmIdentification
) -> list[sr.PlanarROIMeasurementsAndQualitativeEvaluations]:
    """The outlines of the region of model evidence on the source image; none where the map is not drawn."""
    header, found = case.header, []
    for place, line_N2 in enumerate(case.evidence.outlines if case.evidence is not None else (), start=1):
        region = sr.ImageRegion(
            graphic_type="POLYLINE",
            graphic_data=line_N2,
            source_image=sr.SourceImageForRegion(header.SOPClassUID, header.SOPInstanceUID),
        )
        area = None if case.spacing_mm is None else area_of(line_N2) * case.spacing_mm[0] * case.spacing_mm[1]
        found.append(
            sr.PlanarROIMeasurementsAndQualitativeEvaluations(
                tracking_identifier=_tracking(case, issue, f"region-{place}"),
                referenced_region=region,
                finding_type=codes.REGION,
                algorithm_id=algorithm,
                measurements=None if area is None else [sr.Measurement(codes.AREA, round(area, 3), codes.SQUARE_MM)],
            )
        )
    return found


def _tracking(case: ExplainedCase, issue: Issue, what: str) -> sr.TrackingIdentifier:
    return sr.TrackingIdentifier(
        uid=issue.uid(f"{issue.seed}\0tracking\0{case.name}\0{what}"), identifier=f"{case.name} {what}"
    )
