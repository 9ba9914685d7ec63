"""The schema without introspection, for production.

`__schema` is an unknown field and `__type` is null for every name, so that a request can't tell which types exist.
Suggestions in errors are turned off separately, where documents are checked and executed.
"""

from __future__ import annotations

from copy import copy
from typing import Final

from graphql import GraphQLField, GraphQLSchema, TypeMetaFieldDef
from graphql.type import GraphQLCompositeType

_NO_TYPE: Final = GraphQLField(TypeMetaFieldDef.type, args=TypeMetaFieldDef.args, resolve=lambda *_, **__: None)


class ClosedSchema(GraphQLSchema):
    """A schema without introspection."""

    def get_field(self, parent_type: GraphQLCompositeType, field_name: str) -> GraphQLField | None:
        """Returns a field as the open schema does, except those of introspection."""
        if field_name == "__schema":
            return None
        if field_name == "__type":
            return _NO_TYPE if parent_type is self.query_type else None
        return super().get_field(parent_type, field_name)


def close_schema(schema: GraphQLSchema) -> GraphQLSchema:
    """Returns the same schema without introspection."""
    closed = copy(schema)
    closed.__class__ = ClosedSchema
    return closed
