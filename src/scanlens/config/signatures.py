"""What the class behind a `_target_` takes, read from its source file: a typo is found before torch is imported."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from scanlens.config.kinds import Built, Kind, Lookup, kind_of
from scanlens.errors import did_you_mean

OWN_PACKAGE = "scanlens"
MAX_HOPS = 12  # re-exports and base classes followed


class NoSignature(LookupError):
    """The target leads to no class or function; the message says why, and what there is instead."""


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a constructor."""

    name: str
    kind: Kind
    is_required: bool


@dataclass(frozen=True, slots=True)
class Signature:
    """What a constructor takes.

    Args:
        target: full name of the class or function, where it is defined.
        arguments: by name, in their order, without `self`.
        takes_anything: whether there is a `**kwargs`, so that an unknown key cannot be told from a known one.
        is_class: whether it is a class.
    """

    target: str
    arguments: Mapping[str, Argument]
    takes_anything: bool = False
    is_class: bool = True


@lru_cache(maxsize=256)
def signature_of(target: str) -> Signature:
    """The signature of the class or function that a dotted name leads to, following re-exports.

    Raises:
        NoSignature: if there is no such module, or neither a class nor a function of that name in it.
    """
    module, name = _find(target)
    if name in module.classes:
        return _signature(module, module.classes[name], hops=0)
    args = module.functions[name].args
    return Signature(f"{module.name}.{name}", _arguments(args, module, skip=0), args.kwarg is not None, is_class=False)


@dataclass(frozen=True)
class _Module:
    """A source file: what it defines, and where its imports come from."""

    name: str
    classes: dict[str, ast.ClassDef] = field(default_factory=dict)
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)  # local name -> full dotted name
    functions: dict[str, ast.FunctionDef] = field(default_factory=dict)


def _find(target: str) -> tuple[_Module, str]:
    for _ in range(MAX_HOPS):
        parent, _, name = target.rpartition(".")
        module = _module(parent)
        if name in module.classes or name in module.functions:
            return module, name
        if name not in module.imports:
            public = [one for one in (*module.classes, *module.functions) if not one.startswith("_")]
            raise NoSignature(f"there is no class '{name}' in {parent}. {did_you_mean(name, public)}".strip())
        target = module.imports[name]
    raise NoSignature(f"'{target}' is re-exported in a circle")


@lru_cache(maxsize=256)
def _module(name: str) -> _Module:
    file = _source_file(name)
    is_package = file.name == "__init__.py"
    module = _Module(name)
    for node in _top_level(ast.parse(file.read_bytes())):
        _note(module, node, package=name if is_package else name.rpartition(".")[0])
    return module


