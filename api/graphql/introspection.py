"""The schema as production shows it: it can be asked, but tells nothing of itself.

What lives here: a schema whose `__schema` is unknown and whose `__type` knows no type, so that a probe for a type's
name gets the answer for a name that does not exist. What does not: suggestions in errors, which are switched off where
documents are checked and run (`api/graphql/operations.py`, `api/graphql/endpoint.py`).
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
        """As the open schema has it, but for what asks about the schema."""
        if field_name == "__schema":
            return None
        if field_name == "__type":
            return _NO_TYPE if parent_type is self.query_type else None
        return super().get_field(parent_type, field_name)


def close_schema(schema: GraphQLSchema) -> GraphQLSchema:
    """The same schema without introspection."""
    closed = copy(schema)
    closed.__class__ = ClosedSchema
    return closed
