"""The rooms and the directions of imports, as docs/architecture.md draws them."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "scanlens"
NOUNS = {"types", "errors", "paths", "seeds", "files", "help_texts", "run_schema", "cluster"}
ALLOWED: dict[str, set[str]] = {
    **{noun: NOUNS for noun in NOUNS},
    **{room: NOUNS | {room} for room in ("data", "models", "losses", "evaluation", "explain", "report", "config")},
    "tasks": NOUNS | {"tasks", "losses", "evaluation"},
    "callbacks": NOUNS | {"callbacks", "evaluation", "explain", "report"},
}
ASSEMBLY = {"pipeline", "runs", "provenance", "cli", "jobs", "commands", "worker", "agent", "__init__"}
HYDRA_ROOMS = {"config", "cli", "jobs"}
ENTRY = {"cli", "jobs", "commands", "worker", "agent"}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported_modules(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add(node.module or "")
            if node.module == "scanlens":
                found |= {f"scanlens.{alias.name}" for alias in node.names}
    return found


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_imports_only_what_the_table_allows(path: Path) -> None:
    room = room_of(path)
    modules = imported_modules(path)
    ours = {m.split(".")[1] for m in modules if m.startswith("scanlens.")}
    if room in ALLOWED:
        assert ours <= ALLOWED[room], f"{room} must not import {sorted(ours - ALLOWED[room])}"
    else:
        assert room in ASSEMBLY, f"{path} lies in no room of docs/architecture.md"
        assert room in ENTRY or not ours & ENTRY


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_third_party_packages_stay_where_they_belong(path: Path) -> None:
    room = room_of(path)
    roots = {m.split(".")[0] for m in imported_modules(path)}
    assert "lightning" not in roots, "import pytorch_lightning, never lightning: isinstance lies between the two"
    if room not in HYDRA_ROOMS:
        assert not roots & {"hydra", "omegaconf"}, "only config, cli, jobs and conf/ know Hydra"
    if room in {"report", "config"} | (NOUNS - {"files"}):
        assert not roots & {"torch", "torchvision", "pytorch_lightning", "monai"}
    if path.parent != PACKAGE / "report" / "dicom":
        assert "highdicom" not in roots, "an optional package that only report/dicom knows"
    if room == "evaluation":
        assert "pytorch_lightning" not in roots
    if room in NOUNS:
        assert not roots & {"numpy", "yaml", "PIL"} or path.name == "types.py"


def test_the_architecture_page_names_every_room() -> None:
    text = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    rooms = {room_of(p) for p in FILES} - {"__init__"}
    assert not [room for room in rooms if f"`{room}`" not in text]


def test_no_file_of_the_package_is_called_utils() -> None:
    assert not [p for p in FILES if "util" in p.stem or "helper" in p.stem]
