"""Open connections: how many there may be, and how long a client may take over a request.

uvicorn closes a connection only if it is silent after a response. These rules close it as well if the head or the body
of a request arrives too slowly, if a head is endless, if a client doesn't take its response, or if too many
connections are open.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.errors import REQUEST_TIMEOUT, documentation_of
from api.http.addresses import Addresses, key_of
from graph.errors import BadInput, RateLimited

MAX_HEAD: Final = 65_536
"""The largest head in bytes: method, path and headers. The parser itself has no limit."""

BYTES_A_SECOND: Final = 16_384
"""A body gets a second more for each of these, so that a large one on a slow line arrives."""

ANSWER_SECONDS: Final = 120.0
"""Time from the end of a request until its response has left. Every operation has a shorter limit of its own."""

CLOSE_SECONDS: Final = 5.0
"""Time for a connection that is being closed to take what was written to it."""

MOST_LINGERING: Final = 64
"""How many connections beyond the limit wait for their client to read why. Closing one at once would reset it if the
client has sent something, and then the client never sees the reason."""

CONNECTIONS: Final = "Too many connections are open; use fewer, or try again after a pause."
SLOW_HEAD: Final = "The head of the request took too long to arrive."
SLOW_BODY: Final = "The body of the request took too long to arrive; send less at once."
LARGE_HEAD: Final = f"The head of a request has at most {MAX_HEAD} bytes."


class Phase(Enum):
    """What a connection is doing: waiting for a head, for the rest of a body, for its response, or for its end."""

    HEAD = auto()
    BODY = auto()
    ANSWER = auto()
    CLOSING = auto()


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """How many connections may be open, in all and per address, and the times for a request's head and body."""

    most: int
    most_per_address: int
    head_seconds: float
    body_seconds: float


class Connections:
    """The open connections of a server. Calling it makes the protocol of a new one, as uvicorn asks for it."""

    def __init__(self, limits: ConnectionLimits, addresses: Addresses) -> None:
        self.limits = limits
        self._addresses = addresses
        self._open: set[GuardedProtocol] = set()
        self._lingering: set[GuardedProtocol] = set()
        self._by_address: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._open)

    def __call__(self, **given: Any) -> GuardedProtocol:
        return GuardedProtocol(self, **given)

    def admit(self, connection: GuardedProtocol, host: str) -> str | None:
        """Adds a connection; returns the key of its address, or None if there are too many. Trusted proxies are limited
        only by the number of all connections."""
        key = key_of(host)
        few = self._addresses.trusts(host) or self._by_address[key] < self.limits.most_per_address
        if len(self._open) >= self.limits.most or not few:
            if not self._by_address[key]:
                del self._by_address[key]
            return None
        self._open.add(connection)
        self._by_address[key] += 1
        return key

    def linger(self, connection: GuardedProtocol) -> bool:
        """Returns whether a connection that is told to go away may stay until its client has read that."""
        if connection not in self._open:
            if len(self._lingering) >= MOST_LINGERING:
                return False
            self._lingering.add(connection)
        return True

    def release(self, connection: GuardedProtocol, key: str | None) -> None:
        """Removes a connection; `key` is what `admit` returned."""
        self._lingering.discard(connection)
        if key is None:
            return
        self._open.discard(connection)
        self._by_address[key] -= 1
        if not self._by_address[key]:
            del self._by_address[key]

    def sweep(self, now: float) -> None:
        """Ends every connection that is overdue at an instant of the event loop's clock. O(connections)."""
        for connection in (*self._open, *self._lingering):
            connection.check(now)


