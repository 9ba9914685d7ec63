"""Profiles read in two steps: whom a key may refer to, then what of each the gate allows.

The first step reads no facts: IDs, permits, records, and the devices that count for the person. For a partner, its
condition leaves out everyone whom the partner may not know of, so that they are as absent as people who don't exist.
The second step reads the parts that a query selects and the viewer may see, of the records that the gate ruled on.
Statements are constants with switches: a part that isn't needed stands behind a CASE, and neither engine evaluates it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from heapq import nlargest
from typing import Any, Final

from graph.access.terms import UNSETTLED
from graph.activity.history import (
    INTERACTION_ENTRY,
    OF_CLAIMED,
    SESSION_ENTRY,
    SESSIONS_OF_CLAIMED,
    parse_interactions,
    parse_sessions,
    split_claimed,
)
from graph.consent.permits import IN_FORCE
from graph.identity.traits import parse_traits
from graph.model.access import Trust
from graph.model.activity import InteractionFacts, RecentInteraction, SessionFacts
from graph.model.identity import Grade, IdentifierRef, RecordId, RecordKind, RecordRef, Traits, UserId
from graph.model.segments import MembershipFacts, RfmFacts, SegmentKey
from graph.model.time import Millis
from graph.segments.rfm import parse_rfm
from graph.store.client import GraphClient, Row

MOST_MATCHES: Final = 10
"""How many people one identifier may lead to at most in a read. If the viewer may see several, none is returned."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a person must permit, at `now`, for a partner to learn that they exist; the fields are those of
    `PermittedScope`. If `permit` is None, nothing is required."""

    permit: str | None = None
    blanket: str = ""
    barred: str = ""
    now: Millis = Millis(0)


@dataclass(frozen=True, slots=True)
class TiedDevice:
    """A device that counts for a person: its record, the account record that it counts for, how well that is known, and
    what the device's own user permits, as in `FoundPerson`."""

    record: RecordRef
    account: RecordId
    grade: Grade
    permits: tuple[str, ...]
    permits_until: Millis | None
    permit_ends: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """Whom a key refers to, before the gate has ruled on them.

    `asked` are the records that the key itself names. `own` is None unless the read was for a person's own credential:
    then it holds the records that the credential proves, and `proven_devices` the anonymous IDs of devices that it was
    used on. `unsettled` are the records of sources whose trust was lowered and whose evidence is still being derived
    again. `grade` is how well an identifier is known to be the person's.
    """

    id: UserId
    created_at: Millis
    updated_at: Millis
    permits: tuple[str, ...]
    permits_until: Millis | None
    permit_ends: tuple[int, ...]
    permit_grants: tuple[str, ...]
    consent_epoch: int
    records: frozenset[RecordId]
    asked: frozenset[RecordId]
    own: frozenset[RecordId] | None
    proven_devices: frozenset[str]
    unsettled: frozenset[RecordId]
    devices: tuple[TiedDevice, ...]
    grade: Grade


_SETTLED: Final = f"""
NOT EXISTS {{ MATCH (u)<-[us:RESOLVES_TO]-(:Record)-[:FROM]->(x:Source)
             WHERE us.to IS NULL AND {UNSETTLED} }}
"""
"""The condition that no record of a user `u` is from a source whose evidence is being derived again."""

_KNOWABLE: Final = f"($permit IS NULL OR ({IN_FORCE} AND {_SETTLED}))"

_FROM_USER: Final = f"""
MATCH (first:User {{id: $user}})-[:RETIRED_INTO*0..]->(u:User)
WHERE u.retired_at IS NULL AND ($permit IS NULL OR u.id = $user) AND {_KNOWABLE}
WITH u, 1 AS proven, [] AS asked, null AS own, [] AS used
"""

_FROM_OWN: Final = """
MATCH (k:Record {id: $record})-[found:RESOLVES_TO]->(u:User)
WHERE found.to IS NULL
WITH u, 1 AS proven, [k.id] AS asked,
  [k.id] + [(k)-[h:IDENTIFIED_BY]->(n:Identifier)<-[i:IDENTIFIED_BY]-(o:Record)
    WHERE k.kind = 'user' AND o.kind = 'user' AND n.kind = 'user_id' AND n.value = k.key
      AND coalesce(h.grade, 'proven') = 'proven' AND coalesce(i.grade, 'proven') = 'proven'
      AND ($sources IS NULL OR o.source IN $sources) | o.id] AS own,
  [(k)-[t:IDENTIFIED_BY]->(m:Identifier)
    WHERE k.kind = 'user' AND t.proof = 'token' AND m.kind = 'anonymous_id' | m.value] AS used
"""

