"""Which folder of a path is the class, and which the split.

Two ways, both with any number of folders below the class (patients, series):

- Class names are given: the first folder of a path that is a class is its class, and the first that is called like a
  split (train, Testing, val ...) is its split, wherever they lie.
- Class names are to be found: `root/class/...`, or `root/split/class/...` if the folders at the top are called like
  splits. One folder that wraps everything is looked through.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scanlens.errors import ConfigError, DataError, did_you_mean
from scanlens.types import SPLITS, Split

SPLIT_FOLDERS: dict[str, Split] = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
_MOST_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Place:
    """What the folders of one path say.

    Args:
        target: class name, or None where no class folder is there.
        split: given split, or None.
    """

    target: str | None
    split: Split | None


@dataclass(frozen=True, slots=True)
class Layout:
    """The places of the images that belong to the data set, and its classes in order.

    Args:
        places: name to place, without images that belong to no class (unless none has a class).
        class_names: as given, or found and sorted.
        notes: what was assumed or left out.
    """

    places: dict[str, Place]
    class_names: list[str]
    notes: list[str]


def checked_splits(given_splits: Mapping[str, str] | None) -> dict[str, Split]:
    """Lower-case folder name to split; the usual names for None."""
    if given_splits is None:
        return dict(SPLIT_FOLDERS)
    checked: dict[str, Split] = {}
    mistakes = []
    for folder, split in given_splits.items():
        known = next((name for name in SPLITS if name == split), None)
        if known is not None:
            checked[folder.lower()] = known
        else:
            mistakes.append(f"given_splits.{folder}: train, val or test is expected, '{split}' came.")
    if mistakes:
        raise ConfigError(mistakes)
    return checked


def find_layout(
    names: Sequence[str],
    *,
    class_names: Sequence[str] | None,
    class_folders: Mapping[str, str] | None,
    given_splits: Mapping[str, str] | None,
    source: str,
    root: Path,
) -> Layout:
    """Read classes and splits off the folders.

    Args:
        names: relative image names with forward slashes.
        class_names: the classes to use, in order; None to find them.
        class_folders: folder name to class name where these differ; several folders may make one class.
        given_splits: folder name to split; None for the usual names; empty for none.
        source, root: for messages.

    Raises:
        DataError: a class that is given has no folder.
    """
    splits = checked_splits(given_splits)
    renamed = dict(class_folders or {})
    found, notes = _found_places(names, renamed, splits)
    if class_names is None:
        return _layout_of(found, sorted({place.target for place in found.values() if place.target}), notes)
    folders = {name: name for name in class_names} | renamed
    places = {name: _known_place(name, folders, splits) for name in names}
    on_disk = {place.target for place in places.values()}
    candidates = sorted({place.target for place in found.values() if place.target})
    missing = [
        f"{source}: class '{name}' is not on disk under {root} (found: {_shown(candidates)}). "
        f"{did_you_mean(name, candidates)}".rstrip()
        for name in class_names
        if name not in on_disk
    ]
    if missing:
        raise DataError("\n".join(missing))
    return _layout_of(places, list(class_names), [])


def split_of(name: str, splits: Mapping[str, Split]) -> Split | None:
    """The split of the first folder that is called like one."""
    return next((splits[part.lower()] for part in _folders(name) if part.lower() in splits), None)


def _known_place(name: str, folders: Mapping[str, str], splits: Mapping[str, Split]) -> Place:
    parts = _folders(name)
    target = next((folders[part] for part in parts if part in folders), None)
    others = {key: split for key, split in splits.items() if key not in {folder.lower() for folder in folders}}
    return Place(target, split_of(name, others))


def _found_places(
    names: Sequence[str], renamed: Mapping[str, str], splits: Mapping[str, Split]
) -> tuple[dict[str, Place], list[str]]:
    folders = {name: _folders(name) for name in names}
    depth, notes = 0, []
    while _wrapper(list(folders.values()), depth, splits) is not None:
        depth += 1
        notes.append(
            "One folder holds everything, so the folders inside it are taken for classes. If it is itself a class, name it in "
            "data.class_names."
        )
    tops = {parts[depth] for parts in folders.values() if len(parts) > depth}
    has_splits = any(splits.get(top.lower()) == "train" for top in tops) and all(top.lower() in splits for top in tops)
    places = {}
    for name, parts in folders.items():
        below = parts[depth:]
        split = splits.get(below[0].lower()) if has_splits and below else None
        rest = below[1:] if has_splits else below
        places[name] = Place(renamed.get(rest[0], rest[0]) if rest else None, split)
    return places, notes


def _wrapper(folders: Sequence[tuple[str, ...]], depth: int, splits: Mapping[str, Split]) -> str | None:
    """The one folder at this depth that holds everything in several folders, unless it is called like a split."""
    if not folders or any(len(parts) < depth + 2 for parts in folders):
        return None
    tops = {parts[depth] for parts in folders}
    if len(tops) != 1 or len({parts[depth + 1] for parts in folders}) < 2:
        return None
    top = tops.pop()
    return None if top.lower() in splits else top


def _layout_of(places: Mapping[str, Place], class_names: list[str], notes: list[str]) -> Layout:
    if not class_names:
        return Layout(
            dict(places), [], [*notes, "There are no class folders, so the classes of the images are unknown."]
        )
    kept = {name: place for name, place in places.items() if place.target is not None}
    left_out = Counter(_folders(name)[0] if _folders(name) else "." for name in places if name not in kept)
    if left_out:
        notes = [
            *notes,
            f"{left_out.total()} images lie in no class folder and were left out: {len(left_out)} folders are no classes.",
        ]
    return Layout(kept, class_names, notes)


def _folders(name: str) -> tuple[str, ...]:
    return PurePosixPath(name).parts[:-1]


def _shown(words: Sequence[str]) -> str:
    if not words:
        return "no folder with images"
    return ", ".join(words[:_MOST_SHOWN]) + (", ..." if len(words) > _MOST_SHOWN else "")
