"""What the sheet of a case is made from: files of the run folder, each read once; what is missing is an empty mapping."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from scanlens.report.folder import RunFolder, mapping, optional_versioned, sequence

VERSION = 1


@dataclass(frozen=True, slots=True)
class Sources:
    """Of one run.

    Args:
        run: its folder.
        calls: explanations/calls.json: what the choices of the run say of each case.
        context: explanations/context.json: what stands beside each case.
        limits: explanations/limits.json.
        shortcuts: explanations/shortcuts.json.
        by_case: what `context` says of each case.
    """

    run: RunFolder
    calls: dict[str, Any]
    context: dict[str, Any]
    limits: dict[str, Any]
    shortcuts: dict[str, Any]
    by_case: dict[str, dict[str, Any]]

    def call(self, case: str) -> dict[str, Any]:
        """What the choices of the run say of a case; empty if nothing."""
        return mapping(mapping(self.calls.get("cases")).get(case))

    def beside(self, case: str) -> dict[str, Any]:
        """What stands beside a case; empty if nothing."""
        return self.by_case.get(case, {})

    def about(self, part: str) -> dict[str, Any]:
        """What context.json says of a part of all cases; empty if nothing."""
        return mapping(self.context.get(part))

    def method(self, name: str) -> dict[str, Any]:
        """What cases.json says of a method; empty if it is not listed."""
        methods = sequence(mapping(self.run.explanations).get("methods"))
        return next((mapping(one) for one in methods if mapping(one).get("name") == name), {})


def read_sources(run: RunFolder) -> Sources:
    """Read what there is.

    Raises:
        RunError: if a file that is there cannot be understood.
    """
    parts = ("calls", "context", "limits", "shortcuts")
    calls, context, limits, shortcuts = (_part(run, name) for name in parts)
    listed = [mapping(one) for one in sequence(context.get("cases"))]
    return Sources(run, calls, context, limits, shortcuts, {str(one.get("case")): one for one in listed})


def _part(run: RunFolder, name: str) -> dict[str, Any]:
    path = run.path / "explanations" / f"{name}.json"
    return optional_versioned(path, VERSION, remedy="Explain the run again with this version.")
