"""Whole sites (hospitals, scanners) held out: nobody of a test site is in train or val.

A patient seen at two sites, or a group of near-duplicates from two, joins these sites: they are held out together, and
a note says so.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scanlens.data.assignment import assign_units
from scanlens.data.sources.csv_rows import filled
from scanlens.errors import ConfigError, DataError, did_you_mean
from scanlens.types import Record, Split

_WHERE = (
    "Keep the column with data.meta=[site] (table), data.sidecar (folder) or data.labels (nifti, dicom), each with "
    "meta: [site], or name another one with split.site_column."
)


@dataclass(frozen=True, slots=True)
class Blocks:
    """Sites that are held out as one.

    Args:
        of_id: name of the block of each image: its site, or its joined sites with plus signs.
        sites: the sites of each block, sorted.
        notes: which sites were joined and why.
    """

    of_id: dict[str, str]
    sites: dict[str, list[str]]
    notes: list[str]

    def told(self, name: str) -> str:
        """ "site 'B'", "sites 'B' and 'C'"."""
        named = [f"'{site}'" for site in self.sites[name]]
        return f"site {named[0]}" if len(named) == 1 else f"sites {', '.join(named[:-1])} and {named[-1]}"


def find_blocks(records: Sequence[Record], unit_of: Mapping[str, str], *, column: str) -> Blocks:
    """Sites, joined where a unit that is never divided lies in several.

    Args:
        records: each id once.
        unit_of: patient or group of each id.
        column: of `Record.meta` that names the site.

    Raises:
        DataError: the column is not known, images have no site, or there is only one site or block.
    """
    site_of = _sites(records, column)
    sites_of_unit: dict[str, set[str]] = defaultdict(set)
    for record in records:
        sites_of_unit[unit_of[record.id]].add(site_of[record.id])
    shared = [sites for sites in sites_of_unit.values() if len(sites) > 1]
    members = _joined(sorted(set(site_of.values())), shared)
    if len(set(members.values())) < 2:
        who = "patient or group of near-duplicates that lies" if len(shared) == 1 else "patients or groups that lie"
        raise DataError(
            f"split.by=site: all {len(members)} sites are joined by {len(shared)} {who} in several of them, so none can "
            "be held out. Give such patients one site, or divide otherwise."
        )
    sites = {"+".join(names): list(names) for names in sorted(set(members.values()))}
    notes = [
        f"Sites {', '.join(map(repr, names))} share {sum(one <= set(names) for one in shared)} patients or groups of "
        "near-duplicates and are held out together."
        for names in sites.values()
        if len(names) > 1
    ]
    return Blocks({record.id: "+".join(members[site_of[record.id]]) for record in records}, sites, notes)


def hold_out(
    records: Sequence[Record],
    unit_of: Mapping[str, str],
    blocks: Blocks,
    *,
    held_out: Sequence[str],
    fractions: Sequence[float],
    seed: int,
) -> tuple[dict[str, Split], list[str]]:
    """Split by id, with a note on what is tested.

    Args:
        records: each id once.
        unit_of: patient or group of each id.
        blocks: see `find_blocks`.
        held_out: sites of the test; empty for the block whose share of images comes nearest to that of the test, the
            first by name of those that come equally near.
        fractions: of train, val and test; val is cut out of what is not tested, by unit.
        seed: of that cut.

    Raises:
        ConfigError: a site in `held_out` does not exist.
        DataError: nothing is left for train.
    """
    known = [site for sites in blocks.sites.values() for site in sites]
    wrong = [f"split.held_out: there is no site '{s}'. {did_you_mean(s, known)}" for s in held_out if s not in known]
    if wrong:
        raise ConfigError(wrong)
    tested = [name for name, sites in blocks.sites.items() if set(sites) & set(held_out)]
    if not held_out:
        counts = Counter(blocks.of_id.values())
        tested = [min(blocks.sites, key=lambda name: (abs(counts[name] / len(records) - fractions[2]), name))]
    if len(tested) == len(blocks.sites):
        raise DataError(f"split.held_out leaves no site for train; there are {', '.join(sorted(known))}.")
    return _without(records, unit_of, blocks, tested, fractions=fractions, seed=seed)


def fold_of_sites(
    records: Sequence[Record],
    unit_of: Mapping[str, str],
    blocks: Blocks,
    *,
    folds: int,
    fold: int,
    fractions: Sequence[float],
    seed: int,
) -> tuple[dict[str, Split], list[str], list[int]]:
    """Split by id, a note, and the part of each record; with as many folds as blocks each is left out once.

    Raises:
        DataError: there are more folds than blocks of sites.
    """
    names = sorted(blocks.sites)
    if len(names) < folds:
        raise DataError(
            f"{folds} folds of whole sites need as many; there are {len(names)} (joined ones count once). "
            f"Set folds={len(names)}" + (", which leaves each out once." if len(names) > 1 else ".")
        )
    if len(names) == folds:
        parts = [names.index(blocks.of_id[record.id]) for record in records]
    else:
        items = [(blocks.of_id[record.id], record.target) for record in records]
        parts = assign_units(items, shares=[1 / folds] * folds, seed=seed)
    tested = sorted({blocks.of_id[r.id] for r, part in zip(records, parts, strict=True) if part == fold})
    split_of, notes = _without(records, unit_of, blocks, tested, fractions=fractions, seed=seed)
    return split_of, notes, parts


def _without(
    records: Sequence[Record],
    unit_of: Mapping[str, str],
    blocks: Blocks,
    tested: Sequence[str],
    *,
    fractions: Sequence[float],
    seed: int,
) -> tuple[dict[str, Split], list[str]]:
    """Blocks in `tested` are the test; val is cut out of the others."""
    split_of: dict[str, Split] = {record.id: "test" for record in records if blocks.of_id[record.id] in tested}
    rest = [record for record in records if record.id not in split_of]
    parts: list[Split] = ["train", "val"] if fractions[1] > 0 else ["train"]
    total = sum(fractions[: len(parts)])
    chosen = assign_units(
        [(unit_of[record.id], record.target) for record in rest],
        shares=[share / total for share in fractions[: len(parts)]],
        seed=seed,
    )
    split_of |= {record.id: parts[part] for record, part in zip(rest, chosen, strict=True)}
    others = [name for name in blocks.sites if name not in tested]
    note = (
        f"Tested on {' and '.join(map(blocks.told, tested))} ({len(records) - len(rest)} images), "
        f"trained on {' and '.join(map(blocks.told, others))} ({len(rest)} images with val)."
    )
    return split_of, [note]


def _sites(records: Sequence[Record], column: str) -> dict[str, str]:
    columns = sorted({key for record in records for key in record.meta})
    if column not in columns:
        hint = f"{did_you_mean(column, columns)} {_WHERE}".lstrip()
        raise DataError(f"split.by=site, but nothing says the '{column}' of an image. {hint}")
    found = {record.id: filled(str(record.meta.get(column, ""))) for record in records}
    absent = [name for name, site in found.items() if site is None]
    if absent:
        told = f"split.by=site, but {len(absent)} of {len(records)} images have no '{column}'"
        remedy = "Fill in the column, or take these images out of the data set."
        raise DataError(f"{told}, such as '{absent[0]}'. {remedy}", public=f"{told}. {remedy}")
    sites = {name: str(site).strip() for name, site in found.items()}
    if len(set(sites.values())) < 2:
        raise DataError(
            f"split.by=site needs two sites; all {len(records)} images are of '{next(iter(sites.values()))}' "
            f"(column '{column}'). {did_you_mean(column, [name for name in columns if name != column])}".rstrip()
        )
    return sites


def _joined(sites: Sequence[str], shared: Sequence[set[str]]) -> dict[str, tuple[str, ...]]:
    """All sites that each one is joined with, itself included, sorted."""
    members = {site: {site} for site in sites}
    for together in shared:
        united = set().union(*(members[site] for site in together))
        for site in united:
            members[site] = united
    return {site: tuple(sorted(ones)) for site, ones in members.items()}
