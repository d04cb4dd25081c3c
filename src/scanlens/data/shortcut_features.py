"""What is known of every image beside the disease: of its file, of its table, and in the picture at a glance.

Columns of the table are taken by what they hold. A column of 2 to 50 different words or whole numbers is a category (site,
scanner, sex); one of more numbers is a number (age, exposure). Left out are

- columns whose name says that they are an order, a name or a place of a file, or a person (`slice_order`, `file`, `uid`);
- columns that describe what a mask shows, which is the disease (`lesion_area_px`);
- words that differ in more than 50 ways, which are names;
- categories of which nearly every value lies in one group only (a slide of one patient): they name the group.

A column that equals the label one to one is no candidate but a finding of its own, see `label_copies`.

Legend of axes: N images, D columns, H rows, W columns of a thumbnail.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from scanlens.data.correlation import standardized
from scanlens.data.image_facts import FACTS
from scanlens.data.thumbnail_rows import block_means
from scanlens.types import Record

MOST_VALUES = 50
SMALL = 16  # pixels of a side
_NAMES_GROUPS = 0.9  # share of values that lie in one group only
_OF_FILE = {
    "image size": ("height", "width"),
    "channels and bits": ("channels", "bits"),
    "pixel spacing": ("spacing_mm",),
    "kind of file": ("file_kind", "file_mode"),
    "JPEG quality": ("jpeg_quality",),
}
_OF_PICTURE = {
    "bytes of the file": ("file_bytes",),  # compression follows the content
    "brightness": ("low", "high", "mean", "spread"),
    "border level": ("border_mean", "border_spread"),
    "burnt-in text": ("text_score",),
}
_PLACES = r"slice|index|idx|order|position|frame|instance|number|num|no|row|id|uid|uuid|name|file|path|image|patient|subject|case|study|series|accession|hash|sha256|md5|date|time|fold|split"
_DISEASE = r"lesion|mask|tumor|tumour|nucleus|box"
_PERSON = r"sex|gender|age|race|ethnicity|bmi"
Kind = Literal["numbers", "category", "pixels"]
Origin = Literal["file", "person", "picture"]


@dataclass(frozen=True, slots=True)
class ShortcutFeature:
    """Something that may give the label away.

    Args:
        name: for a reader.
        kind: numbers (NaN for unknown), category (one column of numbers from 0, -1 for unknown), or pixels.
        origin: file for what cannot be the disease; person or picture for what may go with it.
        values_ND: one row an image.
    """

    name: str
    kind: Kind
    origin: Origin
    values_ND: NDArray[Any]


def shortcut_features(
    records: Sequence[Record],
    *,
    facts_NF: NDArray[np.float64],
    thumbs_NHW: NDArray[np.float32],
    group_N: NDArray[np.int64],
) -> list[ShortcutFeature]:
    """All candidates: of the file, of the table, and in the picture.

    Args:
        records: the N images.
        facts_NF: as `image_facts` makes them.
        thumbs_NHW: gray thumbnails of 48 x 48.
        group_N: equal numbers for images that belong together.

    Raises:
        ValueError: if the lengths differ.
    """
    if not len(records) == len(facts_NF) == len(thumbs_NHW) == len(group_N):
        raise ValueError("shortcut_features: records, facts, thumbnails and groups of equal length are expected.")
    file_columns = [column for names in _OF_FILE.values() for column in names]
    return [
        *(_of_facts(name, columns, "file", facts_NF) for name, columns in _OF_FILE.items()),
        _of_facts("all facts of the file", file_columns, "file", facts_NF),
        *_of_table(records, group_N),
        *(_of_facts(name, columns, "picture", facts_NF) for name, columns in _OF_PICTURE.items()),
        ShortcutFeature("border pixels", "pixels", "picture", _ring(thumbs_NHW)),
        ShortcutFeature(f"picture of {SMALL} x {SMALL}", "pixels", "picture", _small(thumbs_NHW)),
    ]


def fact_features(facts_NF: NDArray[np.float64]) -> list[ShortcutFeature]:
    """Those that need nothing but `image_facts` of the images: of the file, and in the picture."""
    return [
        *(_of_facts(name, columns, "file", facts_NF) for name, columns in _OF_FILE.items()),
        *(_of_facts(name, columns, "picture", facts_NF) for name, columns in _OF_PICTURE.items()),
    ]


def is_place(name: str) -> bool:
    """Whether a column's name says that it is an order, a name or place of a file, or a person."""
    return _says(name, _PLACES)


