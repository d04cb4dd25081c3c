"""Lineages as text: `lineage.json` of a run folder, and an entry in the header of its weights file.

The weights carry the images only. Whoever gets them can ask of an image that he has whether they have seen it, and cannot
try names of patients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from scanlens.errors import RunError
from scanlens.files import write_text
from scanlens.pipeline.lineage.memory import (
    BEGINNINGS,
    MARK_BYTES,
    MAX_GENERATIONS,
    MAX_MARKS,
    ROLES,
    SALT_BYTES,
    Generation,
    Lineage,
    Marks,
    Memory,
)

VERSION = 1
MAX_BYTES = 64 * 2**20
METADATA_KEY = "scanlens_lineage"
_LONGEST_NAME = 200
_HEX = re.compile(r"[0-9a-f]*")


def write_lineage(path: Path, lineage: Lineage) -> None:
    """Write `lineage.json`."""
    write_text(path, json.dumps(_plain(lineage), indent=1, ensure_ascii=False) + "\n")


def read_lineage(path: Path) -> Lineage:
    """What `write_lineage` wrote.

    Raises:
        RunError: it is something else, or larger than `MAX_BYTES`.
    """
    remedy = "Restore it from a copy, or remove it: what the weights have seen is not known then."
    try:
        size = path.stat().st_size
        if not path.is_file() or size > MAX_BYTES:
            raise ValueError(f"a file of at most {MAX_BYTES:,} bytes is expected, {size:,} came")
        return _parsed(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path} does not say what a network was trained on ({_told(error)}). {remedy}") from error


def as_metadata(lineage: Lineage) -> dict[str, str]:
    """The lineage without patients, as an entry for the header of a weights file."""
    return {METADATA_KEY: json.dumps(_plain(lineage.without_patients()), separators=(",", ":"), ensure_ascii=False)}


def from_metadata(metadata: Mapping[str, str], *, file: Path) -> Lineage | None:
    """The lineage in the header of a weights file; None if there is none.

    Raises:
        RunError: something else stands there.
    """
    text = metadata.get(METADATA_KEY)
    if text is None:
        return None
    try:
        if len(text) > MAX_BYTES:
            raise ValueError(f"at most {MAX_BYTES:,} characters are expected, {len(text):,} came")
        return _parsed(text)
    except (ValueError, RecursionError) as error:
        raise RunError(
            f"the header of {file} does not say what the weights were trained on ({_told(error)}). "
            "Copy the file again from its run folder."
        ) from error


def _told(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _plain(lineage: Lineage) -> dict[str, Any]:
    return {
        "schema_version": VERSION,
        "begins_with": lineage.begins_with,
        "generations": [
            {"run": each.run, "data": each.data, "salt": each.salt.hex()}
            | {role: _plain_memory(each.of(role)) for role in ROLES}
            for each in lineage.generations
        ],
    }


def _plain_memory(memory: Memory) -> dict[str, Any]:
    return {
        "num_images": memory.num_images,
        "num_patients": memory.num_patients,
        "images": _hex(memory.images),
        "patients": None if memory.patients is None else _hex(memory.patients),
    }


def _hex(marks: Marks) -> str:
    """Sixteen digits a mark, one after the other."""
    return marks.astype(">u8").tobytes().hex()


def _parsed(text: str) -> Lineage:
    content = _mapping(json.loads(text), "the file")
    if content.get("schema_version") != VERSION:
        raise ValueError(f"schema_version {VERSION} is expected, {content.get('schema_version')!r:.40} came")
    if content.get("begins_with") not in BEGINNINGS:
        raise ValueError(f"begins_with: one of {', '.join(BEGINNINGS)} is expected")
    listed = content.get("generations")
    if not isinstance(listed, list) or len(listed) > MAX_GENERATIONS:
        raise ValueError(f"generations: a list of at most {MAX_GENERATIONS} is expected")
    found = Lineage(tuple(_generation(each) for each in listed), content["begins_with"])
    if sum(each.num_marks for each in found.generations) > MAX_MARKS:
        raise ValueError(f"at most {MAX_MARKS:,} images and patients are expected")
    return found


def _generation(value: object) -> Generation:
    content = _mapping(value, "a generation")
    salt = _digits(content.get("salt"), "salt")
    if len(salt) != SALT_BYTES:
        raise ValueError(f"salt: {2 * SALT_BYTES} hexadecimal digits are expected")
    train, val = (_memory(content.get(role), role) for role in ROLES)
    return Generation(_name(content, "run"), _name(content, "data"), salt, train, val)


def _memory(value: object, role: str) -> Memory:
    content = _mapping(value, role)
    patients = content.get("patients")
    return Memory(
        images=_marks(content.get("images"), f"{role}.images"),
        patients=None if patients is None else _marks(patients, f"{role}.patients"),
        num_images=_count(content.get("num_images"), f"{role}.num_images"),
        num_patients=None
        if content.get("num_patients") is None
        else _count(content["num_patients"], f"{role}.num_patients"),
    )


def _mapping(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"{what}: names with values are expected, {type(value).__name__} came")
    return value


def _name(content: Mapping[str, Any], key: str) -> str:
    value = content.get(key)
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.isprintable():
        raise ValueError(f"{key}: a name of at most {_LONGEST_NAME} characters is expected")
    return value


def _count(value: object, what: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{what}: a number of 0 or more is expected")
    return value


def _digits(value: object, what: str) -> bytes:
    if not isinstance(value, str) or len(value) % 2 or not _HEX.fullmatch(value):
        raise ValueError(f"{what}: hexadecimal digits are expected")
    return bytes.fromhex(value)


def _marks(value: object, what: str) -> Marks:
    digits = _digits(value, what)
    if len(digits) % MARK_BYTES:
        raise ValueError(f"{what}: {2 * MARK_BYTES} hexadecimal digits each are expected")
    return np.unique(np.frombuffer(digits, ">u8").astype(np.uint64))
