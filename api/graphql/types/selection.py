"""Look-ahead: which fields a query selects below a field, found before anything is fetched.

Aliases, fragments, `@skip` and `@include` are followed. The result may include a field that is not executed in the end
(a fragment on another type), but never lacks one that is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphql import (
    BooleanValueNode,
    FieldNode,
    FragmentSpreadNode,
    GraphQLResolveInfo,
    InlineFragmentNode,
    IntValueNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
)

from resolvers.pages import MAX_PAGE
from resolvers.profile.find import Wanted


def wanted_of(info: GraphQLResolveInfo[Any]) -> Wanted:
    """Returns what a query selects of the profile that a field returns."""
    variables: Mapping[str, Any] = info.variable_values.coerced
    fields = [found for node in info.field_nodes for found in _walk(node.selection_set, info, variables, set())]
    return Wanted(
        fields=frozenset(node.name.value for node in fields),
        interactions=_first_page(fields, "interactions", variables),
        sessions=_first_page(fields, "sessions", variables),
    )


def _walk(
    chosen: SelectionSetNode | None, info: GraphQLResolveInfo[Any], variables: Mapping[str, Any], seen: set[str]
) -> Iterator[FieldNode]:
    """Yields the fields of a selection set that are not skipped, visiting each named fragment once."""
    for selection in chosen.selections if chosen else ():
        if _is_skipped(selection, variables):
            continue
        if isinstance(selection, FieldNode):
            yield selection
        elif isinstance(selection, InlineFragmentNode):
            yield from _walk(selection.selection_set, info, variables, seen)
        elif isinstance(selection, FragmentSpreadNode) and selection.name.value not in seen:
            seen.add(selection.name.value)
            yield from _walk(info.fragments[selection.name.value].selection_set, info, variables, seen)


def _is_skipped(selection: SelectionNode, variables: Mapping[str, Any]) -> bool:
    for directive in selection.directives or ():
        name = directive.name.value
        if name in ("skip", "include") and directive.arguments:
            condition = _value(directive.arguments[0].value, variables)
            if condition is (name == "skip"):
                return True
    return False


def _value(node: ValueNode, variables: Mapping[str, Any]) -> Any:
    if isinstance(node, VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, BooleanValueNode):
        return node.value
    return int(node.value) if isinstance(node, IntValueNode) and len(node.value) < 10 else None


def _first_page(fields: list[FieldNode], name: str, variables: Mapping[str, Any]) -> int:
    """Returns the largest `first` among the first, unfiltered pages of a list; 0 if no such page is selected."""
    sizes = [0]
    for node in fields:
        if node.name.value == name:
            arguments = {argument.name.value: argument.value for argument in node.arguments or ()}
            later = [_given(arguments[key], variables) for key in ("after", "where") if key in arguments]
            first = _value(arguments["first"], variables) if "first" in arguments else None
            if not any(later) and isinstance(first, int) and 1 <= first <= MAX_PAGE:
                sizes.append(first)
    return max(sizes)


def _given(node: ValueNode, variables: Mapping[str, Any]) -> bool:
    """Whether an argument has a value other than null."""
    if isinstance(node, VariableNode):
        return variables.get(node.name.value) is not None
    return node.kind != "null_value"
