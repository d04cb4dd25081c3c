"""Whether names of files and patients may stand in the tables of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from scanlens.errors import ConfigError, did_you_mean

NAMES = ("auto", "keep", "hide")
_DICOM = "scanlens.data.sources.dicom.DicomSource"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyPlan:
    """What becomes of names.

    Args:
        names: keep: the tables that name images (split.csv, predictions, quarantine.csv ...) name files and patients as
            they are called. hide: keyed pseudonyms stand in their place (see `hidden_names`). auto: hide for DICOM files,
            which are often called after patients, keep for all others.

    Raises:
        ConfigError: the word is unknown.
    """

    names: Literal["auto", "keep", "hide"] = "auto"

    def __post_init__(self) -> None:
        if self.names not in NAMES:
            raise ConfigError([f"privacy.names: '{self.names}' is unknown. {did_you_mean(str(self.names), NAMES)}"])

    def hides(self, *, is_dicom: bool) -> bool:
        """Whether names of such files are replaced."""
        return self.names == "hide" or (self.names == "auto" and is_dicom)


def is_of_dicom(data: Mapping[str, Any]) -> bool:
    """Whether a `data` node of a configuration reads DICOM files, whose patients are pseudonyms already."""
    return data.get("_target_") == _DICOM
