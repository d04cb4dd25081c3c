"""What a run folder holds of its explained cases: the words and numbers, and the maps on the network's input.

Legend of axes: S side of the network's image, K classes.
"""

from __future__ import annotations

import hashlib
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scanlens import __version__
from scanlens.errors import ImageError, RunError
from scanlens.files import read_csv
from scanlens.pipeline.calls import Call, Calls, read_calls
from scanlens.pipeline.dicom.request import CASE
from scanlens.pipeline.intake import NewImage
from scanlens.pipeline.new_patients import Judged, join_images_of
from scanlens.report.dicom.case import WITHHELD, Algorithm, Answer, MapFacts
from scanlens.report.folder import finite, mapping, read_run, sequence
from scanlens.runs import Run

LEVELS = ("SUPPORTED", "WEAK", "NOT SUPPORTED", WITHHELD)
DEFAULT_SHARE = 0.02
_METHOD = re.compile(r"[A-Za-z0-9_]{1,80}")
_MOST_MAP_BYTES = 512 * 2**20
_CHUNK = 2**20


@dataclass(frozen=True, slots=True, eq=False)
class StoredMap:
    """A map as the run wrote it; `digest` is that of the file."""

    map_SS: NDArray[np.float32]
    covered_SS: NDArray[np.bool_]
    scan: NDArray[np.float32]
    digest: str


