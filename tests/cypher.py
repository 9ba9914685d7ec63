"""Finds statements that are put together from values instead of being constants.

A statement is whatever is the first argument of `run`, `read`, `define` or `Query`, or is passed for a parameter named
`statement` or `query`. It is followed back through local variables, loops, conditions and parameters to where it is
written down. That place must be a constant of a module: a literal, or literals and other constants joined when the
module is imported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

SINKS = frozenset({"run", "read", "define", "Query"})
PARAMETERS = frozenset({"statement", "query"})
DECLARED = frozenset({"statements", "pages"})
"""Attributes that hold constants by declaration: the statements of a migration's step, themselves constants."""

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


@dataclass
class Scope:
    """What names stand for within one function, and around it. A name may be bound several times."""

    bindings: dict[str, list[ast.expr | None]] = field(default_factory=dict)
    outer: Scope | None = None

    def find(self, name: str) -> list[ast.expr | None] | None:
        """Every expression that a name is bound to; None stands for what can't be followed."""
        if name in self.bindings:
            return self.bindings[name]
        return self.outer.find(name) if self.outer else None


def find_built_statements(source: str) -> list[int]:
    """The lines on which a statement that is not a constant reaches the store, in order."""
    tree = ast.parse(source)
    module = {name.id: value for statement in tree.body for name, value in _assignments(statement)}
    imported = {alias.asname or alias.name for node in ast.walk(tree) if _is_import(node) for alias in node.names}
    checker = _Checker(module, imported, _positions(tree))
    checker.check_body(tree, None)
    return sorted(set(checker.lines))


def find_written_statements(source: str) -> list[int]:
    """The lines on which a statement is written down in a call that sends it to the store, in order."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    return sorted(call.lineno for call in calls if _name_of(call.func) in SINKS and any(map(_is_text, call.args[:1])))


def _is_text(value: ast.expr) -> bool:
    return isinstance(value, ast.JoinedStr) or (isinstance(value, ast.Constant) and isinstance(value.value, str))


class _Checker:
    def __init__(self, module: dict[str, ast.expr], imported: set[str], positions: dict[str, int]) -> None:
        self._module = module
        self._imported = imported
        self._positions = positions
        self.lines: list[int] = []

    def check_body(self, node: ast.AST, scope: Scope | None) -> None:
        """Looks at every call in a function's body, and at the functions within it in scopes of their own."""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                self.check_body(child, _open_scope(child, scope))
                continue
            if isinstance(child, ast.Call):
                self._check_call(child, scope)
            self.check_body(child, scope)

    def _check_call(self, call: ast.Call, scope: Scope | None) -> None:
        name = _name_of(call.func)
        position = 0 if name in SINKS else self._positions.get(name)
        if position is None:
            return
        given = [word.value for word in call.keywords if word.arg in PARAMETERS] + call.args[position : position + 1]
        self.lines += [call.lineno for value in given if not self._is_constant(value, scope, frozenset())]

    def _is_constant(self, value: ast.expr, scope: Scope | None, seen: frozenset[str]) -> bool:
        match value:
            case ast.Constant(value=str()):
                return True
            case ast.IfExp(body=body, orelse=orelse):
                return self._is_constant(body, scope, seen) and self._is_constant(orelse, scope, seen)
            case ast.Subscript(value=inner):
                return self._is_constant(inner, scope, seen)
            case ast.Call(func=ast.Name(id="Query"), args=[inner, *_]):
                return self._is_constant(inner, scope, seen)
            case ast.Attribute(attr=attribute):
                return attribute in DECLARED
            case ast.Name(id=name):
                return name in seen or self._is_constant_name(name, scope, seen | {name})
        return False

    def _is_constant_name(self, name: str, scope: Scope | None, seen: frozenset[str]) -> bool:
        bound = scope.find(name) if scope else None
        if bound is not None:
            return all(value is not None and self._is_constant(value, scope, seen) for value in bound)
        if name in self._module:
            return all(self._is_known(part) for part in ast.walk(self._module[name]))
        return name in self._imported and name.isupper()

    def _is_known(self, part: ast.AST) -> bool:
        """Whether a part of a module's constant is fixed at import: literals, other names of the module, `join`."""
        if isinstance(part, ast.Call):
            return isinstance(part.func, ast.Attribute) and isinstance(part.func.value, ast.Constant)
        return True


def _open_scope(function: Function, outer: Scope | None) -> Scope:
    arguments = function.args
    scope = Scope(outer=outer)
    for argument in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]:
        scope.bindings[argument.arg] = [ast.Constant("")] if argument.arg in PARAMETERS else [None]
    for node in _own_nodes(function):
        for name, value in _assignments(node):
            scope.bindings.setdefault(name.id, []).append(value)
        if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
            for name, values in _loop_targets(node.target, node.iter):
                scope.bindings.setdefault(name, []).extend(values)
    return scope


def _own_nodes(function: Function) -> Iterator[ast.AST]:
    """All nodes of a function but those of the functions within it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, Function):
            waiting.extend(ast.iter_child_nodes(node))


def _assignments(node: ast.AST) -> Iterator[tuple[ast.Name, ast.expr]]:
    if isinstance(node, ast.Assign):
        yield from ((target, node.value) for target in node.targets if isinstance(target, ast.Name))
    elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and isinstance(node.target, ast.Name) and node.value:
        yield node.target, node.value
    elif isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        yield node.target, ast.BinOp(node.target, node.op, node.value)


def _loop_targets(target: ast.expr, values: ast.expr) -> Iterator[tuple[str, list[ast.expr | None]]]:
    """What each variable of a loop is bound to, where the loop runs over a literal; else what it runs over."""
    if isinstance(target, ast.Name):
        yield target.id, list(values.elts) if isinstance(values, ast.Tuple | ast.List) else [values]
    elif isinstance(target, ast.Tuple):
        rows = values.elts if isinstance(values, ast.Tuple | ast.List) else []
        for place, name in enumerate(target.elts):
            if isinstance(name, ast.Name):
                yield name.id, [row.elts[place] if isinstance(row, ast.Tuple) else None for row in rows] or [None]


def _positions(tree: ast.Module) -> dict[str, int]:
    """Where each function of the module takes a statement, not counting `self`."""
    found: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names = [argument.arg for argument in node.args.args if argument.arg not in {"self", "cls"}]
            for name in PARAMETERS.intersection(names):
                found[node.name] = names.index(name)
    return found


def _is_import(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom | ast.Import)


def _name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
