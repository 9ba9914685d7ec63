"""The middleware around every HTTP request: request ID, body limit, metrics, log line and response headers.

It also holds the JSON form of errors outside GraphQL.
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
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from ulid import ULID

from api.errors import MAPPINGS, classify, code_of_status, documentation_of, public_message_of
from api.http.metrics import Metrics
from graph.errors import PayloadTooLarge, RateLimited

MAX_BODY: Final = 4 << 20
"""The largest body in bytes. Collection and GraphQL have stricter limits with their own messages."""

MAX_DISCARDED: Final = 32 << 20
DISCARD_SECONDS: Final = 5
"""How many bytes of a refused body are read, and for how long, if the connection closes after the response."""

REQUEST_ID: Final = re.compile(r"[0-9A-Fa-f-]{8,64}|[0-9A-HJKMNP-TV-Z]{26}", re.ASCII)
"""Accepted values of `X-Request-Id`: hexadecimal or a ULID, so that nothing personal gets into the log."""

METHODS: Final = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "DELETE", "PATCH"})
RESPONSE_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}

log = logging.getLogger("consentric.requests")


def report_error(error: BaseException) -> Response:
    """Returns the response for an error."""
    error_class = classify(error)
    response = render_error(MAPPINGS[error_class].status, error_class.code, public_message_of(error))
    if isinstance(error, RateLimited):
        response.headers["Retry-After"] = str(error.retry_after)
    return response


def render_error(status: int, code: str, message: str) -> Response:
    """Returns `{"error": {"code", "message", "documentation"}}` with the headers that the status requires."""
    headers = {
        401: {"WWW-Authenticate": 'Bearer, Basic realm="consentric"'},
        429: {"Retry-After": "1"},
        503: {"Retry-After": "1"},
    }.get(status)
    body = orjson.dumps({"error": {"code": code, "message": message, "documentation": documentation_of(code)}})
    return Response(body, status, headers=headers, media_type="application/json")


async def handle_error(_: Request, error: Exception) -> Response:
    """Handles our own errors for Starlette."""
    return report_error(error)


async def handle_http_error(_: Request, error: Exception) -> Response:
    """Handles Starlette's own errors, such as unknown paths and methods."""
    if not isinstance(error, HTTPException):
        return report_error(error)
    response = render_error(error.status_code, code_of_status(error.status_code), error.detail)
    response.headers.update(error.headers or {})
    return response


class Envelope:
    """The middleware. `paths` are the paths of the routes; they and "other" are the values of the label `route`."""

    def __init__(self, app: ASGIApp, metrics: Metrics, paths: Collection[str]) -> None:
        self._app = app
        self._metrics = metrics
        self._paths = sorted(paths, key=len, reverse=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, body = Headers(scope=scope), LimitedBody(receive)
        request_id = choose_request_id(headers.get("x-request-id"))
        scope.setdefault("state", {})["request_id"] = request_id
        started, status = time.perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and closes_connection(scope, headers):
                    await body.discard()
                add_headers(MutableHeaders(scope=message), request_id)
            await send(message)

        with self._metrics.in_flight.track_inprogress():
            try:
                await self._app(scope, body, send_with_headers)
            except ClientDisconnect:
                log.debug("a client disconnected", extra={"fields": {"request_id": request_id}})
            except Exception as error:
                if status:
                    raise
                log.error("a request failed", exc_info=error, extra={"fields": {"request_id": request_id}})
                await report_error(error)(scope, receive, send_with_headers)
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


def choose_request_id(given: str | None) -> str:
    """Returns the caller's request ID if it is acceptable, or else a new one."""
    return given if given and REQUEST_ID.fullmatch(given) else str(ULID())


def add_headers(headers: MutableHeaders, request_id: str) -> None:
    """Adds the headers of every response, except those that the route has set itself."""
    for name, value in RESPONSE_HEADERS.items():
        headers.setdefault(name, value)
    headers["X-Request-Id"] = request_id


class LimitedBody:
    """Receives the body of a request. Raises PayloadTooLarge once it exceeds `MAX_BODY`."""

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
        """Reads and drops the rest of the body, within limits.

        Closing a connection with unread bytes resets it, and then the client never sees why its request was refused.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(DISCARD_SECONDS):
                while self._more and self._received < MAX_DISCARDED:
                    await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        self._received += len(message.get("body", b""))
        self._more = message.get("more_body", False)
        return message


def closes_connection(scope: Scope, headers: Headers) -> bool:
    """Returns whether the connection closes after the response while the client sends its body unprompted."""
    closing = scope.get("http_version") == "1.0" or "close" in headers.get("connection", "").lower()
    return closing and "expect" not in headers
