"""Profiles read in one round trip: the people that a key may refer to, each with the parts that a query selects.

The statement is a constant with switches: a part that isn't needed stands behind a CASE, and neither engine evaluates
it (measured: a point read with all parts off costs the same as one without them). Rows hold lists rather than maps,
because a map repeats its keys on the wire. There is one opening for each kind of key, and one body for all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from graph.activity.history import INTERACTION_ENTRY, SESSION_ENTRY, parse_interactions, parse_sessions
from graph.consent.log import parse_events
from graph.consent.permits import IN_FORCE
from graph.identity.traits import parse_traits
from graph.model.activity import InteractionFacts, RecentInteraction, SessionFacts
from graph.model.consent import ConsentEvent
from graph.model.identity import IdentifierRef, RecordId, RecordKind, RecordRef, Traits, UserId
from graph.model.segments import MembershipFacts, RfmFacts, SegmentKey
from graph.model.time import Millis
from graph.segments.rfm import parse_rfm
from graph.store.client import GraphClient, Row

MOST_CANDIDATES: Final = 10
"""How many people one identifier may lead to at most in a read. If the viewer may see several, none is returned."""


@dataclass(frozen=True, slots=True)
class ProfileParts:
    """Which parts of a profile a query needs. A number limits the entries of its part; 0 leaves the part out.
    `default_purpose` is the purpose of segments that state none."""

    traits: bool = False
    identifiers: bool = False
    consents: bool = False
    segments: bool = False
    rfm: bool = False
    recent: int = 0
    interactions: int = 0
    sessions: int = 0
    default_purpose: str = ""


@dataclass(frozen=True, slots=True)
class Sharing:
    """What a person must permit for a partner to learn that they exist; the fields are those of `PermittedScope`. If
    `permit` is None, nothing is required."""

    permit: str | None = None
    blanket: str = ""
    barred: str = ""


@dataclass(frozen=True, slots=True)
class StoredProfile:
    """What the graph holds about one person, limited to the parts asked for. The gate has not yet ruled on any of it.

    `linking_objected` tells whether the record through which the person was found objects to linkage. `read` are the
    records that the rest was read from: all of `records`, unless the read was limited to what one record's own name
    leads to.
    """

    id: UserId
    created_at: Millis
    updated_at: Millis
    permits: tuple[str, ...]
    permits_until: Millis | None
    permit_ends: tuple[int, ...]
    permit_grants: tuple[str, ...]
    consent_epoch: int
    records: tuple[RecordRef, ...]
    read: frozenset[RecordId]
    linking_objected: bool
    traits: Mapping[RecordId, Traits]
    identifiers: tuple[IdentifierRef, ...]
    events: tuple[ConsentEvent, ...]
    segments: tuple[MembershipFacts, ...]
    rfm: RfmFacts | None
    recent: tuple[RecentInteraction, ...]
    interactions: tuple[InteractionFacts, ...]
    sessions: tuple[SessionFacts, ...]

    @property
    def whole(self) -> bool:
        """Whether all of the person's records were read."""
        return len(self.read) == len(self.records)


_FROM_USER: Final = """
MATCH (:User {id: $user})-[:RETIRED_INTO*0..]->(u:User)
WHERE u.retired_at IS NULL
WITH u, false AS objected, 0 AS place, null AS own
"""

_FROM_OWN: Final = """
MATCH (k:Record {id: $record})-[found:RESOLVES_TO]->(u:User)
WHERE found.to IS NULL
WITH u, false AS objected, 0 AS place,
  [k.id] + [(k)-[:IDENTIFIED_BY]->(n:Identifier)<-[:IDENTIFIED_BY]-(o:Record)
    WHERE (n.kind = 'anonymous_id' AND o.kind = 'anonymous')
       OR (n.kind = 'user_id' AND k.kind = 'user' AND o.kind = 'user' AND o.key = k.key) | o.id] AS own
"""

_FROM_RECORDS: Final = """
UNWIND range(0, size($keys) - 1) AS place
MATCH (k:Record {id: $keys[place]})-[found:RESOLVES_TO]->(u:User)
WHERE found.to IS NULL
WITH u, false AS objected, place, null AS own
"""

