"""Replaying dead letters: each is read again by the current rules, with its original type and time of receipt, and with
what proved its names then."""

from __future__ import annotations

from dataclasses import replace

from api.collection.bodies import read_single
from api.collection.origin import Origin
from api.collection.payloads import TextPayload
from api.collection.proofs import carries_proof
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import read_message
from api.process.runtime import Runtime
from graph.access.sources import read_sources
from graph.collection.dead_letters import DeadLetter
from graph.model.access import Source
from graph.model.message import Message
from resolvers.collection.dead_letters import ReplayReport, replay_letters
from resolvers.collection.ingestor import NO_ROOM, STORE_REFUSED


async def replay(runtime: Runtime, *, source: str | None = None, reason: str | None = None) -> ReplayReport:
    """Replays all letters, or those of a source or a reason. A message without a messageId takes its letter's ID and so
    counts once however often it is replayed.

    Our own types are read only from letters that an operator loaded, or whose message could be read but not
    written: a consent statement that a sender was not allowed to make must not enter by replay. These letters state
    their own time of receipt, if any. What was not UTF-8 was kept with U+FFFD in its place; it could be read, but it is
    not what was sent, so it stays a dead letter. Proofs are not kept: what one proved on arrival still counts, and a
    message whose proof was wrong stays a dead letter.
    """
    client, policy = runtime.services.client, runtime.services.policy
    sources = {known.name: known for known in await read_sources(client)}

    def read(letter: DeadLetter) -> Message:
        if letter.reason == RejectionReason.BAD_UNICODE and letter.field is None:
            raise Rejected(RejectionReason.BAD_UNICODE, letter.message)
        if letter.reason == RejectionReason.BAD_PROOF:
            raise Rejected(RejectionReason.BAD_PROOF, letter.message)
        known = sources.get(letter.source) or Source(letter.source)
        read_before = letter.reason == STORE_REFUSED or (letter.reason in NO_ROOM and letter.field is None)
        passed = letter.from_file or read_before
        origin = Origin(
            known,
            letter.received_at,
            policy,
            own_types=passed,
            received_earlier=passed or letter.imported,
            imported=letter.imported,
            proof=letter.proof,
            reach=letter.reach,
        )
        value = read_single(letter.payload.encode())
        if carries_proof(value):
            raise Rejected(RejectionReason.BAD_PROOF, letter.message)
        message = read_message(value, origin, f"letter-{letter.id}")
        if message.record is not None and letter.source not in sources:
            raise Rejected(RejectionReason.UNKNOWN_SOURCE, letter.message)
        return replace(message, payload=TextPayload(letter.payload))

    return await replay_letters(client, runtime.ingestor, read, source=source, reason=reason)
