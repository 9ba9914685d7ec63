"""GraphQL responses: errors with their code, masked if internal, and JSON, media types and statuses over HTTP.

Statuses follow the specification of GraphQL over HTTP.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from graphql import GraphQLError
from starlette.responses import Response
from strawberry.exceptions import StrawberryInputCoercionError

from api.errors import INTERNAL_MESSAGE, MAPPINGS, classify, documentation_of, is_internal, public_message_of
from api.process.logs import describe_exception
from graph.errors import BadInput, ConsentricError, RateLimited

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
RETRY_AFTER: Final = {429: "1", 503: "1"}

log = logging.getLogger("consentric.graphql")


def classify_graphql(error: GraphQLError) -> tuple[type[ConsentricError], str]:
    """Returns the class of an error that GraphQL reports, and the message that may be shown.

    Our own errors keep their class, a client's mistakes become BadInput with their own message, and everything else is
    masked. A client's mistake is found before execution (it has no path), in an argument, or points into the document.
    An error in the value of a field does none of this, and its message could quote the value.
    """
    origin = error.original_error
    while isinstance(origin, GraphQLError) and origin.original_error is not None:
        origin = origin.original_error
    if isinstance(origin, ConsentricError):
        return classify(origin), public_message_of(origin)
    if isinstance(origin, StrawberryInputCoercionError):
        return BadInput, str(origin)
    if error.path is None and (origin is None or isinstance(origin, GraphQLError)):
        return BadInput, error.message
    if isinstance(origin, GraphQLError) and origin.nodes:
        return BadInput, error.message
    return ConsentricError, INTERNAL_MESSAGE


def show_error(error: GraphQLError) -> dict[str, Any]:
    """Returns an error as the client sees it. A masked error is logged without its text, which may be personal."""
    error_class, message = classify_graphql(error)
    if is_internal(error_class):
        log_masked(error.original_error or error)
    shown: dict[str, Any] = {"message": message}
    if error.locations:
        shown["locations"] = [{"line": location.line, "column": location.column} for location in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    shown["extensions"] = extensions_of(error_class)
    return shown


def show_failure(error: Exception) -> dict[str, Any]:
    """Returns an error outside execution, in the same form."""
    return {"message": public_message_of(error), "extensions": extensions_of(classify(error))}


def show_refusal(error: Exception, media_type: str = JSON) -> Response:
    """Returns the response to a request that failed before its operation was executed."""
    response = make_response({"errors": [show_failure(error)]}, MAPPINGS[classify(error)].status, media_type)
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def extensions_of(error_class: type[ConsentricError]) -> dict[str, str]:
    """Returns an error's code and the link to the page that explains it."""
    return {"code": error_class.code, "documentation": documentation_of(error_class.code)}


def log_masked(error: BaseException) -> None:
    """Logs the class and the code locations of an exception, never its text."""
    log.error("masked %s", describe_exception(error))


def write_json(body: Mapping[str, Any]) -> bytes:
    """Returns JSON in UTF-8. The standard library writes what orjson refuses: lone surrogates and large integers."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()


def status_of(body: Mapping[str, Any], errors: Sequence[type[ConsentricError]], media_type: str) -> int:
    """Returns the HTTP status for an executed or refused document.

    With application/json, a well-formed request gets 200 even if its first error would map to 400, 404 or 409. With
    application/graphql-response+json, a response without data has the status of its first error.
    """
    if body.get("data") is not None or not errors:
        return 200
    status = MAPPINGS[errors[0]].status
    if media_type == JSON and status in (400, 404, 409):
        return 200
    return status


def make_response(body: Mapping[str, Any], status: int, media_type: str) -> Response:
    """Returns the HTTP response, which must not be cached because it depends on the viewer."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if status in RETRY_AFTER:
        headers["Retry-After"] = RETRY_AFTER[status]
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content_type = f"{media_type}; charset=utf-8"
    return Response(write_json(body), status, headers=headers, media_type=content_type)
