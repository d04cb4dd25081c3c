"""New images and volumes judged by a finished run: its folder alone is needed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from scanlens.callbacks.case_maps import explain_cases, write_case_map
from scanlens.data.preprocess import Preprocess
from scanlens.errors import ImageError, RunError
from scanlens.files import write_csv
from scanlens.models.base import Network
from scanlens.pipeline.calls import IMAGE_COLUMNS, PATIENT_COLUMNS, Call, Calls, read_calls
from scanlens.pipeline.calls_summary import call_words, summary
from scanlens.pipeline.context.new_cases import add_new_context
from scanlens.pipeline.decode import privacy_plan
from scanlens.pipeline.folders import timed_folder
from scanlens.pipeline.intake import Intake, NewImage
from scanlens.pipeline.lineage.new_images import mark_seen, recognizable
from scanlens.pipeline.moved_maps import explainers_of
from scanlens.pipeline.new_patients import Judged, NewPatient, join_images_of
from scanlens.pipeline.volume_maps import OverlayWriter, new_volumes, write_slices
from scanlens.report.pictures import display_scale, scan_png
from scanlens.runs import Run, load_run

log = logging.getLogger(__name__)
BATCH = 32
PLACE = ("case", "file", "patient", "volume", "slice")


def predict(
    run_dir: Path, paths: Sequence[Path], *, num_mapped: int, overlay: bool = True, shows_files: bool = False
) -> Path:
    """Judge pictures and volumes, or all below folders, and write tables and maps into `new/<time>` of the run folder.

    `predictions.csv` has a row for each picture and each slice, with a probability per class, what the choices of the run
    say of it (`calls`), or the reason why it cannot be read, and whether the network was trained on it; `slices.csv`
    how much each slice of a volume decides; `patients.csv` one for each patient or volume of nobody known, by the rule that the run chose on its validation patients. Volumes are read,
    and all is preprocessed, as in training. `context.json` tells of images with a map what they are like (`context`). If nothing can be read, that is an error.

    Args:
        run_dir: folder of a finished run.
        paths: files or folders.
        num_mapped: of each volume so many slices get a scan and a map: those with the highest probability of the class that
            its patient is predicted to be, which is the class that is explained. Pictures always get them.
        overlay: all slices of NIfTI volumes are explained by the first method, as one NIfTI file on the voxels of the volume; never if
            `num_mapped` is 0, which asks for no maps at all.
        shows_files: files are called by their names in the tables, also where the run hides names (`privacy.names`).

    Returns:
        The folder that was written.

    Raises:
        RunError: if the run is no finished classification, what it chose cannot be understood, or nothing is found under the
            paths.
    """
    run, network = load_run(run_dir)
    if run.facts["task"] != "classification":
        raise RunError(
            f"{run.folder} holds an autoencoder, which has no classes to predict. Give the run of a classifier."
        )
    calls = read_calls(run)
    privacy, preprocess = privacy_plan(run.config), Preprocess(**run.facts["preprocess"])
    intake = Intake(run.config["data"], run.facts["color"], privacy=privacy, shows_files=shows_files)
    judged = judge_images(network, intake.images(paths), preprocess)
    plan = calls.chosen.plan
    patients = join_images_of(judged, plan.choice.rule, positive=plan.positive)
    images = calls.of_images(judged)
    called = [(one, calls.of_patient(one, images)) for one in patients]
    folder = timed_folder(run.folder / "new")
    intake.notes += mark_seen(run, judged)
    _write_tables(folder, calls, judged, images, called)
    mapped = _mapped(judged, patients, num_mapped)
    _write_maps(run, network, preprocess, mapped, folder)
    add_new_context(run, network, preprocess, mapped, folder)
    volumes = new_volumes(judged, plan.choice.rule, positive=plan.positive)
    write_slices(volumes, run.facts["class_names"], folder, draws=num_mapped > 0)
    for explainer in explainers_of(run, network)[:1] if overlay and num_mapped else []:
        OverlayWriter(explainer, network, preprocess, intake, folder).write(volumes)
    _tell(intake.notes, judged, images, called, calls)
    told = summary(calls, run.folder.name, judged, images, [call for _, call in called])
    log.info("%s\nwritten to %s\nFor research, not for diagnosis.", "".join(f"\n{one}" for one in told), folder)
    if all(one.reason for one in judged):
        raise RunError(f"none of {len(judged)} images can be read; the reasons are in {folder / 'predictions.csv'}.")
    return folder


def judge_images(network: Network, images: Iterable[NewImage], preprocess: Preprocess) -> list[Judged]:
    """Every image in its order; pixels are kept for one batch only."""
    judged: list[Judged] = []
    waiting: list[tuple[Judged, Tensor]] = []
    for number, image in enumerate(images):
        one = Judged(f"new-{number:05d}", image)
        judged.append(one)
        try:
            raw = image.read()
            one.pixel_hash = recognizable(raw)
            waiting.append((one, torch.from_numpy(preprocess(raw))))
        except ImageError as error:
            one.reason = str(error)
        if len(waiting) == BATCH:
            _fill(network, waiting)
            waiting = []
    if waiting:
        _fill(network, waiting)
    return judged


def _write_tables(
    folder: Path,
    calls: Calls,
    judged: Sequence[Judged],
    images: Mapping[str, Call],
    patients: Sequence[tuple[NewPatient, Call]],
) -> None:
    names = calls.names
    stated = ["predicted", *(f"prob_{name}" for name in names), *calls.columns()]
    write_csv(
        folder / "predictions.csv",
        [*PLACE, *stated, *IMAGE_COLUMNS, "seen_in_training", "reason"],
        [one.row(names) | (calls.image_row(images[one.case]) if one.case in images else {}) for one in judged],
        private=True,
    )
    if patients:
        write_csv(
            folder / "patients.csv",
            ["patient", "num_images", "num_unreadable", *stated, *PATIENT_COLUMNS, "reason"],
            [one.row(names) | calls.patient_row(one, call, images) for one, call in patients],
            private=True,
        )


def _prepared(image: NewImage, preprocess: Preprocess) -> Tensor:
    return torch.from_numpy(preprocess(image.read()))


def _fill(network: Network, waiting: Sequence[tuple[Judged, Tensor]]) -> None:
    with torch.inference_mode():
        probabilities_BK = network(torch.stack([x_CHW for _, x_CHW in waiting])).double().softmax(dim=1).numpy()
    for (one, _), probabilities_K in zip(waiting, probabilities_BK, strict=True):
        one.probabilities_K = probabilities_K


def _mapped(judged: Sequence[Judged], patients: Sequence[NewPatient], num: int) -> list[tuple[Judged, int]]:
    """What gets a map, with the number of the class that is explained."""
    alone = [one for one in judged if one.image.unit is None]
    chosen = [(one, int(one.probabilities_K.argmax())) for one in alone if one.probabilities_K is not None]
    for patient in patients:
        if patient.probabilities_K is not None:
            chosen += [(one, int(patient.probabilities_K.argmax())) for one in patient.telling(num)]
    return sorted(chosen, key=lambda pair: pair[0].case)


def _write_maps(
    run: Run, network: Network, preprocess: Preprocess, chosen: Sequence[tuple[Judged, int]], folder: Path
) -> None:
    if not chosen:
        return
    images = [_prepared(one.image, preprocess) for one, _ in chosen]
    cases, targets = [one.case for one, _ in chosen], [target for _, target in chosen]
    for explainer in explainers_of(run, network):
        maps = explain_cases(explainer, network, range(len(images)), cases, targets, lambda i: (images[i], None))
        scale = display_scale([found.map_HW for found in maps])
        for found in maps:
            write_case_map(folder, found, scale=scale)
            scan_png(found.scan, folder / f"{found.case}_scan.png")


def _tell(
    notes: Sequence[str],
    judged: Sequence[Judged],
    images: Mapping[str, Call],
    patients: Sequence[tuple[NewPatient, Call]],
    calls: Calls,
) -> None:
    """A line for each picture, each patient or volume, and each image that cannot be read; names stay in the tables."""
    for note in notes:
        log.warning("%s", note)
    for one in judged:
        if one.reason:
            log.info("%s: not readable: %s", one.case, one.reason)
        elif not one.image.volume:
            call = images[one.case]
            log.info("%s: %s%s", one.case, _said(one.row(calls.names), call, calls), call_words(call))
    rule = calls.chosen.plan.choice.rule.words()
    for patient, call in patients:
        if patient.read:
            said = _said(patient.row(calls.names), call, calls)
            whose = f"patient or volume of {patient.read[0].case}"
            log.info("%s: %s; %d images, %s%s", whose, said, len(patient.read), rule, call_words(call))


def _said(row: Mapping[str, str], call: Call, calls: Calls) -> str:
    """The predicted class and its probability: the calibrated one where there is one, and said so."""
    name = row["predicted"]
    if call.calibrated_K is None or not calls.is_calibrating:
        return f"{name} ({float(row[f'prob_{name}']):.2f})"
    return f"{name} (calibrated {call.calibrated_K[calls.names.index(name)]:.2f})"