MOST_WAITING: Final = 16
"""How many requests one connection may send ahead of the response that is due. Each waits in memory, and no other limit
counts it."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, which also knows since when it has been waiting for what."""

    def __init__(self, guard: Connections, **given: Any) -> None:
        super().__init__(**given)
        self._guard = guard
        self._key: str | None = None
        self._phase = Phase.HEAD
        self._since = self.loop.time()
        self._received = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuses the connection if too many are open."""
        super().connection_made(transport)
        self._key = self._guard.admit(self, self.client[0] if self.client else "")
        if self._key is None:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, RateLimited.code, CONNECTIONS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forgets the connection."""
        super().connection_lost(exc)
        self._guard.release(self, self._key)
        self._key = None

    def data_received(self, data: bytes) -> None:
        """Counts what arrives of a head, and refuses an endless one."""
        if self._phase is Phase.CLOSING:
            return
        super().data_received(data)
        if len(self.pipeline) > MOST_WAITING:
            self._close()
            return
        self._received += len(data)
        if self._phase is Phase.HEAD and self._received > MAX_HEAD:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, BadInput.code, LARGE_HEAD)

    def on_message_begin(self) -> None:
        """A head begins. While an earlier response is due, that is still what the connection waits for."""
        super().on_message_begin()
        if self._phase is not Phase.ANSWER:
            self._enter(Phase.HEAD)

    def on_headers_complete(self) -> None:
        """The body begins."""
        super().on_headers_complete()
        self._enter(Phase.BODY)

    def on_message_complete(self) -> None:
        """The request is complete, and perhaps its response as well."""
        super().on_message_complete()
        self._enter(Phase.HEAD if self.cycle.response_complete else Phase.ANSWER)

    def on_response_complete(self) -> None:
        """The response is complete. If the body is not, it is still what the connection waits for."""
        super().on_response_complete()
        if self._phase is Phase.ANSWER:
            self._enter(Phase.HEAD if self.cycle.response_complete else Phase.ANSWER)

    def check(self, now: float) -> None:
        """Ends the connection if it is overdue."""
        waited = now - self._since
        if self.transport.is_closing() and self._phase is not Phase.CLOSING:
            if waited > ANSWER_SECONDS:
                self.transport.abort()
            return
        match self._phase:
            case Phase.HEAD if waited > self._guard.limits.head_seconds:
                if self._received:
                    self._refuse(HTTPStatus.REQUEST_TIMEOUT, REQUEST_TIMEOUT, SLOW_HEAD)
                else:
                    self._close()
            case Phase.BODY if waited > self._guard.limits.body_seconds + self._received / BYTES_A_SECOND:
                if self.cycle.response_started:
                    self._close()
                else:
                    self._refuse(HTTPStatus.REQUEST_TIMEOUT, REQUEST_TIMEOUT, SLOW_BODY)
            case Phase.ANSWER if waited > ANSWER_SECONDS:
                self.transport.abort()
            case Phase.CLOSING if waited > CLOSE_SECONDS:
                self.transport.abort()
            case _:
                pass

    def _enter(self, phase: Phase) -> None:
        if self._phase is not Phase.CLOSING:
            self._phase, self._since, self._received = phase, self.loop.time(), 0

    def _refuse(self, status: HTTPStatus, code: str, message: str) -> None:
        self.transport.write(_write_refusal(status, code, message))
        if self._phase is Phase.HEAD and self._guard.linger(self):
            self._unset_keepalive_if_required()
            self._enter(Phase.CLOSING)
            self.transport.write_eof()
        else:
            self._close()

    def _close(self) -> None:
        self._enter(Phase.CLOSING)
        self._unset_keepalive_if_required()
        self.transport.close()


@cache
def _write_refusal(status: HTTPStatus, code: str, message: str) -> bytes:
    """Returns a response that closes the connection, with the same body as any other error."""
    error = {"code": code, "message": message, "documentation": documentation_of(code)}
    body = orjson.dumps({"error": error})
    head = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        f"content-length: {len(body)}",
    ]
    if status is HTTPStatus.TOO_MANY_REQUESTS:
        head.append("retry-after: 1")
    return "\r\n".join([*head, "connection: close", "", ""]).encode() + body
