"""What statements use of the graph's schema: labels, relationship types, and properties with who reads and writes them.

A statement is taken apart by the tokens of `graph/store/guard.py`. A property belongs to the labels or types of its
variable, wherever in the statement they are stated. What can't be attributed raises `Unattributed`, so that nothing is
passed over: name the label, or extend this reader.

Rules for what a statement leaves open:
- A relationship without a type that starts at a label of `untyped` is of all the types listed there.
- `properties(n)` and `n += …` use names that only Python knows: they are recorded as the name `WHOLE`.
- A definition (`CREATE CONSTRAINT`, `CREATE INDEX`) and `REMOVE` must use what is declared, but prove no use.
- What is read of a relationship of several listed types is a use of all of them together (`EITHER`).
- `SET n.x = n.x + 1` reads `n.x` only to write it: that is no read.
"""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from graph.store.guard import Token, tokenise

ROOT = Path(__file__).parent.parent
WHOLE = "*"
"""Stands for all properties at once."""

EITHER = "|"
"""Stands between the types of a relationship that may have any of them: one of these declares what is read."""

STARTS = re.compile(r"\s*(MATCH|MERGE|CREATE|UNWIND|RETURN|CALL|OPTIONAL|WITH)\b")
PATTERN = re.compile(r"\b(MATCH|MERGE|CREATE)\s*\(")
CLAUSES = frozenset(
    ("MATCH", "MERGE", "CREATE", "SET", "REMOVE", "WITH", "RETURN", "WHERE", "UNWIND", "DELETE", "FOREACH", "ORDER",
     "CALL", "UNION", "LIMIT", "SKIP", "YIELD")
)  # fmt: skip
BEFORE_PATTERNS = frozenset(("MATCH", "MERGE", "CREATE", "FOR", "WHERE", "AND", "OR", "NOT"))
BEFORE_SUBQUERIES = frozenset(("COLLECT", "COUNT", "EXISTS", "CALL"))
CLOSING = {"(": ")", "[": "]", "{": "}"}


class Unattributed(AssertionError):
    """A statement uses something whose label or type can't be told."""


class Access(StrEnum):
    """How a property is used."""

    READ = "read"
    WRITE = "write"
    REMOVE = "remove"
    DEFINE = "define"


@dataclass(frozen=True, slots=True, order=True)
class Use:
    """One use of a property of a label or type."""

    owner: str
    name: str
    access: Access


@dataclass(frozen=True, slots=True)
class Statement:
    """A constant statement and where it stands."""

    module: str
    name: str
    text: str


@dataclass(slots=True)
class Usage:
    """What one statement uses. `followed` are types that it matches, not only creates. `ends` are triples of a type and
    the labels it starts and ends at, where both are stated."""

    labels: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)
    uses: set[Use] = field(default_factory=set)
    ends: set[tuple[str, str, str]] = field(default_factory=set)


def find_statements(folders: Sequence[str] = ("graph", "migrations")) -> list[Statement]:
    """Every statement that is a constant of a module, as it reaches the store."""
    found = []
    for path in find_modules(folders):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        values = vars(importlib.import_module(module))
        for name in _constants(path):
            texts = (text for text in _flatten(values.get(name)) if STARTS.match(text))
            found += [Statement(module, name, text) for text in texts if not name.startswith("_")]
    return found


def find_modules(folders: Sequence[str] = ("graph", "migrations")) -> list[Path]:
    """The modules that may hold statements."""
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py")) if path.name != "__init__.py"]


