"""Who goes to train, val and test: whole patients (or groups of near-duplicates), every class in its share.

The unit that is never divided is the patient where known, else the group of near-duplicate images, else the image; whole
sites may be held out. What had to be assumed, was moved or could not be done stands in `SplitTable.notes`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from scanlens.data.assignment import assign_units
from scanlens.data.given_splits import GivenSplits, fix_given, use_given
from scanlens.data.sites import find_blocks, fold_of_sites, hold_out
from scanlens.data.split_file import read_split
from scanlens.data.split_table import SplitRow, SplitTable
from scanlens.data.thin_classes import thin_class_notes
from scanlens.data.units import find_units, keep_copies_together, refuse_shared
from scanlens.errors import ConfigError, DataError, did_you_mean
from scanlens.types import SPLITS, Record, Split

_CHOICES = {"by": ("auto", "patient", "near_duplicates", "image", "site"), "given": ("use", "ignore", "fix")}


@dataclass(frozen=True)
class SplitPlan:
    """How to divide a data set.

    Args:
        fractions: shares of train, val and test, of the images of each class; they sum to one. Train needs some; 0
            leaves val or test out.
        by: what is never divided. auto: the patient where known, else the group of near-duplicates where they were
            looked for, else the image. patient: every image needs one. near_duplicates: the group, whoever the patient
            is. image: nothing is kept together. site: as auto, and the test is of sites that are in neither train nor
            val; a patient seen at two sites joins these. Given splits then do not count.
        given: splits that the data set brings along. use: exactly so; a patient in two of them is an error. fix: so,
            but what has its patient or a near-duplicate in an earlier split (train, then val) moves there; a val or
            test that thereby loses more than half of a class is filled up from train with whole units. ignore: divide
            anew. A split that is not given is cut out of the given train.
        folds: number of parts of a cross-validation, 3 or more; `fractions` and given splits then do not count. With
            by=site parts of whole sites, 2 or more, as many as sites to leave each out once. None for none.
        fold: which part is the test, from 0; the next one is val, all others train. With by=site val is cut out of all
            others by `fractions`.
        seed: draws among units that fit equally well; None for the seed of the run. Runs of another seed and the same
            `seed` here train otherwise on the same split.
        file: CSV with the columns id and split, such as `split.csv` of a run, that settles everything; None for none.
        site_column: column of a table, sidecar or header (`Record.meta`) that names the site; only with by=site.
        held_out: sites of the test, only with by=site and without folds. Empty: the site whose share of images is
            nearest to that of the test.

    Raises:
        ConfigError: all mistakes at once.
    """

    fractions: list[float] = field(default_factory=lambda: [0.7, 0.15, 0.15])
    by: Literal["auto", "patient", "near_duplicates", "image", "site"] = "auto"
    given: Literal["use", "ignore", "fix"] = "fix"
    folds: int | None = None
    fold: int = 0
    seed: int | None = None
    file: str | None = None
    site_column: str = "site"
    held_out: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        mistakes = []
        if len(self.fractions) != 3 or min(self.fractions) < 0 or abs(sum(self.fractions) - 1) > 1e-6:
            mistakes.append(f"split.fractions: three shares that sum to 1 are expected, {self.fractions} came.")
        elif self.fractions[0] == 0:
            mistakes.append("split.fractions: the first one, of train, must be above 0.")
        for key, choices in _CHOICES.items():
            if (word := getattr(self, key)) not in choices:
                mistakes.append(f"split.{key}: '{word}' is unknown. {did_you_mean(str(word), choices)}")
        if self.folds is not None and self.folds < (2 if self.by == "site" else 3):
            mistakes.append(f"split.folds: 3 or more are expected (test, val, train), {self.folds} came.")
        elif not 0 <= self.fold < (self.folds or 1):
            most = (self.folds or 1) - 1
            mistakes.append(f"split.fold: 0 to {most} is expected with folds={self.folds}, {self.fold} came.")
        if mistakes := mistakes + self._site_mistakes():
            raise ConfigError(mistakes)

    def _site_mistakes(self) -> list[str]:
        if self.held_out and self.by != "site":
            return ["split.held_out names sites, which only split.by=site holds out."]
        if self.held_out and self.folds is not None:
            return ["split.held_out has no effect in a cross-validation, where every site is tested once."]
        if self.by == "site" and self.folds is None and self.fractions[-1] == 0:
            return ["split.by=site holds out a test, so the last one of split.fractions must be above 0."]
        return []


def make_splits(
    records: Sequence[Record],
    *,
    plan: SplitPlan,
    seed: int,
    groups: Mapping[str, int | str] | None = None,
    copies: Mapping[str, int] | None = None,
) -> SplitTable:
    """Divide records as planned; the same records, plan, seed and groups always give the same table.

    Args:
        records: each id once.
        plan: see there.
        seed: of the run, used where the plan has none of its own.
        groups: near-duplicate group of each id, if they were looked for.
        copies: group of each id that has an exact copy; whoever shares one is kept together, unless the plan is by image.

    Raises:
        ConfigError: a site that is to be held out does not exist.
        DataError: patients or sites are needed but not known, given splits share patients, or a split stays empty.
    """
    if not records:
        raise DataError("There are no images to divide into train, val and test.")
    if plan.file is not None:
        return _from_file(Path(plan.file).expanduser(), records, plan)
    seed = seed if plan.seed is None else plan.seed
    unit_of, notes = find_units(records, "auto" if plan.by == "site" else plan.by, groups)
    joined: list[str] = []
    if copies and plan.by != "image":
        unit_of, joined = keep_copies_together(unit_of, copies)
        notes += joined
    untrained: dict[str, list[int]] = {}
    if plan.by == "site":
        assigned = _sites(records, unit_of, plan, seed, notes, untrained)
    elif plan.folds is not None:
        assigned = _folds(records, unit_of, plan, plan.folds, seed, notes, untrained)
    else:
        assigned = _fractions(records, unit_of, plan, seed, notes)
    rows = [
        SplitRow(index, record.id, record.patient, unit_of[record.id], record.target, assigned[record.id])
        for index, record in enumerate(records)
    ]
    _check_not_empty(rows, plan, hint=" ".join(joined))
    return SplitTable(rows, notes + thin_class_notes(rows, folds=plan.folds), untrained)


def _from_file(path: Path, records: Sequence[Record], plan: SplitPlan) -> SplitTable:
    table = read_split(path, records, may_share_patients=plan.by in ("near_duplicates", "image"))
    if plan.by == "site":
        blocks = find_blocks(records, {record.id: record.id for record in records}, column=plan.site_column)
        sides: list[tuple[str | None, Split]] = [
            (blocks.of_id[row.id], "test" if row.split == "test" else "train") for row in table.rows
        ]
        refuse_shared("sites", sides, where=str(path), remedy=f"Mend {path}, or set split.file=null to divide anew.")
    return table


def _fractions(
    records: Sequence[Record], unit_of: Mapping[str, str], plan: SplitPlan, seed: int, notes: list[str]
) -> dict[str, Split]:
    """Split by id: given val and test stay; the rest goes to train and to what is not given or was thinned."""
    rule = {"use": use_given, "fix": fix_given}.get(plan.given)
    given = rule(records, unit_of) if rule is not None else GivenSplits()
    notes += given.notes
    held = {name: split for name, split in given.of_id.items() if split != "train"}
    unit_split = {unit_of[name]: split for name, split in held.items()}
    held |= {  # images without a given split follow their patient
        record.id: unit_split[unit_of[record.id]]
        for record in records
        if record.id not in given.of_id and unit_of[record.id] in unit_split
    }
    closed = set(held.values()) - given.thinned
    parts = [split for split, share in zip(SPLITS, plan.fractions, strict=True) if share > 0 and split not in closed]
    free = [record for record in records if record.id not in held]
    if not free:
        raise DataError(
            "The data set's own division leaves no images for train. Set split.given=ignore to divide anew."
        )
    notes += _cut_notes(given, parts)
    shares = [plan.fractions[SPLITS.index(split)] for split in parts]
    chosen = assign_units(
        [(unit_of[record.id], record.target) for record in free],
        shares=[share / sum(shares) for share in shares],
        seed=seed,
        held=[(parts.index(held[r.id]), r.target) for r in records if r.id in held and held[r.id] in parts],
    )
    return held | {record.id: parts[part] for record, part in zip(free, chosen, strict=True)}


def _cut_notes(given: GivenSplits, parts: Sequence[Split]) -> list[str]:
    if not given.of_id:
        return []
    absent = [split for split in parts if split != "train" and split not in given.thinned]
    notes = [f"The data set gives no {split}; it was cut out of the given train." for split in absent]
    thinned = [split for split in parts if split in given.thinned]
    return notes + [
        f"Given {split} lost more than half of a class that way and was filled up from train with whole groups, "
        f"so results do not compare with those published on it."
        for split in thinned
    ]


def _folds(
    records: Sequence[Record],
    unit_of: Mapping[str, str],
    plan: SplitPlan,
    folds: int,
    seed: int,
    notes: list[str],
    untrained: dict[str, list[int]],
) -> dict[str, Split]:
    """Split by id: part `fold` is the test, the next one val, the others train."""
    notes += _given_notes(records, plan, "in a cross-validation; all its images are in the folds")
    num_units = len(set(unit_of.values()))
    if num_units < folds:
        raise DataError(f"{folds} folds need as many patients or groups; there are {num_units}. Set split.folds lower.")
    items = [(unit_of[record.id], record.target) for record in records]
    parts = assign_units(items, shares=[1 / folds] * folds, seed=seed)
    untrained |= _untrained(records, parts, [{fold, (fold + 1) % folds} for fold in range(folds)])
    special: dict[int, Split] = {plan.fold: "test", (plan.fold + 1) % folds: "val"}
    return {record.id: special.get(part, "train") for record, part in zip(records, parts, strict=True)}


def _sites(
    records: Sequence[Record],
    unit_of: Mapping[str, str],
    plan: SplitPlan,
    seed: int,
    notes: list[str],
    untrained: dict[str, list[int]],
) -> dict[str, Split]:
    """Split by id: the test is of whole sites."""
    notes += _given_notes(records, plan, "where sites are held out")
    blocks = find_blocks(records, unit_of, column=plan.site_column)
    notes += blocks.notes
    if plan.folds is None:
        assigned, told = hold_out(records, unit_of, blocks, held_out=plan.held_out, fractions=plan.fractions, seed=seed)
    else:
        assigned, told, parts = fold_of_sites(
            records, unit_of, blocks, folds=plan.folds, fold=plan.fold, fractions=plan.fractions, seed=seed
        )
        untrained |= _untrained(records, parts, [{fold} for fold in range(plan.folds)])
    notes += told
    return assigned


def _given_notes(records: Sequence[Record], plan: SplitPlan, why: str) -> list[str]:
    if plan.given == "ignore" or all(record.split is None for record in records):
        return []
    return [f"The data set's own division does not count {why}."]


def _untrained(
    records: Sequence[Record], parts: Sequence[int], not_trained: Sequence[set[int]]
) -> dict[str, list[int]]:
    """Folds without a training image of a class, by class; `not_trained` are the parts that a fold tests and watches."""
    parts_of: dict[str, set[int]] = {}
    for record, part in zip(records, parts, strict=True):
        if record.target is not None:
            parts_of.setdefault(record.target, set()).add(part)
    folds = range(len(not_trained))
    found = {target: [fold for fold in folds if own <= not_trained[fold]] for target, own in parts_of.items()}
    return {target: without for target, without in sorted(found.items()) if without}


def _check_not_empty(rows: Sequence[SplitRow], plan: SplitPlan, *, hint: str) -> None:
    """Refuse a split without images; `hint` says who was joined because of copies."""
    counts = Counter(row.split for row in rows)
    for split, share in zip(SPLITS, plan.fractions, strict=True):
        if counts[split] == 0 and (share > 0 or (plan.folds is not None and plan.by != "site")):
            num = len({row.group for row in rows})
            raise DataError(
                f"{split} stays empty: {len(rows)} image{'s are' if len(rows) > 1 else ' is'} of {num} patient"
                f"{'s' if num > 1 else ''} or group{'s' if num > 1 else ''} of copies, and these are not divided. Get more "
                "patients, or set the share of this split in split.fractions to 0."
                + (f" {hint} audit.on_leak=warn leaves them apart." if hint else "")
            )
