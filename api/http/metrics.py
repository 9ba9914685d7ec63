"""Counters and latencies of this process, for Prometheus at `/metrics`.

Label values are names from the code (routes, methods, outcomes), never anything that a client sent. Each app has its
own registry.
"""

from __future__ import annotations

import hmac
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from api.auth import read_authorization
from api.process.runtime import Runtime
from graph.errors import Unauthenticated

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

NO_METRICS_TOKEN: Final = "Send the token for metrics in the header Authorization: Bearer …"  # noqa: S105 - a message


class Metrics:
    """The metrics of one app. With a token, they are served only to those who send it."""

    def __init__(self, token: str | None = None) -> None:
        self._token = token
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.requests = Counter(
            "consentric_requests", "Requests handled", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "consentric_request_seconds", "Duration of requests", ("route",), buckets=SECONDS, registry=self.registry
        )
        self.in_flight = Gauge("consentric_requests_in_flight", "Requests in progress", registry=self.registry)
        self.store_seconds = Histogram(
            "consentric_store_seconds",
            "Duration of a read or a write transaction, including retries",
            ("kind", "outcome"),
            buckets=SECONDS,
            registry=self.registry,
        )
        self.waiting_writes = Gauge(
            "consentric_store_waiting_writes", "Writes waiting for their turn", registry=self.registry
        )
        self.messages = Counter(
            "consentric_messages", "Messages received, by outcome", ("outcome",), registry=self.registry
        )
        self.waiting_rows = Gauge(
            "consentric_ingest_waiting_rows", "Rows waiting to be written", registry=self.registry
        )

    def observe_store(self, kind: str, outcome: str, seconds: float) -> None:
        """Records one read or write, as `GraphClient` reports it."""
        self.store_seconds.labels(kind, outcome).observe(seconds)

    def observe_messages(self, outcome: str, number: int) -> None:
        """Counts messages, as `Ingestor` reports them."""
        self.messages.labels(outcome).inc(number)

    def watch(self, runtime: Runtime) -> None:
        """Starts collecting from the runtime's client and ingestor."""
        client, ingestor = runtime.services.client, runtime.ingestor
        client.observe = self.observe_store
        self.waiting_writes.set_function(lambda: client.waiting_writes)
        ingestor.observe = self.observe_messages
        self.waiting_rows.set_function(lambda: ingestor.waiting)

    async def serve(self, request: Request) -> Response:
        """Responds with all metrics in Prometheus' text format. Raises Unauthenticated without the token, if one is
        set."""
        if self._token is not None:
            scheme, given = read_authorization(request, NO_METRICS_TOKEN)
            if scheme != "bearer" or not hmac.compare_digest(given.encode(), self._token.encode()):
                raise Unauthenticated(NO_METRICS_TOKEN)
        return Response(generate_latest(self.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})
