"""The pseudonyms under which patients of a run stand in files that may be passed on."""

from __future__ import annotations

import logging
from collections.abc import Callable

from scanlens.data.privacy_plan import is_of_dicom
from scanlens.data.pseudonyms import Pseudonyms
from scanlens.errors import ConfigError
from scanlens.pipeline.decode import privacy_plan
from scanlens.runs import Run

log = logging.getLogger(__name__)


def pseudonym_of_patient(run: Run) -> Callable[[str | None], str | None]:
    """Gives the pseudonym of a name in the tables of a run: None of None, and of everybody where there is no key.

    Those of DICOM files, and of a run whose names are hidden, are pseudonyms already.
    """
    if is_of_dicom(run.config.get("data") or {}) or privacy_plan(run.config).hides(is_dicom=False):
        return lambda patient: patient
    try:
        known = Pseudonyms()
    except ConfigError as error:
        log.warning("patients get no pseudonym: %s", error)
        return lambda _: None
    return lambda patient: None if patient is None else known.of(patient)
