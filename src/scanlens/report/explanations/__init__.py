"""Sections of the page on what heat maps are worth, one module for each part of `scanlens explain`."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

from markupsafe import Markup

from scanlens.errors import RunError
from scanlens.report.folder import RunFolder, understood

SCHEMA_VERSION = 1
SECTIONS: tuple[str, ...] = ("score_card", "verdicts", "shortcuts", "limits", "registration")
"""Modules of this room in the order of the page; each has TITLE and `section(run, content)`."""


def explanation_sections(run: RunFolder) -> list[dict[str, Any]]:
    """Of each part that was measured: `name`, `title` and `body`."""
    found = []
    for name in SECTIONS:
        path = run.path / "explanations" / f"{name}.json"
        if path.is_file():
            module = importlib.import_module(f"{__name__}.{name}")
            with understood(path):
                body: Markup = module.section(run, _content(path))
            found.append({"name": name.replace("_", "-"), "title": module.TITLE, "body": body})
    return found


def _content(path: Path) -> dict[str, Any]:
    content = json.loads(path.read_text(encoding="utf-8"))
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise RunError(
            f"{path}: expected schema_version {SCHEMA_VERSION}, got {version!r}. Test the explanations again with this "
            f"version: scanlens explain run={path.parents[1]} parts={path.stem}"
        )
    return content
