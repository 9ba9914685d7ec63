"""Where messages come from, and by which rules they are read."""

from __future__ import annotations

from dataclasses import dataclass

from graph.model.access import Source
from graph.model.time import Millis
from privacy.policy import Policy


@dataclass(frozen=True, slots=True)
class Origin:
    """Where messages come from, and by which rules they are read.

    `received_at` is when we received them, `sent_at` when the sender states that it sent them (None: not stated).
    Consent is read by `policy`. `own_types` admits our own types, items and consent statements. `received_earlier`
    messages reached another system, or us, before: the clock of each is corrected by the `receivedAt` that it states,
    or was corrected then.
    """

    source: Source
    received_at: Millis
    policy: Policy
    sent_at: str | int | float | None = None
    own_types: bool = False
    received_earlier: bool = False
