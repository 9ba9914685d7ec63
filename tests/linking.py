"""Accounts in systems of record under short names, linked as on arrival, for tests of linkage in a store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from algorithms.identity.blocking import BlockingRules
from algorithms.identity.linkage import DEFAULT_LINKAGE, LinkageConfig
from graph.identity.identifiers import NewHolding
from graph.identity.links import LinkEdge, write_links
from graph.identity.records import NewPerson, RecordCall, touch_records, write_people
from graph.model.identity import Grade, IdentifierRef, Judgement, RecordId, RecordKind, RecordRef, UserId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from resolvers.identity.attachment import Evidence, attach_evidence
from resolvers.identity.linkage import LinkageChanges, link_records

SMALL = LinkageConfig(
    limits={"external": 2, "email": 2, "phone": 1}, component_cap=5, blocking=BlockingRules(frequency_cap=3)
)


def ref(name: str) -> RecordRef:
    """An account: `shop.ada` is in the shop, `ada` in a system of its own."""
    source, _, key = name.rpartition(".")
    return RecordRef(source or name, RecordKind.USER, key)


def email(value: str) -> IdentifierRef:
    return IdentifierRef("email", value)


def user_id(value: str, namespace: str = "") -> IdentifierRef:
    return IdentifierRef("user_id", value, namespace)


def card(value: str) -> IdentifierRef:
    return IdentifierRef("card", value)


def add_evidence(found: Evidence, name: str, identifier: IdentifierRef, since: Millis) -> None:
    """Adds a proven identifier; what the record has of it already is looked up."""
    found.add(NewHolding(ref(name).id, identifier, Grade.PROVEN, since), identifier.id, None, certain=False)


@dataclass
class LinkingWorld:
    """A store with records under short names, and a clock that moves with every step."""

    client: GraphClient
    config: LinkageConfig = DEFAULT_LINKAGE
    now: int = 1000
    names: dict[RecordId, str] = field(default_factory=dict)
    judged: set[tuple[RecordId, RecordId]] = field(default_factory=set)
    meeting: asyncio.Barrier | None = None

    async def meet(self) -> None:
        """Where a meeting is set, wait until two writers have evidence that the other can't see yet. On an engine where
        writers take turns the other never comes; then go on alone."""
        if self.meeting is not None:
            with suppress(TimeoutError, asyncio.BrokenBarrierError):
                await asyncio.wait_for(self.meeting.wait(), 0.5)

    async def race(self, *arrivals: Any) -> None:
        """Two arrivals at once that meet between writing their evidence and linking."""
        self.meeting = asyncio.Barrier(2)
        await asyncio.gather(*(self.arrive(*evidence) for evidence in arrivals))
        self.meeting = None

    def tick(self) -> Millis:
        self.now += 10
        return Millis(self.now)

    async def arrive(self, *evidence: tuple[str, IdentifierRef], aliases: tuple[tuple[str, str], ...] = ()) -> Any:
        """What an arrival does: make and lock the records, attach what they carry, link."""
        now = self.tick()

        async def work(tx: Writer) -> LinkageChanges:
            return await self.ingest(tx, evidence, aliases, now)

        return await self.client.write(work)

    async def ingest(
        self,
        tx: Writer,
        evidence: tuple[tuple[str, IdentifierRef], ...],
        aliases: tuple[tuple[str, str], ...],
        now: Millis,
    ) -> LinkageChanges:
        refs = {ref(name).id: ref(name) for name in [n for n, _ in evidence] + [n for pair in aliases for n in pair]}
        self.names |= {ref(name).id: name for name in [n for n, _ in evidence] + [n for pair in aliases for n in pair]}
        await self.create(tx, refs, now)
        found = Evidence()
        for name, identifier in evidence:
            add_evidence(found, name, identifier, now)
        changed = (await attach_evidence(tx, found)).linking
        same = {(min(pair), max(pair)) for a, b in aliases if (pair := (ref(a).id, ref(b).id))} - self.judged
        self.judged |= same
        judged = [LinkEdge(left, right, Judgement.ASSERTED, "alias") for left, right in sorted(same)]
        await write_links(tx, judged, "auditor", now)
        changed |= {record for pair in same for record in pair}
        await self.meet()
        return await link_records(tx, changed, now, self.config)

    async def create(self, tx: Writer, refs: Mapping[RecordId, RecordRef], now: Millis) -> None:
        """Gives records that are new a person each, and locks all of them. Their systems are systems of record."""
        sources = sorted({each.source for each in refs.values()})
        await tx.run("UNWIND $names AS name MERGE (s:Source {name: name}) SET s.trust = 'record'", names=sources)
        touched = await touch_records(tx, [RecordCall(each, id_) for id_, each in refs.items()], now)
        new = sorted(id_ for id_, each in touched.items() if each.new)
        people = [
            NewPerson(id_, UserId(f"user-{refs[id_].source}-{refs[id_].key}-{now}"), refs[id_].source, ())
            for id_ in new
        ]
        await write_people(tx, people, now)

    async def relink(self, *names: str) -> LinkageChanges:
        now = self.tick()
        return await self.client.write(lambda tx: link_records(tx, [ref(n).id for n in names], now, self.config))

    async def object(self, name: str, answer: bool = True) -> LinkageChanges:
        async def work(tx: Writer) -> None:
            await tx.run("MATCH (r:Record {id: $id}) SET r.linking_objected = $answer", id=ref(name).id, answer=answer)

        await self.client.write(work)
        return await self.relink(name)

    async def judge_apart(self, left: str, right: str) -> LinkageChanges:
        now = self.tick()
        edge = LinkEdge(ref(left).id, ref(right).id, Judgement.CANNOT_LINK, "judgement")
        await self.client.write(lambda tx: write_links(tx, [edge], "ada", now))
        return await self.relink(left, right)

    async def people(self) -> dict[str, list[str]]:
        """Live user → names of its records, after checking that every record has exactly one live user."""
        rows = await self.client.read(
            "MATCH (r:Record)-[m:RESOLVES_TO]->(u:User) WHERE m.to IS NULL RETURN r.id AS record, u.id AS user"
        )
        assert len({row["record"] for row in rows}) == len(rows) == len(self.names)
        found: dict[str, list[str]] = {}
        for row in rows:
            found.setdefault(row["user"], []).append(self.names[row["record"]])
        return {user: sorted(names) for user, names in found.items()}

    async def groups(self) -> list[list[str]]:
        return sorted((await self.people()).values())

    async def edges(self) -> list[dict[str, Any]]:
        rows = await self.client.read(
            "MATCH (a:Record)-[l:LINKED]->(b:Record) RETURN a.id AS left, b.id AS right, l.status AS status,"
            " l.rule AS rule, l.reason AS reason, l.actor AS actor, l.`from` AS since, l.to AS until,"
            " l.ended_by AS ended_by, l.evidence AS evidence"
        )
        return [row | {"left": self.names[row["left"]], "right": self.names[row["right"]]} for row in rows]

    async def open(self, status: str) -> list[tuple[str, str, str, str | None]]:
        return sorted(
            (*sorted((row["left"], row["right"])), row["rule"], row["reason"])  # type: ignore[misc]
            for row in await self.edges()
            if row["status"] == status and row["until"] is None
        )


async def snapshot(client: GraphClient) -> list[dict[str, Any]]:
    rows = await client.read(
        "MATCH (n) OPTIONAL MATCH (n)-[r]->() WITH labels(n)[0] AS label, type(r) AS sort, count(*) AS number "
        "RETURN label, sort, number ORDER BY label, sort"
    )
    users = await client.read("MATCH (u:User) RETURN u.id AS id, u.retired_at AS at, u.updated_at AS up ORDER BY id")
    links = await client.read("MATCH ()-[l:LINKED]->() RETURN l.`from` AS since, l.to AS until ORDER BY since, until")
    return rows + users + links