def label_copies(records: Sequence[Record]) -> list[str]:
    """Columns of the table that equal the label one to one: whoever sees them needs no image."""
    known = [record for record in records if record.target is not None]
    num_classes = len({record.target for record in known})
    if num_classes < 2:
        return []
    pairs = {name: {(str(r.meta.get(name, "")), r.target) for r in known} for name in _columns(known)}
    return [
        name
        for name, found in pairs.items()
        if len(found) == num_classes == len({value for value, _ in found}) and ("" not in dict(found))
    ]


def _of_facts(name: str, columns: Sequence[str], origin: Origin, facts_NF: NDArray[np.float64]) -> ShortcutFeature:
    places = [FACTS.index(column) for column in columns]
    return ShortcutFeature(name, "numbers", origin, np.asarray(facts_NF[:, places]))


def _of_table(records: Sequence[Record], group_N: NDArray[np.int64]) -> list[ShortcutFeature]:
    copies = set(label_copies(records))
    found = []
    for name in _columns(records):
        if name in copies or is_place(name) or _says(name, _DISEASE):
            continue
        feature = _of_column(name, [record.meta.get(name, "") for record in records], group_N)
        if feature is not None:
            found.append(feature)
    return found


def _of_column(name: str, values: Sequence[str | int | float], group_N: NDArray[np.int64]) -> ShortcutFeature | None:
    origin: Origin = "person" if _says(name, _PERSON) else "file"
    words = [str(value).strip() for value in values]
    codes = {word: code for code, word in enumerate(sorted(set(words) - {""}))}
    numbers_N = _as_numbers(words)
    if len(codes) < 2:
        return None
    if len(codes) > MOST_VALUES:
        return None if numbers_N is None else ShortcutFeature(name, "numbers", origin, numbers_N[:, None])
    code_N = np.array([codes.get(word, -1) for word in words], dtype=np.int64)
    if _names_groups(code_N, group_N):
        return None
    return ShortcutFeature(name, "category", origin, code_N[:, None])


def _names_groups(code_N: NDArray[np.int64], group_N: NDArray[np.int64]) -> bool:
    is_known_N = code_N >= 0
    pairs = np.unique(np.stack([code_N[is_known_N], group_N[is_known_N]]), axis=1)
    return bool((np.bincount(pairs[0]) == 1).mean() >= _NAMES_GROUPS)


def _as_numbers(words: Sequence[str]) -> NDArray[np.float64] | None:
    try:
        return np.array([float(word) if word else np.nan for word in words])
    except ValueError:
        return None


def _columns(records: Iterable[Record]) -> list[str]:
    return list(dict.fromkeys(name for record in records for name in record.meta))


def _says(name: str, words: str) -> bool:
    """Whether a part of a column's name is one of the words (`SliceOrder`, `slice_order`, `slice-2`)."""
    parts = re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()
    return re.search(rf"(?:^|[^a-z])(?:{words})s?(?:$|[^a-z])", parts) is not None


def _small(thumbs_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Means of areas, (N, 256), brightness and contrast of each picture taken out."""
    return standardized(block_means(np.asarray(thumbs_NHW), SMALL))


def _ring(thumbs_NHW: NDArray[np.float32]) -> NDArray[np.float32]:
    """The outermost ring of each thumbnail, relative to its picture."""
    inside = np.zeros(thumbs_NHW.shape[1:], bool)
    inside[1:-1, 1:-1] = True
    return standardized(np.asarray(thumbs_NHW))[:, ~inside.reshape(-1)]
