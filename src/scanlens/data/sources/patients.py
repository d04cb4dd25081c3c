"""Who the patient of a file is: from a table, from its name, or from the folder it lies in."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from scanlens.errors import ConfigError


def patients_of(
    names: Sequence[str], from_table: Mapping[str, str], pattern: str | None, patient_from: str
) -> tuple[dict[str, str], list[str]]:
    """Patient of each image that has one: from the table, else by the pattern, else the folder it lies in."""
    if patient_from not in ("none", "folder"):
        raise ConfigError([f"patient_from: none or folder is expected, '{patient_from}' came."])
    search = _compiled(pattern)
    patients: dict[str, str] = {}
    for name in names:
        match = search.search(name) if search is not None else None
        if name in from_table:
            patients[name] = from_table[name]
        elif match is not None and match.group(1):
            patients[name] = match.group(1)
        elif patient_from == "folder" and len(PurePosixPath(name).parts) > 1:
            patients[name] = PurePosixPath(name).parent.name
    num_unknown = len(names) - len(patients)
    if num_unknown and patients:
        return patients, [f"{num_unknown} of {len(names)} images have no known patient."]
    return patients, []


def _compiled(pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError([f"patient_pattern '{pattern}' is not a regular expression: {error}."]) from error
    if compiled.groups != 1:
        raise ConfigError(
            [f"patient_pattern '{pattern}' has {compiled.groups} groups; exactly one, (...), is expected."]
        )
    return compiled
