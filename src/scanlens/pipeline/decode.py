"""From a configuration to images in the cache: what training and audit do first, alike."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scanlens.config import build
from scanlens.data.cache import CachedImages, build_cache
from scanlens.data.hidden_names import HiddenNames
from scanlens.data.preprocess import Preprocess
from scanlens.data.privacy_plan import PrivacyPlan, is_of_dicom
from scanlens.errors import DataError, ImageError
from scanlens.pipeline.build import is_reconstruction
from scanlens.pipeline.progress import progress_bar
from scanlens.runs import Config
from scanlens.types import Quarantined, Record

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a source gave: images in the cache, and who they belong to.

    Args:
        source: of the images.
        records: one an image of the cache.
        images: the cache.
        preprocess: with nothing left to choose.
        num_without_class: images that the source lists, and that a network of classes cannot use.
    """

    source: Any
    records: list[Record]
    images: CachedImages
    preprocess: Preprocess
    num_without_class: int = 0


def decode(config: Config, *, accelerator: str) -> Listed:
    """List the images of a configured source and decode them once; the cache may have them already.

    Args:
        config: plain and checked.
        accelerator: "cpu" or "gpu", which decides the size of images where nothing else does.

    Raises:
        DataError: if there are no images, or too many cannot be read.
    """
    source = open_source(config["data"], config)
    found = source.records()
    records = [record for record in found if record.target is not None or is_reconstruction(config)]
    if not records:
        raise DataError(f"data={source.name}: no images were found under {source.root}. Check data.root.")
    partners = config["model"].get("partners", {})
    wanted: Preprocess = build(config["preprocess"])
    size = wanted.size or _preferred_size(source, partners, accelerator)
    channels = wanted.channels or _num_channels(source, records)
    preprocess = wanted.resolved(size=size, channels=channels)
    return replace(read_all(source, records, preprocess, config), num_without_class=len(found) - len(records))


def open_source(data: Config, config: Config) -> Any:
    """The source of a `data` node, under pseudonyms where `privacy` of a configuration asks for them.

    Raises:
        DataError, ConfigError: what is asked for does not fit what is on disk; or there is no key for pseudonyms.
    """
    source, is_dicom = build(data), is_of_dicom(data)
    if privacy_plan(config).hides(is_dicom=is_dicom):
        return HiddenNames(source, hides_patients=not is_dicom)
    if is_dicom:
        source.notes += source.notes_if_named
    return source


def privacy_plan(config: Config) -> PrivacyPlan:
    """What a configuration says of names; runs of earlier versions kept all."""
    return build(config["privacy"]) if config.get("privacy") else PrivacyPlan(names="keep")


def read_all(source: Any, records: Sequence[Record], preprocess: Preprocess, config: Config) -> Listed:
    """Decode records once, or find them in the cache.

    Args:
        source: that lists and reads them.
        records: at least one.
        preprocess: with nothing left to choose.
        config: with `loader` and `paths`.

    Raises:
        DataError: if too many cannot be read.
    """
    loader = build(config["loader"])
    with progress_bar("decoding images", total=len(records)) as advance:
        images = build_cache(
            records,
            read=source.read,
            read_mask=source.read_mask,
            preprocess=preprocess,
            folder=Path(config["paths"]["cache"]),
            fingerprint=source.fingerprint(),
            progress=advance,
            max_bytes=int(loader.max_cache_gib * 2**30),
        )
    _refuse_too_many_bad(images.quarantined, num=len(records), limit=loader.max_quarantined_share)
    return Listed(source, [records[i] for i in images.kept], images, preprocess)


def _preferred_size(source: Any, partners: Config, accelerator: str) -> int:
    own = getattr(source, "preferred_size", None)
    return int(own or partners.get("size_gpu" if accelerator == "gpu" else "size_cpu") or 64)


def _num_channels(source: Any, records: Sequence[Record]) -> int:
    if source.color == "gray":
        return 1
    if source.color == "rgb":
        return 3
    for record in records:
        try:
            pixels = source.read(record).pixels
        except ImageError:
            continue  # it will be met again, and listed, when all are decoded
        return 1 if pixels.ndim == 2 else pixels.shape[2]
    return 1


def _refuse_too_many_bad(bad: Sequence[Quarantined], *, num: int, limit: float) -> None:
    if not bad:
        return
    log.warning("%d of %d images cannot be read and are left out; quarantine.csv says which and why", len(bad), num)
    if len(bad) > limit * num:
        shown = "; ".join(f"{q.id}: {q.reason}" for q in bad[:3])
        raise DataError(
            f"{len(bad)} of {num} images cannot be read, more than the share of {limit:g} that is allowed "
            f"(such as {shown}). Mend or remove them, or raise loader.max_quarantined_share."
        )