_FROM_RECORD: Final = f"""
MATCH (k:Record {{id: $record}})-[found:RESOLVES_TO]->(u:User)
WHERE found.to IS NULL AND {_KNOWABLE}
WITH u, 1 AS proven, [k.id] AS asked, null AS own, [] AS used
"""

_FROM_IDENTIFIER: Final = f"""
MATCH (n:Identifier {{id: $identifier}})<-[h:IDENTIFIED_BY]-(k:Record)-[found:RESOLVES_TO]->(u:User)
WHERE found.to IS NULL AND h.ended IS NULL AND {_KNOWABLE}
WITH u,
  max(CASE WHEN coalesce(h.grade, 'proven') = 'proven' THEN 1 ELSE 0 END) AS proven, collect(k.id) AS asked,
  null AS own, [] AS used
ORDER BY proven DESC, u.id
LIMIT $most
"""

_PERSON: Final = f"""
RETURN u.id AS id, u.created_at AS created_at, u.updated_at AS updated_at, u.permits AS permits,
  u.permits_until AS permits_until, u.permit_ends AS permit_ends, u.permit_grants AS permit_grants,
  coalesce(u.consent_epoch, 0) AS consent_epoch, proven, asked, own, used,
  [(u)<-[a:RESOLVES_TO]-(ra:Record) WHERE a.to IS NULL | ra.id] AS records,
  [(u)<-[b:RESOLVES_TO]-(rb:Record)-[:FROM]->(x:Source)
    WHERE b.to IS NULL AND {UNSETTLED} | rb.id]
  + [(u)<-[c:RESOLVES_TO]-(:Record)<-[:COUNTS_FOR]-(rc:Record)-[:FROM]->(x:Source)
    WHERE c.to IS NULL AND {UNSETTLED} | rc.id] AS unsettled,
  CASE WHEN $behaviour THEN [
    (u)<-[d:RESOLVES_TO]-(rd:Record)<-[dd:COUNTS_FOR]-(de:Record)-[df:RESOLVES_TO]->(ud:User)
    WHERE d.to IS NULL AND df.to IS NULL |
    [de.source, de.kind, de.key, rd.id, dd.grade, ud.permits, ud.permits_until, ud.permit_ends]]
    ELSE NULL END AS devices
ORDER BY proven DESC, id
"""

READ_PERSON_OF_USER: Final = _FROM_USER + _PERSON
READ_PERSON_OF_OWN: Final = _FROM_OWN + _PERSON
READ_PERSON_OF_RECORD: Final = _FROM_RECORD + _PERSON
READ_PEOPLE_OF_IDENTIFIER: Final = _FROM_IDENTIFIER + _PERSON
"""Each joins the opening for one kind of key to what is read of a person."""


async def find_user(
    client: GraphClient, user: UserId, sharing: Sharing, *, behaviour: bool = False
) -> list[FoundPerson]:
    """Finds the person that an ID refers to now: that user or, unless `sharing` requires a permit, the one it was
    retired into. `behaviour`: their devices are read, too. Empty for an unknown ID."""
    return _find(await client.read(READ_PERSON_OF_USER, user=user, behaviour=behaviour, **_bind(sharing)))


async def find_own_person(
    client: GraphClient, record: RecordId, sources: frozenset[str] | None, *, behaviour: bool = False
) -> list[FoundPerson]:
    """Finds the person of the record that a credential stands for, with what the credential proves: the record and, for
    an account, the records of other sources that hold the same proven user ID (limited to `sources` unless None), and
    the anonymous IDs that it was used with. Empty for an unknown record."""
    limited = None if sources is None else sorted(sources)
    return _find(await client.read(READ_PERSON_OF_OWN, record=record, sources=limited, behaviour=behaviour))


async def find_person_of_record(
    client: GraphClient, record: RecordId, sharing: Sharing, *, behaviour: bool = False
) -> list[FoundPerson]:
    """Finds the person of a record. Empty for an unknown record."""
    return _find(await client.read(READ_PERSON_OF_RECORD, record=record, behaviour=behaviour, **_bind(sharing)))


async def find_people_of_identifier(
    client: GraphClient, identifier: IdentifierRef, sharing: Sharing, *, behaviour: bool = False
) -> list[FoundPerson]:
    """Finds the people whose records hold an identifier now, those first of whom it is proven. What is only claimed
    leads to nobody."""
    rows = await client.read(
        READ_PEOPLE_OF_IDENTIFIER,
        identifier=identifier.id,
        most=MOST_MATCHES,
        behaviour=behaviour,
        **_bind(sharing),
    )
    return _find(rows)


def _bind(sharing: Sharing) -> dict[str, Any]:
    return {
        "permit": sharing.permit,
        "blanket": sharing.blanket,
        "barred": sharing.barred,
        "now": sharing.now,
    }


