"""What surrounds every HTTP request: its id, its size limit, its count, its log line, the headers of its answer.

What lives here: one ASGI layer around the routes, and the JSON form of an error outside of GraphQL. What does not:
routes (`api/app.py`), codes of errors (`api/errors.py`), instruments (`api/http/metrics.py`).
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Collection
from contextlib import suppress
from typing import Final

import orjson
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from api.errors import MAPPINGS, classify, code_of_status, documentation_of, message_of
from api.http.metrics import Metrics
from graph.errors import PayloadTooLarge

MAX_BODY: Final = 4 << 20
"""No body is larger. Collection and GraphQL have stricter limits of their own, in their own words."""

MOST_DISCARDED: Final = 32 << 20
DISCARD_SECONDS: Final = 5
"""How much of a refused body is still taken where the connection ends with the answer."""

REQUEST_ID: Final = re.compile(r"[0-9A-Fa-f-]{8,64}|[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
"""What a caller may give as `X-Request-Id`: hex or a ULID, so that it carries nothing personal into the log."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})
ANSWER_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = logging.getLogger("consentric.requests")


def answer_error(error: BaseException) -> Response:
    """An error as JSON: `{"error": {"code", "message", "documentation"}}`."""
    error_class = classify(error)
    return shape_error(MAPPINGS[error_class].status, error_class.code, message_of(error))


def shape_error(status: int, code: str, message: str) -> Response:
    """The answer to a request that failed, with what its status asks of the headers."""
    headers = {
        401: {"WWW-Authenticate": 'Bearer, Basic realm="consentric"'},
        429: {"Retry-After": "1"},
        503: {"Retry-After": "1"},
    }.get(status)
    body = orjson.dumps({"error": {"code": code, "message": message, "documentation": documentation_of(code)}})
    return Response(body, status, headers=headers, media_type="application/json")


async def handle_error(_: Request, error: Exception) -> Response:
    """Starlette's handler of our own errors."""
    return answer_error(error)


async def handle_http_error(_: Request, error: Exception) -> Response:
    """Starlette's handler of its own errors: unknown paths and methods."""
    if not isinstance(error, HTTPException):
        return answer_error(error)
    response = shape_error(error.status_code, code_of_status(error.status_code), error.detail)
    response.headers.update(error.headers or {})
    return response


class Envelope:
    """The layer. `paths` are those of the routes, the only values that the route label takes."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = sorted(paths, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, incoming = Headers(scope=scope), Incoming(receive)
        request_id = choose_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_dressed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and closes(scope, headers):
                    await incoming.discard()
                dress(MutableHeaders(scope=message), request_id)
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, incoming, send_dressed)
            except Exception as error:
                if status:
                    raise
                log.error("a request failed", exc_info=error, extra={"fields": {"request_id": request_id}})
                await answer_error(error)(scope, receive, send_dressed)
            finally:
                self._count(scope, status, time.perf_counter() - started, request_id)

    def _count(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = self._route_of(scope["path"])
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.requests.labels(method, route, str(status)).inc()
        self._metrics.seconds.labels(route).observe(seconds)
        level = logging.WARNING if status >= 500 else logging.INFO if status >= 400 else logging.DEBUG
        if log.isEnabledFor(level):
            fields = {"route": route, "status": status, "ms": round(seconds * 1000, 2), "request_id": request_id}
            log.log(level, method, extra={"fields": fields})

    def _route_of(self, path: str) -> str:
        if path in self._paths:
            return path
        return next((known for known in self._paths if known != "/" and path.startswith(f"{known}/")), "other")


def choose_id(given: str | None) -> str:
    """The caller's id of the request where it is harmless, else a new one."""
    return given if given and REQUEST_ID.fullmatch(given) else str(ULID())


def dress(headers: MutableHeaders, request_id: str) -> None:
    """Puts on the headers that every answer has, unless the route chose its own."""
    for name, value in ANSWER_HEADERS.items():
        headers.setdefault(name, value)
    headers["X-Request-Id"] = request_id


class Incoming:
    """The body of a request on its way in: no longer than the limit, else PayloadTooLarge."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._received = 0
        self._more = True

    async def __call__(self) -> Message:
        message = await self._next()
        if self._received > MAX_BODY:
            raise PayloadTooLarge(f"The body is over {MAX_BODY} bytes: send less at once.")
        return message

    async def discard(self) -> None:
        """Takes what is still under way, within bounds. Closing a connection with bytes that nobody read resets it, and
        the sender never sees why it was refused."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while self._more and self._received < MOST_DISCARDED:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        return message


def closes(scope: Scope, headers: Headers) -> bool:
    """Whether the connection ends with the answer, and the sender does not wait to be asked for the body."""
    ending = scope.get("http_version") == "1.0" or "close" in headers.get("connection", "").lower()
    return ending and "expect" not in headers
