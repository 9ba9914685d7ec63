"""Random sequences of hostile steps: what a partner or a front-end may see of a victim never grows through steps of
others, strangers never get into the victim's profile, and the victim's own grant isn't voided for good.

CONSENTRIC_SEQUENCES sets how many sequences run (`make test-privacy`: 10,000). They share a store and run abreast, so
that one transaction serves many.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from random import Random
from typing import Final

import pytest

from graph.consent.permits import read_user_logs
from graph.model.access import Source, Trust
from graph.model.identity import RecordId, RecordKind, RecordRef, UserId
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import SubjectPermits
from privacy.purposes import ANALYTICS, MARKETING, PARTNER_SHARING, PERSONALISATION, Permit
from resolvers.collection.ingestor import Ingestor
from resolvers.consent.permits import check_permits, judge, refresh_stale
from resolvers.identity.batch import resolve_all
from resolvers.identity.rederive import rederive_source
from tests.arrivals import POLICY, register
from tests.conftest import empty
from tests.context import services_of
from tests.hostile import steps
from tests.hostile.steps import APP, COMPANY, CRM, SHOP, START, WEB, Life, begin, choose_claimed_time, choose_step

pytestmark = pytest.mark.store

NUMBER: Final = int(os.environ.get("CONSENTRIC_SEQUENCES", "50"))
ABREAST: Final = 200
ROUNDS: Final = 8
SEED: Final = int(os.environ.get("CONSENTRIC_SEED", "7"))
WATCHED: Final = (
    Permit(PARTNER_SHARING, "acme"),
    Permit(PARTNER_SHARING, "other"),
    Permit(ANALYTICS),
    Permit(PERSONALISATION),
    Permit(MARKETING),
)

READ_VICTIMS = """
UNWIND $records AS record
MATCH (:Record {id: record})-[x:RESOLVES_TO]->(u:User)
WHERE x.to IS NULL
RETURN record, u.id AS user, u.permits AS permits, u.permits_until AS until, u.permit_ends AS ends,
  [(u)<-[y:RESOLVES_TO]-(r:Record) WHERE y.to IS NULL | r.source + ':' + r.key] AS records
