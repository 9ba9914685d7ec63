"""The origin of messages: what reading them depends on besides their content."""

from __future__ import annotations

from dataclasses import dataclass

from graph.model.access import Source
from graph.model.identity import Proof
from graph.model.time import Millis
from privacy.policy import Policy
from resolvers.access.proofs import ProofVerifier


@dataclass(frozen=True, slots=True)
class Origin:
    """Where messages come from, and by which rules they are read.

    `received_at` is when they were received here, `sent_at` when the sender states that it sent them (None: not
    stated). Consent is interpreted under `policy`. `own_types` admits our own types, items and consent statements.
    `received_earlier`: the messages were received before, here or by another system; each is corrected for the sender's
    clock by the `receivedAt` that it states, unless that was done then. `imported`: the messages also state when they
    were received, which a public source may not. `proof` proves the names in all of its messages: a credential that
    may speak for any person, or what proved a message when it first arrived. `reach` are the sources for whose records
    the proof's issuer may speak (None: for any). `proofs` verifies those in messages.
    """

    source: Source
    received_at: Millis
    policy: Policy
    sent_at: str | int | float | None = None
    own_types: bool = False
    received_earlier: bool = False
    imported: bool = False
    proof: Proof | None = None
    reach: frozenset[str] | None = None
    proofs: ProofVerifier | None = None
