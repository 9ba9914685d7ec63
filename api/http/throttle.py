"""Limits per client and per address: how many requests in a window of time, and how many at once.

They hold for this process; several processes behind one address each count on their own. A request counts against its
address as soon as it arrives, and against its client once it is admitted and its body is read, so that slow bodies use
up only the sender's own places.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from math import ceil
from typing import Final, TypeVar

from limits import RateLimitItem, parse
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from api.http.addresses import Addresses
from api.http.rates import WindowMemory
from api.process.settings import Settings
from graph.errors import RateLimited, Unauthenticated

T = TypeVar("T")

ADDRESS_RATE: Final = "Too many requests came from this address; try again after a pause."
ADDRESS_AT_ONCE: Final = "Too many requests of this address are in progress; wait for some of them to finish."
CLIENT_RATE: Final = "Too many requests came with this credential; try again after a pause."
CLIENT_AT_ONCE: Final = "Too many requests with this credential are in progress; wait for some of them to finish."
STRANGER_RATE: Final = "Too many requests without a valid credential came from this address; try again after a pause."

VISIT: Final = "visit"

Refuse = Callable[[RateLimited], Response]


@dataclass(frozen=True, slots=True)
class Quota:
    """How many requests one client or one address may make in a window of time, and how many at once."""

    rate: RateLimitItem
    at_once: int


class Throttle:
    """Counts requests. `strangers` is the rate of requests without a valid credential, per address."""

    def __init__(self, client: Quota, address: Quota, strangers: RateLimitItem, addresses: Addresses) -> None:
        self.client = client
        self.address = address
        self.strangers = strangers
        self.addresses = addresses
        self.memory = WindowMemory()
        self._limiter = SlidingWindowCounterRateLimiter(self.memory)
        self._busy: dict[str, int] = {}

    def guard(self, app: ASGIApp, refuse: Refuse | None = None) -> ASGIApp:
        """Returns the application behind the limits. `refuse` makes the response to a refused request; without it,
        RateLimited is raised. The application finds the request's `Visit` with `visit_of`."""
        return _Guarded(self, app, refuse)

    def count(self, rate: RateLimitItem, key: str, message: str) -> None:
        """Counts one request of a key. Raises RateLimited, with the seconds until there is room again."""
        if not self._limiter.hit(rate, key):
            stats = self._limiter.get_window_stats(rate, key)
            raise RateLimited(message, max(1, ceil(stats.reset_time - time.time())))

    def occupy(self, key: str, most: int, message: str) -> None:
        """Takes one of a key's places. Raises RateLimited if all are taken."""
        busy = self._busy.get(key, 0)
        if busy >= most:
            raise RateLimited(message)
        self._busy[key] = busy + 1

    def vacate(self, key: str) -> None:
        """Gives a place back."""
        left = self._busy[key] - 1
        if left:
            self._busy[key] = left
        else:
            del self._busy[key]


class _Guarded:
    """An application behind the limits. A class, because a route takes a function for a handler of requests."""

    def __init__(self, throttle: Throttle, app: ASGIApp, refuse: Refuse | None) -> None:
        self._throttle = throttle
        self._app = app
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = Visit(self._throttle, self._throttle.addresses.find(scope))
        try:
            visit.enter()
            scope.setdefault("state", {})[VISIT] = visit
            await self._app(scope, receive, send)
        except RateLimited as error:
            if self._refuse is None:
                raise
            await self._refuse(error)(scope, receive, send)
        finally:
            visit.leave()


class Visit:
    """One request, and the places that it occupies until its response is sent."""

    __slots__ = ("_address", "_places", "_throttle", "address")

    def __init__(self, throttle: Throttle, address: str) -> None:
        self._throttle = throttle
        self.address = address
        self._address = f"address {address}"
        self._places: list[str] = []

    def enter(self) -> None:
        """Counts the request against its address. Raises RateLimited."""
        quota = self._throttle.address
        self._occupy(self._address, quota.at_once, ADDRESS_AT_ONCE)
        self._throttle.count(quota.rate, self._address, ADDRESS_RATE)

    def enter_client(self, client: str) -> None:
        """Counts the request against its client. Raises RateLimited."""
        quota, key = self._throttle.client, f"client {client}"
        self._occupy(key, quota.at_once, CLIENT_AT_ONCE)
        self._throttle.count(quota.rate, key, CLIENT_RATE)

    def count_stranger(self) -> None:
        """Counts the request as one without a valid credential. Raises RateLimited."""
        self._throttle.count(self._throttle.strangers, f"stranger at {self._address}", STRANGER_RATE)

    async def watch(self, admission: Awaitable[T]) -> T:
        """Returns what an admission returns. Raises RateLimited instead of Unauthenticated if the address has failed
        too often; a valid credential is still admitted."""
        try:
            return await admission
        except Unauthenticated:
            self.count_stranger()
            raise

    def leave(self) -> None:
        """Gives the request's places back."""
        while self._places:
            self._throttle.vacate(self._places.pop())

    def _occupy(self, key: str, most: int, message: str) -> None:
        self._throttle.occupy(key, most, message)
        self._places.append(key)


def visit_of(connection: HTTPConnection) -> Visit:
    """Returns the visit of a request that came through `Throttle.guard`."""
    visit = connection.scope["state"][VISIT]
    assert isinstance(visit, Visit)  # noqa: S101 - narrows the type: only `guard` sets it
    return visit


def open_throttle(settings: Settings) -> Throttle:
    """Returns the throttle that the settings describe."""
    return Throttle(
        Quota(parse(settings.client_rate), settings.client_concurrency),
        Quota(parse(settings.address_rate), settings.address_concurrency),
        parse(settings.stranger_rate),
        Addresses(settings.trusted_proxies),
    )
