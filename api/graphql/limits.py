"""How much one GraphQL document may ask for, measured in a single pass before anything else looks at it.

What lives here: the limits, their defaults and the measurement. What does not: the specification's own validation rules
and the cache of documents (`api/graphql/operations.py`).

A fragment is measured once and its numbers are reused wherever it is spread, so the work is linear in the size of the
document although the numbers count every spread as if it were written out. List sizes follow IBM's cost specification:
a field's own weight plus its children's cost times the number of entries asked for (`first`) or assumed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

from graph.errors import QueryTooComplex

MAX_PAGE: Final = 100
CEILING: Final = 1_000_000_000
"""Counts stop here, so that a bomb's numbers stay small integers."""

WEIGHTS: Final[Mapping[tuple[str, str], int]] = {
    ("Query", "me"): 20,
    ("Query", "profile"): 20,
    ("Query", "node"): 20,
    ("Query", "item"): 10,
    ("Query", "items"): 20,
    ("Query", "segment"): 10,
    ("Query", "segments"): 20,
    ("Query", "system"): 50,
    ("Profile", "recommendations"): 20,
    ("Profile", "interactions"): 20,
    ("Profile", "sessions"): 20,
    ("Profile", "consentHistory"): 20,
}
"""Fields that cost more than their one: those that go to the store or compute."""

ASSUMED_SIZES: Final[Mapping[tuple[str, str], int]] = {
    ("Profile", "identifiers"): 10,
    ("Profile", "consents"): 10,
    ("Profile", "segments"): 10,
    ("Profile", "withheld"): 20,
    ("Profile", "recommendations"): 10,
    ("Recommendation", "reasons"): 3,
    ("Item", "topics"): 5,
    ("Query", "purposes"): 10,
    ("System", "modelRuns"): 10,
}
"""Entries of a list that takes no `first`, or whose `first` has a default."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Counts are of the document with its fragments written out."""

    tokens: int = 4_000
    depth: int = 12
    introspection_depth: int = 18
    aliases: int = 50
    root_fields: int = 20
    breadth: int = 200
    directives: int = 50
    directives_a_node: int = 5
    spread_chain: int = 30
    cost: int = 20_000
    errors: int = 20


@dataclass(frozen=True, slots=True)
class Measure:
    """What a selection asks for: levels of fields, fields side by side, aliases, directives, cost."""

    depth: int = 0
    introspection_depth: int = 0
    breadth: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0


NOTHING: Final = Measure()


def _meet(one: Measure, other: Measure) -> Measure:
    """Two selections side by side."""
    return Measure(
        max(one.depth, other.depth),
        max(one.introspection_depth, other.introspection_depth),
        min(one.breadth + other.breadth, CEILING),
        min(one.aliases + other.aliases, CEILING),
        min(one.directives + other.directives, CEILING),
        min(one.cost + other.cost, CEILING),
    )


