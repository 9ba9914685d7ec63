"""Parsing, measuring and validating GraphQL documents, with a bounded cache of accepted ones.

Refused documents are not cached, so that they can't displace accepted ones; neither are those that came without a
credential, so that strangers can't fill the memory.
"""

from __future__ import annotations

import re
import sys
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
    TokenKind,
    parse,
    specified_rules,
    validate,
)
from strawberry.schema.validation_rules.one_of import OneOfInputValidationRule

from api.graphql.limits import Limits, Meter
from graph.errors import QueryTooComplex

MOST_DIGITS: Final = 400
"""Characters of a number in a document; no type holds longer ones, and Python converts none over 4,300."""

_LONG_NUMBER: Final = re.compile(f"[0-9]{{{MOST_DIGITS}}}", re.ASCII)
CACHED_BYTES: Final = 16 << 20
LARGEST_CACHED: Final = 1 << 20
"""The memory that all cached documents may take, and one of them; estimated by `estimate_bytes`."""

BYTES_A_TOKEN: Final = 640
"""What a token of a document takes at most once it is parsed, measured with tracemalloc; usual ones take half."""

RULES: Final = (*specified_rules, OneOfInputValidationRule)
"""The rules of the specification, and Strawberry's rule for `@oneOf` inputs."""

OPEN_FIELDS: Final = frozenset({"__typename", "__schema", "__type"})


class DocumentRefused(Exception):
    """The document can't be executed, for the reasons in `errors`. Handled by the endpoint."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__("the document was refused")
        self.errors = errors


@dataclass(frozen=True, slots=True)
class Prepared:
    """A document that passed every check. Its cost depends on the values of `priced_variables`."""

    document: DocumentNode
    priced_variables: frozenset[str]
    operations: Mapping[str | None, OperationDefinitionNode]

    def operation(self, name: str | None) -> OperationDefinitionNode | None:
        """Returns the operation of that name, or the only one if no name is given; None if there is none such."""
        if name:
            return self.operations.get(name)
        return next(iter(self.operations.values())) if len(self.operations) == 1 else None


def is_query(operation: OperationDefinitionNode) -> bool:
    """Returns whether the operation is a query."""
    return operation.operation is OperationType.QUERY


def is_open(operation: OperationDefinitionNode) -> bool:
    """Returns whether the operation reads only the schema, which requires no credential."""
    return all(
        isinstance(selection, FieldNode) and selection.name.value in OPEN_FIELDS
        for selection in operation.selection_set.selections
    )


class Documents:
    """Checks documents against one schema and caches the accepted ones, at most about `most_bytes` of them."""

    def __init__(
        self,
        schema: GraphQLSchema,
        limits: Limits,
        *,
        hide_suggestions: bool = False,
        most_bytes: int = CACHED_BYTES,
        largest: int = LARGEST_CACHED,
    ) -> None:
        self._schema = schema
        self._limits = limits
        self._hide_suggestions = hide_suggestions
        self._most_bytes = most_bytes
        self._largest = largest
        self._accepted: OrderedDict[str, Prepared] = OrderedDict()
        self.cached_bytes = 0

    def __len__(self) -> int:
        return len(self._accepted)

    def prepare(self, text: str, variables: Mapping[str, Any], *, remember: bool = True) -> Prepared:
        """Returns the checked document, and caches it if `remember` is set. Raises DocumentRefused."""
        known = self._accepted.get(text)
        if known is not None:
            self._accepted.move_to_end(text)
            if known.priced_variables:
                self._measure(known.document, variables)
            return known
        prepared = self._check(text, variables)
        if remember:
            self._remember(text, prepared)
        return prepared

    def _remember(self, text: str, prepared: Prepared) -> None:
        size = estimate_bytes(text, prepared.document)
        if size > self._largest:
            return
        self._accepted[text] = prepared
        self.cached_bytes += size
        while self.cached_bytes > self._most_bytes:
            oldest, forgotten = self._accepted.popitem(last=False)
            self.cached_bytes -= estimate_bytes(oldest, forgotten.document)

    def _check(self, text: str, variables: Mapping[str, Any]) -> Prepared:
        if len(text) > self._limits.characters:
            raise DocumentRefused([_refuse_length(len(text), self._limits.characters)])
        try:
            document = parse(text, max_tokens=self._limits.tokens)
        except GraphQLError as error:
            raise DocumentRefused([error]) from None
        if _LONG_NUMBER.search(text):
            refuse_long_numbers(document)
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
        return Prepared(document, frozenset(meter.priced_variables), operations)

    def _measure(self, document: DocumentNode, variables: Mapping[str, Any]) -> Meter:
        meter = Meter(self._schema, document, self._limits, variables)
        try:
            meter.check()
        except QueryTooComplex as error:
            raise DocumentRefused([GraphQLError(str(error), original_error=error)]) from None
        return meter


def refuse_long_numbers(document: DocumentNode) -> None:
    """Raises DocumentRefused if the document has a number of more than MOST_DIGITS characters."""
    token = document.loc.start_token if document.loc else None
    while token:
        if token.kind in (TokenKind.INT, TokenKind.FLOAT) and len(token.value or "") > MOST_DIGITS:
            raise DocumentRefused([GraphQLError(f"A number has at most {MOST_DIGITS} digits.")])
        token = token.next


def estimate_bytes(text: str, document: DocumentNode) -> int:
    """Returns about how many bytes a cached document takes: its text, copies of its strings, and what was parsed."""
    return 2 * sys.getsizeof(text) + BYTES_A_TOKEN * document.token_count


def _refuse_length(found: int, limit: int) -> GraphQLError:
    error = QueryTooComplex(f"characters: {found}, but at most {limit} are allowed; send long values as variables.")
    return GraphQLError(str(error), original_error=error)