def _find(rows: Sequence[Row]) -> list[FoundPerson]:
    return [_parse_person(row) for row in rows]


def _parse_person(row: Row) -> FoundPerson:
    return FoundPerson(
        id=UserId(row["id"]),
        created_at=Millis(row["created_at"]),
        updated_at=Millis(row["updated_at"] or row["created_at"]),
        permits=tuple(row["permits"] or ()),
        permits_until=row["permits_until"],
        permit_ends=tuple(row["permit_ends"] or ()),
        permit_grants=tuple(row["permit_grants"] or ()),
        consent_epoch=row["consent_epoch"],
        records=frozenset(row["records"]),
        asked=frozenset(row["asked"]),
        own=None if row["own"] is None else frozenset(row["own"]),
        proven_devices=frozenset(row["used"]),
        unsettled=frozenset(row["unsettled"]),
        devices=tuple(_parse_device(entry) for entry in row["devices"] or ()),
        grade=Grade.PROVEN if row["proven"] else Grade.STATED,
    )


def _parse_device(entry: Sequence[Any]) -> TiedDevice:
    source, kind, key, account, grade, permits, until, ends = entry
    ref = RecordRef(source, RecordKind(kind), key)
    return TiedDevice(ref, RecordId(account), Grade(grade), tuple(permits or ()), until, tuple(ends or ()))


@dataclass(frozen=True, slots=True)
class ProfileParts:
    """Which parts of a profile to read. A number limits the entries of its part; 0 leaves the part out.
    `default_purpose` is the purpose of segments that state none."""

    traits: bool = False
    identifiers: bool = False
    segments: bool = False
    rfm: bool = False
    recent: int = 0
    interactions: int = 0
    sessions: int = 0
    default_purpose: str = ""


@dataclass(frozen=True, slots=True)
class Reach:
    """The records that parts are read from. `records`: traits and identifiers. `behaviour`: sessions and
    interactions, each record with the grade of its tie to the person. `recent`: what recommendations start from, in
    the same form."""

    records: frozenset[RecordId] = frozenset()
    behaviour: Mapping[RecordId, Grade] = field(default_factory=dict)
    recent: Mapping[RecordId, Grade] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HeldIdentifier:
    """An identifier that a record holds now, and how well that is known."""

    record: RecordId
    ref: IdentifierRef
    grade: Grade


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """What the graph holds about one person, limited to the parts asked for."""

    traits: Mapping[RecordId, Traits]
    trusts: Mapping[RecordId, Trust]
    holdings: tuple[HeldIdentifier, ...]
    segments: tuple[MembershipFacts, ...]
    rfm: RfmFacts | None
    recent: tuple[RecentInteraction, ...]
    interactions: tuple[InteractionFacts, ...]
    sessions: tuple[SessionFacts, ...]

    @property
    def identifiers(self) -> tuple[IdentifierRef, ...]:
        """The identifiers of all records, sorted, each once."""
        return tuple(sorted({held.ref for held in self.holdings}, key=lambda ref: (ref.kind, ref.value, ref.namespace)))


