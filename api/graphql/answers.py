"""GraphQL's answers as text: errors with their code, masked where nobody should know more, and the JSON of the whole.

What lives here: what of an error may leave, the cap on errors, the media types and statuses of GraphQL over HTTP. What
does not: reading a request (`api/graphql/requests.py`), running it (`api/graphql/endpoint.py`), the codes
(`api/errors.py`).
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from graphql import GraphQLError
from starlette.responses import Response
from strawberry.exceptions import StrawberryInputCoercionError

from api.errors import INTERNAL_MESSAGE, MAPPINGS, classify, documentation_of, is_internal, message_of
from graph.errors import BadInput, ConsentricError

JSON: Final = "application/json"
GRAPHQL_JSON: Final = "application/graphql-response+json"
RETRY_AFTER: Final = {429: "1", 503: "1"}

log = logging.getLogger("consentric.graphql")


def classify_graphql(error: GraphQLError) -> tuple[type[ConsentricError], str]:
    """Returns the error class that stands for what GraphQL reports, and the text that may be shown: ours by the table,
    the client's own mistakes as they are, everything else masked.

    A client's mistake is one found before execution (it has no path), one in an argument, or one that points into the
    document; what fails while a value is put into the answer does neither and could quote the value.
    """
    origin = error.original_error
    while isinstance(origin, GraphQLError) and origin.original_error is not None:
        origin = origin.original_error
    if isinstance(origin, ConsentricError):
        return classify(origin), message_of(origin)
    if isinstance(origin, StrawberryInputCoercionError):
        return BadInput, str(origin)
    if error.path is None and (origin is None or isinstance(origin, GraphQLError)):
        return BadInput, error.message
    if isinstance(origin, GraphQLError) and origin.nodes:
        return BadInput, error.message
    return ConsentricError, INTERNAL_MESSAGE


def show_error(error: GraphQLError) -> dict[str, Any]:
    """One error as the client gets it; what is masked goes to the log, without its text, which may be personal."""
    error_class, message = classify_graphql(error)
    if is_internal(error_class):
        log_masked(error.original_error or error)
    shown: dict[str, Any] = {"message": message}
    if error.locations:
        shown["locations"] = [{"line": place.line, "column": place.column} for place in error.locations]
    if error.path is not None:
        shown["path"] = error.path
    shown["extensions"] = extensions_of(error_class)
    return shown


def show_failure(error: Exception) -> dict[str, Any]:
    """An error outside of execution, in the same shape."""
    return {"message": message_of(error), "extensions": extensions_of(classify(error))}


def extensions_of(error_class: type[ConsentricError]) -> dict[str, str]:
    """Returns an error's code and the link to the page that explains it."""
    return {"code": error_class.code, "documentation": documentation_of(error_class.code)}


def log_masked(error: BaseException) -> None:
    """Where and what kind, never the exception's text."""
    frames = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{frame.filename}:{frame.lineno}" for frame in reversed(frames))
    log.error("masked %s at %s", type(error).__qualname__, places or "unknown place")


def write_json(body: Mapping[str, Any]) -> bytes:
    """UTF-8 JSON. What orjson refuses (lone surrogates, numbers over 64 bits) goes through the standard library."""
    try:
        return orjson.dumps(body)
    except TypeError:
        return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode()


def status_of(body: Mapping[str, Any], errors: Sequence[type[ConsentricError]], media_type: str) -> int:
    """The HTTP status of an executed or refused document.

    Under application/json a well-formed request is 200 unless a credential, a rate or the store stands in its way;
    under application/graphql-response+json an answer without data carries the status of its first error.
    """
    if body.get("data") is not None or not errors:
        return 200
    status = MAPPINGS[errors[0]].status
    if media_type == JSON and status in (400, 404, 409):
        return 200
    return status


def make_response(body: Mapping[str, Any], status: int, media_type: str) -> Response:
    """The answer, never to be cached: it is one viewer's."""
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if status in RETRY_AFTER:
        headers["Retry-After"] = RETRY_AFTER[status]
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    content_type = f"{media_type}; charset=utf-8"
    return Response(write_json(body), status, headers=headers, media_type=content_type)
