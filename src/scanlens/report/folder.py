"""What a run left behind, read once and checked: the only place of the report that opens files of the run folder.

`config.yaml`, `provenance.json` and `evaluation.json` are required; whatever else is missing is None or empty and
appears on the page as "not assessed". A file that is there but cannot be understood is an error that says what to
do, never half a page.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from scanlens.errors import RunError
from scanlens.files import from_cell
from scanlens.run_schema import up_to_date

MAX_FILE_MIB = 256
SCHEMA_VERSION = 1
AUDIT_VERSION = 1
FOLDS_VERSION = 1
ROBUSTNESS_VERSION = 1
SELFTEST_VERSION = 1
SWEEP_VERSION = 1
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The contents of a run folder.

    Args:
        path: of the folder.
        config: the frozen configuration, without its facts.
        facts: what the data decided.
        provenance: versions, hardware, durations.
        evaluation: the metrics.
        epochs: rows of metrics.csv; cells are text and may be empty.
        predictions: rows of predictions/test.csv.
        explanations: contents of explanations/cases.json, or None.
        quarantine: rows of quarantine.csv.
        audit: contents of audit.json, or None.
        robustness: contents of robustness.json, or None.
        mistakes: contents of missed/cases.json, or None.
        split_rows: rows of split.csv.
        meta_rows: rows of meta.csv.
    """

    path: Path
    config: dict[str, Any]
    facts: dict[str, Any]
    provenance: dict[str, Any]
    evaluation: dict[str, Any]
    epochs: list[Row]
    predictions: list[Row]
    explanations: dict[str, Any] | None
    quarantine: list[Row]
    audit: dict[str, Any] | None = None
    robustness: dict[str, Any] | None = None
    mistakes: dict[str, Any] | None = None
    split_rows: list[Row] = field(default_factory=list)
    meta_rows: list[Row] = field(default_factory=list)

    @property
    def is_classification(self) -> bool:
        """Whether the run tells classes apart, as opposed to rebuilding pictures."""
        return self.evaluation.get("task", self.facts.get("task")) != "reconstruction"

    @property
    def class_names(self) -> list[str]:
        """Names of the classes in their written order."""
        return [str(name) for name in self.evaluation.get("class_names") or self.facts.get("class_names") or []]

    def split(self, name: str) -> dict[str, Any]:
        """The evaluation of one split; empty if it was not evaluated."""
        return mapping(mapping(self.evaluation.get("splits")).get(name))


def read_run(run_dir: Path) -> RunFolder:
    """Read the run folder at `run_dir`.

    Raises:
        RunError: if the folder, or a file that the report needs, is missing or cannot be understood.
    """
    if not run_dir.is_dir():
        raise RunError(
            f"no run folder at {run_dir}. Give the folder that a training printed, such as outputs/<RUN_ID>."
        )
    config = up_to_date(_yaml(run_dir / "config.yaml"), run_dir / "config.yaml")
    facts = mapping(config.pop("facts", None))
    evaluation = _required_json(run_dir / "evaluation.json")
    version = evaluation.get("schema_version", SCHEMA_VERSION)
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{run_dir / 'evaluation.json'}: expected schema_version {SCHEMA_VERSION}, got {version!r}. "
            "Write the report with the version of scanlens that made the run, or evaluate the run again."
        )
    cases = run_dir / "explanations" / "cases.json"
    mistakes = run_dir / "missed" / "cases.json"
    return RunFolder(
        path=run_dir,
        config=config,
        facts=facts,
        provenance=_required_json(run_dir / "provenance.json"),
        evaluation=evaluation,
        epochs=_csv(run_dir / "metrics.csv"),
        predictions=_csv(run_dir / "predictions" / "test.csv"),
        explanations=_required_json(cases) if cases.is_file() else None,
        quarantine=_csv(run_dir / "quarantine.csv"),
        audit=read_audit(run_dir),
        robustness=_robustness(run_dir),
        mistakes=_required_json(mistakes) if mistakes.is_file() else None,
        split_rows=_csv(run_dir / "split.csv"),
        meta_rows=_csv(run_dir / "meta.csv"),
    )


def read_audit(run_dir: Path) -> dict[str, Any] | None:
    """The contents of audit.json; None if the data were not audited.

    Raises:
        RunError: if it cannot be understood.
    """
    path = run_dir / "audit.json"
    return _versioned(path, AUDIT_VERSION, remedy="Audit the data again with this version.") if path.is_file() else None


