"""Digits in idx files, as MNIST is given out: of any length, gzipped or not.

References:
    LeCun, Cortes, Burges: The MNIST database of handwritten digits (the idx format is described there).
"""

from __future__ import annotations

import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scanlens.data.sources.listing import existing_root, fingerprint_of
from scanlens.errors import DataError, ImageError
from scanlens.types import Color, RawImage, Record, Split

_IMAGES_MAGIC, _LABELS_MAGIC = 0x0803, 0x0801
_MOST_BYTES = 2 * 2**30
_STEMS: dict[Split, str] = {"train": "train", "test": "t10k"}


class MnistSource:
    """Images (H, W) uint8, white strokes on black, with the splits train and test as given; patients are not known.

    Args:
        root: folder of `train-images-idx3-ubyte.gz`, `train-labels-idx1-ubyte.gz` and the same with `t10k`; without
            `.gz`, and with a dot in place of the second dash, too. Without t10k, all images are train.
        name: short name of the data set.
        about: public source, licence and citation.
        get_it_from: where the data set can be had, for the message when it is absent.
        class_names: name of label 0, 1, ...; None for "0", "1", ...
        sides_matter: left and right must not be exchanged.
        look_for_duplicates: whether near-duplicates are looked for; digits look alike without being copies.

    Raises:
        DataError: files are absent, damaged, or do not fit each other.
    """

    color: Color = "gray"

    def __init__(
        self,
        *,
        root: str | None = None,
        name: str = "mnist",
        about: str = "",
        get_it_from: str = "",
        class_names: list[str] | None = None,
        sides_matter: bool = True,
        look_for_duplicates: bool = False,
    ) -> None:
        self.root = existing_root(root, name=name, get_it_from=get_it_from)
        self.name = name
        self.about = about
        self.sides_matter = sides_matter
        self.look_for_duplicates = look_for_duplicates
        self.notes: list[str] = []
        self._files: dict[str, Path] = {}
        self._images: dict[str, NDArray[np.uint8]] = {}
        labels: dict[Split, NDArray[np.uint8]] = {}
        for split in _STEMS:
            if split == "test" and _idx_file(self.root, "t10k-images", "idx3") is None:
                self.notes.append("There are no t10k files, so no test images are given.")
                continue
            self._images[split], labels[split] = self._load(split)
        self.class_names = _checked_class_names(class_names, labels)
        self.preferred_size = max(self._images["train"].shape[1:])  # larger would only blow digits up
        self._records = sorted(
            (
                Record(id=f"{split}/{index:05d}", path=f"{split}/{index}", target=self.class_names[label], split=split)
                for split, labels_N in labels.items()
                for index, label in enumerate(labels_N.tolist())
            ),
            key=lambda record: record.id,
        )

    def records(self) -> list[Record]:
        """All images, sorted by id."""
        return list(self._records)

    def read(self, record: Record) -> RawImage:
        """The pixels of one record.

        Raises:
            ImageError: the record is not of this source.
        """
        split, _, index = record.path.partition("/")
        if split not in self._images or not index.isdecimal() or int(index) >= len(self._images[split]):
            raise ImageError("there is no such image in the idx files")
        return RawImage(self._images[split][int(index)].copy(), "gray", (0.0, 255.0))

    def read_mask(self, record: Record) -> None:
        """None: digits have no masks."""
        return

    def fingerprint(self) -> str:
        """sha256 that changes when a file changes."""
        return fingerprint_of(self._files, {"name": self.name, "class_names": self.class_names})

    def _load(self, split: Split) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Images (N, H, W) and labels (N,)."""
        images_NHW = self._idx(f"{_STEMS[split]}-images", "idx3", _IMAGES_MAGIC)
        labels_N = self._idx(f"{_STEMS[split]}-labels", "idx1", _LABELS_MAGIC)
        if len(images_NHW) != len(labels_N):
            raise DataError(f"{self.root}: {len(images_NHW)} {split} images but {len(labels_N)} labels.")
        return images_NHW, labels_N

    def _idx(self, stem: str, kind: str, magic: int) -> NDArray[np.uint8]:
        file = _idx_file(self.root, stem, kind)
        if file is None:
            raise DataError(
                f"{self.name}: {stem}-{kind}-ubyte.gz is not under {self.root}. Set data.root to its folder."
            )
        self._files[file.name] = file
        return read_idx(file, magic=magic)


def read_idx(file: Path, *, magic: int) -> NDArray[np.uint8]:
    """The array of unsigned bytes in one idx file.

    Args:
        file: plain or gzipped (told by content).
        magic: 0x0803 for images (N, H, W), 0x0801 for labels (N,).

    Raises:
        DataError: not such a file, or its length is not what its header says.
    """
    num_axes = magic & 0xFF
    header_bytes = 4 + 4 * num_axes
    try:
        with file.open("rb") as raw:
            is_gzip = raw.read(2) == b"\x1f\x8b"
        with gzip.open(file, "rb") if is_gzip else file.open("rb") as stream:
            header = stream.read(header_bytes)
            shape = _shape(file, header, magic, num_axes)
            num_bytes = int(np.prod(shape, dtype=object))
            if num_bytes > _MOST_BYTES:
                raise DataError(f"{file}: its header asks for {num_bytes} bytes, over the limit of {_MOST_BYTES}.")
            body = stream.read(num_bytes + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file} cannot be read, perhaps it was cut off while being copied ({error}).") from error
    if len(body) != num_bytes:
        came = "more" if len(body) > num_bytes else str(len(body))
        raise DataError(f"{file}: its header says {shape}, that is {num_bytes} bytes; {came} came.")
    return np.frombuffer(body, np.uint8).reshape(shape)


def _shape(file: Path, header: bytes, magic: int, num_axes: int) -> tuple[int, ...]:
    if len(header) != 4 + 4 * num_axes or struct.unpack(">I", header[:4])[0] != magic:
        raise DataError(
            f"{file} is not an idx file of this kind: {magic:#010x} is expected at its start, {header[:4]!r} came."
        )
    shape = struct.unpack(f">{num_axes}I", header[4:])
    if 0 in shape:
        raise DataError(f"{file} holds no items (its header says {shape}).")
    return shape


def _idx_file(root: Path, stem: str, kind: str) -> Path | None:
    names = (f"{stem}{dash}{kind}-ubyte{ending}" for dash in "-." for ending in (".gz", ""))
    return next((root / name for name in names if (root / name).is_file()), None)


def _checked_class_names(class_names: list[str] | None, labels: dict[Split, NDArray[np.uint8]]) -> list[str]:
    num_labels = 1 + max(int(labels_N.max()) for labels_N in labels.values())
    if class_names is None:
        return [str(label) for label in range(num_labels)]
    if len(class_names) < num_labels:
        raise DataError(f"labels go up to {num_labels - 1}, but data.class_names has {len(class_names)} names.")
    return list(class_names)
