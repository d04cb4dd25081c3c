"""What is never divided between splits: the patient, else the group of near-duplicates, else the image."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from scanlens.errors import DataError
from scanlens.types import SPLITS, Record, Split

_MOST_NAMED = 5
_TOO_GOOD = "results may be better than for new patients"


class _Joined:
    """Names that belong together through whatever was joined."""

    def __init__(self) -> None:
        self._leader: dict[str, str] = {}

    def name_of(self, name: str) -> str:
        """The name that stands for all that are joined with this one."""
        while self._leader.get(name, name) != name:
            name = self._leader[name]
        return name

    def join(self, name: str, to: str) -> None:
        self._leader[self.name_of(name)] = self.name_of(to)


def find_units(
    records: Sequence[Record], by: str, groups: Mapping[str, int | str] | None
) -> tuple[dict[str, str], list[str]]:
    """Name of the unit of each id, and what had to be assumed.

    Args:
        records: each id once.
        by: auto, patient, near_duplicates or image (see `SplitPlan`).
        groups: near-duplicate group of each id, if they were looked for.

    Raises:
        DataError: patients or groups are asked for but not known.
    """
    if by == "image":
        return {record.id: record.id for record in records}, [
            "Images are divided one by one, so patients may be in two splits."
        ]
    unknown = [record.id for record in records if record.patient is None]
    if by == "patient" and unknown:
        told = f"split.by=patient, but {len(unknown)} of {len(records)} images have no patient"
        remedy = (
            "Say where patients are known (data.patient_pattern, data.sidecar, data.patient), or set split.by=auto."
        )
        raise DataError(f"{told}, such as '{unknown[0]}'. {remedy}", public=f"{told}. {remedy}")
    if by == "near_duplicates" and groups is None:
        raise DataError("split.by=near_duplicates, but they were not looked for. Set data.look_for_duplicates=true.")
    if groups is not None and (absent := [record.id for record in records if record.id not in groups]):
        told = f"{len(absent)} images have no near-duplicate group"
        raise DataError(f"{told}, such as '{absent[0]}'.", public=f"{told}.")
    if groups is None:
        unit_of = {record.id: record.patient or record.id for record in records}
    elif by == "near_duplicates":
        unit_of = {record.id: _group_name(groups[record.id]) for record in records}
    else:
        unit_of = _joined(records, groups)
    return unit_of, _notes(len(records), len(unknown), by, groups)


def _joined(records: Sequence[Record], groups: Mapping[str, int | str]) -> dict[str, str]:
    """The patient; for an image without one its group, and everybody whom that group resembles is one unit with it.

    Known patients who resemble each other stay two: who they are is known.
    """
    joined = _Joined()
    is_open = {groups[record.id] for record in records if record.patient is None}
    for record in records:
        if record.patient is not None and groups[record.id] in is_open:
            joined.join(_group_name(groups[record.id]), record.patient)
    return {record.id: joined.name_of(record.patient or _group_name(groups[record.id])) for record in records}


def keep_copies_together(unit_of: Mapping[str, str], copies: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    """Units after joining those that hold exactly the same picture, and what was joined.

    Args:
        unit_of: unit of each id.
        copies: group of each id that has an exact copy.
    """
    joined = _Joined()
    first_of: dict[int, str] = {}
    for name, group in copies.items():
        joined.join(unit_of[name], first_of.setdefault(group, unit_of[name]))
    units = {name: joined.name_of(unit) for name, unit in unit_of.items()}
    num = len(set(unit_of.values())) - len(set(units.values()))
    told = (
        f"{num} times, exactly the same picture stands under two patients, groups or names; these are kept on one side."
    )
    return units, [told] if num else []


def refuse_shared(kind: str, pairs: Iterable[tuple[str | None, Split]], *, where: str, remedy: str) -> None:
    """Make sure that nobody is in two splits.

    Args:
        kind: of what, in the plural.
        pairs: name (None is not looked at) and split.
        where, remedy: for the message.

    Raises:
        DataError: names up to five.
    """
    splits_of: dict[str, set[Split]] = defaultdict(set)
    for name, split in pairs:
        if name is not None:
            splits_of[name].add(split)
    shared = sorted(name for name, splits in splits_of.items() if len(splits) > 1)
    if shared:
        named = [f"{name} ({', '.join(s for s in SPLITS if s in splits_of[name])})" for name in shared[:_MOST_NAMED]]
        more = f" and {len(shared) - _MOST_NAMED} more" if len(shared) > _MOST_NAMED else ""
        told = f"{len(shared)} {kind} are in more than one split"
        raise DataError(f"{told} of {where}: {', '.join(named)}{more}. {remedy}", public=f"{told}.")


def _group_name(group: int | str) -> str:
    return f"near-duplicates-{group}" if isinstance(group, int) else group


def _notes(num_images: int, num_unknown: int, by: str, groups: Mapping[str, int | str] | None) -> list[str]:
    if by == "near_duplicates" and num_unknown < num_images:
        return ["Near-duplicates are kept together and patients are not, so patients may be in two splits."]
    if num_unknown == 0:
        return []
    who = (
        "No patient is known"
        if num_unknown == num_images
        else f"{num_unknown} of {num_images} images have no known patient"
    )
    if groups is None:
        return [f"{who}: images are divided one by one, and {_TOO_GOOD}."]
    largest = max(Counter(groups.values()).values())
    return [
        f"{who}: near-duplicates are kept together instead ({len(set(groups.values()))} groups, "
        f"the largest of {largest} images), and {_TOO_GOOD}."
    ]
