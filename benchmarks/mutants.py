"""Mutants of a module: its source with one small change each.

A change is another comparison, operator, constant or condition, a result that is None, a call of the opposite function
(`min` for `max`) or a call that is left out. Annotations, docstrings, messages of errors, decorators and keywords that
change no result are left alone.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
OPPOSITES = (("min", "max"), ("any", "all"), ("minimum", "maximum"), ("argmin", "argmax"), ("floor", "ceil"))
OPPOSITE = {one: other for pair in OPPOSITES for one, other in (pair, pair[::-1])}
IDLE_KEYWORDS = {"strict", "frozen", "slots", "eq", "maxsize", "check_finite", "overwrite_a", "overwrite_b"}
"""Keywords whose value changes no result, or is checked by what is called."""


@dataclass(frozen=True)
class Mutant:
    """One change of a module.

    Attributes:
        line: line of the change, from 1.
        place: name of the innermost function or class around it, empty for none.
        before: code line or lines of the change, in one line.
        after: the same, changed.
        source: text of the changed module.
    """

    line: int
    place: str
    before: str
    after: str
    source: str


def mutants_of(source: str) -> list[Mutant]:
    """Return the mutants of a module, each once, in order of the text."""
    lines = source.encode().splitlines(keepends=True)  # positions of nodes are in bytes
    found: dict[str, Mutant] = {}
    tree = ast.parse(source)
    places = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]  # inner ones last
    for node, text in _changes(tree):
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        part = b"".join(lines[first : last + 1])
        end = len(part) - len(lines[last]) + (node.end_col_offset or 0)
        changed = part[: node.col_offset] + text.encode() + part[end:]
        whole = b"".join([*lines[:first], changed, *lines[last + 1 :]]).decode()
        if ast.dump(ast.parse(whole)) != ast.dump(tree):
            before, after = (" ".join(piece.decode().split()) for piece in (part, changed))
            around = [place.name for place in places if place.lineno <= node.lineno <= (place.end_lineno or 0)]
            found.setdefault(whole, Mutant(node.lineno, (around or [""])[-1], before, after, whole))
    return sorted(found.values(), key=lambda mutant: mutant.line)


def _changes(tree: ast.Module) -> Iterator[tuple[ast.expr | ast.stmt, str]]:
    """Yield expressions and statements with what may stand in their place."""
    for node in _code(tree):
        for other in _others(node):
            text = ast.unparse(other)
            yield node, f"({text})" if isinstance(node, ast.expr) and not isinstance(node, ast.Constant) else text
        if isinstance(node, ast.If | ast.While | ast.IfExp) and isinstance(
            node.test, ast.Name | ast.Attribute | ast.Call
        ):
            yield node.test, f"(not {ast.unparse(node.test)})"


def _code(node: ast.AST) -> Iterator[ast.expr | ast.stmt]:
    """Yield the expressions and statements of a tree that are mutated."""
    for name, value in ast.iter_fields(node):
        if name in {"annotation", "returns", "decorator_list", "pattern", "bases", "type_params"}:
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(child, ast.JoinedStr | ast.Raise | ast.Assert):
                continue
            if isinstance(child, ast.keyword) and child.arg in IDLE_KEYWORDS:
                continue
            if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
                continue
            if isinstance(child, ast.expr | ast.stmt):
                yield child
            yield from _code(child)


def _others(node: ast.expr | ast.stmt) -> Iterator[ast.AST]:
    """Yield what may stand in the place of one node."""
    match node:
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(value=int(value) | float(value)):
            yield from (ast.Constant(value + 1), ast.Constant(value - 1))
        case ast.Call(func=ast.Name(id=name)) if name in OPPOSITE:
            yield ast.Call(ast.Name(OPPOSITE[name]), node.args, node.keywords)
        case ast.Call(func=ast.Attribute(attr=name)) if name in OPPOSITE:
            yield ast.Call(ast.Attribute(node.func.value, OPPOSITE[name]), node.args, node.keywords)
        case ast.expr():
            yield from _other_operators(node)
        case ast.stmt():
            yield from _other_statements(node)


def _other_operators(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.Compare(ops=[operator]):
            for kind in COMPARISONS[type(operator)]:
                yield ast.Compare(node.left, [kind()], node.comparators)
        case ast.BinOp(op=operator) if type(operator) in OPERATORS:
            yield ast.BinOp(node.left, OPERATORS[type(operator)](), node.right)
        case ast.BoolOp():
            yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
        case ast.UnaryOp():
            yield node.operand


def _other_statements(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.AugAssign(op=operator) if type(operator) in OPERATORS:
            yield ast.AugAssign(node.target, OPERATORS[type(operator)](), node.value)
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield ast.Return(ast.Constant(None))
        case ast.Expr(value=ast.Call()):
            yield ast.Pass()
        case ast.Continue():
            yield ast.Break()
        case ast.Break():
            yield ast.Continue()
