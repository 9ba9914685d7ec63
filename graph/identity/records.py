"""Source records (what systems state under their own names): creating, locking and changing them, and giving a new
record its person.

Parameters are lists, and results are one list instead of rows: a row costs 12 µs, an entry of a list 2 µs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from graph.model.activity import SessionId
from graph.model.identity import Grade, RecordId, RecordRef, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer, chunk_rows

MOST_KNOWN: Final = 64
"""How many identifiers a record remembers. Whether it holds any others has to be read each time."""

ID_LENGTH: Final = 32
"""The number of digits in an identifier's ID."""


@dataclass(frozen=True, slots=True)
class RecordCall:
    """A record to touch. `traits` and `person` tell whether its traits (with its contacts) and its person are
    needed. `carried` is the digest of the consents that its latest message repeats, and `received` when that was."""

    ref: RecordRef
    id: RecordId
    traits: bool = False
    person: bool = False
    carried: str | None = None
    received: Millis | None = None


class KnownIdentifiers:
    """The identifiers that a record holds or claims, each with its grade and the earliest receipt of a message that
    stated it at that grade, in one text of entries `IDGTIME;`, where G is the grade's first letter. A look-up searches
    a short text, which costs less than parsing it."""

    __slots__ = ("_new", "_text")

    def __init__(self, text: str = "") -> None:
        self._text = text
        self._new: dict[str, tuple[Grade, Millis]] = {}

    def find(self, id_: str) -> tuple[Grade, Millis] | None:
        """Returns the grade at which the record has an identifier, and since when; None if it isn't remembered."""
        if id_ in self._new:
            return self._new[id_]
        start = self._text.find(id_)
        if start < 0:
            return None
        start += ID_LENGTH
        return _GRADES[self._text[start]], Millis(int(self._text[start + 1 : self._text.find(";", start)]))

    def lacks(self, id_: str, grade: Grade, since: Millis) -> bool:
        """Whether a statement of an identifier is news: it isn't remembered, or with a lower grade, or from later."""
        known = self.find(id_)
        return known is None or grade.rank > known[0].rank or (grade is known[0] and since < known[1])

    def add(self, id_: str, grade: Grade, since: Millis) -> None:
        """Adds an identifier, or a better grade or an earlier receipt of a known one."""
        self._new[id_] = grade, since

    @property
    def full(self) -> bool:
        """Whether the record may have identifiers that aren't remembered."""
        return self._text.count(";") >= MOST_KNOWN

    def write(self) -> str:
        """Returns the text to store, latest additions last. Only the last MOST_KNOWN entries are kept."""
        entries = [entry for entry in self._text.split(";") if entry and entry[:ID_LENGTH] not in self._new]
        entries += [f"{id_}{grade.value[0]}{since}" for id_, (grade, since) in self._new.items()]
        return "".join(f"{entry};" for entry in entries[-MOST_KNOWN:])


_GRADES: Final = {grade.value[0]: grade for grade in Grade}


class NewPerson(NamedTuple):
    """A new record, its new user, its source, and what silence permits there."""

    record: RecordId
    user: UserId
    source: str
    permits: tuple[str, ...]


class Carried(NamedTuple):
    """The consents that a record's messages last repeated, as one text, and when."""

    record: RecordId
    text: str
    at: Millis


@dataclass(slots=True)
class TouchedRecord:
    """A record as it is once this transaction has locked it. `known` are the identifiers it holds, `carried` and
    `carried_at` the consents that its messages last repeated, and when; `denies` tells whether it ever denied anything;
    `person` is the user with the consent epoch (`mark_person`), `contacts` the state of its contact data
    (`algorithms/identity/contacts.py`), if asked for."""

    id: RecordId
    source: str
    new: bool
    session: SessionId | None
    session_start: Millis | None
    session_end: Millis | None
    known: KnownIdentifiers
    carried: str | None
    carried_at: Millis | None
    denies: bool
    traits: str | None
    contacts: str | None
    person: str | None


# A record without a session looks one up by its own ID, which no session has: in a statement with MERGE, Neo4j locks
# the key that it looks up, so a key shared by all such records would make all writers wait for each other.
_TOUCH: Final = """
UNWIND $rows AS row
MERGE (r:Record {id: row[0]})
ON CREATE SET r.source = row[1], r.kind = row[2], r.key = row[3], r.created_at = $now, r.updated_at = $now
SET r._v = coalesce(r._v, 0) + 1,
    r.carried_at = CASE WHEN r.carried STARTS WITH row[5] AND r.carried_at < row[6] THEN row[6] ELSE r.carried_at END
WITH r, row
OPTIONAL MATCH (s:Session {id: coalesce(r.session_id, r.id)})
"""

_TOUCHED: Final = """
RETURN collect([r.id, r._v, s.id, s.started_at, s.ended_at, r.known, r.carried, r.carried_at,
                coalesce(r.denies, false), CASE WHEN row[4] THEN r.traits END, CASE WHEN row[4] THEN r.contacts END, """

_LIVE_PERSON: Final = """
OPTIONAL MATCH (r)-[x:RESOLVES_TO]->(u:User)
WHERE x.to IS NULL
"""

