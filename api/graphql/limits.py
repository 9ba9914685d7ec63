"""Limits of a GraphQL document, measured in a single pass before it is validated.

A fragment is measured once and its measure is reused wherever it is spread. The work is therefore linear in the size
of the document, although the measure counts every spread as if it were expanded. Costs follow IBM's GraphQL cost
specification: a field's own weight, plus the cost of its children times the number of entries that are requested
(`first`) or assumed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
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
    NullValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_interface_type,
    is_object_type,
)

from graph.errors import QueryTooComplex
from resolvers.pages import MAX_PAGE

CEILING: Final = 1_000_000_000
"""The largest count, so that the numbers of a fragment bomb stay small integers."""

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
"""Costs of fields that read from the store or compute. Any other field costs 1."""

SCANS: Final[Mapping[tuple[str, str], tuple[frozenset[str], int]]] = {
    ("Query", "items"): (frozenset({"where"}), 2_000),
    ("Profile", "interactions"): (frozenset({"where", "after"}), 2_000),
    ("Profile", "sessions"): (frozenset({"after"}), 500),
    ("Profile", "recommendations"): (frozenset({"where"}), 2_000),
}
"""Costs of fields that go through the whole catalogue or a person's whole history if one of the arguments is given,
however short the page is: a filter that nothing passes is asked of everything. First pages of a history without a
filter come with the profile."""

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
"""Assumed numbers of entries of lists without a `first` argument, or whose `first` is left to its default."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for. Counts apply to the document with its fragments expanded."""

    characters: int = 65_536
    tokens: int = 4_000
    depth: int = 12
    introspection_depth: int = 18
    aliases: int = 50
    root_fields: int = 20
    breadth: int = 200
    directives: int = 50
    directives_per_node: int = 5
    spread_chain: int = 30
    cost: int = 20_000
    repeats: int = 24
    errors: int = 20


@dataclass(frozen=True, slots=True)
class Measure:
    """What a selection asks for: levels of fields, fields, aliases, directives and cost."""

    depth: int = 0
    introspection_depth: int = 0
    breadth: int = 0
    aliases: int = 0
    directives: int = 0
    cost: int = 0


NOTHING: Final = Measure()


