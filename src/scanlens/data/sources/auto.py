"""Class folders where there are some, and built-in phantoms until then."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Literal

from scanlens.data.sources.folder import FolderSource

if TYPE_CHECKING:
    from scanlens.data.sources.phantom import PhantomSource

logger = logging.getLogger(__name__)


def folder_or_phantom(
    *,
    phantom: Literal["mri", "microscopy"],
    root: str | None = None,
    num_patients: int | None = None,
    slices_per_patient: int | None = None,
    size: int | None = None,
    seed: int | None = None,
    class_shares: list[float] | None = None,
    signal: bool | None = None,
    min_lesion_contrast: float | None = None,
    shortcut: Literal["tag", "tag_by_chance"] | None = None,
    shortcut_rate: float | None = None,
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
) -> FolderSource | PhantomSource:
    """Phantoms of a kind until `root` is set, then the images below it.

    Args:
        phantom: which built-in pictures to draw while there is no root.
        root: folder of the images; None for phantoms.
        num_patients, slices_per_patient, size, seed, class_shares, signal, min_lesion_contrast, shortcut, shortcut_rate: of
            the phantoms (see `PhantomSource`); None for what it takes by itself.
        class_names: of either.
        name and the rest: of the folder (see `FolderSource`).

    Returns:
        The source. Settings without effect on it stand in the `notes` of a folder and in a warning for phantoms.
    """
    of_phantom: dict[str, Any] = {
        "num_patients": num_patients,
        "slices_per_patient": slices_per_patient,
        "size": size,
        "seed": seed,
        "class_shares": class_shares,
        "signal": signal,
        "min_lesion_contrast": min_lesion_contrast,
        "shortcut": shortcut,
        "shortcut_rate": shortcut_rate,
    }
    asked = {key: value for key, value in of_phantom.items() if value is not None}
    of_folder: dict[str, Any] = {
        "class_folders": class_folders,
        "given_splits": given_splits,
        "patient_pattern": patient_pattern,
        "sidecar": sidecar,
        "mask_suffix": mask_suffix,
        "mask_folder": mask_folder,
        "label_from_mask": label_from_mask,
        "boxes": boxes,
        "extensions": extensions,
        "color": color,
    }
    if root is None:
        from scanlens.data.sources.phantom import PhantomSource

        if class_names is not None:
            asked["class_names"] = class_names
        idle = [key for key, value in of_folder.items() if value is not None]
        for note in _without_effect(idle, "the pictures are phantoms until data.root is set"):
            logger.warning(note)
        return PhantomSource(kind=phantom, **asked)
    source = FolderSource(
        root=root,
        name=name,
        about=about,
        get_it_from=get_it_from,
        class_names=class_names,
        patient_from=patient_from,
        sides_matter=sides_matter,
        look_for_duplicates=look_for_duplicates,
        max_pixels=max_pixels,
        **of_folder,
    )
    source.notes.extend(_without_effect(list(asked), "it belongs to the phantoms, and data.root is set"))
    return source


def _without_effect(keys: list[str], reason: str) -> list[str]:
    return [f"data.{key} has no effect: {reason}." for key in keys]