WRITE_TOUCH: Final = f"{_TOUCH}{_TOUCHED}null]) AS records"
WRITE_TOUCH_PEOPLE: Final = (
    f"{_TOUCH}{_LIVE_PERSON}{_TOUCHED}u.id + ':' + toString(coalesce(u.consent_epoch, 0))]) AS records"
)


async def touch_records(tx: Writer, calls: Iterable[RecordCall], now: Millis) -> dict[RecordId, TouchedRecord]:
    """Creates missing records and locks all of them, in the order of their IDs. Returns their state under the
    lock."""
    touched: dict[RecordId, TouchedRecord] = {}
    ordered = sorted(calls, key=lambda call: call.id)
    statement = WRITE_TOUCH_PEOPLE if any(call.person for call in ordered) else WRITE_TOUCH
    for chunk in chunk_rows(ordered):
        rows = [
            [call.id, call.ref.source, str(call.ref.kind), call.ref.key, call.traits, call.carried, call.received]
            for call in chunk
        ]
        sources = {call.id: call.ref.source for call in chunk}
        for found in (await tx.run(statement, rows=rows, now=now))[0]["records"]:
            id_, version, session, start, end, known, carried, carried_at, denies, traits, contacts, person = found
            touched[id_] = TouchedRecord(
                id=id_,
                source=sources[id_],
                new=version == 1,
                session=session,
                session_start=start,
                session_end=end,
                known=KnownIdentifiers(known or ""),
                carried=carried,
                carried_at=carried_at,
                denies=denies,
                traits=traits,
                contacts=contacts,
                person=person,
            )
    return touched


WRITE_PEOPLE: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
MATCH (s:Source {name: row[2]})
MERGE (u:User {id: row[1]})
ON CREATE SET u.created_at = $now, u.updated_at = $now, u.permits = row[3], u.consent_epoch = 0
CREATE (r)-[:RESOLVES_TO {from: $now}]->(u)
CREATE (r)-[:FROM]->(s)
"""


async def write_people(tx: Writer, new: Sequence[NewPerson], now: Millis) -> None:
    """Gives each new record a new person. Their sources must be registered."""
    for chunk in chunk_rows([[one.record, one.user, one.source, list(one.permits)] for one in new]):
        await tx.run(WRITE_PEOPLE, rows=list(chunk), now=now)


WRITE_TRAITS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
SET r.traits = row[1], r.updated_at = $now
"""


async def write_traits(tx: Writer, texts: Iterable[tuple[RecordId, str]], now: Millis) -> None:
    """Stores the traits of records, each as its new text."""
    for chunk in chunk_rows([list(row) for row in texts]):
        await tx.run(WRITE_TRAITS, rows=list(chunk), now=now)


READ_TRAITS: Final = """
UNWIND $records AS id
MATCH (r:Record {id: id})
WHERE r.traits IS NOT NULL
RETURN collect([id, r.traits]) AS traits
"""


async def read_trait_texts(tx: Writer, records: Collection[RecordId]) -> dict[RecordId, str]:
    """Reads the traits of records that have any, each as its text."""
    rows = await tx.run(READ_TRAITS, records=sorted(records))
    return {RecordId(record): text for record, text in rows[0]["traits"]}


WRITE_KNOWN: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
SET r.known = row[1]
"""


async def write_known(tx: Writer, known: Iterable[tuple[RecordId, KnownIdentifiers]]) -> None:
    """Stores on records which identifiers they hold, so that the next message need not attach them again."""
    for chunk in chunk_rows([[record, ids.write()] for record, ids in known]):
        await tx.run(WRITE_KNOWN, rows=list(chunk))


WRITE_CONTACTS: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
SET r.contacts = row[1]
"""


async def write_contacts(tx: Writer, texts: Iterable[tuple[RecordId, str]]) -> None:
    """Stores the states of records' contact data."""
    for chunk in chunk_rows([list(row) for row in texts]):
        await tx.run(WRITE_CONTACTS, rows=list(chunk))


WRITE_CARRIED: Final = """
UNWIND $rows AS row
MATCH (r:Record {id: row[0]})
SET r.carried = row[1], r.carried_at = row[2]
"""


async def write_carried(tx: Writer, carried: Iterable[Carried]) -> None:
    """Stores on records which consents their messages last repeated, and when."""
    for chunk in chunk_rows([list(row) for row in carried]):
        await tx.run(WRITE_CARRIED, rows=list(chunk))


READ_PEOPLE_OF_RECORDS: Final = """
UNWIND $ids AS id
MATCH (r:Record {id: id})-[x:RESOLVES_TO]->(u:User)
WHERE x.to IS NULL
RETURN collect([id, u.id, coalesce(u.consent_epoch, 0)]) AS people
"""


async def read_people_of_records(
    tx: Writer | GraphClient, ids: Collection[RecordId]
) -> dict[RecordId, tuple[UserId, int]]:
    """Reads the live user of each of these records that exists, with the user's consent epoch."""
    run = tx.run if isinstance(tx, Writer) else tx.read
    rows = await run(READ_PEOPLE_OF_RECORDS, ids=sorted(ids))
    return {record: (user, epoch) for record, user, epoch in rows[0]["people"]}


def mark_person(user: UserId, epoch: int) -> str:
    """Returns a user and a consent epoch as one text, in the form of `TouchedRecord.person`."""
    return f"{user}:{epoch}"