_FROM_IDENTIFIER: Final = f"""
MATCH (n:Identifier {{id: $identifier}})<-[:IDENTIFIED_BY]-(k:Record)-[found:RESOLVES_TO]->(u:User)
WHERE found.to IS NULL AND ($permit IS NULL OR ({IN_FORCE}))
WITH u, min(CASE WHEN coalesce(k.linking_objected, false) THEN 1 ELSE 0 END) = 1 AS objected, 0 AS place,
  null AS own
ORDER BY objected, u.id
LIMIT $most
"""

_BODY: Final = (
    """
RETURN u.id AS id, u.created_at AS created_at, u.updated_at AS updated_at, u.permits AS permits,
  u.permits_until AS permits_until, u.permit_ends AS permit_ends, u.permit_grants AS permit_grants,
  coalesce(u.consent_epoch, 0) AS consent_epoch, objected, place,
  [(u)<-[a:RESOLVES_TO]-(ra:Record) WHERE a.to IS NULL |
    [ra.id, ra.source, ra.kind, ra.key,
     CASE WHEN $traits AND (own IS NULL OR ra.id IN own) THEN ra.traits ELSE NULL END,
     own IS NULL OR ra.id IN own]] AS records,
  CASE WHEN $identifiers THEN [(u)<-[b:RESOLVES_TO]-(rb:Record)-[:IDENTIFIED_BY]->(ib:Identifier)
    WHERE b.to IS NULL AND (own IS NULL OR rb.id IN own) |
    [ib.kind, ib.value, ib.namespace]] ELSE NULL END AS identifiers,
  CASE WHEN $consents THEN [(u)<-[c:RESOLVES_TO]-(rc:Record)-[:DECIDED]->(ec:ConsentEvent)
    WHERE c.to IS NULL AND (own IS NULL OR rc.id IN own) |
    [rc.id, properties(ec)]] ELSE NULL END AS events,
  CASE WHEN $segments THEN [(u)-[d:IN_SEGMENT]->(sd:Segment) WHERE d.until IS NULL |
    [sd.key, coalesce(sd.purpose, $default_purpose), d.since,
     d.score, d.version, sd.title, sd.kind, sd.description, coalesce(sd.shown, false)]] ELSE NULL END AS segments,
  CASE WHEN $rfm THEN properties(u) ELSE NULL END AS derived,
  CASE WHEN $recent > 0 THEN COLLECT {
    MATCH (u)<-[e:RESOLVES_TO]-(re:Record)-[:HAD]->(:Session)-[xe]->(ie:Item)
    WHERE e.to IS NULL AND (own IS NULL OR re.id IN own)
    RETURN [ie.key, type(xe), xe.at, xe.weight, xe.value] ORDER BY xe.at DESC, xe.message_id DESC LIMIT $recent
  } ELSE NULL END AS recent,
  CASE WHEN $interactions > 0 THEN COLLECT {
    MATCH (u)<-[f:RESOLVES_TO]-(rf:Record)-[:HAD]->(:Session)-[x]->(j)
    WHERE f.to IS NULL AND (own IS NULL OR rf.id IN own)
    RETURN """
    + INTERACTION_ENTRY
    + """
    ORDER BY x.at DESC, x.message_id DESC LIMIT $interactions
  } ELSE NULL END AS interactions,
  CASE WHEN $sessions > 0 THEN COLLECT {
    MATCH (u)<-[g:RESOLVES_TO]-(r:Record)-[:HAD]->(s:Session)
    WHERE g.to IS NULL AND (own IS NULL OR r.id IN own)
    RETURN """
    + SESSION_ENTRY
    + """ ORDER BY s.started_at DESC, s.id DESC LIMIT $sessions
  } ELSE NULL END AS sessions
ORDER BY place, id
"""
)

READ_PROFILE_OF_USER: Final = _FROM_USER + _BODY
READ_PROFILE_OF_OWN: Final = _FROM_OWN + _BODY
READ_PROFILES_OF_RECORDS: Final = _FROM_RECORDS + _BODY
READ_PROFILES_OF_IDENTIFIER: Final = _FROM_IDENTIFIER + _BODY
"""Each joins the opening for one kind of key to the shared body."""


async def read_profile_of_user(client: GraphClient, user: UserId, parts: ProfileParts) -> list[StoredProfile]:
    """Reads the person that an ID refers to now: that user, or the one it was retired into. Empty for an unknown ID."""
    return _parse(await client.read(READ_PROFILE_OF_USER, user=user, **_switches(parts)))


