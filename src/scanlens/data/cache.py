"""Decode once: preprocessed images in a memory-mapped file that later epochs, runs and processes share.

Values in [0, 1] are stored as uint16, which is exact for 8- and 16-bit files mapped by their range. An entry is made in a
folder of its own under a temporary name and renamed when it is whole, so a half-made one is never trusted.

Legend of axes: N images, C channels, H rows, W columns.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.cache_upkeep import MANIFEST, Hold, make_room, put_in_place, remove_abandoned
from scanlens.data.duplicates import THUMBNAIL_SIZE, thumbnails
from scanlens.data.image_facts import FACTS, HASH_BYTES, image_facts, pixel_hash
from scanlens.data.preprocess import Preprocess, filled
from scanlens.errors import DataError, ImageError
from scanlens.files import write_json
from scanlens.types import Quarantined, RawImage, Record

FORMAT = 5  # raise it when the meaning of a stored value changes
FULL_SCALE = 65535
CHUNK = 64
Mask = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """What is stored of one image: values uint16 (C, H, W), mask (H, W), thumbnail (48, 48), facts (F,), hash."""

    values: NDArray[np.uint16]
    mask: Mask | None
    thumbnail: NDArray[np.float32]
    facts: NDArray[np.float64]
    pixel_hash: bytes


@dataclass(frozen=True, slots=True)
class CachedImages:
    """An entry of the cache.

    Args:
        folder: where it lies.
        images: uint16 (N, C, H, W); divided by 65535 they are in [0, 1].
        masks: uint8 (N, H, W) of zeros and ones; None if no image has a mask.
        has_mask: bool (N,): whether the mask of an image is known. (An empty known mask means that there is no lesion.)
        thumbnails: float32 (N, 48, 48), gray, of the whole picture.
        facts: float64 (N, F), see `image_facts.FACTS`; NaN for what is not known.
        pixel_hashes: uint8 (N, 16), equal where decoded pixels are equal.
        kept: place in the list of records of each of the N images.
        quarantined: records that could not be read.
        held: while this object lives, no process removes the entry to make room.
    """

    folder: Path
    images: NDArray[np.uint16]
    masks: Mask | None
    has_mask: NDArray[np.bool_]
    thumbnails: NDArray[np.float32]
    facts: NDArray[np.float64]
    pixel_hashes: NDArray[np.uint8]
    kept: list[int]
    quarantined: list[Quarantined]
    held: Hold | None = field(default=None, repr=False, compare=False)


def build_cache(
    records: Sequence[Record],
    *,
    read: Callable[[Record], RawImage],
    read_mask: Callable[[Record], Mask | None] | None = None,
    preprocess: Preprocess,
    folder: Path,
    fingerprint: str,
    progress: Callable[[int], None] = lambda steps: None,
    max_bytes: int = 20 * 2**30,
    num_threads: int = 2,
) -> CachedImages:
    """The entry for these records under these settings; made if it is not there.

    Args:
        records: in the order that indices will refer to.
        read: gives the pixels of a record, or raises ImageError, which sends it to quarantine.
        read_mask: gives its mask at its own size, or None.
        preprocess: with nothing left to choose.
        folder: of all entries.
        fingerprint: of the source; another content must give another one.
        progress: is told of each chunk how many records were dealt with.
        max_bytes: the least recently used entries that no process holds are removed while all together are larger.
        num_threads: that decode at the same time.

    Raises:
        DataError: if no record can be read.
    """
    key = _key(records, preprocess, fingerprint)
    entry = folder / key
    found = _opened(entry)
    if found is not None:
        progress(len(records))
    for _ in range(3):  # another process may remove an old entry between its making and its opening
        if found is not None:
            break
        _prepare_folder(folder)
        temporary = Path(tempfile.mkdtemp(dir=folder, prefix=f".{key}."))
        try:
            _make(temporary, records, read, read_mask, preprocess, progress, num_threads)
            put_in_place(temporary, entry, is_whole=lambda path: _opened(path) is not None)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        found = _opened(entry)
    if found is None:
        raise DataError(f"the cache entry {entry} cannot be read back; check the disk, or set another paths.cache")
    with contextlib.suppress(OSError):  # a cache that another user made, which cannot be written
        os.utime(entry)
        make_room(folder, keep=entry, max_bytes=max_bytes)
    return found


def is_whole(entry: Path) -> bool:
    """Whether an entry is there and neither damaged nor of another format."""
    return _opened(entry) is not None


def open_cache(entry: Path) -> CachedImages:
    """An entry that must exist.

    Raises:
        DataError: if it is absent or damaged.
    """
    found = _opened(entry)
    if found is None:
        raise DataError(
            f"the decoded images in {entry} are gone or damaged. Start the training command again to decode them anew."
        )
    return found


def _key(records: Sequence[Record], preprocess: Preprocess, fingerprint: str) -> str:
    content = {
        "format": FORMAT,
        "source": fingerprint,
        "preprocess": preprocess.settings(),
        "records": hashlib.sha256("\0".join(r.id for r in records).encode()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]


def _prepare_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        remove_abandoned(folder)
    except OSError as error:
        raise DataError(f"the cache folder {folder} cannot be used: {error}. Set another paths.cache.") from error


def _make(
    folder: Path,
    records: Sequence[Record],
    read: Callable[[Record], RawImage],
    read_mask: Callable[[Record], Mask | None] | None,
    preprocess: Preprocess,
    progress: Callable[[int], None],
    num_threads: int,
) -> None:
    """Decode in order, a chunk at a time, appending to raw files; memory does not grow with the number of images."""

    def decode(record: Record) -> _Decoded | Quarantined:
        try:
            return _decoded(record, read, read_mask, preprocess)
        except ImageError as error:
            return Quarantined(record.id, str(error))

    kept: list[int] = []
    quarantined: list[Quarantined] = []
    has_mask: list[bool] = []
    shape: tuple[int, ...] = ()
    with (
        (folder / "images.u16").open("wb") as images,
        (folder / "masks.u8").open("wb") as masks,
        (folder / "thumbnails.f32").open("wb") as thumbs,
        (folder / "facts.f64").open("wb") as facts,
        (folder / "hashes.u8").open("wb") as hashes,
        ThreadPoolExecutor(num_threads) as pool,
    ):
        for chunk in _chunks(enumerate(records)):
            for (place, record), result in zip(chunk, pool.map(decode, [r for _, r in chunk]), strict=True):
                if isinstance(result, Quarantined):
                    quarantined.append(result)
                    continue
                if shape and result.values.shape != shape:
                    reason = f"expected {shape[0]} channels as in the images before it, got {result.values.shape[0]}"
                    reason += "; set preprocess.channels"
                    quarantined.append(Quarantined(record.id, reason))
                    continue
                if not shape:
                    shape = result.values.shape
                    _check_space(folder, len(records), shape)
                mask = result.mask if result.mask is not None else np.zeros(shape[1:], np.uint8)
                images.write(result.values.tobytes())
                masks.write(mask.tobytes())
                thumbs.write(result.thumbnail.astype("<f4").tobytes())
                facts.write(result.facts.astype("<f8").tobytes())
                hashes.write(result.pixel_hash)
                kept.append(place)
                has_mask.append(result.mask is not None)
            progress(len(chunk))
        for file in (images, masks, thumbs, facts, hashes):
            file.flush()
            os.fsync(file.fileno())
    if not kept:
        shown = "; ".join(f"{q.id}: {q.reason}" for q in quarantined[:3])
        raise DataError(f"none of {len(records)} images can be read (such as {shown}). Check data.root and the files.")
    manifest = {
        "format": FORMAT,
        "shape": [len(kept), *shape],
        "kept": kept,
        "has_mask": has_mask,
        "quarantined": [[q.id, q.reason] for q in quarantined],
    }
    write_json(folder / MANIFEST, manifest, private=True)  # files that cannot be read are named in it


def _check_space(folder: Path, num: int, shape: tuple[int, ...]) -> None:
    needed, free = sum(_sizes(num, *shape).values()), shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"{num} decoded images need {needed / 2**20:,.1f} MiB, {free / 2**20:,.1f} MiB are free in {folder.parent}. "
            "Free some, set another paths.cache, or a smaller preprocess.size."
        )


def _sizes(num: int, channels: int, height: int, width: int) -> dict[str, int]:
    """Bytes of each file of an entry."""
    return {
        "images.u16": 2 * num * channels * height * width,
        "masks.u8": num * height * width,
        "thumbnails.f32": 4 * num * THUMBNAIL_SIZE**2,
        "facts.f64": 8 * num * len(FACTS),
        "hashes.u8": num * HASH_BYTES,
    }


def _decoded(
    record: Record,
    read: Callable[[Record], RawImage],
    read_mask: Callable[[Record], Mask | None] | None,
    preprocess: Preprocess,
) -> _Decoded:
    raw = read(record)
    values = preprocess(raw)
    mask_HW = read_mask(record) if read_mask is not None else None
    if mask_HW is not None and mask_HW.shape != raw.pixels.shape[:2]:
        raise ImageError(f"expected a mask of the image's size {raw.pixels.shape[:2]}, got {mask_HW.shape}")
    mask = None if mask_HW is None else preprocess.mask(mask_HW, spacing_mm=raw.spacing_mm)
    stored = np.rint(values * FULL_SCALE).astype(np.uint16)
    thumb_HW, facts_F = noted(raw, record.path)
    return _Decoded(stored, mask, thumb_HW, facts_F, pixel_hash(raw))


def noted(raw: RawImage, path: str) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Thumbnail (48, 48) and facts (F,) of an image, as they lie beside the decoded ones.

    Args:
        raw: as its source reads it.
        path: of its file; "" for none.

    Raises:
        ImageError: if most of its pixels are no numbers.
    """
    seen = replace(raw, pixels=filled(raw.pixels.astype(np.float32))) if raw.pixels.dtype.kind == "f" else raw
    return thumbnails([seen])[0], image_facts(seen, path)