"""


def victim_of(life: Life) -> RecordId:
    return RecordRef("shop", RecordKind.USER, life.victim).id


class Town:
    """Many lives on one store, with a clock that moves by a second from step to step."""

    def __init__(self, store: GraphClient, lives: Sequence[Life]) -> None:
        self.store = store
        self.lives = lives
        self.now = Millis(START)

    async def write(self, messages: Iterable[Message]) -> None:
        async with Ingestor(self.store, POLICY, lambda: self.now) as ingestor:
            await ingestor.submit(list(messages))

    async def seen(self) -> tuple[dict[RecordId, frozenset[Permit]], dict[RecordId, set[str]]]:
        """Returns what may be used of each victim, and which records form them. Whoever was marked stale is refolded
        first, as servers do in the background."""
        await refresh_stale(self.store, POLICY, self.now)
        rows = await self.store.read(READ_VICTIMS, records=[victim_of(life) for life in self.lives])
        permitted, records = {}, {}
        for row in rows:
            subject = SubjectPermits(tuple(row["permits"]), row["until"], ends=tuple(row["ends"] or ()))
            places = {permit: subject.deciding(permit) for permit in WATCHED}
            permitted[RecordId(row["record"])] = frozenset(
                permit for permit, place in places.items() if place is not None and not subject.ended(place, self.now)
            )
            records[RecordId(row["record"])] = set(row["records"])
        return permitted, records


async def play(town: Town) -> None:
    """Plays all lives and checks them after each round."""
    await register(town.store, WEB, APP, SHOP, CRM)
    await town.write(message for life in town.lives for message in begin(life, town.now))
    town.now = Millis(town.now + 1000)
    before, _ = await town.seen()
    for _ in range(ROUNDS):
        town.now = Millis(town.now + 1000)
        own: set[int] = set()
        messages: list[Message] = []
        for life in town.lives:
            name, step, is_own = choose_step(life)
            sent = step(life, town.now, choose_claimed_time(life, town.now))
            life.done.append(name)
            if is_own:
                own.add(life.number)
            else:
                life.kept += sent
            messages += sent
        await town.write(messages)
        after, records = await town.seen()
        for life in town.lives:
            grown = after[victim_of(life)] - before[victim_of(life)]
            assert life.number in own or not grown, (life.number, life.done, sorted(map(str, grown)))
            lost = before[victim_of(life)] - after[victim_of(life)]
            assert life.number in own or life.done[-1] in COMPANY or not lost, (life.number, life.done, lost)
            strangers = records[victim_of(life)] - {f"shop:{life.victim}", f"crm:c{life.number}", f"web:{life.victim}"}
            assert not strangers, (life.number, life.done, strangers)
        before = after


WRITE_TRUST = """
MATCH (s:Source {name: $name})
SET s.trust = $trust, s.verifies = $verifies, s.trust_epoch = coalesce(s.trust_epoch, 0) + 1
"""


async def change_trust(town: Town, name: str, trust: Trust, verifies: Sequence[str] = ()) -> None:
    """Changes what a source is trusted with, and checks that nothing more is seen of anyone."""
    town.now = Millis(town.now + 1000)
    before, _ = await town.seen()
    changed = {"name": name, "trust": trust.value, "verifies": list(verifies)}
    await town.store.write(lambda tx: tx.run(WRITE_TRUST, **changed))
    await rederive_source(services_of(town.store, lambda: town.now), name, fence=0)
    after, _ = await town.seen()
    for life in town.lives:
        grown = after[victim_of(life)] - before[victim_of(life)]
        assert not grown, (life.number, life.done, name, trust, sorted(map(str, grown)))
    await compare(town)


async def reopen(town: Town) -> None:
    """Checks that every victim can still grant everything, whatever others did."""
    town.now = Millis(town.now + 1000)
    granted: list[Message] = []
    lowered = Source("shop", trust=Trust.PUBLIC)
    for life in town.lives:
        consent = {"consent": {"categoryPreferences": dict.fromkeys(steps.CATEGORIES, True)}}
        event = "Segment Consent Preference Updated"
        granted.append(
            steps.send(life, lowered, town.now, proof=steps.Proof.CREDENTIAL, type="track", event=event,
                       userId=life.victim, context=consent)
        )  # fmt: skip
    await town.write(granted)
    after, _ = await town.seen()
    for life in town.lives:
        shut = set(WATCHED) - after[victim_of(life)]
        assert not shut, (life.number, life.done, sorted(map(str, shut)))


async def compare(town: Town) -> None:
    """Checks that what people are told, what the gate does, and what the log adds up to are the same."""
    checked = await check_permits(town.store, POLICY, lambda: town.now)
    assert checked.complete
    assert not checked.differences
    rows = await town.store.read(READ_VICTIMS, records=[victim_of(life) for life in town.lives])
    permitted, _ = await town.seen()
    users = {UserId(row["user"]): RecordId(row["record"]) for row in rows}
    for log in await read_user_logs(town.store, users.keys()):
        states = judge(log, POLICY, town.now)
        told = {permit for permit in WATCHED if (states.get(permit) or states[Permit(permit.purpose, "*")]).permitted}
        assert told == permitted[users[log.stored.user]], log.stored.user
    report = await resolve_all(town.store, POLICY, lambda: town.now)
    assert (report.opened, report.ended, report.merged, report.split) == (0, 0, 0, 0)


@pytest.mark.parametrize("start", range(0, NUMBER, ABREAST))
async def test_nothing_more_is_seen_of_a_victim_through_steps_of_others(store: GraphClient, start: int) -> None:
    await empty(store)
    numbers = range(start, min(start + ABREAST, NUMBER))
    town = Town(store, [Life(number, Random(f"{SEED}-{number}")) for number in numbers])
    await play(town)
    await compare(town)
    await change_trust(town, "crm", Trust.SERVER)
    await change_trust(town, "crm", Trust.PUBLIC)
    await change_trust(town, "shop", Trust.PUBLIC)
    await reopen(town)
    await compare(town)
