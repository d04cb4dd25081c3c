"""`readers/*.json` of a run: what readers wrote in the box of a sheet, each file checked; bad ones are refused with a reason.

The files come from outside: they are bounded in number and size, links are not followed, and nothing in them is trusted but
what the published schema allows, for this network and its explained cases.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema

from scanlens.report.case_sheet import identity
from scanlens.report.cases import ordered_cases
from scanlens.report.folder import RunFolder, mapping

FOLDER = "readers"
SCHEMA = Path(__file__).parent / "case_sheet" / "schemas" / "reader.schema.json"
SCHEMA_VERSION = 1
MAX_FILES = 10_000
MAX_KIB = 64


@dataclass(frozen=True, slots=True)
class ReaderFiles:
    """What was found.

    Args:
        readings: contents of the files that can be used, by name of the file.
        refused: name of a file and why it is not used.
    """

    readings: dict[str, dict[str, Any]]
    refused: dict[str, str]


def read_reader_files(run: RunFolder) -> ReaderFiles:
    """The files of the folder `readers`; empty if there is none. No file, whatever is in it, raises."""
    folder = run.path / FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return ReaderFiles({}, {FOLDER: "the folder is a link"} if folder.is_symlink() else {})
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".json")
    readings: dict[str, dict[str, Any]] = {}
    refused = {path.name: f"more than {MAX_FILES} files" for path in found[MAX_FILES:]}
    taken: dict[tuple[str, str], str] = {}
    known = _Known.of(run)
    for path in found[:MAX_FILES]:
        content, fault = _content(path)
        fault = fault or known.fault(content)
        if fault is not None:
            refused[path.name] = fault
            continue
        key = (content["case"], str(content["reader"] or json.dumps(content, sort_keys=True)).casefold())
        if key in taken:
            refused[path.name] = f"the same reader has answered this case in {taken[key]}"
        else:
            readings[path.name], taken[key] = content, path.name
    return ReaderFiles(readings, refused)


@dataclass(frozen=True, slots=True)
class _Known:
    """What a file has to fit.

    Args:
        weights: hash of the network; None where the run has no weights.
        run: its name.
        cases: names of explained cases.
        class_names: of the network.
    """

    weights: str | None
    run: str
    cases: frozenset[str]
    class_names: tuple[str, ...]

    @classmethod
    def of(cls, run: RunFolder) -> _Known:
        about = identity.model(run)
        cases = frozenset(str(mapping(one).get("case")) for one in ordered_cases(run))
        return cls(about["weights_sha256"], str(about["run"]), cases, tuple(run.class_names))

    def fault(self, content: dict[str, Any]) -> str | None:
        """Why a file that follows the schema is not of this run; None if it is."""
        if self.weights is not None and content["weights_sha256"] != self.weights:
            return "it is of a network with other weights"
        if self.weights is None and content["run"] != self.run:
            return "it is of another run"
        if content["case"] not in self.cases:
            return "the run has no explained case of this name"
        if content["reading"] is not None and content["reading"] not in self.class_names:
            return "it names a class that the network does not know"
        return None


def _content(path: Path) -> tuple[dict[str, Any], str | None]:
    """What is in a file, or why it cannot be used."""
    try:
        if path.is_symlink() or not path.is_file():
            return {}, "it is a link or no file"
        if path.stat().st_size > 1024 * MAX_KIB:
            return {}, f"it is larger than {MAX_KIB} KiB"
        content = json.loads(path.read_bytes().decode("utf-8"), parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {}, "it is no JSON"
    except OSError as error:
        return {}, f"it cannot be read ({error.strerror})"
    fault = jsonschema.exceptions.best_match(_validator().iter_errors(content))
    if fault is not None:
        place = "/".join(str(one) for one in fault.absolute_path) or "the file"
        return {}, f"it does not follow {SCHEMA.name}: {place}: {fault.message[:100]}"
    return content, None


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


@cache
def _validator() -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))
