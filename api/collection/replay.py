"""Trying dead letters again, by the rules of today.

What lives here: reading a letter's payload as what it was, a message or a line, received when it was. What does not:
the use case (`resolvers/collection/dead_letters.py`), the command line.
"""

from __future__ import annotations

from api.collection.bodies import read_single
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import Origin, read_message
from api.process.runtime import Runtime
from graph.access.sources import read_sources
from graph.collection.dead_letters import DeadLetter
from graph.model.access import Source
from graph.model.message import Message
from resolvers.collection.dead_letters import ReplayReport, replay_letters
from resolvers.collection.ingestor import STORE_REFUSED


async def replay(runtime: Runtime, *, source: str | None = None, reason: str | None = None) -> ReplayReport:
    """Tries the letters of a source, or of a reason, or all, again. A letter without a messageId goes by its own id, so
    that trying twice counts once. Only what an operator loaded is read as a line of a file: a sender's consent line
    that was refused at the door must not come in by the back. What the store refused had passed its door. What
    was not UTF-8 was kept with U+FFFD in its place: that reads well and is not what was said, so it stays."""
    client, policy = runtime.services.client, runtime.services.policy
    sources = {known.name: known for known in await read_sources(client)}

    def read(letter: DeadLetter) -> Message:
        if letter.reason == RejectionReason.BAD_UNICODE and letter.field is None:
            raise Rejected(RejectionReason.BAD_UNICODE, letter.message)
        known = sources.get(letter.source) or Source(letter.source)
        from_file = letter.from_file or letter.reason == STORE_REFUSED
        origin = Origin(known, letter.received_at, policy, from_file=from_file)
        return read_message(read_single(letter.payload.encode()), origin, f"letter-{letter.id}")

    return await replay_letters(client, runtime.ingestor, read, source=source, reason=reason)