def _source_file(name: str) -> Path:
    """The file of a module, found on disk; only the outermost package is looked up by Python, which runs no code."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top) if top.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise NoSignature(f"there is no package '{top}' here")
    folder = Path(next(iter(spec.submodule_search_locations)))
    for part in rest[:-1]:
        if (folder / f"{part}.py").is_file():
            raise NoSignature(
                f"'{part}' in {folder.name} is a module, and nothing that it imports may be named through it"
            )
        if not (folder / part).is_dir():
            raise NoSignature(f"there is no '{part}' in {folder.name}. {did_you_mean(part, _modules_in(folder))}")
        folder /= part
    if not rest:
        return folder / "__init__.py"
    for file in (folder / rest[-1] / "__init__.py", folder / f"{rest[-1]}.py"):
        if file.is_file():
            return file
    where = ".".join([top, *rest[:-1]])
    raise NoSignature(f"there is no module '{rest[-1]}' in {where}. {did_you_mean(rest[-1], _modules_in(folder))}")


def _modules_in(folder: Path) -> list[str]:
    found = [path.stem for path in folder.iterdir() if path.is_dir() or path.suffix == ".py"]
    return [name for name in found if name.isidentifier() and not name.startswith("_")]


def _top_level(tree: ast.AST) -> list[ast.stmt]:
    """Statements of a module, with those inside `if TYPE_CHECKING:` and `try:`."""
    found: list[ast.stmt] = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, (ast.If, ast.Try)):
            found += _top_level(node)
        elif isinstance(node, ast.stmt):
            found.append(node)
    return found


def _note(module: _Module, node: ast.stmt, *, package: str) -> None:
    if isinstance(node, ast.ClassDef):
        module.classes[node.name] = node
    elif isinstance(node, ast.FunctionDef):
        module.functions[node.name] = node
    elif isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
        module.aliases[node.targets[0].id] = node.value
    elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
        module.aliases[node.target.id] = node.value
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")
        base = ".".join(parents[: len(parents) - node.level + 1]) if node.level else ""
        source = ".".join(part for part in (base, node.module or "") if part)
        module.imports.update({alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names})


def _signature(module: _Module, node: ast.ClassDef, *, hops: int) -> Signature:
    target = f"{module.name}.{node.name}"
    constructor = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if constructor is not None:
        return Signature(target, _arguments(constructor.args, module, skip=1), constructor.args.kwarg is not None)
    inherited: dict[str, Argument] = {}
    takes_anything = False
    for base in reversed(node.bases):
        found = _base_signature(module, base, hops)
        inherited |= found.arguments
        takes_anything |= found.takes_anything
    fields = _fields(node, module) if _is_dataclass(node) else {}
    return Signature(target, inherited | fields, takes_anything)


def _base_signature(module: _Module, base: ast.expr, hops: int) -> Signature:
    name = ast.unparse(base)
    if hops >= MAX_HOPS:
        return Signature(name, {})
    try:
        if name in module.classes:
            return _signature(module, module.classes[name], hops=hops + 1)
        owner, found = _find(module.imports[name])
        return _signature(owner, owner.classes[found], hops=hops + 1)
    except LookupError:  # object, Generic, ABC: classes that take nothing
        return Signature(name, {})


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(one) for one in node.decorator_list)


def _fields(node: ast.ClassDef, module: _Module) -> dict[str, Argument]:
    found: dict[str, Argument] = {}
    for one in node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            text = ast.unparse(one.annotation)
            if "ClassVar" in text or _field_option(one.value, "init") is False:
                continue
            name = one.target.id
            found[name] = Argument(name, kind_of(one.annotation, _lookup_in(module)), not _has_default(one.value))
    return found


def _has_default(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] == "field":
        return any(one.arg in ("default", "default_factory") for one in value.keywords)
    return value is not None


def _field_option(value: ast.expr | None, name: str) -> object:
    if not isinstance(value, ast.Call):
        return None
    found = (one.value for one in value.keywords if one.arg == name)
    return next((one.value for one in found if isinstance(one, ast.Constant)), None)


def _arguments(args: ast.arguments, module: _Module, *, skip: int) -> dict[str, Argument]:
    lookup = _lookup_in(module)
    positional = [*args.posonlyargs, *args.args]
    num_required = len(positional) - len(args.defaults)
    found = {
        one.arg: Argument(one.arg, kind_of(one.annotation, lookup), place < num_required)
        for place, one in enumerate(positional)
        if place >= skip  # self
    }
    for one, default in zip(args.kwonlyargs, args.kw_defaults, strict=True):
        found[one.arg] = Argument(one.arg, kind_of(one.annotation, lookup), default is None)
    return found


def _lookup_in(module: _Module, *, hops: int = 0) -> Lookup:
    """What a name in an annotation of this module stands for; a class is something that only a node can build."""

    def lookup(name: str) -> ast.expr | Kind:
        if name in module.classes:
            return Built(name)
        if name in module.aliases:
            return module.aliases[name]
        origin = module.imports.get(name, "")
        if origin.startswith(f"{OWN_PACKAGE}.") and hops < MAX_HOPS:
            owner = _module(origin.rpartition(".")[0])
            found = _lookup_in(owner, hops=hops + 1)(origin.rpartition(".")[2])
            return found if isinstance(found, Kind) else kind_of(found, _lookup_in(owner, hops=hops + 1))
        # Own classes take plain data or objects; of other packages' annotations we know too little to refuse a value.
        return Built(name) if module.name.startswith(f"{OWN_PACKAGE}.") else Kind()

    return lookup