READ_PROFILE: Final = (
    """
MATCH (u:User {id: $user})
WHERE coalesce(u.consent_epoch, 0) = $epoch
RETURN
  CASE WHEN $traits THEN [(u)<-[a:RESOLVES_TO]-(ra:Record)
    WHERE a.to IS NULL AND ra.id IN $records AND ra.traits IS NOT NULL | [ra.id, ra.traits]] ELSE NULL END AS traits,
  CASE WHEN $traits THEN [(u)<-[t:RESOLVES_TO]-(rt:Record)-[:FROM]->(st:Source)
    WHERE t.to IS NULL AND rt.id IN $records AND st.trust IS NOT NULL | [rt.id, st.trust]] ELSE NULL END AS trusts,
  CASE WHEN $identifiers THEN [(u)<-[b:RESOLVES_TO]-(rb:Record)-[h:IDENTIFIED_BY]->(ib:Identifier)
    WHERE b.to IS NULL AND rb.id IN $records AND h.ended IS NULL |
    [rb.id, ib.kind, ib.value, ib.namespace, coalesce(h.grade, 'proven')]] ELSE NULL END AS identifiers,
  CASE WHEN $segments THEN [(u)-[d:IN_SEGMENT]->(sd:Segment) WHERE d.until IS NULL |
    [sd.key, coalesce(sd.purpose, $default_purpose), d.since,
     d.score, d.version, sd.title, sd.kind, sd.description, coalesce(sd.shown, false)]] ELSE NULL END AS segments,
  CASE WHEN $rfm THEN properties(u) ELSE NULL END AS derived,
  CASE WHEN $recent > 0 THEN COLLECT {
    UNWIND $starting AS starting
    MATCH (:Record {id: starting})-[:HAD]->(:Session)-[xe]->(ie:Item)
    WITH xe, ie ORDER BY xe.at DESC, xe.message_id DESC LIMIT $recent
    RETURN [xe.at, xe.message_id, ie.key, type(xe), xe.weight, xe.value]
  } ELSE NULL END AS recent,
  CASE WHEN $recent > 0 AND size($claimed_starting) > 0 THEN COLLECT {
    UNWIND $claimed_starting AS claimed
    """
    + OF_CLAIMED
    + """
    WHERE j:Item
    RETURN [x.at, x.message_id, j.key, type(x), x.weight, x.value]
  } ELSE NULL END AS claimed_recent,
  CASE WHEN $interactions > 0 THEN COLLECT {
    UNWIND $behaving AS acting
    MATCH (r:Record {id: acting})-[:HAD]->(:Session)-[x]->(j)
    WITH r, x, j ORDER BY x.at DESC, x.message_id DESC LIMIT $interactions
    RETURN """
    + INTERACTION_ENTRY
    + """
  } ELSE NULL END AS interactions,
  CASE WHEN $interactions > 0 AND size($claimed) > 0 THEN COLLECT {
    UNWIND $claimed AS claimed
    """
    + OF_CLAIMED
    + """
    ORDER BY x.at DESC, x.message_id DESC LIMIT $interactions
    RETURN """
    + INTERACTION_ENTRY
    + """
  } ELSE NULL END AS claimed_interactions,
  CASE WHEN $sessions > 0 THEN COLLECT {
    UNWIND $behaving AS visiting
    MATCH (r:Record {id: visiting})-[:HAD]->(s:Session)
    WITH r, s ORDER BY s.started_at DESC, s.id DESC LIMIT $sessions
    RETURN """
    + SESSION_ENTRY
    + """
  } ELSE NULL END AS sessions,
  CASE WHEN $sessions > 0 AND size($claimed) > 0 THEN COLLECT {
    """
    + SESSIONS_OF_CLAIMED
    + """
    RETURN """
    + SESSION_ENTRY
    + """
  } ELSE NULL END AS claimed_sessions
"""
)


async def read_profile(
    client: GraphClient, user: UserId, epoch: int, reach: Reach, parts: ProfileParts
) -> StoredProfile | None:
    """Reads parts of a person. None if the person's permits have changed since the gate ruled on them (`epoch`)."""
    behaving, claimed = split_claimed(reach.behaviour)
    starting, claimed_starting = split_claimed(reach.recent)
    rows = await client.read(
        READ_PROFILE,
        user=user,
        epoch=epoch,
        records=sorted(reach.records),
        behaving=behaving,
        claimed=claimed,
        starting=starting,
        claimed_starting=claimed_starting,
        traits=parts.traits,
        identifiers=parts.identifiers,
        segments=parts.segments,
        rfm=parts.rfm,
        recent=parts.recent,
        interactions=parts.interactions,
        sessions=parts.sessions,
        default_purpose=parts.default_purpose,
    )
    return _parse_profile(rows[0], reach, parts) if rows else None


def _parse_profile(row: Row, reach: Reach, parts: ProfileParts) -> StoredProfile:
    return StoredProfile(
        traits={RecordId(record): parse_traits(text) for record, text in sorted(row["traits"] or ())},
        trusts={RecordId(record): Trust(trust) for record, trust in row["trusts"] or ()},
        holdings=tuple(
            HeldIdentifier(RecordId(record), IdentifierRef(kind, value, namespace or ""), Grade(grade))
            for record, kind, value, namespace, grade in row["identifiers"] or ()
        ),
        segments=tuple(sorted((_parse_membership(m) for m in row["segments"] or ()), key=lambda m: m.segment)),
        rfm=parse_rfm(row["derived"]),
        recent=_parse_recent(_join(row, "recent"), parts.recent),
        interactions=parse_interactions(_join(row, "interactions"), reach.behaviour, parts.interactions),
        sessions=parse_sessions(_join(row, "sessions"), reach.behaviour, parts.sessions),
    )


def _join(row: Row, name: str) -> list[Any]:
    """Returns the entries of records that are read whole, and of claimed devices."""
    return [*(row[name] or ()), *(row[f"claimed_{name}"] or ())]


def _parse_recent(entries: Sequence[Sequence[Any]], limit: int) -> tuple[RecentInteraction, ...]:
    latest = nlargest(limit, entries, key=lambda entry: (entry[0], entry[1]))
    return tuple(RecentInteraction(item, type_, at, weight, value) for at, _, item, type_, weight, value in latest)


def _parse_membership(entry: Sequence[Any]) -> MembershipFacts:
    key, purpose, *rest = entry
    return MembershipFacts(SegmentKey(key), purpose, *rest)