def find_patterns(path: Path) -> list[str]:
    """Every text of a module, other than documentation, that holds a pattern to match, merge or create."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in documentation)
    return [node.value for node in constants if isinstance(node.value, str) and PATTERN.search(node.value)]


def _constants(path: Path) -> Iterator[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        yield from (target.id for target in targets if isinstance(target, ast.Name))


def _flatten(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | tuple | list):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _flatten(inner)


def read_usage(text: str, untyped: Mapping[str, frozenset[str]] | None = None) -> Usage:
    """What a statement uses. Raises Unattributed."""
    tokens = tokenise(text)
    if tokens is None:
        raise Unattributed(f"no well-formed statement: {text}")
    return _Reader(tokens, untyped or {}).read()


@dataclass(frozen=True, slots=True)
class _Node:
    variable: str | None
    labels: frozenset[str]
    names: tuple[str, ...]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Edge:
    variable: str | None
    types: frozenset[str]
    names: tuple[str, ...]
    left: bool
    right: bool
    end: int


@dataclass(slots=True)
class _Bound:
    """What a variable stands for: a node's labels, or a relationship's types and the nodes at its ends. `either`: the
    pattern lists several types."""

    owners: set[str] = field(default_factory=set)
    either: bool = False
    starts: list[_Node] = field(default_factory=list)
    ends: list[_Node] = field(default_factory=list)


class _Reader:
    def __init__(self, tokens: list[Token], untyped: Mapping[str, frozenset[str]]) -> None:
        self._tokens = tokens
        self._untyped = untyped
        self._clauses = _find_clauses(tokens)
        self._defines = len(tokens) > 1 and self._word(0) == "CREATE" and self._word(1) in {"CONSTRAINT", "INDEX"}
        self._bound: dict[str, _Bound] = {}
        self._nodes: list[_Node] = []
        self._edges: list[tuple[_Node, _Edge, _Node]] = []
        self._consumed: set[int] = set()
        self._scalars: set[str] = set()
        self._assigned: tuple[str, str] | None = None
        self._usage = Usage()

    def read(self) -> Usage:
        self._find_patterns()
        self._find_predicates()
        self._bind_edges()
        self._find_aliases()
        for node in self._nodes:
            for name in node.names:
                self._use(self._labels(node), name, self._accesses(node.start))
        for position in range(len(self._tokens)):
            self._read_property(position)
        return self._usage

    def _text(self, position: int) -> str:
        return self._tokens[position][1].strip("`") if 0 <= position < len(self._tokens) else ""

    def _word(self, position: int) -> str:
        return self._text(position).upper() if self._is_word(position) else ""

    def _is_word(self, position: int) -> bool:
        return 0 <= position < len(self._tokens) and self._tokens[position][0] in ("word", "quoted")

    # patterns

    def _find_patterns(self) -> None:
        for position in range(len(self._tokens)):
            node = None if position in self._consumed else self._node(position)
            while node is not None:
                self._take(node, position)
                edge = self._edge(node.end)
                after = self._node(edge.end) if edge else None
                if edge is None:
                    break
                if after is None:
                    raise Unattributed(f"a relationship without an end in {self._show(position)}")
                self._consumed.update(range(node.end, edge.end))
                pair = (after, node) if edge.left and not edge.right else (node, after)
                self._edges.append((pair[0], edge, pair[1]))
                node = after

    def _take(self, node: _Node, position: int) -> None:
        self._consumed.update(range(node.start, node.end))
        self._nodes.append(node)
        self._usage.labels |= node.labels
        if node.variable:
            self._bound.setdefault(node.variable, _Bound()).owners |= node.labels

    def _node(self, position: int) -> _Node | None:
        """The node pattern at a position, if there is one."""
        before = self._word(position - 1)
        if self._text(position) != "(" or (before and before not in BEFORE_PATTERNS):
            return None
        variable, at = self._variable(position + 1)
        labels, at = self._labels_at(at)
        names, at = self._map(at)
        if self._text(at) != ")":
            return None
        return _Node(variable, labels, names, position, at + 1)

    def _edge(self, position: int) -> _Edge | None:
        """The relationship pattern at a position, if there is one: `-[…]-`, with an arrow at either end."""
        left = self._text(position) == "<"
        at = position + left
        if self._text(at) != "-":
            return None
        if self._text(at + 1) != "[":
            raise Unattributed(f"a relationship without brackets in {self._show(position)}")
        variable, at = self._variable(at + 2)
        types, at = self._labels_at(at)
        while self._text(at) in ("*", ".") or self._tokens[at][0] == "number":
            at += 1
        names, at = self._map(at)
        if self._text(at) != "]" or self._text(at + 1) != "-":
            raise Unattributed(f"a relationship that can't be read in {self._show(position)}")
        right = self._text(at + 2) == ">"
        return _Edge(variable, types, names, left, right, at + 2 + right)

    def _variable(self, position: int) -> tuple[str | None, int]:
        return (self._text(position), position + 1) if self._is_word(position) else (None, position)

    def _labels_at(self, position: int) -> tuple[frozenset[str], int]:
        found = set()
        while self._text(position) in (":", "|") and self._is_word(position + 1):
            found.add(self._text(position + 1))
            position += 2
        return frozenset(found), position

    def _map(self, position: int) -> tuple[tuple[str, ...], int]:
        """The keys of the map at a position, if there is one, and the position after it."""
        if self._text(position) != "{":
            return (), position
        names, depth, at = [], 0, position
        while at < len(self._tokens):
            text = self._text(at)
            depth += (text in CLOSING) - (text in CLOSING.values())
            if depth == 0:
                return tuple(names), at + 1
            if depth == 1 and self._is_word(at) and self._text(at + 1) == ":" and self._text(at - 1) in ("{", ","):
                names.append(text)
            at += 1
        raise Unattributed(f"a map without an end in {self._show(position)}")

    # what variables stand for

    def _find_predicates(self) -> None:
        """Labels that a condition states: `WHERE n:Label`."""
        brackets: list[str] = []
        for position in range(len(self._tokens)):
            text = self._text(position)
            if text in CLOSING:
                subquery = text == "{" and self._word(position - 1) in BEFORE_SUBQUERIES
                brackets.append("subquery" if subquery else text)
            elif text in CLOSING.values():
                brackets.pop()
            elif position in self._consumed or (brackets and brackets[-1] == "{"):
                continue
            elif self._is_word(position) and self._text(position + 1) == ":" and self._is_word(position + 2):
                label = self._text(position + 2)
                self._usage.labels.add(label)
                self._bound.setdefault(text, _Bound()).owners.add(label)

    def _bind_edges(self) -> None:
        for start, edge, end in self._edges:
            types = set(edge.types)
            if not types:
                for label in self._labels(start):
                    types |= self._untyped.get(label, frozenset())
            if not types:
                raise Unattributed(f"a relationship without a type in {self._show(start.start)}")
            self._usage.types |= types
            if self._clauses[start.start][0] not in ("CREATE", "MERGE"):
                self._usage.followed |= types
            self._note_ends(types, start, end)
            if edge.left == edge.right:
                self._note_ends(types, end, start)
            for name in edge.names:
                self._use(types, name, self._accesses(start.start))
            if edge.variable:
                bound = self._bound.setdefault(edge.variable, _Bound())
                bound.owners |= types
                bound.either |= len(edge.types) > 1
                both = [start, end]
                bound.starts += both if edge.left == edge.right else [start]
                bound.ends += both if edge.left == edge.right else [end]

    def _note_ends(self, types: set[str], start: _Node, end: _Node) -> None:
        self._usage.ends |= {(t, a, b) for t in types for a in self._labels(start) for b in self._labels(end)}

    def _labels(self, node: _Node) -> set[str]:
        bound = self._bound.get(node.variable or "")
        return set(node.labels) | (bound.owners if bound else set())

    def _find_aliases(self) -> None:
        """New names: of a bound variable, of its properties, or of a value, which has none of its own."""
        for position in range(len(self._tokens)):
            word = self._word(position)
            if word == "IN" and self._is_word(position - 1):
                self._scalars.add(self._text(position - 1))
            if word != "AS" or not self._is_word(position + 1):
                continue
            name = self._text(position + 1)
            bound = self._bound.get(self._renamed(position) or "")
            if bound is None:
                self._scalars.add(name)
            else:
                self._bound.setdefault(name, _Bound()).owners.update(bound.owners)

    def _renamed(self, position: int) -> str | None:
        """The variable that `AS` at a position renames: `n AS m`, or `properties(n) AS m`."""
        if self._text(position - 2) in ("WITH", "RETURN", ","):
            return self._text(position - 1)
        whole = self._text(position - 1) == ")" and self._text(position - 4) == "properties"
        return self._text(position - 2) if whole else None

    # properties

    def _read_property(self, position: int) -> None:
        text, after = self._text(position), self._text(position + 1)
        if text == "properties" and after == "(":
            self._use(self._owners(position + 2), WHOLE, [Access.READ])
        elif text == "." and self._is_word(position + 1) and self._text(position - 1) in (")", "]", "{", ","):
            self._read_end(position)
        elif not self._is_word(position) or self._text(position - 1) == ".":
            return
        elif text in self._bound and after == "[":
            raise Unattributed(f"a property by a value's name in {self._show(position)}")
        elif after == "." and self._is_word(position + 2):
            if (text not in self._scalars or text in self._bound) and self._text(position + 3) != "(":
                self._read_name(position)
        elif self._is_target(position) and after in ("+", "="):
            self._use(self._owners(position), WHOLE, [Access.WRITE])

    def _read_name(self, position: int) -> None:
        """`n.name`, read or changed."""
        variable, name, access = self._text(position), self._text(position + 2), self._access(position)
        if access is not Access.READ:
            self._assigned = (variable, name)
        elif self._assigned == (variable, name) and self._clauses[position][0] == "SET":
            return
        owners = self._owners(position)
        either = self._bound[variable].either and access is Access.READ
        self._use({EITHER.join(sorted(owners))} if either else owners, name, [access])

    def _read_end(self, position: int) -> None:
        """`startNode(r).name` or `endNode(r).name`; nothing else has properties without being a variable."""
        function, variable = self._text(position - 4), self._text(position - 2)
        if self._text(position - 1) != ")" or function not in ("startNode", "endNode") or variable not in self._bound:
            raise Unattributed(f"a property of no variable in {self._show(position)}")
        bound = self._bound[variable]
        for node in bound.starts if function == "startNode" else bound.ends:
            self._use(self._labels(node), self._text(position + 1), [Access.READ])

    def _owners(self, position: int) -> set[str]:
        bound = self._bound.get(self._text(position))
        if bound is None or not bound.owners:
            raise Unattributed(f"{self._text(position)} has neither label nor type in {self._show(position)}")
        return bound.owners

    def _use(self, owners: set[str], name: str, accesses: Sequence[Access]) -> None:
        if not owners:
            raise Unattributed(f"{name} is on a node without a label")
        self._usage.uses |= {Use(owner, name, access) for owner in owners for access in accesses}

    def _accesses(self, position: int) -> list[Access]:
        """How the map of a pattern is used: MERGE looks for what it writes."""
        clause = self._clauses[position][0]
        if self._defines:
            return [Access.DEFINE]
        return {"MERGE": [Access.READ, Access.WRITE], "CREATE": [Access.WRITE]}.get(clause, [Access.READ])

    def _access(self, position: int) -> Access:
        if self._defines:
            return Access.DEFINE
        if not self._is_target(position):
            return Access.READ
        return Access.REMOVE if self._clauses[position][0] == "REMOVE" else Access.WRITE

    def _is_target(self, position: int) -> bool:
        """Whether a variable stands where SET or REMOVE name what they change."""
        clause, clause_depth, depth = self._clauses[position]
        first = self._word(position - 1) in ("SET", "REMOVE") or self._text(position - 1) == ","
        return clause in ("SET", "REMOVE") and depth == clause_depth and first

    def _show(self, position: int) -> str:
        return " ".join(text for _, text in self._tokens[max(0, position - 8) : position + 16])


def _find_clauses(tokens: Sequence[Token]) -> list[tuple[str, int, int]]:
    """For each token: the clause it stands in, how deep in brackets that began, and how deep the token is."""
    found: list[tuple[str, int, int]] = []
    outer: list[tuple[str, int]] = []
    clause = ("", 0)
    for position, (kind, text) in enumerate(tokens):
        before = tokens[position - 1][1] if position else ""
        after = tokens[position + 1][1] if position + 1 < len(tokens) else ""
        if text in CLOSING:
            outer.append(clause)
        elif text in CLOSING.values():
            clause = outer.pop()
        elif kind == "word" and text.upper() in CLAUSES and before.upper() not in (".", ":", "AS") and after != ":":
            clause = (text.upper(), len(outer))
        found.append((*clause, len(outer)))
    return found
