"""The batch: what it leaves alone, what it decides that an arrival left to it, and that arrivals in any order agree."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from algorithms.identity.linkage import DEFAULT_LINKAGE
from graph.model.identity import IdentifierRef
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.identity.attachment import Evidence, attach_evidence
from resolvers.identity.batch import resolve_all
from resolvers.identity.linkage import link_records
from tests.linking import SMALL, LinkingWorld, add_evidence, card, email, ref, user_id

pytestmark = pytest.mark.store


async def test_a_neighbourhood_too_large_for_an_arrival_is_left_to_the_batch(store: GraphClient) -> None:
    tight = SMALL.model_copy(update={"neighbourhood_cap": 3, "component_cap": 50, "limits": {"external": 50}})
    world = LinkingWorld(store, tight)
    for number in range(6):
        await world.arrive(
            (f"r{number}", IdentifierRef("card", f"c{number}")), (f"r{number}", IdentifierRef("card", f"c{number + 1}"))
        )
    assert len(await world.groups()) > 1
    deferred = await world.relink("r5")
    assert deferred.deferred == {ref("r5").id}
    other = await world.arrive(("x", email("x@x.com")), ("y", email("x@x.com")))
    assert (len(other.merged), other.deferred) == (1, frozenset())
    await world.object("r0")
    assert ["r0"] in await world.groups()
    report = await resolve_all(world.client, Policy.default(), world.tick, tight)
    assert await world.groups() == [["r0"], ["r1", "r2", "r3", "r4", "r5"], ["x", "y"]]
    assert (report.records, report.users, report.deferred) == (8, 3, 0)


async def test_changed_rules_take_effect_in_the_batch(store: GraphClient) -> None:
    world = LinkingWorld(store, SMALL)
    for name in "abcd":
        await world.arrive((name, email("desk@x.com")))
    assert len(await world.groups()) == 4
    report = await resolve_all(world.client, Policy.default(), world.tick, DEFAULT_LINKAGE)
    assert await world.groups() == [["a", "b", "c", "d"]]
    assert (report.merged, report.links, report.refused) == (3, 3, {})
    back = await resolve_all(world.client, Policy.default(), world.tick, SMALL)
    assert len(await world.groups()) == 4
    assert (back.split, back.links, back.refused) == (1, 0, {"frequency_cap": 1})


POOL: list[Callable[[int], IdentifierRef]] = [
    lambda n: email(f"e{n % 4}@x.com"),
    lambda n: card(f"c{n % 4}"),
    lambda n: user_id(f"u{n % 3}"),
    lambda n: IdentifierRef("phone", f"+{n % 3}"),
]
NAMES = [f"{source}.r{number}" for number in range(4) for source in ("shop", "crm", "app")]


@pytest.mark.parametrize("seed", range(4))
async def test_arrivals_in_any_order_and_the_batch_agree(store: GraphClient, seed: int) -> None:
    """Each piece of evidence is an identifier, since when a record holds it, and for contact data, until when."""
    rng = random.Random(seed)
    world = LinkingWorld(store, SMALL)
    held: dict[tuple[str, IdentifierRef], tuple[int, int | None]] = {}
    for _ in range(28):
        identifier, since = rng.choice(POOL)(rng.randrange(12)), rng.randrange(5)
        end = since + rng.randrange(4) if identifier.kind in ("email", "phone") and rng.random() < 0.5 else None
        held[rng.choice(NAMES), identifier] = since, end
    world.names = {ref(name).id: name for name, _ in held}

    async def forget(tx: Writer) -> None:
        await tx.run("MATCH (n) WHERE NOT n:Migration AND NOT n:Lock DETACH DELETE n")

    async def load(evidence: list[tuple[tuple[str, IdentifierRef], tuple[int, int | None]]], *, linked: bool) -> None:
        async def work(tx: Writer) -> None:
            now = world.tick()
            await world.create(tx, {ref(name).id: ref(name) for (name, _), _ in evidence}, now)
            found = Evidence()
            for (name, identifier), (since, end) in evidence:
                add_evidence(found, name, identifier, Millis(since))
                if end is not None:
                    found.ends[ref(name).id, identifier.id] = Millis(end)
            changed = (await attach_evidence(tx, found)).linking
            if linked:
                await link_records(tx, changed, now, SMALL)

        await store.write(work)

    answers = []
    for _ in range(2):
        arriving = list(held.items())
        rng.shuffle(arriving)
        await store.write(forget)
        while arriving:
            size = rng.randrange(1, 6)
            await load(arriving[:size], linked=True)
            arriving = arriving[size:]
        answers.append((await world.groups(), await world.open("active"), await world.open("refused")))
        settled = await resolve_all(world.client, Policy.default(), world.tick, SMALL)
        assert (settled.opened, settled.ended, settled.merged, settled.split) == (0, 0, 0, 0)
    await store.write(forget)
    await load(list(held.items()), linked=False)
    report = await resolve_all(world.client, Policy.default(), world.tick, SMALL)
    answers.append((await world.groups(), await world.open("active"), await world.open("refused")))
    assert answers[0] == answers[1] == answers[2]
    assert (report.records, report.users, report.links) == (len(world.names), len(answers[2][0]), len(answers[2][1]))