def _combine(one: Measure, other: Measure) -> Measure:
    """Returns the measure of two selections together."""
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
    """Measures one document. `visits` counts the selections visited, which are at most those of the document."""

    schema: GraphQLSchema
    document: DocumentNode
    limits: Limits
    variables: Mapping[str, Any] = field(default_factory=dict)
    visits: int = 0
    priced_variables: set[str] = field(default_factory=set)
    _defaulted: set[str] = field(default_factory=set)
    _fragments: dict[str, FragmentDefinitionNode] = field(default_factory=dict)
    _measured: dict[str, Measure] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Measures every operation and fragment. Raises QueryTooComplex at the first limit exceeded."""
        self._check_repeats()
        definitions = self.document.definitions
        self._fragments = {d.name.value: d for d in definitions if isinstance(d, FragmentDefinitionNode)}
        self.variables = {**_defaults(self.document), **self.variables}
        self._defaulted = set(_defaulted_variables(self.document))
        for definition in definitions:
            if isinstance(definition, OperationDefinitionNode):
                root = self.schema.get_root_type(definition.operation)
                total = self._selections(definition.selection_set, root)
                self._limit("root fields", total.breadth, self.limits.root_fields)
                self._check_limits(total)
        for name in self._fragments:
            self._check_limits(self._fragment(name))

    def _check_repeats(self) -> None:
        """Limits how often fields with a selection have the same name in the answer, anywhere in the document:
        validation compares each pair of them, with all that they select."""
        repeats: Counter[str] = Counter()
        waiting: list[SelectionSetNode] = [
            one.selection_set
            for one in self.document.definitions
            if isinstance(one, OperationDefinitionNode | FragmentDefinitionNode)
        ]
        while waiting:
            for selection in waiting.pop().selections:
                inner = None if isinstance(selection, FragmentSpreadNode) else selection.selection_set  # type: ignore[attr-defined]
                if inner is None:
                    continue
                if isinstance(selection, FieldNode):
                    repeats[(selection.alias or selection.name).value] += 1
                waiting.append(inner)
        self._limit("fields of one name", max(repeats.values(), default=0), self.limits.repeats)

    def _check_limits(self, total: Measure) -> None:
        limits = self.limits
        self._limit("depth", total.depth, limits.depth)
        self._limit("depth of introspection", total.introspection_depth, limits.introspection_depth)
        self._limit("fields side by side", total.breadth, limits.breadth)
        self._limit("aliases", total.aliases, limits.aliases)
        self._limit("directives", total.directives, limits.directives)
        self._limit("cost", total.cost, limits.cost)

    def _limit(self, what: str, found: int, limit: int) -> None:
        if found > limit:
            shown = f"over {CEILING}" if found >= CEILING else str(found)
            raise QueryTooComplex(f"{what}: {shown}, but at most {limit} are allowed; ask for less or split the query.")

    def _selections(self, chosen: SelectionSetNode | None, parent: GraphQLNamedType | None) -> Measure:
        total = NOTHING
        for selection in chosen.selections if chosen else ():
            self.visits += 1
            total = _combine(total, self._selection(selection, parent))
        self._limit("fields side by side", total.breadth, self.limits.breadth)
        return total

    def _selection(self, selection: SelectionNode, parent: GraphQLNamedType | None) -> Measure:
        count = len(selection.directives or ())
        self._limit("directives on one node", count, self.limits.directives_per_node)
        own = Measure(directives=count)
        if isinstance(selection, FieldNode):
            return _combine(own, self._field(selection, parent))
        if isinstance(selection, InlineFragmentNode):
            condition = selection.type_condition
            inner = self.schema.type_map.get(condition.name.value) if condition else parent
            return _combine(own, self._selections(selection.selection_set, inner))
        if isinstance(selection, FragmentSpreadNode):
            return _combine(own, self._fragment(selection.name.value))
        return own

    def _fragment(self, name: str) -> Measure:
        """Returns the measure of a named fragment, computed once. Cycles add nothing: validation reports them."""
        known = self._measured.get(name)
        if known is not None:
            return known
        fragment = self._fragments.get(name)
        if fragment is None or name in self._open:
            return NOTHING
        self._limit("nested fragments", len(self._open) + 1, self.limits.spread_chain)
        self._open.append(name)
        parent = self.schema.type_map.get(fragment.type_condition.name.value)
        found = self._selections(fragment.selection_set, parent)
        self._open.pop()
        self._measured[name] = found
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
            cost=min(self._weight(node, place) + size * inner.cost, CEILING),
        )

    def _weight(self, node: FieldNode, place: tuple[str, str]) -> int:
        """Returns the cost of a field without its children."""
        arguments, cost = SCANS.get(place, (frozenset[str](), 0))
        given = [self._is_given(one.value) for one in node.arguments or () if one.name.value in arguments]
        return cost if any(given) else WEIGHTS.get(place, 1)

    def _is_given(self, value: ValueNode) -> bool:
        """Returns whether an argument has a value other than null. That of a variable is noted as one that the cost
        depends on."""
        if isinstance(value, VariableNode):
            name = value.name.value
            self.priced_variables.add(name)
            return self.variables.get(name) is not None if name in self.variables else name in self._defaulted
        return not isinstance(value, NullValueNode)

    def _type_of(self, name: str, parent: GraphQLNamedType | None) -> GraphQLNamedType | None:
        if is_object_type(parent) or is_interface_type(parent):
            found = self.schema.get_field(parent, name)
            return get_named_type(found.type) if found else None
        return None

    def _size(self, node: FieldNode, place: tuple[str, str]) -> int:
        """Returns how many entries a field may return: its `first`, the variable's value, or else the maximum."""
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                if isinstance(value, IntValueNode):
                    return min(max(int(value.value), 0), MAX_PAGE) if len(value.value) < 10 else MAX_PAGE
                if isinstance(value, VariableNode):
                    self.priced_variables.add(value.name.value)
                    given = self.variables.get(value.name.value, MAX_PAGE)
                    return min(max(given, 0), MAX_PAGE) if type(given) is int else MAX_PAGE
                return MAX_PAGE
        return ASSUMED_SIZES.get(place, 1)


def _defaults(document: DocumentNode) -> dict[str, int]:
    """Returns the integer defaults of variables; the largest if operations of the document differ."""
    found: dict[str, int] = {}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            for variable in definition.variable_definitions or ():
                value, name = variable.default_value, variable.variable.name.value
                if isinstance(value, IntValueNode) and len(value.value) < 10:
                    found[name] = max(int(value.value), found.get(name, 0))
    return found


def _defaulted_variables(document: DocumentNode) -> Iterator[str]:
    """Yields the variables with a default other than null, in any operation of the document."""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            for variable in definition.variable_definitions or ():
                if variable.default_value is not None and not isinstance(variable.default_value, NullValueNode):
                    yield variable.variable.name.value
