"""The source of built-in synthetic pictures: MRI slices or blood smears of made-up patients, no file needed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from scanlens.data.phantoms import (
    MICROSCOPY_CLASSES,
    MICROSCOPY_RANGE,
    MICROSCOPY_SHARES,
    MRI_CLASSES,
    MRI_RANGE,
    MRI_SHARES,
    PhantomImage,
    microscopy_facts,
    microscopy_field,
    mri_facts,
    mri_slice,
)
from scanlens.data.phantoms.tag import deal_tags, tagged
from scanlens.errors import ConfigError, ImageError, did_you_mean
from scanlens.types import Color, RawImage, Record

log = logging.getLogger(__name__)

_REVISION = 1  # raised whenever the same settings draw other pictures
_DEFAULT_CONTRAST = 0.6
_DEFAULT_RATES = {"tag": 1.0, "tag_by_chance": 0.5}
Planted = Literal["tag", "tag_by_chance"]


@dataclass(frozen=True, slots=True)
class _Kind:
    """What differs between the two kinds of phantoms."""

    classes: tuple[str, ...]
    shares: tuple[float, ...]
    color: Color
    value_range: tuple[float, float]
    field_mm: float  # width of the picture in the world
    without_lesion: str | None  # the class whose pictures have an empty mask
    about: str
    draw: Callable[..., PhantomImage]
    describe: Callable[..., tuple[NDArray[np.uint8], dict[str, str | int | float]]]


_KINDS: dict[str, _Kind] = {
    "mri": _Kind(
        classes=MRI_CLASSES,
        shares=MRI_SHARES,
        color="gray",
        value_range=MRI_RANGE,
        field_mm=220.0,
        without_lesion="no_tumor",
        about="Built-in synthetic pictures, not real patients: axial brain MRI slices drawn by formulas, "
        "with tumors of known place and size.",
        draw=mri_slice,
        describe=mri_facts,
    ),
    "microscopy": _Kind(
        classes=MICROSCOPY_CLASSES,
        shares=MICROSCOPY_SHARES,
        color="rgb",
        value_range=MICROSCOPY_RANGE,
        field_mm=0.036,
        without_lesion=None,
        about="Built-in synthetic pictures, not real patients: stained blood smears drawn by formulas, "
        "with one white cell of known place and kind in each.",
        draw=microscopy_field,
        describe=microscopy_facts,
    ),
}


class PhantomSource:
    """Made-up patients with several pictures each; the same settings always give the same pixels.

    Every patient belongs to one class. Shares are kept over patients as closely as whole patients allow, and every
    class has a patient if there are enough of them.

    Args:
        kind: "mri" (gray, 12 bit) or "microscopy" (RGB, 8 bit).
        num_patients: 1 .. 100000.
        slices_per_patient: 1 .. 64 MRI slices, or fields of view of a smear.
        size: rows and columns of the pictures, 16 .. 1024 pixels.
        seed: of the whole data set, 0 or more.
        class_names: which classes, in which order; None: all of this kind, in the order of the documentation.
        class_shares: share of the patients per class, in the order of `class_names`; scaled to sum one; None: the
            imbalanced shares of this kind.
        signal: False gives the no-signal twin: the same pictures bit for bit, while the labels are dealt out anew among
            the patients. Masks and lesion sizes still describe what is in the picture.
        min_lesion_contrast: MRI only: contrast of the faintest tumor, 0..1; lower is harder.
        shortcut: MRI only: a letter in the upper left corner of all pictures of a patient, in every split. "tag" goes with
            the label: patients with a tumor bear it (of the first class, where no_tumor is not among the classes).
            "tag_by_chance" goes with nothing: of each class the same share bears it. Masks are those of the lesion alone.
        shortcut_rate: share of those patients who bear it, 0..1; None: 1 for "tag", 0.5 for "tag_by_chance".

    Raises:
        ConfigError: if arguments are out of bounds; all mistakes at once.
    """

    root: None = None

    def __init__(
        self,
        *,
        kind: Literal["mri", "microscopy"] = "mri",
        num_patients: int = 120,
        slices_per_patient: int = 4,
        size: int = 128,
        seed: int = 1,
        class_names: list[str] | None = None,
        class_shares: list[float] | None = None,
        signal: bool = True,
        min_lesion_contrast: float = _DEFAULT_CONTRAST,
        shortcut: Planted | None = None,
        shortcut_rate: float | None = None,
    ) -> None:
        rate = _DEFAULT_RATES.get(str(shortcut), 0.0) if shortcut_rate is None else shortcut_rate
        bounds: dict[str, tuple[float, float, float]] = {
            "num_patients": (num_patients, 1, 100_000),
            "slices_per_patient": (slices_per_patient, 1, 64),
            "size": (size, 16, 1024),
            "seed": (seed, 0, 2**63 - 1),
            "min_lesion_contrast": (min_lesion_contrast, 0.0, 1.0),
            "shortcut_rate": (rate, 0.0, 1.0),
        }
        _check(kind, bounds, class_names, class_shares, shortcut)
        self._kind = _KINDS[kind]
        self._slices = slices_per_patient
        self._common: dict[str, int | float] = {"size": size, "num_slices": slices_per_patient, "seed": seed}
        if kind == "mri":
            self._common["min_lesion_contrast"] = min_lesion_contrast
        elif min_lesion_contrast != _DEFAULT_CONTRAST:
            log.warning("min_lesion_contrast has no effect on kind='microscopy'; leave it out.")
        if shortcut is None and shortcut_rate is not None:
            log.warning("shortcut_rate has no effect without a shortcut; set shortcut, or leave it out.")
        self.name = f"phantom-{kind}" + ("" if signal else "-no-signal") + ("" if shortcut is None else "-shortcut")
        self.class_names: list[str] = list(class_names or self._kind.classes)
        self.color: Color = self._kind.color
        self.about = self._kind.about
        self.sides_matter = kind == "mri"
        self._prefix = f"phantom:{kind}/"
        self._digits = max(3, len(str(num_patients)))
        shares = class_shares or _default_shares(self._kind, self.class_names)
        self._drawn = _deal_classes(self.class_names, shares, num_patients=num_patients, seed=seed)
        self._labels = self._drawn if signal else _shuffled(self._drawn, seed=seed)
        bearing = self._bearing_classes() if shortcut == "tag" else self.class_names
        self._bears_tag = deal_tags(self._labels, classes=bearing, rate=rate if shortcut else 0.0, seed=seed)
        self._settings: dict[str, object] = {"kind": kind, "num_patients": num_patients, **self._common}
        self._settings |= {"signal": signal, "classes": self.class_names, "shares": list(shares)}
        if shortcut is not None:
            self._settings |= {"shortcut": shortcut, "shortcut_rate": rate}
        self._records: list[Record] | None = None

    def records(self) -> list[Record]:
        """One record per picture, patient by patient; meta holds the scanner and what is known about the lesion."""
        if self._records is None:
            self._records = [
                self._record(patient, index) for patient in range(len(self._drawn)) for index in range(self._slices)
            ]
        return list(self._records)

    def read(self, record: Record) -> RawImage:
        """The picture of one record; the order of reading does not matter.

        Raises:
            ImageError: if the record is not from this source.
        """
        image = self._kind.draw(**self._arguments(record))
        pixel_mm = self._kind.field_mm / image.pixels.shape[0]
        return RawImage(
            pixels=tagged(image.pixels) if self.bears_tag(record) else image.pixels,
            color=self.color,
            value_range=self._kind.value_range,
            spacing_mm=(pixel_mm, pixel_mm),
        )

    def read_mask(self, record: Record) -> NDArray[np.uint8] | None:
        """(H, W): 1 where the lesion (or the white cell) is, else 0; None if there is none in the picture."""
        if record.mask is None:
            return None
        mask_HW, _ = self._kind.describe(**self._arguments(record))
        return mask_HW

    def bears_tag(self, record: Record) -> bool:
        """Whether the planted shortcut is in the picture; nothing of the record says so."""
        return self._bears_tag[int(self._arguments(record)["patient_seed"])]

    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with every setting that changes the data."""
        text = json.dumps({"revision": _REVISION, **self._settings}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _bearing_classes(self) -> list[str]:
        ill = [name for name in self.class_names if name != self._kind.without_lesion]
        return ill if len(ill) < len(self.class_names) else self.class_names[:1]

    def _record(self, patient: int, index: int) -> Record:
        name = f"patient-{patient + 1:0{self._digits}d}"
        path = f"{self._prefix}{name}/slice-{index + 1}"
        _, facts = self._kind.describe(
            class_name=self._drawn[patient], patient_seed=patient, slice_index=index, **self._common
        )
        has_mask = self._drawn[patient] != self._kind.without_lesion
        return Record(
            id=path.removeprefix(self._prefix),
            path=path,
            target=self._labels[patient],
            patient=name,
            mask=f"{path}#mask" if has_mask else None,
            meta=facts,
        )

    def _arguments(self, record: Record) -> dict[str, str | int | float]:
        """What the drawing functions need to know for this record."""
        words = record.path.removeprefix(self._prefix).split("/")
        numbers = [word.rpartition("-")[2] for word in words]
        if not record.path.startswith(self._prefix) or len(words) != 2 or not all(n.isdecimal() for n in numbers):
            raise ImageError(
                f"expected a record of '{self.name}' such as '{self._prefix}patient-001/slice-1', got '{record.path}'; "
                "read records with the source that listed them"
            )
        patient, index = int(numbers[0]) - 1, int(numbers[1]) - 1
        if not (0 <= patient < len(self._drawn) and 0 <= index < self._slices):
            raise ImageError(
                f"'{record.path}' is not among the {len(self._drawn)} patients with {self._slices} pictures each of "
                f"'{self.name}'; list the records again"
            )
        return {
            "class_name": self._drawn[patient],
            "patient_seed": patient,
            "slice_index": index,
            **self._common,
        }


def _check(
    kind: str,
    bounds: dict[str, tuple[float, float, float]],
    class_names: list[str] | None,
    class_shares: list[float] | None,
    shortcut: str | None,
) -> None:
    """Raise one ConfigError with everything that is wrong."""
    if kind not in _KINDS:
        raise ConfigError([f"phantom: there is no kind '{kind}'. {did_you_mean(str(kind), _KINDS)}"])
    mistakes = [
        f"phantom: {key} must be {low:g} to {high:g}, got {value}."
        for key, (value, low, high) in bounds.items()
        if not low <= value <= high
    ]
    known = _KINDS[kind].classes
    names = known if class_names is None else class_names
    mistakes += [
        f"phantom: kind '{kind}' draws no class '{name}'. {did_you_mean(name, known)}"
        for name in names
        if name not in known
    ]
    if not names or len(set(names)) != len(names):
        mistakes.append(f"phantom: class_names must be different names, at least one, got {list(names)}.")
    if class_shares is not None and len(class_shares) != len(names):
        mistakes.append(
            f"phantom: class_shares must have one share per class ({', '.join(names)}), got {len(class_shares)} shares."
        )
    if class_shares is not None and not all(0 < share < float("inf") for share in class_shares):
        mistakes.append(
            f"phantom: class_shares must be positive, got {class_shares}; to leave out a class, set class_names."
        )
    if shortcut is not None and shortcut not in _DEFAULT_RATES:
        mistakes.append(f"phantom: there is no shortcut '{shortcut}'. {did_you_mean(shortcut, _DEFAULT_RATES)}")
    if shortcut is not None and kind != "mri":
        mistakes.append(f"phantom: shortcut is planted in kind 'mri' only, got kind '{kind}'; leave it out.")
    if mistakes:
        raise ConfigError(mistakes)


def _default_shares(kind: _Kind, class_names: list[str]) -> list[float]:
    table = dict(zip(kind.classes, kind.shares, strict=True))
    return [table[name] for name in class_names]


def _deal_classes(class_names: list[str], shares: list[float], *, num_patients: int, seed: int) -> list[str]:
    """The class of each patient, in random order, in numbers as near to the shares as whole patients allow."""
    exact = np.array(shares) / np.sum(shares) * num_patients
    counts = np.floor(exact).astype(int)
    for k in np.argsort(counts - exact, kind="stable")[: num_patients - counts.sum()]:
        counts[k] += 1
    while num_patients >= len(counts) and counts.min() == 0:
        counts[counts.argmin()] += 1
        counts[counts.argmax()] -= 1
    dealt = np.repeat(np.arange(len(class_names)), counts)
    return [class_names[k] for k in np.random.default_rng((seed, 101)).permutation(dealt)]


def _shuffled(labels: list[str], *, seed: int) -> list[str]:
    """The same labels, given to other patients at random."""
    return [labels[k] for k in np.random.default_rng((seed, 102)).permutation(len(labels))]
