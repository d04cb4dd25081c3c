"""New images judged by a finished run: its folder alone is needed."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from scanlens.callbacks.case_maps import explain_cases, write_case_map
from scanlens.config import build
from scanlens.data.image_io import read_image
from scanlens.data.preprocess import Preprocess
from scanlens.data.sources.listing import IMAGE_EXTENSIONS, files_below, is_image_name
from scanlens.errors import ImageError, RunError
from scanlens.files import write_csv
from scanlens.models.base import Network
from scanlens.report.pictures import display_scale, scan_png
from scanlens.runs import Run, load_run

log = logging.getLogger(__name__)


def predict(run_dir: Path, paths: Sequence[Path]) -> Path:
    """Judge image files, or all images below folders, and write `new/<time>/predictions.csv` into the run folder.

    Each readable image gets a row with its number, file name and a probability per class, its scan and its map. What cannot be
    read gets a row with the reason; if nothing can be read, that is an error. The preprocessing is the one that the run was trained with.

    Returns:
        The folder that was written.

    Raises:
        RunError: if the run is no finished classification, or nothing is found under the paths.
    """
    run, network = load_run(run_dir)
    if run.facts["task"] != "classification":
        raise RunError(
            f"{run.folder} holds an autoencoder, which has no classes to predict. Give the run of a classifier."
        )
    files = _image_files(paths)
    images, rows = _read_all(run, files)
    folder = _new_folder(run.folder / "new")
    if images:
        probabilities = _probabilities(network, images)
        for place, row in enumerate(row for row in rows if not row["reason"]):
            row |= _verdict(probabilities[place], run.facts["class_names"])
        _write_maps(run, network, images, [row for row in rows if not row["reason"]], folder)
    names = [f"prob_{name}" for name in run.facts["class_names"]]
    write_csv(folder / "predictions.csv", ["case", "file", "predicted", *names, "reason"], rows)
    for row in rows:
        log.info("%s", _line(row))
    log.info("\nwritten to %s\nFor research, not for diagnosis.", folder)
    if not images:
        raise RunError(f"none of {len(rows)} images can be read; the reasons are in {folder / 'predictions.csv'}.")
    return folder


def _new_folder(above: Path) -> Path:
    """A folder named by the time, of this command alone."""
    above.mkdir(exist_ok=True)
    name = f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}"
    for number in range(1, 1000):
        folder = above / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RunError(f"{above} holds a thousand folders of this second; try again.")


def _image_files(paths: Sequence[Path]) -> list[tuple[str, Path]]:
    """(name below the folder that was given, file) of every image; links that lead out of a folder are not followed."""
    found: list[tuple[str, Path]] = []
    notes: list[str] = []
    for path in paths:
        if path.is_dir():
            below = files_below(path, notes=notes)
            found += [(name, path / name) for name in below if is_image_name(name, IMAGE_EXTENSIONS)]
        elif path.exists():
            found.append((path.name, path))
        else:
            raise RunError(
                f"there is no file or folder {path}. Give path=IMAGE or path=FOLDER, several times if needed."
            )
    if not found:
        raise RunError(f"no images ({', '.join(IMAGE_EXTENSIONS)}) below {', '.join(map(str, paths))}.")
    for note in notes:
        log.warning("%s", note)
    return found


def _read_all(run: Run, files: Sequence[tuple[str, Path]]) -> tuple[list[torch.Tensor], list[dict[str, Any]]]:
    preprocess = Preprocess(**run.facts["preprocess"])
    images: list[torch.Tensor] = []
    rows: list[dict[str, Any]] = []
    for number, (name, file) in enumerate(files):
        row = {"case": f"new-{number:05d}", "file": name, "reason": ""}
        try:
            images.append(torch.from_numpy(preprocess(read_image(file, color=run.facts["color"]))))
        except ImageError as error:
            row["reason"] = str(error)
        rows.append(row)
    return images, rows


def _probabilities(network: Network, images: Sequence[torch.Tensor]) -> np.ndarray:
    with torch.inference_mode():
        batches = [network(torch.stack(list(images[i : i + 32]))).softmax(dim=1) for i in range(0, len(images), 32)]
    return torch.cat(batches).numpy()


def _verdict(probabilities_K: np.ndarray, class_names: Sequence[str]) -> dict[str, Any]:
    named = {f"prob_{name}": f"{p:.6f}" for name, p in zip(class_names, probabilities_K.tolist(), strict=True)}
    return {"predicted": class_names[int(probabilities_K.argmax())], **named}


def _write_maps(
    run: Run, network: Network, images: Sequence[torch.Tensor], rows: Sequence[dict[str, Any]], folder: Path
) -> None:
    names = run.facts["class_names"]
    targets = [names.index(row["predicted"]) for row in rows]
    cases = [row["case"] for row in rows]
    for explainer in build(run.config["explain"]).explainers_for(network):
        maps = explain_cases(explainer, network, range(len(images)), cases, targets, lambda i: (images[i], None))
        scale = display_scale([found.map_HW for found in maps])
        for found in maps:
            write_case_map(folder, found, scale=scale)
            scan_png(found.scan, folder / f"{found.case}_scan.png")


def _line(row: dict[str, Any]) -> str:
    if row["reason"]:
        return f"{row['case']}  {row['file']}: not readable: {row['reason']}"
    return f"{row['case']}  {row['file']}: {row['predicted']} ({float(row['prob_' + row['predicted']]):.2f})"
