"""`meta.csv`: what else is known of each image (site, scanner, age, lesion), without who it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scanlens.files import write_csv
from scanlens.pipeline.decode import Listed
from scanlens.runs import Run
from scanlens.types import Record

INDEX, LESION = "index", "lesion_share"
MAX_COLUMNS = 64
MAX_LETTERS = 200


def write_meta(run: Run, listed: Listed, *, index_of: Mapping[str, int]) -> None:
    """Write the further columns of the images of a run, one row an image; nothing where there are none.

    Beside the columns of the source, `lesion_share` is the share of the prepared picture that the marked lesion takes
    (empty where no mask is known). Columns that repeat the patient are left out.

    Args:
        run: its folder.
        listed: images and their records, in one order.
        index_of: row number in `split.csv` of each id.
    """
    columns = public_columns(listed.records)
    masks = listed.images.masks
    rows: list[dict[str, object]] = []
    for place, record in enumerate(listed.records):
        row: dict[str, object] = {INDEX: index_of[record.id]}
        row |= {name: str(record.meta.get(name, ""))[:MAX_LETTERS] for name in columns}
        if masks is not None and listed.images.has_mask[place]:
            row[LESION] = f"{float(masks[place].mean()):.6g}"
        rows.append(row)
    named = [INDEX, *columns, *([LESION] if masks is not None else [])]
    if len(named) > 1:
        write_csv(run.meta_file, named, sorted(rows, key=lambda row: int(str(row[INDEX]))), private=True)


def public_columns(records: Sequence[Record]) -> list[str]:
    """Names of further columns, at most 64, without those that are called after the patient or repeat its name."""
    names = dict.fromkeys(name for record in records for name in record.meta)
    kept = [name for name in names if name not in (INDEX, LESION) and "patient" not in name.lower()]
    return [name for name in kept if not _repeats_patient(records, name)][:MAX_COLUMNS]


def _repeats_patient(records: Sequence[Record], name: str) -> bool:
    known = [record for record in records if record.patient and str(record.meta.get(name, "")).strip()]
    return bool(known) and all(str(record.meta[name]).strip() == record.patient for record in known)
