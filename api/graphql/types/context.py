"""The context value of a GraphQL execution, and how GraphQL resolvers read it from Strawberry's info."""

from __future__ import annotations

from typing import Any

from strawberry.types import Info

from api.auth import NO_CREDENTIAL
from graph.errors import Unauthenticated
from resolvers.collection.ingestor import Ingestor
from resolvers.context import RequestContext


class GraphQLContext:
    """The context of one execution: the request's context, the ingestor that mutations write to, and the response's
    `extensions`.

    Without a credential there is no request context, and only the schema may be queried.
    """

    __slots__ = ("_request", "extensions", "ingestor")

    def __init__(self, request: RequestContext | None, ingestor: Ingestor) -> None:
        self._request = request
        self.ingestor = ingestor
        self.extensions: dict[str, Any] = {}

    @property
    def request(self) -> RequestContext:
        """Returns the request's context. Raises Unauthenticated if the request has no credential."""
        if self._request is None:
            raise Unauthenticated(NO_CREDENTIAL)
        return self._request


def request_of(info: Info[GraphQLContext, None]) -> RequestContext:
    """Returns the context of the request that a resolver serves."""
    return info.context.request
