"""Class and split of volumes: from a table of labels, or from class folders."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from scanlens.data.sources.label_table import (
    Labels,
    chosen_classes,
    keyed_by,
    label_mistakes,
    read_label_meta,
    read_labels,
)
from scanlens.data.sources.layout import Layout, Place, checked_splits, find_layout, split_of
from scanlens.errors import ConfigError, DataError


def volume_stem(name: str) -> str | None:
    """The name without .nii or .nii.gz; None if it ends otherwise."""
    return next((name[: -len(ending)] for ending in (".nii.gz", ".nii") if name.lower().endswith(ending)), None)


def labeled_layout(
    volumes: Sequence[str],
    patient_of: Mapping[str, str],
    labels: Labels | None,
    class_names: Sequence[str] | None,
    given_splits: Mapping[str, str] | None,
    *,
    name: str,
    root: Path,
) -> tuple[Layout, Path | None, dict[str, dict[str, str]]]:
    """Class and split of each volume, from the table or the folders; the table; and its further columns by volume."""
    if labels is None:
        found = find_layout(
            volumes, class_names=class_names, class_folders=None, given_splits=given_splits, source=name, root=root
        )
        return found, None, {}
    if mistakes := label_mistakes(labels, choices=("file", "patient")):
        raise ConfigError(mistakes)
    table, by = root / str(labels["file"]), keyed_by(labels)
    label_of, meta_of_key = read_labels(table, labels), read_label_meta(table, labels)
    splits = checked_splits(given_splits) if given_splits is not None else {}
    used: set[str] = set()
    places, meta = {}, {}
    for each in volumes:
        keys = [patient_of[each]] if by == "patient" else [each, str(volume_stem(each))]
        key = next((key for key in keys if key in label_of), None)
        used |= {key} if key is not None else set()
        meta[each] = next((meta_of_key[one] for one in keys if one in meta_of_key), {})
        places[each] = Place(label_of[key] if key is not None else None, split_of(each, splits))
    return _of_classes(places, class_names, num_unused=len(set(label_of) - used), table=table, by=by), table, meta


def _of_classes(
    places: Mapping[str, Place], class_names: Sequence[str] | None, *, num_unused: int, table: Path, by: str
) -> Layout:
    """The volumes of the classes asked for; those without a class stay, with none."""
    counts = Counter(place.target for place in places.values())
    found = sorted(target for target in counts if target is not None)
    if not found:
        raise DataError(
            f"{table}: none of {len(places)} volumes has a class by its {by}, such as '{next(iter(places))}'. "
            "Names are relative to data.root; set data.labels."
        )
    wanted = chosen_classes(found, class_names, table=table)
    notes = [f"{counts[None]} of {len(places)} volumes have no class in data.labels.file."] if counts[None] else []
    if num_unused:
        notes.append(f"data.labels.file names {num_unused} {by}s that are not on disk.")
    if num_others := sum(counts[each] for each in found if each not in wanted):
        notes.append(f"{num_others} volumes are of no class in data.class_names and were left out.")
    kept = {name: place for name, place in places.items() if place.target is None or place.target in wanted}
    return Layout(kept, wanted, notes)
