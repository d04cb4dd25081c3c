"""The lineage of a run that begins: what its starting weights have seen, judged, and what it will see itself."""

from __future__ import annotations

import secrets

from scanlens.config import build
from scanlens.data.image_facts import are_blank
from scanlens.data.split_table import SplitTable
from scanlens.pipeline.decode import Listed
from scanlens.pipeline.fork import forked_from
from scanlens.pipeline.lineage import Images
from scanlens.pipeline.lineage.check import Finding, check_lineage
from scanlens.pipeline.lineage.memory import SALT_BYTES, Generation, Lineage, Memory, Role, remembered
from scanlens.pipeline.lineage.starting import starting_weights
from scanlens.pipeline.lineage.stored import read_lineage
from scanlens.runs import Config, Run


def judge_start(config: Config, listed: Listed, table: SplitTable, run: Run) -> tuple[Lineage, Finding]:
    """The lineage of the weights that a run will make, and what was found out about those that it starts from.

    Args:
        config: of the run.
        listed: its images.
        table: their division.
        run: whose folder is being filled; the salt of an earlier start is kept.

    Raises:
        DataError, ModelError, RunError: see `check_lineage` and `starting_weights`.
    """
    images, data = images_of(listed), data_name(listed)
    former = forked_from(config)
    start = starting_weights(config["model"] if former is None else {"weights": str(former.folder)})
    found = check_lineage(start, images, table, data=data, plan=build(config["lineage"]))
    salt, only = _salt(run), config["task"].get("train_on")

    def memory(role: Role) -> Memory:
        chosen = images.at([i for i in table.indices(role) if not only or listed.records[i].target in only])
        return remembered(chosen.hashes, chosen.patients, salt=salt)

    own = Generation(run.folder.name, data, salt, memory("train"), memory("val"))
    return start.lineage.followed_by(own), found


def images_of(listed: Listed) -> Images:
    """What can be known again of a data set."""
    blank_N = are_blank(listed.images.facts)
    hashes = [None if blank else row.tobytes() for row, blank in zip(listed.images.pixel_hashes, blank_N, strict=True)]
    return Images(hashes, [record.patient for record in listed.records])


def data_name(listed: Listed) -> str:
    """The name within which patients are known by theirs; phantoms of other settings are other people."""
    source = listed.source
    return source.name if source.root is not None else f"{source.name}-{source.fingerprint()[:8]}"


def _salt(run: Run) -> bytes:
    """Drawn once for a run folder."""
    if run.lineage_file.exists():
        former = read_lineage(run.lineage_file).generations
        if former and former[0].run == run.folder.name:
            return former[0].salt
    return secrets.token_bytes(SALT_BYTES)
