"""A source under pseudonyms: records whose ids, patients and volumes tell no name of a file or a person.

A pseudonym is a hash under the key of `pseudonyms`, so the same file and the same patient are called the same in every run
under one key: runs can go on, be compared and be checked against each other. Classes, splits and the further columns that
somebody asked for by name stay as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from scanlens.data.pseudonyms import Pseudonyms
from scanlens.types import RawImage, Record


class HiddenNames:
    """The same images as another source, in its order, under pseudonyms.

    Args:
        source: of the images.
        hides_patients: whether patients get a pseudonym too; not if they have one already, as those of DICOM files.

    Raises:
        ConfigError: there is no key, and none can be made.
    """

    def __init__(self, source: Any, *, hides_patients: bool = True) -> None:
        self._source, self._hides_patients, self._pseudonyms = source, hides_patients, Pseudonyms()
        self._original: dict[str, Record] = {}

    def records(self) -> list[Record]:
        """All images, in the order of the source."""
        return [self._hidden(record) for record in self._source.records()]

    def read(self, record: Record) -> RawImage:
        """The pixels of one record.

        Raises:
            ImageError: it cannot be read.
        """
        return self._source.read(self._original[record.id])

    def read_mask(self, record: Record) -> NDArray[Any] | None:
        """The lesion of one record, as the source gives it.

        Raises:
            ImageError: it cannot be read.
        """
        return self._source.read_mask(self._original[record.id])

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)

    def _hidden(self, record: Record) -> Record:
        name = self._pseudonyms.of(name_of_file(record.id))
        self._original[name] = record
        meta = dict(record.meta)
        if "volume" in meta and meta["volume"] != meta.get("series"):  # a series is a pseudonym already
            meta["volume"] = self._pseudonyms.of(name_of_file(str(meta["volume"])))
        patient = record.patient
        if patient is not None and self._hides_patients:
            patient = self._pseudonyms.of(patient)
        return replace(record, id=name, patient=patient, meta=meta)


def name_of_file(name: str) -> str:
    """What a pseudonym is made of, so that a file called like a patient is told apart from him.

    Args:
        name: below the root of the data.
    """
    return f"file\0{name}"