def _chunks(items: Iterable[Any]) -> Iterator[list[Any]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _opened(entry: Path) -> CachedImages | None:
    """The entry if it is whole; None if it is absent, damaged or of another format."""
    held = Hold(entry)
    try:
        manifest = json.loads((entry / MANIFEST).read_text(encoding="utf-8"))
        num, channels, height, width = manifest["shape"]
        sizes = _sizes(num, channels, height, width)
        if manifest["format"] != FORMAT or any((entry / name).stat().st_size != size for name, size in sizes.items()):
            return None
        has_mask = np.array(manifest["has_mask"], dtype=bool)
        masks = np.memmap(entry / "masks.u8", np.uint8, "r", shape=(num, height, width))
        return CachedImages(
            folder=entry,
            images=np.memmap(entry / "images.u16", np.uint16, "r", shape=(num, channels, height, width)),
            masks=masks if has_mask.any() else None,
            has_mask=has_mask,
            thumbnails=np.memmap(entry / "thumbnails.f32", "<f4", "r", shape=(num, THUMBNAIL_SIZE, THUMBNAIL_SIZE)),
            facts=np.memmap(entry / "facts.f64", "<f8", "r", shape=(num, len(FACTS))),
            pixel_hashes=np.memmap(entry / "hashes.u8", np.uint8, "r", shape=(num, HASH_BYTES)),
            kept=[int(place) for place in manifest["kept"]],
            quarantined=[Quarantined(str(name), str(reason)) for name, reason in manifest["quarantined"]],
            held=held,
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None
