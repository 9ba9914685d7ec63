"""What resolvers of GraphQL are given about the request they serve.

What lives here: the context value of one execution, and reading it off Strawberry's info. What does not: services and
viewers themselves (`resolvers/context.py`).
"""

from __future__ import annotations

from typing import Any

from strawberry.types import Info

from graph.errors import Unauthenticated
from resolvers.collection.ingestor import Ingestor
from resolvers.context import RequestContext

NO_VIEWER = "Send an API key or a subject token in the header Authorization: Bearer …"


class Asking:
    """One execution: the request's context (None: no credential was shown, so only the schema may be queried), the
    ingestor that mutations write through, and what goes into the answer's `extensions`."""

    __slots__ = ("_request", "extensions", "ingestor")

    def __init__(self, request: RequestContext | None, ingestor: Ingestor) -> None:
        self._request = request
        self.ingestor = ingestor
        self.extensions: dict[str, Any] = {}

    @property
    def request(self) -> RequestContext:
        """The context of a request with a credential. Raises Unauthenticated where none was shown."""
        if self._request is None:
            raise Unauthenticated(NO_VIEWER)
        return self._request


def request_of(info: Info[Asking, None]) -> RequestContext:
    """The request that a resolver serves."""
    return info.context.request
