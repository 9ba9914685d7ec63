"""The accepted message: the form in which everything enters the graph."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from graph.model.access import Source, Trust, Verified
from graph.model.activity import Interaction
from graph.model.catalogue import ItemFacts
from graph.model.consent import ConsentStatement
from graph.model.identity import Proof, RecordRef, StatedIdentifier
from graph.model.time import Millis


class Payload(Protocol):
    """A message as it arrived."""

    def write(self) -> str:
        """Returns the message as text. Called only if it becomes a dead letter."""


@dataclass(frozen=True, slots=True)
class Message:
    """One accepted message of a source, whatever door it came through, ready to be written.

    `id` is unique across sources (`name_message`). `record` is None for a message about items only. `at` is the event's
    time, corrected for clock skew; `received_at` orders claims. `trust` and `verifies` are those of its source when it
    was admitted, and `proof` what proves the names in a message of a public source, by an issuer who may speak for the
    sources in `reach` (None: for any). `also` is the second name in the message (the anonymousId alongside a userId),
    if the source vouches for both or a proof does. `identifiers` are those of `record`. `traits` are profile facts by
    name, unknown ones under `attributes`; a None value removes the fact. `carried` is set if the message is about
    something else and merely repeats `consents` (Segment's `context.consent`): it is their digest, and they are written
    only if it differs from the last one. `payload` is None if nothing of the message is kept.
    """

    id: str
    source: str
    record: RecordRef | None
    at: Millis
    received_at: Millis
    name: str | None = None
    also: RecordRef | None = None
    traits: Mapping[str, Any] | None = None
    identifiers: tuple[StatedIdentifier, ...] = ()
    interactions: tuple[Interaction, ...] = ()
    items: tuple[ItemFacts, ...] = ()
    session: str | None = None
    consents: tuple[ConsentStatement, ...] = ()
    carried: str | None = None
    trust: Trust = Trust.SERVER
    verifies: Verified = field(default_factory=dict)
    proof: Proof | None = None
    reach: frozenset[str] | None = None
    payload: Payload | None = field(default=None, compare=False, repr=False)

    @property
    def own_id(self) -> str:
        """The ID that the source gave the message, or that it was given on arrival."""
        return self.id.removeprefix(_prefix(self.source, self.trust, self.record, self.proof))


def name_message(source: Source, record: RecordRef | None, own_id: str, proof: Proof | None = None) -> str:
    """Returns the ID of a source's message: the source's name, `|`, and the source's own ID.

    Anybody can send with a public source's key, and could use up the IDs of other people's messages. The ID of such a
    message also has that of its record, before the source's own, and those with a static hash, which strangers may have
    seen, are a range of their own.
    """
    return _prefix(source.name, source.trust, record, proof) + own_id


def _prefix(source: str, trust: Trust, record: RecordRef | None, proof: Proof | None) -> str:
    if trust is not Trust.PUBLIC or record is None:
        return f"{source}|"
    return f"{source}|{record.id}|" if proof is not Proof.STATIC else f"{source}|{record.id}+{proof}|"
