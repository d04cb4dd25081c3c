"""The way in: one object of one case, once it is known that highdicom is there."""

from __future__ import annotations

import importlib
import importlib.util
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scanlens.errors import ConfigError
from scanlens.report.dicom.case import ExplainedCase, Kind, NotMade
from scanlens.report.dicom.picture import plain

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from scanlens.report.dicom.issue import Issue

# What highdicom has against a header, such as a place in space that is there and makes no sense.
_REFUSALS = (ValueError, AttributeError, TypeError, LookupError, RuntimeError, ArithmeticError)
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


def build_object(kind: Kind, case: ExplainedCase, issue: Issue) -> Dataset:
    """One object, ready to be saved.

    Raises:
        NotMade: it cannot be made of this case, and why.
        ConfigError: highdicom is not installed.
    """
    require_highdicom()
    name = _BUILDERS[kind]
    with _quiet(), _refusing():
        made: Dataset = getattr(importlib.import_module(f"scanlens.report.dicom.{name}"), name)(case, issue)
    return made


def object_bytes(kind: Kind, case: ExplainedCase, issue: Issue) -> bytes:
    """One object as a file.

    Raises:
        NotMade: it cannot be made of this case, and why.
        ConfigError: highdicom is not installed.
    """
    made, buffer = build_object(kind, case, issue), io.BytesIO()
    with _quiet(), _refusing():
        made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@contextmanager
def _refusing() -> Iterator[None]:
    try:
        yield
    except _REFUSALS as error:
        raise NotMade(f"it cannot be made of this image ({plain(str(error), 150)})") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """highdicom and pydicom grumble about headers that others wrote, and quote them."""
    loggers = [logging.getLogger(name) for name in ("highdicom", "pydicom")]
    former = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, former, strict=True):
            one.setLevel(level)
