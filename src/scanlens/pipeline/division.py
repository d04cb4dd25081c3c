"""Who goes to train, val and test, after copies have been looked for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from scanlens.config import build
from scanlens.data.audit_plan import AuditPlan
from scanlens.data.duplicates import NearDuplicates, near_duplicate_groups
from scanlens.data.image_facts import are_blank
from scanlens.data.leaks import copies
from scanlens.data.split_table import SplitTable
from scanlens.data.splits import SplitPlan, make_splits
from scanlens.pipeline.decode import Listed
from scanlens.runs import Config


@dataclass(frozen=True, slots=True)
class Division:
    """A split and the copies that were found on the way.

    Args:
        table: the split.
        copy_N: group of images with equal pixels, -1 for an image without a copy.
        near: near-duplicates; None where they were not looked for.
        overrides: settings of the user's that leave copies in two splits, one sentence each.
    """

    table: SplitTable
    copy_N: NDArray[np.int64]
    near: NearDuplicates | None
    overrides: list[str]


def divide(config: Config, listed: Listed) -> Division:
    """Look for copies and divide as `split` and `audit.on_leak` say.

    Raises:
        DataError: if the data cannot be divided so.
    """
    plan: SplitPlan = build(config["split"])
    audit: AuditPlan = build(config["audit"])
    patients_known = all(record.patient is not None for record in listed.records)
    copy_N = copies(np.asarray(listed.images.pixel_hashes), is_blank_N=are_blank(listed.images.facts))
    by_near = plan.by == "near_duplicates" or (
        plan.by in ("auto", "site") and not patients_known and _tells_apart(listed) and audit.on_leak == "fix"
    )
    near = near_duplicate_groups(listed.images.thumbnails) if by_near or _is_wanted(audit, listed) else None
    overrides = _overrides(plan, audit, patients_known=patients_known)
    if audit.on_leak != "fix" and plan.given == "fix":
        plan = replace(plan, given="use")
    if not by_near or near is None:
        return Division(make_splits(listed.records, plan=plan, seed=config["seed"]), copy_N, near, overrides)
    groups = {record.id: number for record, number in zip(listed.records, near.group_N.tolist(), strict=True)}
    table = make_splits(listed.records, plan=plan, seed=config["seed"], groups=groups)
    return Division(replace(table, notes=table.notes + near.notes), copy_N, near, overrides)


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
