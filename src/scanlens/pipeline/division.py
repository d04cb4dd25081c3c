"""Who goes to train, val and test, after copies have been looked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from scanlens.config import build
from scanlens.data.audit_plan import AuditPlan
from scanlens.data.duplicates import NearDuplicates, near_duplicate_groups
from scanlens.data.hidden_patients import HiddenPatients, hidden_patients
from scanlens.data.image_facts import are_blank
from scanlens.data.leaks import copies
from scanlens.data.split_table import SplitTable
from scanlens.data.splits import SplitPlan, make_splits
from scanlens.errors import DataError
from scanlens.pipeline.decode import Listed
from scanlens.runs import Config


@dataclass(frozen=True, slots=True)
class Division:
    """A split and the copies that were found on the way.

    Args:
        table: the split; without rows if the data cannot be divided.
        problem: why they cannot be divided, or None.
        copy_N: group of images with equal pixels, -1 for an image without a copy.
        near: near-duplicates; None where they were not looked for.
        hidden: patients guessed from chains of slices; None where patients are known or likeness means nothing.
        alike_N: equal numbers, from 0, for images that belong together: of one patient, or near-duplicates where he is unknown.
        overrides: settings of the user's that leave copies in two splits, one sentence each.
    """

    table: SplitTable
    problem: DataError | None
    copy_N: NDArray[np.int64]
    near: NearDuplicates | None
    hidden: HiddenPatients | None
    alike_N: NDArray[np.int64]
    overrides: list[str]


def divide(config: Config, listed: Listed) -> Division:
    """Look for copies and divide as `split` and `audit.on_leak` say.

    Raises:
        DataError: if the data cannot be divided so.
    """
    found = look_and_divide(config, listed)
    if found.problem is not None:
        raise found.problem
    return found


def look_and_divide(config: Config, listed: Listed) -> Division:
    """The same for an audit, which tells of data that cannot be divided."""
    plan: SplitPlan = build(config["split"])
    audit: AuditPlan = build(config["audit"])
    patients_known = all(record.patient is not None for record in listed.records)
    copy_N = copies(np.asarray(listed.images.pixel_hashes), is_blank_N=are_blank(listed.images.facts))
    by_near = plan.by == "near_duplicates" or (
        plan.by in ("auto", "site") and not patients_known and _tells_apart(listed) and audit.on_leak == "fix"
    )
    thumbs_NHW = listed.images.thumbnails
    with threadpool_limits(limits=1):  # small matrices: threads that wait for each other cost more than they bring
        near = near_duplicate_groups(thumbs_NHW) if by_near or _is_wanted(audit, listed) else None
        hidden = hidden_patients(thumbs_NHW) if near is not None and not patients_known else None
    overrides = _overrides(plan, audit, patients_known=patients_known)
    if audit.on_leak != "fix" and plan.given == "fix":
        plan = replace(plan, given="use")
    ids = [record.id for record in listed.records]
    together_N = np.arange(len(ids)) if near is None else _together(near, hidden)
    problem: DataError | None = None
    try:
        table = make_splits(
            listed.records,
            plan=plan,
            seed=config["seed"],
            groups=dict(zip(ids, together_N.tolist(), strict=True)) if by_near and near is not None else None,
            copies=_by_id(ids, copy_N) if audit.on_leak == "fix" else None,
        )
    except DataError as error:
        table, problem = SplitTable([]), error
    notes = near.notes if by_near and near is not None and not _are_found(hidden) else []
    table = replace(table, notes=table.notes + notes)
    return Division(table, problem, copy_N, near, hidden, _units(listed, together_N), overrides)


def alike_images(listed: Listed) -> NDArray[np.int64]:
    """(N,) equal numbers, from 0, for images that belong together: of one patient, or alike where he is unknown."""
    num = len(listed.records)
    if all(record.patient for record in listed.records) or not _tells_apart(listed):
        return _units(listed, np.arange(num))
    with threadpool_limits(limits=1):
        near, hidden = near_duplicate_groups(listed.images.thumbnails), hidden_patients(listed.images.thumbnails)
    return _units(listed, _together(near, hidden))


def _units(listed: Listed, together_N: NDArray[np.int64]) -> NDArray[np.int64]:
    """The patient where he is known, else what looks alike."""
    names = [record.patient or f"\0{group}" for record, group in zip(listed.records, together_N.tolist(), strict=True)]
    number = {name: place for place, name in enumerate(dict.fromkeys(names))}
    return np.array([number[name] for name in names], dtype=np.int64)


def _are_found(hidden: HiddenPatients | None) -> bool:
    return hidden is not None and hidden.threshold is not None


def _together(near: NearDuplicates, hidden: HiddenPatients | None) -> NDArray[np.int64]:
    """Group of each image: what is near-duplicate, or of one guessed patient, or hangs together through both."""
    if hidden is None or hidden.threshold is None:
        return near.group_N
    num_near, num_hidden = int(near.group_N.max()) + 1, int(hidden.group_N.max()) + 1
    places = (near.group_N, num_near + hidden.group_N)
    num = num_near + num_hidden
    links = coo_array((np.ones(len(near.group_N), bool), places), shape=(num, num))
    _, joined = connected_components(links, directed=False)
    return np.unique(joined[near.group_N], return_inverse=True)[1].astype(np.int64)


def _by_id(ids: Sequence[str], group_N: NDArray[np.int64]) -> dict[str, int]:
    return {name: group for name, group in zip(ids, group_N.tolist(), strict=True) if group >= 0}


def _tells_apart(listed: Listed) -> bool:
    """Whether a likeness means something: digits of different writers look alike."""
    return bool(getattr(listed.source, "look_for_duplicates", True))


def _is_wanted(audit: AuditPlan, listed: Listed) -> bool:
    return audit.enabled and _tells_apart(listed)


def _overrides(plan: SplitPlan, audit: AuditPlan, *, patients_known: bool) -> list[str]:
    told = []
    if audit.on_leak != "fix":
        told.append(f"audit.on_leak={audit.on_leak}: copies were looked for, and the split was left as it is.")
    if plan.by == "image":
        told.append("split.by=image: nothing is kept together, neither patients nor copies.")
    if plan.by == "near_duplicates" and patients_known:
        told.append("split.by=near_duplicates: copies are kept together, patients are not.")
    if plan.given == "use" and audit.on_leak == "fix":
        told.append("split.given=use: the split that the data set brings is used as it is, with what leaks out of it.")
    if plan.file is not None:
        told.append("split.file: the division was read from a file; copies in two splits are told, not moved.")
    return told
