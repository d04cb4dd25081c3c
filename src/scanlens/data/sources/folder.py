"""Images in class folders, with whatever is known beside them: splits, patients, masks, boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

from scanlens.data.image_io import read_mask
from scanlens.data.sources.files import FileSource, boxes_as_text
from scanlens.data.sources.layout import Layout, Place, checked_splits, find_layout, split_of
from scanlens.data.sources.listing import existing_root, files_below, is_image_name, normalized_extensions
from scanlens.data.sources.masks import pair_masks
from scanlens.data.sources.patients import patients_of
from scanlens.data.sources.sidecars import read_boxes, read_sidecar
from scanlens.errors import ConfigError, ImageError
from scanlens.types import Record


class FolderSource(FileSource):
    """Images below one folder, whose folders name classes and splits.

    Args:
        root: folder of the images; None is refused with a word on where to get them.
        name: short name of the data set.
        about: public source, licence and citation.
        get_it_from: where the data set can be had, for the message when it is absent.
        class_names: the classes to use, in the order of the class index; folders of other names are left out.
            None: every folder is a class, sorted.
        class_folders: folder name to class name, where these differ; several folders may make one class.
        given_splits: folder name to train, val or test. None: folders called train, training, val, valid,
            validation, test or testing, in any case. {}: no folder is a split.
        patient_pattern: regular expression with one group, searched in the relative name, that gives the patient.
        patient_from: "folder": the folder that holds the image is the patient.
        sidecar: table with `file`, `path`, `patient`, `meta` (see `read_sidecar`); goes before pattern and folder.
        mask_suffix: `x_mask.tif` is the mask of `x.tif`, for "_mask".
        mask_folder: `a/masks/x.png` is the mask of `a/x.png`, for "masks".
        label_from_mask: {empty: class, nonempty: class}: the class is whether the mask is empty; folders then name
            no classes.
        boxes: table of lesion boxes with `file`, `path`, `x_center`, `y_center`, `width`, `height` (see `read_boxes`).
        extensions: of image files; None for the usual ones.
        color: gray, rgb, or channels (three sequences, not colors); None to find out from some files.
        sides_matter: left and right must not be exchanged.
        look_for_duplicates: whether near-duplicates are looked for where no patient is known.
        max_pixels: refuse larger images.

    Raises:
        ConfigError, DataError: what is asked for does not fit what is on disk.
    """

    def __init__(
        self,
        *,
        root: str | None = None,
        name: str = "folder",
        about: str = "",
        get_it_from: str = "",
        class_names: list[str] | None = None,
        class_folders: dict[str, str] | None = None,
        given_splits: dict[str, str] | None = None,
        patient_pattern: str | None = None,
        patient_from: Literal["none", "folder"] = "none",
        sidecar: dict[str, str | list[str]] | None = None,
        mask_suffix: str | None = None,
        mask_folder: str | None = None,
        label_from_mask: dict[str, str] | None = None,
        boxes: dict[str, str] | None = None,
        extensions: list[str] | None = None,
        color: Literal["gray", "rgb", "channels"] | None = None,
        sides_matter: bool = True,
        look_for_duplicates: bool = True,
        max_pixels: int = 64_000_000,
    ) -> None:
        settings = {key: value for key, value in locals().items() if key not in ("self", "root", "__class__")}
        notes: list[str] = []
        folder = existing_root(root, name=name, get_it_from=get_it_from)
        endings = normalized_extensions(extensions)
        all_names = [each for each in files_below(folder, notes=notes) if is_image_name(each, endings)]
        names, mask_of, mask_notes = pair_masks(all_names, suffix=mask_suffix, folder=mask_folder)
        masks = {each: str(folder / mask) for each, mask in mask_of.items()}
        if label_from_mask is not None:
            layout = _layout_from_masks(names, masks, label_from_mask, class_names, given_splits, max_pixels)
        else:
            layout = find_layout(
                names,
                class_names=class_names,
                class_folders=class_folders,
                given_splits=given_splits,
                source=name,
                root=folder,
            )
        table = read_sidecar(folder, sidecar, names=list(layout.places))
        box_table = read_boxes(folder, boxes)
        masks = {each: boxes_as_text(found) for each, found in box_table.boxes.items()} | masks
        patients, patient_notes = patients_of(list(layout.places), table.patients, patient_pattern, patient_from)
        records = [
            Record(
                id=each,
                path=str(folder / each),
                target=place.target,
                patient=patients.get(each),
                split=place.split,
                mask=masks.get(each),
                meta=table.meta.get(each, {}),
            )
            for each, place in layout.places.items()
        ]
        super().__init__(
            name=name,
            about=about,
            root=folder,
            records=records,
            class_names=layout.class_names,
            color=color,
            sides_matter=sides_matter,
            look_for_duplicates=look_for_duplicates,
            settings=settings,
            extra_files=[file for file in (table.file, box_table.file) if file is not None],
            notes=[*notes, *mask_notes, *layout.notes, *table.notes, *box_table.notes, *patient_notes],
            max_pixels=max_pixels,
        )


def _layout_from_masks(
    names: Sequence[str],
    masks: Mapping[str, str],
    label_from_mask: Mapping[str, str],
    class_names: Sequence[str] | None,
    given_splits: Mapping[str, str] | None,
    max_pixels: int,
) -> Layout:
    """Classes by whether the mask is empty; an image without a readable mask has none."""
    if set(label_from_mask) != {"empty", "nonempty"}:
        raise ConfigError(["label_from_mask: exactly the keys 'empty' and 'nonempty' are expected."])
    labels = [label_from_mask["empty"], label_from_mask["nonempty"]]
    if class_names is not None and set(class_names) != set(labels):
        raise ConfigError([f"class_names {list(class_names)} are not the two classes of label_from_mask, {labels}."])
    splits = checked_splits(given_splits)
    places, problems = {}, Counter[str]()
    for name in names:
        target = None
        try:
            if name in masks:
                target = labels[bool(read_mask(masks[name], max_pixels=max_pixels).any())]
            else:
                problems["have no mask"] += 1
        except ImageError:
            problems["have a mask that cannot be read"] += 1
        places[name] = Place(target, split_of(name, splits))
    notes = [f"{count} images {problem}, so their class is not known." for problem, count in problems.items()]
    return Layout(places, list(class_names) if class_names is not None else labels, notes)
