"""The way in: one object of one case, once it is known that highdicom is there."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scanlens.errors import ConfigError
from scanlens.report.dicom.case import ExplainedCase, Kind

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from scanlens.report.dicom.instance import Issue

_BUILDERS: dict[Kind, str] = {
    "sc": "secondary_capture",
    "sr": "structured_report",
    "pr": "presentation_state",
    "seg": "segmentation",
    "pmap": "parametric_map",
}


def require_highdicom() -> None:
    """Nothing, or an error that names the extra.

    Raises:
        ConfigError: highdicom is not installed.
    """
    if importlib.util.find_spec("highdicom") is None:
        raise ConfigError(["scanlens dicom needs highdicom: pip install 'scanlens[dicom]'"])


@contextmanager
def _quiet() -> Iterator[None]:
    """highdicom and pydicom grumble about headers that others wrote, and quote them."""
    logger = logging.getLogger("highdicom")
    former = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(former)


def build_object(kind: Kind, case: ExplainedCase, issue: Issue) -> Dataset:
    """One object, ready to be saved.

    Raises:
        NotMade: it cannot be made of this case, and why.
        ConfigError: highdicom is not installed.
    """
    require_highdicom()
    name = _BUILDERS[kind]
    with _quiet():
        made: Dataset = getattr(importlib.import_module(f"scanlens.report.dicom.{name}"), name)(case, issue)
    return made