@dataclass(slots=True)
class Meter:
    """One measurement. `visits` counts the selections looked at: never more than the document holds."""

    schema: GraphQLSchema
    document: DocumentNode
    limits: Limits
    variables: Mapping[str, Any] = field(default_factory=dict)
    visits: int = 0
    size_variables: set[str] = field(default_factory=set)
    _fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    _known: dict[str, Measure] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Measure every operation and fragment; raise QueryTooComplex at the first limit that is passed."""
        definitions = self.document.definitions
        self._fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
        self.variables = {**_defaults(self.document), **self.variables}
        for definition in definitions:
            if isinstance(definition, OperationDefinitionNode):
                root = self.schema.get_root_type(definition.operation)
                total = self._selections(definition.selection_set, root)
                self._hold("root fields", total.breadth, self.limits.root_fields)
                self._within(total)
        for name in self._fragments:
            self._within(self._fragment(name))

    def _within(self, total: Measure) -> None:
        limits = self.limits
        self._hold("depth", total.depth, limits.depth)
        self._hold("depth of introspection", total.introspection_depth, limits.introspection_depth)
        self._hold("fields side by side", total.breadth, limits.breadth)
        self._hold("aliases", total.aliases, limits.aliases)
        self._hold("directives", total.directives, limits.directives)
        self._hold("cost", total.cost, limits.cost)

    def _hold(self, what: str, found: int, most: int) -> None:
        if found > most:
            shown = f"over {CEILING}" if found >= CEILING else str(found)
            raise QueryTooComplex(f"{what}: {shown}, at most {most} are allowed; ask for less, or in several requests")

    def _selections(self, chosen: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Measure:
        total = NOTHING
        for selection in chosen.selections if chosen else ():
            self.visits += 1
            total = _meet(total, self._selection(selection, parent))
        self._hold("fields side by side", total.breadth, self.limits.breadth)
        return total

    def _selection(self, selection: SelectionNode, parent: GraphQLNamedType | None) -> Measure:
        count = len(selection.directives or ())
        self._hold("directives on one place", count, self.limits.directives_a_node)
        marks = Measure(directives=count)
        if isinstance(selection, FieldNode):
            return _meet(marks, self._field(selection, parent))
        if isinstance(selection, InlineFragmentNode):
            condition = selection.type_condition
            inner = self.schema.type_map.get(condition.name.value) if condition else parent
            return _meet(marks, self._selections(selection.selection_set, inner))
        if isinstance(selection, FragmentSpreadNode):
            return _meet(marks, self._fragment(selection.name.value))
        return marks

    def _fragment(self, name: str) -> Measure:
        """The measure of a named fragment, computed once. A cycle adds nothing: the specification's rules name it."""
        known = self._known.get(name)
        if known is not None:
            return known
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:
            return NOTHING
        self._hold("fragments within fragments", len(self._open) + 1, self.limits.spread_chain)
        self._open.append(name)
        parent = self.schema.type_map.get(fragment.type_condition.name.value)
        found = self._selections(fragment.selection_set, parent)
        self._open.pop()
        self._known[name] = found
        return found

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None) -> Measure:
        name = node.name.value
        inner = self._selections(node.selection_set, self._type_of(name, parent))
        place = (parent.name if parent else "", name)
        size = self._size(node, place)
        inside, enters = place[0].startswith("__"), name in ("__schema", "__type")
        return Measure(
            depth=0 if inside else 1 if enters else inner.depth + 1,
            introspection_depth=inner.introspection_depth + (inside or enters),
            breadth=1,
            aliases=min(inner.aliases + (node.alias is not None), CEILING),
            directives=inner.directives,
            cost=min(WEIGHTS.get(place, 1) + size * inner.cost, CEILING),
        )

    def _type_of(self, name: str, parent: GraphQLNamedType | None) -> GraphQLNamedType | None:
        if is_object_type(parent) or is_interface_type(parent):
            found = self.schema.get_field(parent, name)
            return get_named_type(found.type) if found else None
        return None

    def _size(self, node: FieldNode, place: tuple[str, str]) -> int:
        """Entries a field may hold: its `first`, the variable given for it, or the most that is allowed."""
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    return min(max(int(value.value), 0), MAX_PAGE) if len(value.value) < 10 else MAX_PAGE
                if isinstance(value, VariableNode):
                    self.size_variables.add(value.name.value)
                    given = self.variables.get(value.name.value, MAX_PAGE)
                    return min(max(given, 0), MAX_PAGE) if type(given) is int else MAX_PAGE
                return MAX_PAGE
        return ASSUMED_SIZES.get(place, 1)


def _defaults(document: DocumentNode) -> dict[str, int]:
    """Whole-number defaults of variables; the greatest where operations of one document differ."""
    found: dict[str, int] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            for variable in definition.variable_definitions or ():
                value, name = variable.default_value, variable.variable.name.value
                if isinstance(value, IntValueNode) and len(value.value) < 10:
                    found[name] = max(int(value.value), found.get(name, 0))
    return found