def _robustness(run_dir: Path) -> dict[str, Any] | None:
    path, remedy = run_dir / "robustness.json", "Judge the robustness again with this version."
    return _versioned(path, ROBUSTNESS_VERSION, remedy=remedy) if path.is_file() else None


@contextmanager
def understood(path: Path) -> Iterator[None]:
    """What is read from a file whose values are of other types or missing is an error that names the file.

    Raises:
        RunError: in place of what such values cause.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise RunError(
            f"{path} is not what an audit writes ({type(error).__name__}: {error}). Restore it, or audit the data again."
        ) from error


def read_folds_file(folder: Path) -> dict[str, Any]:
    """The contents of folds.json.

    Raises:
        RunError: if it is missing or cannot be understood.
    """
    return _versioned(folder / "folds.json", FOLDS_VERSION, remedy="Gather the folds again with this version.")


def read_selftest_file(folder: Path) -> dict[str, Any]:
    """The contents of selftest.json.

    Raises:
        RunError: if it is missing or cannot be understood.
    """
    return _versioned(folder / "selftest.json", SELFTEST_VERSION, remedy="Run scanlens selftest again.")


def read_sweep_file(folder: Path) -> dict[str, Any]:
    """The contents of sweep.json.

    Raises:
        RunError: if it is missing or cannot be understood.
    """
    return _versioned(folder / "sweep.json", SWEEP_VERSION, remedy="Gather the sweep again: scanlens sweep run=...")


def optional_versioned(path: Path, expected: int, *, remedy: str) -> dict[str, Any]:
    """The contents of a file with a version; empty if there is none.

    Raises:
        RunError: if it cannot be understood, or is of another version.
    """
    return _versioned(path, expected, remedy=remedy) if path.is_file() else {}


def _versioned(path: Path, expected: int, *, remedy: str) -> dict[str, Any]:
    content = _required_json(path)
    version = content.get("schema_version")
    if version != expected:
        raise RunError(f"{path}: expected schema_version {expected}, got {version!r}. {remedy}")
    return content


def method_title(run: RunFolder, name: str) -> str:
    """What an explanation method is called in print, such as "HiResCAM" for hires_cam; its name if the run does not say."""
    methods = (mapping(one) for one in sequence(mapping(run.explanations).get("methods")))
    return next((str(one["title"]) for one in methods if one.get("name") == name and one.get("title")), name)


def mapping(value: object) -> dict[str, Any]:
    """`value` if it is a mapping, else an empty one: what is missing has no entries."""
    return value if isinstance(value, dict) else {}


def sequence(value: object) -> list[Any]:
    """`value` if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def finite(value: object) -> float | None:
    """A number from JSON or a CSV cell; None if it is missing, empty, text, NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _text(path: Path) -> str:
    if not path.is_file():
        raise RunError(
            f"{path.name} is missing in {path.parent}: the run is unfinished or this is not a run folder. "
            "Let the training finish (the same command resumes it), then write the report again."
        )
    size = path.stat().st_size
    if size > MAX_FILE_MIB * 2**20:
        raise RunError(
            f"{path} has {size / 2**20:.0f} MiB, expected at most {MAX_FILE_MIB}. It is not what a run writes; remove it."
        )
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise RunError(f"{path} is not UTF-8 text ({error.reason}). {_REMEDY}") from error


_REMEDY = "The file is damaged: restore it from a copy, or run the training command again to write it anew."


def _yaml(path: Path) -> dict[str, Any]:
    try:
        value = yaml.safe_load(_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise RunError(f"{path} cannot be read as YAML: {' '.join(str(error).split())}. {_REMEDY}") from error
    return _as_mapping(value, path)


def _required_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise RunError(f"{path} cannot be read as JSON: {error}. {_REMEDY}") from error
    return _as_mapping(value, path)


def _as_mapping(value: object, path: Path) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise RunError(f"{path}: expected a mapping of names to values, got {type(value).__name__}. {_REMEDY}")
    return value


def _csv(path: Path) -> list[Row]:
    if not path.is_file():
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(_text(path), newline="")))
    except csv.Error as error:
        raise RunError(f"{path} cannot be read as CSV: {error}. {_REMEDY}") from error
    return [
        {from_cell(name): from_cell(str(cell or "")) for name, cell in row.items() if name is not None} for row in rows
    ]
