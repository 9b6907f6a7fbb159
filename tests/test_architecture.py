"""Levels, imports, folder sizes and other rules of docs/architecture.md."""

import ast
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "maniplvm"
LEVELS = {
    "errors": 0,
    "files": 0,
    "process": 0,
    "text": 0,
    "console": 0,
    "optional": 0,
    "config": 0,
    "metric_names": 0,
    "geometry": 0,
    "cluster": 1,
    "tasks": 1,
    "rewards": 2,
    "data": 2,
    "simulation": 3,
    "models": 3,
    "embedded": 4,
    "training": 4,
    "evaluation": 4,
    "experiments": 5,
    "engines": 5,
    "serving": 5,
    "cli": 6,
}
MAY_IMPORT = {
    "rewards": {"errors", "config", "geometry", "tasks"},
    "data": {"errors", "files", "optional", "text", "config", "geometry", "tasks"},
    "models": {"errors", "files", "optional", "text", "config", "geometry", "tasks", "data"},
    "embedded": {"errors", "files", "optional", "geometry", "tasks", "data", "models"},
    "engines": {"errors", "geometry", "tasks", "rewards", "data"},
    "engines/lmms_eval": {"errors", "files", "geometry", "tasks", "rewards", "data", "evaluation"},
    **{
        f"engines/{name}": {
            *("errors", "files", "optional", "geometry", "tasks", "rewards", "data"),
            *("models", "training"),
        }
        for name in ("recipes", "verl", "ms_swift", "easyr1")
    },
}
HEAVY = {"torch", "transformers", "trl", "datasets", "pyarrow", "mujoco", "metaworld", "matplotlib"}
LIGHT_FOLDERS = ("geometry", "tasks", "rewards")
OUTSIDE_OF_GEOMETRY = {"numpy"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module


def folder_of(name):
    parts = name.split(".")
    return parts[1] if parts[0] == "maniplvm" and len(parts) > 1 else None


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_lower_levels(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    own, folder = parts[0], "/".join(parts[:2])
    if own in ("__init__", "__main__"):
        return
    assert own in LEVELS, f"{own} has no level in docs/architecture.md"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for name in imported(tree):
        other = folder_of(name)
        if other is None or other == own:
            continue
        assert LEVELS[other] < LEVELS[own] or other in ("errors", "text"), (
            f"{own} must not import {name}"
        )
        allowed = MAY_IMPORT.get(folder, MAY_IMPORT.get(own))
        if allowed is not None:
            assert other in allowed, f"{own} must not import {name}"


def module_name(path):
    parts = ("maniplvm", *path.relative_to(PACKAGE).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def import_graph():
    """The modules that each module imports, at its top or inside a function."""
    names = {module_name(path) for path in MODULES}
    graph = {name: set() for name in names}
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found = {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                members = {f"{node.module}.{alias.name}" for alias in node.names}
                found = {name if name in names else node.module for name in members}
            else:
                continue
            graph[module_name(path)] |= (found & names) - {module_name(path)}
    return graph


def reachable(graph, start):
    seen, waiting = set(), [start]
    while waiting:
        new = graph[waiting.pop()] - seen
        seen |= new
        waiting.extend(new)
    return seen


def test_no_modules_import_each_other_in_a_cycle():
    graph = import_graph()
    assert "maniplvm.training.loop.trainers" in graph["maniplvm.training.loop.run"]
    reached = {name: reachable(graph, name) for name in graph}
    cycles = {
        tuple(sorted(other for other in reached[name] if name in reached[other]))
        for name in graph
        if name in reached[name]
    }
    assert cycles == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_needs_no_heavy_package(path):
    own = path.relative_to(PACKAGE).parts[0]
    roots = {name.split(".")[0] for name in imported(ast.parse(path.read_text(encoding="utf-8")))}
    if own in LIGHT_FOLDERS:
        lazily = {"matplotlib"} if path.parent.name == "cli" else set()
        assert not roots & (HEAVY - lazily)
    if own == "geometry":
        import sys

        assert roots <= {"numpy", "maniplvm", *sys.stdlib_module_names}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_executes_text_or_ignores_errors(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in ("eval", "exec"), f"line {node.lineno} executes text"
        if isinstance(node, ast.ExceptHandler):
            assert node.type is not None, f"line {node.lineno} catches everything"
            silent = len(node.body) == 1 and isinstance(node.body[0], ast.Pass)
            assert not silent, f"line {node.lineno} ignores an error"


def test_no_module_has_a_generic_name():
    assert not {path.stem for path in MODULES} & {"utils", "helpers", "common", "misc"}


MANY_MODULES = {"cli", "data/readers"}
"""Folders with one module a command, or one a format."""


def test_no_folder_has_more_than_16_modules():
    counts = {}
    for path in MODULES:
        if path.stem not in ("__init__", "__main__"):
            name = path.parent.relative_to(PACKAGE).as_posix()
            counts[name] = counts.get(name, 0) + 1
    assert {name: n for name, n in counts.items() if n > 16 and name not in MANY_MODULES} == {}
    training = [path for path in (PACKAGE / "training").iterdir() if path.name != "__pycache__"]
    assert len(training) <= 8


def test_every_level_is_in_the_table_of_the_architecture_page():
    page = (PACKAGE.parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    for name in LEVELS.keys() - {"serving"}:
        assert f"`{name}/`" in page or f"`{name}`" in page, name


MIGRATION = "data/schema.py"
CORE = [path for path in MODULES if LEVELS.get(path.relative_to(PACKAGE).parts[0], 9) <= 2]


def reads_a_key(node):
    """Whether a node looks up a key of something called provenance."""
    if isinstance(node, ast.Subscript):
        owner = node.value
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        owner = node.func.value if node.func.attr in ("get", "pop", "setdefault") else None
    elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
        owner = node.comparators[0]
    else:
        return False
    name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
    return name == "provenance"


@pytest.mark.parametrize("path", CORE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_the_core_looks_up_no_key_of_a_provenance(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    lines = [node.lineno for node in ast.walk(tree) if reads_a_key(node)]
    if path.relative_to(PACKAGE).as_posix() == MIGRATION:
        migration = next(n for n in ast.walk(tree) if getattr(n, "name", "") == "_migrated")
        lines = [n for n in lines if not migration.lineno <= n <= migration.end_lineno]
    assert not lines
