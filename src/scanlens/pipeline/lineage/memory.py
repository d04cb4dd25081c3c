"""What a network was trained on, as marks: keyed hashes that recognize an image or a patient and give neither back.

A mark is the beginning of HMAC-SHA256 of a patient's name, or of the hash of decoded pixels, under the salt of a run. Of
64 bits, the chance that any of 10^6 new images meets one of 10^6 marks by accident is 10^12 / 2^64, 5 in 10^8. The salt
lies beside the marks: it keeps the marks of two runs, and tables made beforehand, from being compared, and does not keep
short names from being tried one by one. Pixels cannot be tried so.

References:
    RFC 2104 (HMAC), with section 5 on truncation.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Marks = NDArray[np.uint64]  # ascending, each once
Role = Literal["train", "val"]
Kind = Literal["image", "patient"]
Beginning = Literal["random", "public", "unknown"]
ROLES: tuple[Role, ...] = ("train", "val")
BEGINNINGS: tuple[Beginning, ...] = ("random", "public", "unknown")
SALT_BYTES, MARK_BYTES = 16, 8
MAX_GENERATIONS = 20
MAX_MARKS = 3_000_000  # of a whole lineage: 48 MB as text, below the 100 MB that a safetensors header may hold


@dataclass(frozen=True, slots=True, eq=False)
class Memory:
    """The images and patients of one role.

    Args:
        images: marks of the hashes of their pixels; pictures of one gray value have none.
        patients: marks of their names; None where these were left behind (weights that travel alone).
        num_images: how many there were.
        num_patients: how many; None if an image had no known patient.
    """

    images: Marks
    patients: Marks | None
    num_images: int
    num_patients: int | None

    @property
    def num_marks(self) -> int:
        return len(self.images) + (0 if self.patients is None else len(self.patients))


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What one run has seen.

    Args:
        run: name of its folder.
        data: name of its data set.
        salt: of its marks.
        train: what it was trained on.
        val: what chose its epoch.
    """

    run: str
    data: str
    salt: bytes
    train: Memory
    val: Memory

    def of(self, role: Role) -> Memory:
        return self.train if role == "train" else self.val

    @property
    def num_marks(self) -> int:
        return self.train.num_marks + self.val.num_marks


@dataclass(frozen=True, slots=True, eq=False)
class Lineage:
    """What weights have ever been trained on.

    Args:
        generations: the last run first.
        begins_with: what the first of these runs started from: weights drawn at random, published ones, or some of which
            it is not known what they have seen.
    """

    generations: tuple[Generation, ...] = ()
    begins_with: Beginning = "unknown"

    def followed_by(self, own: Generation) -> Lineage:
        """With one more run; what goes beyond the bounds is forgotten, and the beginning unknown then."""
        kept: list[Generation] = []
        room = MAX_MARKS
        for generation in (own, *self.generations):
            room -= generation.num_marks
            if room < 0 or len(kept) == MAX_GENERATIONS:
                return Lineage(tuple(kept), "unknown")
            kept.append(generation)
        return Lineage(tuple(kept), self.begins_with)

    def without_patients(self) -> Lineage:
        """As it may travel: images alone, since names of patients can be guessed."""
        return replace(self, generations=tuple(_without_patients(each) for each in self.generations))


def _without_patients(one: Generation) -> Generation:
    return replace(one, train=replace(one.train, patients=None), val=replace(one.val, patients=None))


def marks_of(values: Sequence[bytes], *, kind: Kind, salt: bytes) -> Marks:
    """(N,) in the order of the values."""
    head = kind.encode() + b"\0"
    digests = b"".join(hmac.digest(salt, head + value, "sha256")[:MARK_BYTES] for value in values)
    return np.frombuffer(digests, ">u8").astype(np.uint64)


def are_marked(values: Sequence[bytes | None], marks: Marks, *, kind: Kind, salt: bytes) -> NDArray[np.bool_]:
    """Which of the values (N,) are among the marks; None never is."""
    found_N = np.zeros(len(values), bool)
    if not len(marks):
        return found_N
    known = [(place, value) for place, value in enumerate(values) if value is not None]
    if known:
        found_N[[place for place, _ in known]] = np.isin(marks_of([v for _, v in known], kind=kind, salt=salt), marks)
    return found_N


def remembered(images: Sequence[bytes | None], patients: Sequence[str | None], *, salt: bytes) -> Memory:
    """The memory of images, each with the hash of its pixels (None: recognizes nothing) and its patient (None: unknown)."""
    named = sorted({patient.encode() for patient in patients if patient})
    hashes = sorted({value for value in images if value is not None})
    return Memory(
        images=np.unique(marks_of(hashes, kind="image", salt=salt)),
        patients=np.unique(marks_of(named, kind="patient", salt=salt)),
        num_images=len(images),
        num_patients=len(named) if all(patients) else None,
    )
