"""Dead letters, for operators: listing what was rejected, and replaying it once the cause is removed.

The caller supplies the function that reads a payload: formats belong to `api/collection/`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from graph.access.sources import read_source
from graph.collection.dead_letters import DeadLetter, count_letters, read_letters, remove_letters
from graph.errors import BadInput
from graph.model.message import Message
from graph.store.client import GraphClient
from resolvers.access.registration import no_source
from resolvers.collection.ingestor import Ingestor
from resolvers.collection.transaction import MessageOutcome

PAGE: Final = 200

ReadLetter = Callable[[DeadLetter], Message]
"""Reads a letter as a message that keeps its payload. Raises BadInput if it still can't be read."""


@dataclass(slots=True)
class ReplayReport:
    """The result of a replay: how many letters were accepted or were duplicates, and the IDs of those kept."""

    accepted: int = 0
    duplicate: int = 0
    kept: list[str] = field(default_factory=list)


async def list_letters(
    client: GraphClient, limit: int, after: str = "", source: str | None = None, reason: str | None = None
) -> list[DeadLetter]:
    """Returns a page of letters in the order of their IDs. Payloads are personal data: show them to operators only."""
    return await read_letters(client, limit, after, source, reason)


async def find_letters(client: GraphClient, source: str | None = None, reason: str | None = None) -> int:
    """Returns the number of letters of a source and with a reason. Raises NotFound if there are none because there is
    no such source."""
    number = await count_letters(client, source, reason)
    if not number and source is not None and await read_source(client, source) is None:
        raise no_source(source)
    return number


async def replay_letters(
    client: GraphClient,
    ingestor: Ingestor,
    read: ReadLetter,
    *,
    source: str | None = None,
    reason: str | None = None,
) -> ReplayReport:
    """Submits letters again. Those that are now accepted, or were before, are removed; the others stay."""
    report = ReplayReport()
    after = ""
    while page := await read_letters(client, PAGE, after, source, reason):
        after = page[-1].id
        await _replay(client, ingestor, read, page, report)
    return report


async def _replay(
    client: GraphClient, ingestor: Ingestor, read: ReadLetter, page: Sequence[DeadLetter], report: ReplayReport
) -> None:
    letters: list[DeadLetter] = []
    messages: list[Message] = []
    for letter in page:
        try:
            if letter.truncated:
                raise BadInput("The payload was too long to keep whole.")
            messages.append(read(letter))
            letters.append(letter)
        except BadInput:
            report.kept.append(letter.id)
    outcomes = await ingestor.submit(messages)
    report.accepted += outcomes.count(MessageOutcome.ACCEPTED)
    report.duplicate += outcomes.count(MessageOutcome.DUPLICATE)
    settled = (MessageOutcome.ACCEPTED, MessageOutcome.DUPLICATE)
    done: list[str] = []
    for letter, outcome in zip(letters, outcomes, strict=True):
        (done if outcome in settled else report.kept).append(letter.id)
    if done:
        await client.write(lambda tx: remove_letters(tx, done))
