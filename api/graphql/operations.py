"""From a document's text to something that may be executed: parse, measure, validate, and remember.

What lives here: the bounded cache of accepted documents and the order of checks. What does not: the limits themselves
(`api/graphql/limits.py`), execution and HTTP (`api/graphql/endpoint.py`). Refused documents are not kept, so that they
can't push accepted ones out.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from graphql import (
    DocumentNode,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from api.graphql.limits import Limits, Meter
from graph.errors import QueryTooComplex

CACHED_DOCUMENTS: Final = 512
RULES: Final = (*specified_rules, OneOfInputValidationRule)
"""The specification's rules; inputs of which exactly one field is given are Strawberry's to check."""

OPEN_FIELDS: Final = frozenset({"__typename", "__schema", "__type"})


class DocumentRefused(Exception):
    """The document can't be executed; `errors` say why, in GraphQL's terms. Caught where the answer is made."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("the document was refused")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that passed every check. `size_variables` give list sizes, so that cost depends on them."""

    document: DocumentNode
    size_variables: frozenset[str]
    operations: Mapping[str | None, OperationDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """The operation a request means, or None where it does not say which of several, or names none of them."""
        if name:
            return self.operations.get(name)
        return next(iter(self.operations.values())) if len(self.operations) == 1 else None


def is_query(operation: OperationDefinitionNode) -> bool:
    """Whether the operation only reads."""
    return operation.operation is OperationType.QUERY


def is_open(operation: OperationDefinitionNode) -> bool:
    """Whether the operation asks about the schema only, which needs no credential."""
    return all(
        isinstance(selection, FieldNode) and selection.name.value in OPEN_FIELDS
        for selection in operation.selection_set.selections
    )


class Documents:
    """Checks documents against one schema and remembers those it accepted. One instance a process."""

    def __init__(
        self, schema: GraphQLSchema, limits: Limits, *, hide_suggestions: bool = False, size: int = CACHED_DOCUMENTS
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._hide_suggestions = hide_suggestions
        self._size = size
        self._accepted: OrderedDict[str, Prepared] = OrderedDict()

    def __len__(self) -> int:
        return len(self._accepted)

    def prepare(self, text: str, variables: Mapping[str, Any]) -> Prepared:
        """The checked document. Raises DocumentRefused."""
        known = self._accepted.get(text)
        if known is not None:
            self._accepted.move_to_end(text)
            if known.size_variables:
                self._measure(known.document, variables)
            return known
        prepared = self._check(text, variables)
        self._accepted[text] = prepared
        if len(self._accepted) > self._size:
            self._accepted.popitem(last=False)
        return prepared

    def _check(self, text: str, variables: Mapping[str, Any]) -> Prepared:
        try:
            document = parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            raise DocumentRefused([error]) from None
        meter = self._measure(document, variables)
        errors = validate(
            self._schema, document, RULES, max_errors=self._limits.errors, hide_suggestions=self._hide_suggestions
        )
        if errors:
            raise DocumentRefused(errors[: self._limits.errors])
        operations = {
            definition.name.value if definition.name else None: definition
            for definition in document.definitions
            if isinstance(definition, OperationDefinitionNode)
        }
        return Prepared(document, frozenset(meter.size_variables), operations)

    def _measure(self, document: DocumentNode, variables: Mapping[str, Any]) -> Meter:
        meter = Meter(self._schema, document, self._limits, variables)
        try:
            meter.check()
        except QueryTooComplex as error:
            raise DocumentRefused([GraphQLError(str(error), original_error=error)]) from None
        return meter
