"""Coded concepts: those of the standard where there is one, else our own scheme, which every object names as such.

References:
    DICOM PS3.16 (CID 7181, 218, 244); SNOMED CT; UCUM.
"""

from __future__ import annotations

from highdicom.sr.coding import CodedConcept

from scanlens.report.dicom.picture import plain

OWN_SCHEME = "99SCANLENS"

CERTAINTY = CodedConcept("111012", "DCM", "Certainty of Finding")
CLASS_ACTIVATION = CodedConcept("130402", "DCM", "Class activation")
COMMENT = CodedConcept("121106", "DCM", "Comment")
PROCEDURE = CodedConcept("363679005", "SCT", "Imaging procedure")
POSITIVE = CodedConcept("10828004", "SCT", "Positive")
NEGATIVE = CodedConcept("260385009", "SCT", "Negative")
AREA = CodedConcept("42798000", "SCT", "Area")
SPATIAL = CodedConcept("309825002", "SCT", "Spatial and Relational Concept")
PERCENT = CodedConcept("%", "UCUM", "Percent")
NO_UNIT = CodedConcept("1", "UCUM", "no units")
SQUARE_MM = CodedConcept("mm2", "UCUM", "SquareMilliMeter")
DEVICE = CodedConcept("121007", "DCM", "Device")
BASIC_PROFILE = CodedConcept("113100", "DCM", "Basic Application Confidentiality Profile")


def own(value: str, meaning: str) -> CodedConcept:
    """A concept of our own scheme; 16 and 64 characters are what DICOM allows (PS3.3 8.1 and 8.3)."""
    return CodedConcept(value[:16], OWN_SCHEME, plain(meaning, 64) or "unnamed")


REGION = own("evidence-region", "Region of model evidence")
MODEL_OUTPUT = own("model-output", "Model output, not a diagnosis")
PREDICTED_CLASS = own("predicted-class", "Predicted class")
CALIBRATED = own("calibrated", "Calibrated probability of the predicted class")
SCORE = own("score", "Calibrated probability of the class that the threshold is for")
THRESHOLD = own("threshold", "Threshold of the score")
CALL = own("call", "Call at the threshold")
VERDICT = own("verdict", "Verdict on the heat map")
P_VALUE = own("p-value", "p value of removing the region of model evidence")
QUALITY = own("input-quality", "Quality of the input image")
VERDICTS = {
    "SUPPORTED": own("supported", "SUPPORTED"),
    "WEAK": own("weak", "WEAK"),
    "NOT SUPPORTED": own("not-supported", "NOT SUPPORTED"),
    "WITHHELD": own("withheld", "WITHHELD"),
    "": own("not-assessed", "not assessed"),
}
