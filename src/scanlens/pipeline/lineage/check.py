"""At the start of training: whether the starting weights have seen the images that are to judge the network."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens.data.lineage_plan import LineagePlan
from scanlens.data.split_table import SplitTable
from scanlens.errors import DataError
from scanlens.pipeline.lineage import Images, seen_by
from scanlens.pipeline.lineage.memory import Generation, Lineage, Role
from scanlens.pipeline.lineage.starting import Start
from scanlens.types import Split

_SEEN_BY: dict[Split, tuple[Role, ...]] = {
    "val": ("train",),
    "test": ("train", "val"),
}  # validation images chose the epoch, so they are seen by the test
_UNKNOWN = (
    "What the starting weights (model.weights) were trained on is not known: they may have seen images of this test "
    "split. Give the folder of the run that made them, or its weights.safetensors."
)
_NO_PATIENTS = (
    "The starting weights tell which images they have seen, and not which patients: other images of patients of this test "
    "split may have been among them. Give the folder of the run that made them to have patients compared."
)


@dataclass(slots=True)
class Finding:
    """What was found out about starting weights.

    Args:
        facts: for the report: `begins_with`, `generations` (run, num_images, num_patients), `compares_patients`, and of
            the test split `num_seen_images` and `num_seen_patients`.
        warnings: one sentence each.
    """

    facts: dict[str, Any]
    warnings: list[str] = field(default_factory=list)


def check_lineage(start: Start, images: Images, table: SplitTable, *, data: str, plan: LineagePlan) -> Finding:
    """Compare val and test with what the runs that the starting weights come from were trained on.

    An image that was seen is refused whatever its data set is called, a patient if the data sets are called the same; else
    equal names of patients are a warning.

    Args:
        start: from `starting_weights`.
        images: N, of the new run.
        table: where they went.
        data: name of their data set.
        plan: what is done about it.

    Raises:
        DataError: if images, or patients, of this data set were seen and `plan.on_seen` is "error".
    """
    told: list[str] = []
    warnings: list[str] = []
    remedies: list[str] = []
    test = images.at(table.indices("test"))
    seen_images, seen_patients = np.zeros(len(test.hashes), bool), np.zeros(len(test.hashes), bool)
    for generation in start.lineage.generations:
        is_same = generation.data == data
        sentence = _seen_again(generation, images, table, by_name=is_same)
        if sentence:
            told.append(sentence)
            remedies.append(_remedy(start, generation))
        elif not is_same and (named := _seen_again(generation, images, table, by_name=True)):
            warnings.append(f"By the names of patients, {named} If they are the same people, results are too good.")
        found = seen_by(generation, test, roles=_SEEN_BY["test"])
        seen_images |= found.image_N
        seen_patients |= found.image_N | (found.patient_N & is_same)
    if told and plan.on_seen == "error":
        ways = "Or start from other weights, or set lineage.on_seen=warn to go on and have the report say so."
        raise DataError("\n".join([*told, *remedies, ways]))
    facts = _facts(start, test, seen_images, seen_patients)
    return Finding(facts, [*(f"lineage.on_seen=warn: {one}" for one in told), *warnings, *_gaps(start.lineage)])


def _seen_again(generation: Generation, images: Images, table: SplitTable, *, by_name: bool) -> str:
    """A sentence such as "12 test images of 3 patients ...", or "" if there is none."""
    parts = []
    for split, roles in _SEEN_BY.items():
        own = images.at(table.indices(split))
        found = seen_by(generation, own, roles=roles)
        is_seen_N = found.image_N | found.patient_N if by_name else found.image_N
        if is_seen_N.any():
            people = {name for name, is_seen in zip(own.patients, is_seen_N, strict=True) if is_seen and name}
            parts.append(f"{is_seen_N.sum()} {split} images" + (f" of {len(people)} patients" if people else ""))
    if not parts:
        return ""
    return (
        f"{' and '.join(parts)} of this run were used for training, or for choosing the epoch, in run {generation.run}, "
        "which the starting weights come from, so results would be too good."
    )


def _remedy(start: Start, generation: Generation) -> str:
    file = start.split_file(generation.run)
    where = f"split.file={file}" if file is not None else f"split.file=SPLIT_CSV of run {generation.run}"
    return f"Divide as that run did: {where}. If these are other people of equal names, set data.name to another name."


def _gaps(lineage: Lineage) -> list[str]:
    told = [_UNKNOWN] if lineage.begins_with == "unknown" else []
    return told + ([_NO_PATIENTS] if any(each.train.patients is None for each in lineage.generations) else [])


def _facts(
    start: Start, test: Images, seen_images: NDArray[np.bool_], seen_patients: NDArray[np.bool_]
) -> dict[str, Any]:
    people = {name for name, is_seen in zip(test.patients, seen_patients, strict=True) if is_seen and name}
    return {
        "begins_with": start.lineage.begins_with,
        "generations": [
            {"run": each.run, "num_images": each.train.num_images, "num_patients": each.train.num_patients}
            for each in start.lineage.generations
        ],
        "compares_patients": all(test.patients) and all(_knows_patients(each) for each in start.lineage.generations),
        "num_seen_images": int(seen_images.sum()),
        "num_seen_patients": len(people),
    }


def _knows_patients(generation: Generation) -> bool:
    return generation.train.patients is not None and generation.train.num_patients is not None
