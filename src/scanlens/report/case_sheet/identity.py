"""Who and what a sheet is about: the picture, the network that looked at it, and what that network is for."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import scanlens
from scanlens.report import intended_use as use
from scanlens.report.case_sheet.sources import Sources
from scanlens.report.folder import RunFolder, finite, mapping, sequence
from scanlens.report.people import people
from scanlens.report.words import without_paths

SHOWN_PACKAGES = ("torch", "torchvision", "pytorch-lightning", "monai", "grad-cam")
EDGES = ("left", "right", "top", "bottom")
WINDOWS = ("window", "range", "percentiles")
OLDER = "the run kept no picture of the file"
_LETTERS = re.compile("[RLAPHF]{1,3}")
_DIGITS = 12


def image(sources: Sources, case: str) -> dict[str, Any]:
    """The picture: pseudonym of its patient, hash, sizes in pixels and millimeters; None for what is not known."""
    native = mapping(sources.beside(case).get("native"))
    size = sources.run.facts.get("input_size")
    sides = [finite(one) for one in size] if isinstance(size, list) else [finite(size)] * 2
    return {
        "pseudonym": sources.call(case).get("pseudonym"),
        "pixels_sha256": native.get("pixel_hash"),
        "modality": native.get("modality"),
        "native_size_px": pair(native.get("size_hw")),
        "spacing_mm": pair(native.get("spacing_mm")),
        "network_size_px": sides if None not in sides else None,
        "mm_per_px": pair(native.get("network_pixel_mm")),
        "is_spacing_assumed_square": native.get("is_assumed_square"),
        "is_phantom": bool(sources.run.facts.get("is_phantom")),
        "place_hwyx": _numbers(native.get("place_hwyx"), 4),
        "sides": _sides(native.get("sides")),
        **_original(native, str(sources.about("native").get("reason") or OLDER)),
    }


def model(run: RunFolder) -> dict[str, Any]:
    """The network and everything by which it can be told from another."""
    known, summary = run.provenance, mapping(run.facts.get("model_summary"))
    packages = mapping(known.get("packages"))
    return {
        "name": summary.get("name"),
        "parameters": finite(summary.get("parameters")),
        "run": run.config.get("run_id"),
        "data": mapping(run.config.get("data")).get("name"),
        "weights_sha256": _sha256(run.path / "weights.safetensors"),
        "config_sha256": _sha256(run.path / "config.yaml"),
        "commit": mapping(known.get("git")).get("commit"),
        "has_local_changes": mapping(known.get("git")).get("dirty"),
        "seed": known.get("seed"),
        "trained": str(known.get("created") or "")[:10] or None,
        "scanlens": known.get("scanlens"),
        "written_by": scanlens.__version__,
        "packages": {name: packages[name] for name in SHOWN_PACKAGES if name in packages},
    }


def tested_on(run: RunFolder) -> dict[str, Any]:
    """What the network was trained and tested on, so far as the run knows."""
    facts = run.facts
    return {
        "source": None if facts.get("source_about") is None else without_paths(facts["source_about"]),
        "class_names": run.class_names,
        "num_images": {name: finite(one) for name, one in mapping(facts.get("num_images")).items()},
        "num_patients": {name: finite(one) for name, one in mapping(facts.get("num_patients")).items()},
        "patients_known": bool(facts.get("patients_known")),
        "train_counts": {name: finite(one) for name, one in mapping(mapping(facts.get("counts")).get("train")).items()},
        "is_external": bool(run.evaluation.get("external")),
        "subgroups": sorted(mapping(run.evaluation.get("subgroups"))),
        "warnings": [without_paths(one) for one in sequence(facts.get("warnings"))],
        "intended_use": use.intended_use(run),
        "told": use.tested_on(run),
        **people(run),
    }


def pair(value: object) -> list[float] | None:
    """Two finite numbers, else None."""
    return _numbers(value, 2)


def _numbers(value: object, count: int) -> list[float] | None:
    found = [finite(one) for one in value] if isinstance(value, list) and len(value) == count else [None]
    return None if None in found else [float(one) for one in found if one is not None]


def _sides(value: object) -> dict[str, str] | None:
    """Letters at the four edges; None where one is missing or no letter of a side."""
    found = {edge: str(mapping(value).get(edge)) for edge in EDGES}
    return found if all(_LETTERS.fullmatch(one) for one in found.values()) else None


def _original(native: dict[str, Any], older: str) -> dict[str, Any]:
    """`original`, the picture of the file, and `original_reason`, why there is none."""
    found = mapping(native.get("original"))
    size, place = pair(found.get("size_hw")), _numbers(native.get("place_hwyx"), 4)
    if size is None or place is None or min(*size, *place[:2]) < 1:
        reason = native.get("original_reason") or ("its place in the network's input is not known" if found else older)
        return {"original": None, "original_reason": without_paths(str(reason))}
    told = {
        "file": str(found.get("file")),
        "size_px": size,
        "is_reduced": bool(found.get("is_reduced")),
        "is_reshaped": bool(found.get("is_reshaped")),
        "window": found.get("window") if found.get("window") in WINDOWS else None,
    }
    return {"original": told, "original_reason": None}


def _sha256(path: Path) -> str | None:
    """First 12 hexadecimal digits; None if there is no such file."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]
