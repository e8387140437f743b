"""Budgets of the code base: rooms and layers, lengths of files and functions, nesting, names, docstrings."""

from __future__ import annotations

import ast
import re
import statistics
import tomllib
from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest
from rich.console import Console

from nas.objectives.costs import built_in_costs

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for room in ("nas", "search_space") for path in (ROOT / room).rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION, DEEPEST = 400, 60, 3
NESTING = (ast.For, ast.While, ast.If, ast.Try, ast.Match)
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|raise NotImplementedError|# type: ignore\s*$|# noqa\s*$")


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


def length(function: ast.FunctionDef) -> int:
    """Lines without the docstring."""
    first = function.body[0]
    has_docstring = ast.get_docstring(function) is not None
    docstring = (first.end_lineno or 0) - first.lineno + 1 if has_docstring else 0
    return (function.end_lineno or 0) - function.lineno + 1 - docstring


def depth(node: ast.AST) -> int:
    """Levels of control flow; `elif` is no level of its own."""
    deepest = 0
    for child in ast.iter_child_nodes(node):
        is_elif = isinstance(node, ast.If) and isinstance(child, ast.If) and child in node.orelse
        deepest = max(deepest, depth(child) + (isinstance(child, NESTING) and not is_elif))
    return deepest


def test_there_are_sources() -> None:
    assert len(SOURCES) > 50


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_and_functions_keep_their_budgets(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count("\n") <= LONGEST_FILE
    assert [line for line in text.splitlines() if UNFINISHED.search(line)] == []
    for function in functions(path):
        assert length(function) <= LONGEST_FUNCTION, f"{function.name} is {length(function)} lines long"
        assert depth(function) <= DEEPEST, f"{function.name} is nested {depth(function)} deep"


def test_medians_keep_their_budgets() -> None:
    assert statistics.median(len(path.read_text(encoding="utf-8").splitlines()) for path in SOURCES) <= 150
    assert statistics.median(length(f) for path in SOURCES for f in functions(path)) <= 10


OPENING = re.compile(r"(what|how|who|whom|whose|which|whether|where|when|why|if)\b", re.IGNORECASE)
DEFERRED, ROOMS, FLOORS = 13, 20, 8
OLD_MODULES = {
    *("adviser", "assembly", "book", "child", "chooser", "desk", "duration", "executing", "foresight", "gate"),
    *("handed_in", "handover", "holding", "improvement", "making", "many", "mirror", "own", "packed"),
    *("picks", "play", "promise", "reader", "records", "recovery", "rehearsal"),
    *("settings_tables", "settle", "shipment", "specs", "spread", "stopping", "stores", "strategy", "studied"),
    *("tenure", "trained", "trainings", "whole"),
}
"""Names of modules of before, when the rooms were not yet sorted."""
OLD_NAMES = {
    *("Adviser", "Book", "Desk", "ForeseeingStorage", "Mirror", "Promise", "Prophet", "Shipment", "Spread", "Tenure"),
    *("Tracer", "Troupe", "Tuning"),
}


def test_the_rooms_and_floors_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    entries = sorted(path.name for path in (ROOT / "nas").iterdir() if path.name != "__pycache__")
    loose = {name for name in entries if name.endswith(".py")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = next(c["layers"] for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    deferred = [line for path in SOURCES for line in path.read_text(encoding="utf-8").splitlines() if "PLC0415" in line]
    with capsys.disabled():
        Console().print(f"\n{len(entries)} entries in nas, {len(layers)} layers, {len(deferred)} deferred imports")
    assert len(entries) <= ROOMS
    assert loose == {"__init__.py", "__main__.py"}
    assert len(layers) <= FLOORS
    assert len(deferred) <= DEFERRED


def test_no_modules_import_one_another_in_a_cycle() -> None:
    graph = grimp.build_graph("nas", "search_space", exclude_type_checking_imports=True, cache_dir=None)
    left = {module: graph.find_modules_directly_imported_by(module) & graph.modules for module in graph.modules}
    while leaves := [module for module, imported in left.items() if not imported & left.keys()]:
        for module in leaves:
            del left[module]
    assert sorted(left) == [], "these import one another, or a module that does"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_docstrings_open_with_a_noun_or_a_verb(path: Path) -> None:
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    documented = (node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, kinds))
    opened = [(ast.get_docstring(node) or "").partition("\n")[0] for node in documented]
    assert [line for line in opened if OPENING.match(line)] == []


def test_old_names_are_gone() -> None:
    modules = {path.stem for path in SOURCES if path.is_relative_to(ROOT / "nas")}
    assert modules & OLD_MODULES == set()
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES]
    classes = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    assert classes & OLD_NAMES == set()


def test_the_name_of_a_cost_is_written_once() -> None:
    """`params` is also a word of Optuna and of torch's optimizers, so that it is looked for in displays alone."""
    names = set(built_in_costs().names)
    for path in SOURCES:
        own = path.parent.name == "costs"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            text = {child.value for child in ast.walk(node) if isinstance(child, ast.Constant)}
            if isinstance(node, ast.Tuple | ast.List | ast.Set | ast.Dict):
                assert len(names & text) < 2, f"{path}:{node.lineno}"
            if isinstance(node, ast.Constant) and not own:
                assert node.value not in names - {"params"}, f"{path}:{node.lineno}"
