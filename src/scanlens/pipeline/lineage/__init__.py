"""What the starting weights have seen: images that a network was trained on may not judge it later."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from scanlens.data.split_table import SplitRow, SplitTable
from scanlens.errors import DataError, RunError
from scanlens.models.weights import weights_file
from scanlens.runs import Config, Run

MAX_ANCESTORS = 20
_SEEN_BY = {
    "val": ("train",),
    "test": ("train", "val"),
}  # validation images chose the epoch, so they are seen by the test


def check_lineage(config: Config, table: SplitTable, *, data_fingerprint: str) -> list[str]:
    """Compare val and test with what the runs that the starting weights come from were trained on.

    Args:
        config: of the new run; `model.weights` may name a run folder or a file in one.
        table: the division of the new run.
        data_fingerprint: of its images.

    Returns:
        Warnings for images of another data set that have the same names.

    Raises:
        DataError: if images, or patients, of this very data set were seen.
    """
    warnings = []
    for run in _ancestors(config):
        seen = _seen_again(run, table)
        if not seen:
            continue
        told = (
            f"{seen} of this run were used for training, or for choosing the epoch, in the run of the starting weights"
        )
        if _fingerprint(run) == data_fingerprint:
            raise DataError(
                f"{told} ({run.folder.name}), so results would be too good. Divide as that run did: "
                f"split.file={run.split_file}, or start from other weights."
            )
        warnings.append(f"By their names, {told}. If they are the same images, results are too good.")
    return warnings


def _ancestors(config: Config) -> Iterator[Run]:
    """The run that the weights come from, the run that its weights came from, and so on."""
    for _ in range(MAX_ANCESTORS):
        weights = config.get("model", {}).get("weights")
        if not isinstance(weights, str) or not Path(weights).expanduser().exists():
            return
        run = Run(weights_file(weights).resolve().parent)
        if run.folder.name == run.checkpoints.name:
            run = Run(run.folder.parent)
        if not run.split_file.is_file():
            return
        yield run
        try:
            config = run.config
        except RunError:
            return


def _seen_again(run: Run, table: SplitTable) -> str:
    """ "12 test images of 3 patients", or "" if there is none."""
    parts = []
    for split, seen_in in _SEEN_BY.items():
        theirs = [row for row in run.split_rows if row["split"] in seen_in]
        ids = {row["id"] for row in theirs}
        patients = {row["patient"] for row in theirs} - {""}
        ours = [row for row in table.rows if row.split == split and (row.id in ids or row.patient in patients)]
        if ours:
            parts.append(f"{len(ours)} {split} images{_of_patients(ours)}")
    return " and ".join(parts)


def _of_patients(rows: Sequence[SplitRow]) -> str:
    num = len({row.patient for row in rows if row.patient})
    return f" of {num} patients" if num else ""


def _fingerprint(run: Run) -> str | None:
    try:
        return json.loads(run.provenance_file.read_text(encoding="utf-8")).get("data_fingerprint")
    except (OSError, ValueError):
        return None
