"""Every file is written whole or not at all: no line of the package writes one directly."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "scanlens"
# Where a file is written otherwise, and why that is whole too.
ELSEWHERE = {
    "files.py": "the one place that writes",
    "data/cache.py": "into a folder of a temporary name, which is renamed when it is whole",
    "data/cache_upkeep.py": "opened for a lock; nothing is written",
    "data/pseudonyms.py": "into a temporary file, which is linked into place, so that the first of two keys counts",
    "pipeline/inference_cost.py": "/proc/self/clear_refs is no file",
}
TO_MEMORY = {"buffer", "lines"}  # what is written into memory goes on through scanlens.files
METHODS = {"write_text", "write_bytes", "to_csv", "tofile", "save_file", "savefig", "save_as", "to_filename", "touch"}
ARRAYS = {"save", "savez", "savez_compressed", "savetxt"}
COPIES = {"copy", "copy2", "copyfile", "copytree", "move"}
TOUCHED = {"cluster/following.py"}  # a sign of life, whose content is written by write_text


def opens_to_write(call: ast.Call, name: str) -> bool:
    place = 1 if isinstance(call.func, ast.Name) or ast.unparse(call.func) in ("os.fdopen", "gzip.open") else 0
    given = [one.value for one in call.keywords if one.arg == "mode"] + call.args[place : place + 1]
    modes = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    return name in ("open", "fdopen") and any(set(mode) & set("wax+") and set(mode) <= set("rwaxbt+") for mode in modes)


def direct_writes(source: str, relative: str) -> list[str]:
    found = []
    for call in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)):
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        owner = ast.unparse(call.func.value) if isinstance(call.func, ast.Attribute) else ""
        is_write = (
            opens_to_write(call, name)
            or (name in METHODS and owner not in ("files", "") and not (name == "touch" and relative in TOUCHED))
            or (name in ARRAYS and owner in ("np", "numpy", "torch"))
            or (name in COPIES and owner == "shutil")
            or (name == "save" and owner not in ("np", "numpy", "torch", ""))
        )
        if is_write and not TO_MEMORY & {ast.unparse(one) for one in call.args}:
            found.append(f"{relative}:{call.lineno}: {ast.unparse(call)[:80]}")
    return found


@pytest.mark.parametrize(
    "line",
    [
        "open(path, 'w')", "path.open('ab')", "path.open(mode='w')", "path.write_text('x')", "np.savez(path, a=a)",
        "torch.save(state, path)", "figure.savefig(path)", "shutil.copy(a, b)", "image.save(path)", "data.save_as(path)",
        "os.fdopen(descriptor, 'wb')", "gzip.open(path, 'wb')", "path.open('r+b')",
    ],
)  # fmt: skip
def test_a_direct_write_is_found(line: str) -> None:
    assert direct_writes(line, "x.py")


@pytest.mark.parametrize(
    "line", ["open(path)", "path.open('rb')", "write_text(path, 'x')", "np.savez_compressed(buffer, a=a)"]
)
def test_reading_and_whole_writes_are_not(line: str) -> None:
    assert direct_writes(line, "x.py") == []


def test_nothing_writes_a_file_but_through_files() -> None:
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        relative = path.relative_to(PACKAGE).as_posix()
        if relative not in ELSEWHERE:
            found += direct_writes(path.read_text(encoding="utf-8"), relative)
    assert found == []
