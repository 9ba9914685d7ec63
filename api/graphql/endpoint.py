"""The GraphQL endpoint: admits the viewer, runs one operation within the time limit, and responds.

A query is cancelled if its client disconnects; a mutation runs to its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from inspect import isawaitable
from types import CoroutineType
from typing import Any, Final, TypeGuard

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationDefinitionNode, execute
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from api.auth import NO_CREDENTIAL
from api.errors import classify, is_internal
from api.graphql.answers import (
    JSON,
    classify_graphql,
    extensions_of,
    log_masked,
    make_response,
    show_error,
    show_refusal,
    status_of,
)
from api.graphql.graphiql import serve_page
from api.graphql.introspection import close_schema
from api.graphql.limits import Limits
from api.graphql.operations import DocumentRefused, Documents, Prepared, is_open, is_query
from api.graphql.requests import Parameters, RequestRefused, choose_media_type, read_parameters, wants_page
from api.graphql.schema import GRAPHQL_SCHEMA
from api.graphql.types.context import GraphQLContext
from graph.errors import StoreTimeout, Unauthenticated
from resolvers.collection.ingestor import Ingestor
from resolvers.context import RequestContext

SECONDS: Final = 20.0

LONGEST_OPEN: Final = 16_384
"""Characters of a document that is parsed without a credential; the introspection queries of tools have 2,000."""

Admit = Callable[[Request], Awaitable[RequestContext | None]]
"""Returns the request's context, or None if it has no credential. Raises Unauthenticated, Forbidden and the like."""


class ClientGone(Exception):
    """The client disconnected before the response was ready. Handled by the endpoint, which then sends nothing."""


class GraphQLEndpoint:
    """An ASGI application for one path. Create one per process: it caches documents. `seconds` limits an operation."""

    def __init__(
        self,
        admit: Admit,
        ingestor: Ingestor,
        *,
        production: bool = False,
        limits: Limits | None = None,
        seconds: float = SECONDS,
        schema: GraphQLSchema = GRAPHQL_SCHEMA,
    ) -> None:
        self._admit = admit
        self._ingestor = ingestor
        self._production = production
        self._limits = limits or Limits()
        self._seconds = seconds
        self._schema = close_schema(schema) if production else schema
        self.documents = Documents(self._schema, self._limits, hide_suggestions=production)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if wants_page(request) and not self._production:
            response = serve_page()
        else:
            try:
                response = await self.respond(request)
            except ClientGone:
                return
        await response(scope, receive, send)

    async def respond(self, request: Request) -> Response:
        """Returns the response to one request, including for any error. Raises only ClientGone."""
        media_type = JSON
        try:
            media_type = choose_media_type(request.headers.get("accept"))
            parameters = await read_parameters(request)
            return await self._serve(request, parameters, media_type)
        except RequestRefused as error:
            body = {"errors": [{"message": str(error), "extensions": extensions_of(error.error_class)}]}
            response = make_response(body, error.status, media_type)
            response.headers.update(error.headers)
            return response
        except ClientGone:
            raise
        except ClientDisconnect:
            raise ClientGone from None
        except Exception as error:
            if is_internal(classify(error)):
                log_masked(error)
            return show_refusal(error, media_type)

    async def _serve(self, request: Request, parameters: Parameters, media_type: str) -> Response:
        admitted = await self._admit(request)
        if admitted is None and len(parameters.query) > LONGEST_OPEN:
            raise Unauthenticated(NO_CREDENTIAL)
        try:
            prepared = self.documents.prepare(parameters.query, parameters.variables, remember=admitted is not None)
            operation = self._choose(prepared, parameters, request.method)
        except DocumentRefused as refused:
            return self._show_result(ExecutionResult(None, refused.errors), {}, media_type)
        if admitted is None and not is_open(operation):
            raise Unauthenticated(NO_CREDENTIAL)
        context = GraphQLContext(admitted, self._ingestor)
        work = self._run(prepared, parameters, context)
        if is_query(operation):
            async with cancel_on_disconnect(request.receive):
                result = await work
        else:
            result = await work
        return self._show_result(result, context.extensions, media_type)

    def _choose(self, prepared: Prepared, parameters: Parameters, method: str) -> OperationDefinitionNode:
        operation = prepared.operation(parameters.operation_name)
        if operation is None:
            names = ", ".join(name for name in prepared.operations if name) or "none"
            raise DocumentRefused([GraphQLError(f"operationName: name one of the document's operations ({names}).")])
        if method == "GET" and not is_query(operation):
            raise RequestRefused(405, "Mutations need POST.", {"Allow": "POST"})
        return operation

    async def _run(self, prepared: Prepared, parameters: Parameters, context: GraphQLContext) -> ExecutionResult:
        """Executes the operation. At the time limit, it and the statement that it waits for are cancelled.

        Raises StoreTimeout.
        """
        try:
            async with asyncio.timeout(self._seconds):
                result = execute(
                    self._schema,
                    prepared.document,
                    context_value=context,
                    variable_values=parameters.variables,
                    operation_name=parameters.operation_name,
                    max_coercion_errors=self._limits.errors,
                    hide_suggestions=self._production,
                    is_awaitable=is_coroutine,
                )
                return await result if isawaitable(result) else result
        except TimeoutError:
            raise StoreTimeout("The request took too long and was stopped; ask for less at once.") from None

    def _show_result(self, result: ExecutionResult, extensions: Mapping[str, Any], media_type: str) -> Response:
        errors = (result.errors or [])[: self._limits.errors]
        body: dict[str, Any] = {"errors": [show_error(error) for error in errors]} if errors else {}
        executed = result.data is not None or any(error.path is not None for error in errors)
        if executed:
            body["data"] = result.data
        if extensions:
            body["extensions"] = extensions
        classes = [classify_graphql(error)[0] for error in errors]
        return make_response(body, status_of(body, classes, media_type), media_type)


def is_coroutine(value: object) -> TypeGuard[Awaitable[Any]]:
    """Returns whether a resolved value is awaitable: ours are coroutines or futures.

    It is called for every value of a response, and the general check is slower.
    """
    return type(value) is CoroutineType or isinstance(value, asyncio.Future)


@asynccontextmanager
async def cancel_on_disconnect(receive: Receive) -> AsyncIterator[None]:
    """Cancels the work inside if the client disconnects, and then raises ClientGone."""
    worker = asyncio.current_task()
    gone = False

    async def watch() -> None:
        nonlocal gone
        while (await receive())["type"] != "http.disconnect":
            pass
        gone = True
        if worker is not None:
            worker.cancel()

    watcher = asyncio.ensure_future(watch())
    try:
        yield
    except asyncio.CancelledError:
        if gone and worker is not None and worker.uncancel() == 0:
            raise ClientGone from None
        raise
    finally:
        watcher.cancel()
