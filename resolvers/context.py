"""What a use case is given: the services of this process, and the viewer and instant of one request.

What lives here: two frozen bundles and the system clock. What does not: how the services are built (`api/runtime.py`),
who a viewer is (`resolvers/credentials.py`), what a viewer may see (`privacy/gate.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from graph.model import Millis

if TYPE_CHECKING:
    from graph.client import GraphClient
    from privacy.gate import Viewer
    from privacy.policy import Policy
    from resolvers.credentials import Authority
    from resolvers.ingest import Ingestor
    from resolvers.recommend import ModelShelf


def system_clock() -> Millis:
    """Now, in epoch milliseconds UTC. Everything that needs the time takes a clock, so that tests can set it."""
    return Millis(time.time_ns() // 1_000_000)


@dataclass(frozen=True, slots=True)
class Services:
    """What lives as long as the process. `secret` keys every HMAC; derive a key of your own from it by a label
    (`resolvers.keys.derive_key`), never use it bare. `ingestor` and `authority` are absent in batch work that
    neither collects nor admits anybody."""

    client: GraphClient
    policy: Policy
    shelf: ModelShelf
    secret: bytes = field(repr=False)
    clock: Callable[[], Millis] = system_clock
    ingestor: Ingestor | None = None
    authority: Authority | None = None


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What lives as long as one request. `now` is read once, so that every decision of the request is of one instant.

    `expires_at` is when the viewer's credential ends (None: it does not by itself); long-lived connections close then.
    """

    services: Services
    viewer: Viewer
    now: Millis
    request_id: str = ""
    expires_at: Millis | None = None