class StoredCases:
    """The explained cases of a run.

    Args:
        folder: of a finished run of a classifier.

    Raises:
        RunError: it is none, or explained nothing.
    """

    def __init__(self, folder: Path) -> None:
        self.run, self.read = Run(folder.resolve()), read_run(folder)
        if not self.read.is_classification:
            raise RunError(f"{folder} holds an autoencoder, whose maps explain no class. Give the run of a classifier.")
        self.entries = {
            str(one["case"]): one
            for one in sequence(mapping(self.read.explanations).get("cases"))
            if isinstance(one, dict) and CASE.fullmatch(str(one.get("case")))
        }
        self.method = mapping(next(iter(sequence(mapping(self.read.explanations).get("methods"))), None))
        if not self.entries or not _METHOD.fullmatch(str(self.method.get("name"))):
            raise RunError(
                f"{folder} explained no case (explanations/cases.json). Train with callbacks.num_explained_cases above 0."
            )

    @property
    def facts(self) -> dict[str, Any]:
        return self.run.facts

    @property
    def share(self) -> float:
        """Of the covered pixels that count as the highlighted region."""
        about = mapping(mapping(self.read.explanations).get("verdict"))
        found = finite(about.get("share")) or finite(mapping(self.run.config.get("verdict")).get("share"))
        return found if found is not None and 0 < found <= 0.25 else DEFAULT_SHARE

    def answer(self, name: str) -> Answer:
        """What the network said, with calibration, threshold and call as the run chose them."""
        entry = self.entries[name]
        predicted = str(entry.get("predicted") or "")
        probability = finite(mapping(entry.get("probabilities")).get(predicted))
        if probability is None or predicted not in self.facts["class_names"]:
            raise ImageError("explanations/cases.json says no probability of the predicted class")
        call, unit = self._called.get(name, (Call(), "image"))
        calls = self._calls
        calibrated = None if call.calibrated_K is None else float(call.calibrated_K[calls.names.index(predicted)])
        return Answer(
            predicted=predicted,
            probability=probability,
            calibrated=calibrated if "calibration" not in calls.reasons else None,
            positive=calls.target.name if calls.target is not None else "",
            score=call.score,
            threshold=calls.point.threshold if calls.point is not None and call.is_called is not None else None,
            is_called=call.is_called,
            unit=unit,
            why_not="" if call.is_called is not None else str(calls.reasons.get("decisions") or "not assessed"),
        )

    def map_facts(self, name: str) -> MapFacts:
        """What is said of the map, and why it may not be drawn."""
        entry, method = self._map(name), self.method
        verdict = mapping(entry.get("verdict"))
        level = str(verdict.get("level")) if verdict.get("level") in LEVELS else ""
        measured = mapping(verdict.get("measured"))
        quality = mapping(measured.get("quality"))
        reasons = tuple(str(one) for one in sequence(verdict.get("reasons")))
        return MapFacts(
            method=str(method.get("title") or method["name"]),
            explained=str(self.entries[name].get("explained") or ""),
            unit=str(method.get("unit") or "no unit"),
            scale=max(finite(method.get("scale")) or 1.0, 1e-12),
            level=level,
            reasons=reasons,
            p_value=finite(mapping(measured.get("region")).get("p_value")),
            quality=str(quality.get("status") or ""),
            faults=tuple(str(one) for one in sequence(quality.get("faults"))),
            hidden=_hidden(level, reasons, bool(entry.get("is_blank"))),
        )

    def stored_map(self, name: str) -> StoredMap:
        """The map of the first method.

        Raises:
            ImageError: the file is missing, or not what a run writes.
        """
        path = self.run.explanations / f"{name}_{self.method['name']}.npz"
        side = int(self.facts["input_size"])
        try:
            with zipfile.ZipFile(path) as archive:
                if sum(one.file_size for one in archive.infolist()) > _MOST_MAP_BYTES:
                    raise ValueError("too large")
            with np.load(path, allow_pickle=False) as stored:
                found = StoredMap(stored["map"], stored["covered"].astype(bool), stored["scan"], _digest(path))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            raise ImageError(f"its map explanations/{path.name} cannot be read ({type(error).__name__})") from error
        shapes = (found.map_SS.shape, found.covered_SS.shape, found.scan.shape[:2])
        if set(shapes) != {(side, side)} or found.map_SS.dtype.kind != "f":
            raise ImageError(
                f"its map explanations/{path.name} has not the size of the network's image, {side} x {side}"
            )
        return found

    @cached_property
    def algorithm(self) -> Algorithm:
        """Name, version and settings, with hashes of weights and configuration; neither the run's name nor a path."""
        weights = _digest(self.run.weights_file) if self.run.weights_file.is_file() else "not assessed"
        verdict = mapping(mapping(self.read.explanations).get("verdict"))
        parameters = {
            "scanlens that trained it": str(self.read.provenance.get("scanlens") or "not assessed"),
            "weights, sha256": weights,
            "configuration, sha256": _digest(self.run.config_file),
            "input size": f"{self.facts['input_size']} x {self.facts['input_size']} pixels",
            "seed": str(self.run.config.get("seed")),
            "method": str(self.method.get("title") or self.method["name"]),
            "layer": str(self.method.get("layer") or "not assessed"),
            "region of model evidence": f"the strongest {self.share:g} of what the map covers",
            "test of the region": f"{verdict.get('removal', 'none')}, {verdict.get('num_regions', 0)} regions elsewhere",
        }
        name = str(mapping(self.facts.get("model_summary")).get("name") or "network")
        return Algorithm(name=f"scanlens {name}", version=__version__, parameters=parameters, serial=weights[:12])

    def seed(self, name: str) -> str:
        """Changes with anything that is said of a case."""
        return hashlib.sha256(json.dumps(self.entries[name], sort_keys=True).encode()).hexdigest()

    def _map(self, name: str) -> dict[str, Any]:
        maps = [mapping(one) for one in sequence(self.entries[name].get("maps"))]
        return next((one for one in maps if one.get("method") == self.method["name"]), {})

    @cached_property
    def _calls(self) -> Calls:
        return read_calls(self.run)

    @cached_property
    def _called(self) -> Mapping[str, tuple[Call, str]]:
        """Of each test image, or of its patient where the threshold is one of patients."""
        path = self.run.predictions / "test.csv"
        try:
            judged = [_judged(row, self._calls.names) for row in read_csv(path)]
        except (OSError, KeyError, ValueError) as error:
            raise RunError(
                f"{path} is not what a run writes ({type(error).__name__}). Restore it from a copy."
            ) from error
        of_images = self._calls.of_images(judged)
        found = {case: (call, "image") for case, call in of_images.items()}
        if not self._calls.is_of_patients:
            return found
        plan = self._calls.chosen.plan
        for patient in join_images_of(judged, plan.choice.rule, positive=plan.positive):
            whole = self._calls.of_patient(patient, of_images)
            for one in patient.read:
                own = of_images[one.case]
                found[one.case] = (Call(own.calibrated_K, whole.score, whole.is_called), "patient")
        return found


def _judged(row: Mapping[str, str], names: Sequence[str]) -> Judged:
    image = NewImage(row["id"], _never, row.get("patient") or "")
    return Judged(row["case"], image, np.array([float(row[f"prob_{name}"]) for name in names]))


def _never() -> Any:
    raise AssertionError("predictions are read, not images")


def _hidden(level: str, reasons: Sequence[str], is_blank: bool) -> str:
    if level == WITHHELD:
        return f"the map is withheld: {' '.join(reasons) or 'it could mislead'}"
    return "the map is the same everywhere, so it highlights nothing" if is_blank else ""


def _digest(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_CHUNK):
            found.update(piece)
    return found.hexdigest()