async def read_profile_of_own(client: GraphClient, record: RecordId, parts: ProfileParts) -> list[StoredProfile]:
    """Reads the person of a record, limited to what the record's own name leads to: the record itself, the user of the
    same name in other sources of its namespace, and the devices named along with it. Records connected only by a claim
    (an e-mail address, a phone number, an external ID, an alias) are not read; for a device, no user is read. Empty for
    an unknown record."""
    return _parse(await client.read(READ_PROFILE_OF_OWN, record=record, **_switches(parts)))


async def read_profiles_of_records(
    client: GraphClient, records: Sequence[RecordId], parts: ProfileParts
) -> list[StoredProfile]:
    """Reads the people of the records, in the order given. Records that don't exist are left out."""
    return _parse(await client.read(READ_PROFILES_OF_RECORDS, keys=list(records), **_switches(parts)))


async def read_profiles_of_identifier(
    client: GraphClient, identifier: IdentifierRef, sharing: Sharing, now: Millis, parts: ProfileParts
) -> list[StoredProfile]:
    """Reads the people that an identifier may refer to: those that `sharing` lets the viewer know about."""
    rows = await client.read(
        READ_PROFILES_OF_IDENTIFIER,
        identifier=identifier.id,
        permit=sharing.permit,
        blanket=sharing.blanket,
        barred=sharing.barred,
        now=now,
        most=MOST_CANDIDATES,
        **_switches(parts),
    )
    return _parse(rows)


def _switches(parts: ProfileParts) -> dict[str, Any]:
    return {
        "traits": parts.traits,
        "identifiers": parts.identifiers,
        "consents": parts.consents,
        "segments": parts.segments,
        "rfm": parts.rfm,
        "recent": parts.recent,
        "interactions": parts.interactions,
        "sessions": parts.sessions,
        "default_purpose": parts.default_purpose,
    }


def _parse(rows: Sequence[Row]) -> list[StoredProfile]:
    return [_parse_profile(row) for row in rows]


def _parse_profile(row: Row) -> StoredProfile:
    records = sorted(row["records"], key=lambda record: str(record[0]))
    return StoredProfile(
        id=UserId(row["id"]),
        created_at=Millis(row["created_at"]),
        updated_at=Millis(row["updated_at"] or row["created_at"]),
        permits=tuple(row["permits"] or ()),
        permits_until=row["permits_until"],
        permit_ends=tuple(row["permit_ends"] or ()),
        permit_grants=tuple(row["permit_grants"] or ()),
        consent_epoch=row["consent_epoch"],
        records=tuple(RecordRef(source, RecordKind(kind), key) for _, source, kind, key, *_ in records),
        read=frozenset(RecordId(record[0]) for record in records if record[5]),
        linking_objected=bool(row["objected"]),
        traits={RecordId(record[0]): parse_traits(record[4]) for record in records if record[4]},
        identifiers=_parse_identifiers(row["identifiers"]),
        events=_parse_events(row["events"]),
        segments=tuple(sorted((_parse_membership(m) for m in row["segments"] or ()), key=lambda m: m.segment)),
        rfm=parse_rfm(row["derived"]),
        recent=tuple(RecentInteraction(*entry) for entry in row["recent"] or ()),
        interactions=parse_interactions(row["interactions"]),
        sessions=parse_sessions(row["sessions"]),
    )


def _parse_identifiers(entries: Sequence[Sequence[str]] | None) -> tuple[IdentifierRef, ...]:
    found = {(kind, value, namespace or "") for kind, value, namespace in entries or ()}
    return tuple(IdentifierRef(*entry) for entry in sorted(found))


def _parse_events(entries: Sequence[Sequence[Any]] | None) -> tuple[ConsentEvent, ...]:
    """Returns the events of all records, latest received first."""
    events = (event for record, row in entries or () for event in parse_events(record, [row]))
    return tuple(sorted(events, key=lambda event: (event.received_at, event.id), reverse=True))


def _parse_membership(entry: Sequence[Any]) -> MembershipFacts:
    key, purpose, *rest = entry
    return MembershipFacts(SegmentKey(key), purpose, *rest)
