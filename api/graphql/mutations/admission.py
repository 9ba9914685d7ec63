"""Who may call a mutation, and for which sources: registered ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from strawberry.types import Info

from api.graphql.types.context import GraphQLContext
from graph.access.sources import read_source
from graph.errors import BadInput, Forbidden
from graph.model.access import Source
from privacy.gate import Role

GraphQLInfo = Info[GraphQLContext, None]

UNREGISTERED: Final = "source: it is not registered; see `consentric source create`."


def admit_roles(info: GraphQLInfo, roles: Collection[Role]) -> GraphQLContext:
    """Returns the context of a mutation that only these roles may call. Raises Forbidden."""
    role = info.context.request.viewer.role
    if role not in roles:
        raise Forbidden(f"{info.field_name}: this credential's role ({role}) may not do this.")
    return info.context


async def find_source(context: GraphQLContext, name: str) -> Source:
    """Returns a registered source. Raises BadInput if there is none of this name."""
    source = await read_source(context.request.services.client, name)
    if source is None:
        raise BadInput(UNREGISTERED)
    return source
