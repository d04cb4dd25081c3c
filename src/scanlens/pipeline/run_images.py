"""The images of a prepared run: its entry of the cache, decoded again where that is gone, and the same images as before."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from scanlens.config import build
from scanlens.data.cache import is_whole
from scanlens.data.module import ScanData
from scanlens.data.preprocess import Preprocess
from scanlens.errors import DataError, ScanlensError
from scanlens.files import read_csv
from scanlens.pipeline.build import is_reconstruction
from scanlens.pipeline.decode import open_source, read_all
from scanlens.runs import Run, read_mapping
from scanlens.types import Record

log = logging.getLogger(__name__)
_SHOWN = 3
_CHANGED = "files of other sizes or times of change lie under data.root than when this run was prepared"


def open_data(run: Run) -> ScanData:
    """The images of a prepared run; of the run folder and its entry of the cache, if that is still there.

    Raises:
        DataError: if the entry is gone, and the data that it was made of are too, or are others.
    """
    config = run.config
    return ScanData(
        cache=_entry(run),
        rows=run.split_rows,
        class_names=run.facts["class_names"],
        plan=build(config["loader"]),
        augment=build(config["augment"]),
        balance=build(config["balance"]),
        seed=config["seed"],
        only_classes=config["task"].get("train_on"),
    )


def refuse_other_images(run: Run) -> None:
    """Nothing, if a prepared run that goes on finds the images that it was prepared with; changed times are told.

    Raises:
        DataError: if images are gone or new, with the difference.
    """
    if not is_whole(Path(run.facts["cache"])):
        return  # they are listed and compared when they are decoded again
    try:
        source = open_source(run.config["data"], run.config)
        found = [record.id for record in _usable(source.records(), run)]
        is_same = source.fingerprint() == _fingerprint(run)
    except ScanlensError:
        log.warning("the data under data.root cannot be listed any more; going on with the images decoded before")
        return
    if is_same:
        return
    known = {*_ids(run), *(row["id"] for row in read_csv(run.quarantine_file))}
    lost = [name for name in _ids(run) if name not in set(found)]
    added = [name for name in found if name not in known]
    if lost or added:
        raise _others(run, lost, added)
    log.warning("%s; going on with the images decoded then", _CHANGED)


def _entry(run: Run) -> Path:
    kept = Path(run.facts["cache"])
    beside = run.folder.parent / ".cache" / kept.name
    found = next((entry for entry in (kept, beside) if is_whole(entry)), None)
    return found or _decoded_again(run)


def _decoded_again(run: Run) -> Path:
    config = run.config
    log.warning("the decoded images of %s are gone; they are decoded again from data.root", run.folder.name)
    source = open_source(config["data"], config)
    records = _usable(source.records(), run)
    if not records:
        raise _others(run, _ids(run), [])
    folder = Path(config["paths"]["cache"])
    paths = config["paths"] | ({} if folder.parent.is_dir() else {"cache": str(run.folder.parent / ".cache")})
    listed = read_all(source, records, Preprocess(**run.facts["preprocess"]), config | {"paths": paths})
    former, now = _ids(run), [record.id for record in listed.records]
    if former != now:
        raise _others(
            run, [one for one in former if one not in set(now)], [one for one in now if one not in set(former)]
        )
    if source.fingerprint() != _fingerprint(run):
        log.warning("%s", _CHANGED)
    return listed.images.folder


def _usable(records: Sequence[Record], run: Run) -> list[Record]:
    """Those that `decode` takes: with a class, for a network of classes."""
    return [one for one in records if one.target is not None or is_reconstruction(run.config)]


def _ids(run: Run) -> list[str]:
    return [row["id"] for row in sorted(run.split_rows, key=lambda row: int(row["index"]))]


def _fingerprint(run: Run) -> Any:
    return read_mapping(run.provenance_file).get("data_fingerprint")


def _others(run: Run, lost: Sequence[str], added: Sequence[str]) -> DataError:
    counts = f"{len(lost)} of {len(run.split_rows)} are gone, {len(added)} are new"
    named = [f"{what}: {', '.join(ones[:_SHOWN])}" for what, ones in (("gone", lost), ("new", added)) if ones]
    remedy = "Restore the images under data.root, or choose another run_id for a run on the present ones."
    text = f"{run.folder} was prepared with other images than lie under data.root now: {counts}"
    return DataError(f"{text} ({'; '.join(named) or 'in another order'}). {remedy}", public=f"{text}. {remedy}")
