"""Reading a GraphQL request from HTTP: method, media types, body, parameters, protection against forged requests.

The rules are those of GraphQL over HTTP; batches are not supported. Whatever is wrong before the document itself is
checked raises RequestRefused with an HTTP status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson
from starlette.requests import Request

from api.graphql.answers import GRAPHQL_JSON, JSON
from api.http.body import read_limited
from graph.errors import BadInput, ConsentricError, PayloadTooLarge

MAX_BODY: Final = 1_048_576
PREFLIGHT_HEADERS: Final = ("graphql-preflight", "apollo-require-preflight", "x-requested-with", "authorization")


class RequestRefused(Exception):
    """The request is refused with an HTTP status before its document is checked. Handled by the endpoint."""

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.error_class: type[ConsentricError] = PayloadTooLarge if status == 413 else BadInput
        self.headers = dict(headers or {})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The parameters of a request."""

    query: str
    variables: dict[str, Any]
    operation_name: str | None


def choose_media_type(accept: str | None) -> str:
    """Returns the response's media type for an Accept header: application/json if the client has no preference.

    Raises RequestRefused with status 406.
    """
    if not accept or accept == "*/*":
        return JSON
    wanted = dict(_weigh(part) for part in accept.split(","))
    general = max(wanted.get("*/*", 0.0), wanted.get("application/*", 0.0))
    plain, precise = wanted.get(JSON, general), wanted.get(GRAPHQL_JSON, 0.0)
    if precise > 0 and precise >= plain:
        return GRAPHQL_JSON
    if plain > 0:
        return JSON
    raise RequestRefused(406, f"Accept: responses are {GRAPHQL_JSON} or {JSON}.")


def _weigh(part: str) -> tuple[str, float]:
    """Returns the media type and weight of an entry of an Accept header. A charset other than UTF-8 has weight 0."""
    kind, *options = (piece.strip().lower() for piece in part.split(";"))
    weight = 1.0
    for option in options:
        name, _, value = option.partition("=")
        if name == "q":
            try:
                weight = float(value)
            except ValueError:
                weight = 0.0
        elif name == "charset" and value.strip('"') not in ("utf-8", "utf8"):
            weight = 0.0
    return kind, weight


def wants_page(request: Request) -> bool:
    """Returns whether the request is a browser's navigation rather than a program's query."""
    return request.method == "GET" and "text/html" in request.headers.get("accept", "")


async def read_parameters(request: Request) -> Parameters:
    """Reads the parameters of a GET or POST request. Raises RequestRefused."""
    if request.method == "POST":
        return await _read_post(request)
    if request.method == "GET":
        _refuse_forged(request)
        given: dict[str, Any] = dict(request.query_params)
        for name in ("variables", "extensions"):
            if name in given:
                given[name] = _load(given[name] or "null", f"{name}: a JSON object is expected.")
        return _check(given)
    raise RequestRefused(405, "Use POST, or GET for queries.", {"Allow": "GET, POST"})


def _refuse_forged(request: Request) -> None:
    """Raises RequestRefused unless a GET request proves that no page of another site made the browser send it.

    Proofs are a header that such a page can't send without permission, the browser's Sec-Fetch headers, or an Accept
    header that no image, script or navigation sends.
    """
    headers = request.headers
    if any(name in headers for name in PREFLIGHT_HEADERS):
        return
    if headers.get("sec-fetch-mode") == "cors" or headers.get("sec-fetch-site") == "same-origin":
        return
    if "json" in headers.get("accept", ""):
        return
    raise RequestRefused(400, "A GET request must accept JSON (Accept), or send the header GraphQL-Preflight: 1.")


async def _read_post(request: Request) -> Parameters:
    headers = request.headers
    kind, _, options = headers.get("content-type", "").partition(";")
    if kind.strip().lower() != JSON:
        raise RequestRefused(415, f"Content-Type: {JSON} is expected.", {"Accept-Post": JSON})
    charset = options.lower().partition("charset=")[2].strip().strip('"')
    if charset and charset not in ("utf-8", "utf8"):
        raise RequestRefused(415, "Content-Type: the charset must be UTF-8.")
    if headers.get("content-encoding", "identity") != "identity":
        raise RequestRefused(415, "Content-Encoding: send the body uncompressed.")
    try:
        body = await read_limited(request, MAX_BODY)
    except PayloadTooLarge as error:
        raise RequestRefused(413, str(error)) from None
    return _check(_load(body, "The body must be a JSON object."))


def _load(text: str | bytes, message: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise RequestRefused(400, message) from None


def _check(given: Any) -> Parameters:
    """Returns the parameters after checking their types. Raises RequestRefused."""
    if isinstance(given, list):
        raise RequestRefused(400, "Batches are not supported: send one operation per request.")
    if not isinstance(given, dict):
        raise RequestRefused(400, "The body must be a JSON object.")
    query, variables, name = given.get("query"), given.get("variables"), given.get("operationName")
    if not isinstance(query, str) or not query.strip():
        raise RequestRefused(400, "query: a string with a GraphQL document is expected.")
    if name is not None and not isinstance(name, str):
        raise RequestRefused(400, "operationName: a string is expected.")
    for field in ("variables", "extensions"):
        if given.get(field) is not None and not isinstance(given[field], dict):
            raise RequestRefused(400, f"{field}: a JSON object is expected.")
    return Parameters(query, variables or {}, name or None)
