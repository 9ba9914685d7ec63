"""Attacks on what is derived from many people: learning about one of them from recommendations, segments and items."""

from __future__ import annotations

import asyncio

import pytest

from resolvers.refresh import refresh_all
from tests.attacks.town import AT_SHOP, Town
from tests.world import Reader, identify, new_device, prefer, record, view

pytestmark = pytest.mark.store

RECOMMENDED = "recommendations(first: 50, strategy: $strategy) { item { key } score }"


async def order(town: Town, user: str, *items: str) -> None:
    """Somebody with an account permits everything and buys."""
    products = [{"product_id": item, "price": 10, "quantity": 1} for item in items]
    await town.shop.send(
        identify(userId=user),
        prefer("personalisation", userId=user),
        prefer("analytics", userId=user),
        {"type": "track", "event": "Order Completed", "userId": user, "properties": {"products": products}},
    )


async def recommended(reader: Reader, user: str, strategy: str) -> dict[str, float]:
    query = f"query($by: ProfileKey!, $strategy: Strategy) {{ profile(by: $by) {{ {RECOMMENDED} }} }}"
    seen = await reader.ask(query, by=record("shop", user), strategy=strategy)
    return {one["item"]["key"]: one["score"] for one in (seen["profile"] or {}).get("recommendations") or ()}


async def declare(town: Town, *items: str) -> None:
    mutation = "mutation($input: [ItemInput!]!) { upsertItems(input: $input) { accepted } }"
    await town.operator.ask(mutation, input=[{"key": item, "title": item} for item in items])


async def refresh(town: Town) -> None:
    await refresh_all(town.world.services)
    await town.world.services.recommender.load(town.world.services.client, catalogue=True)


async def test_an_attacker_wants_to_find_the_item_that_only_the_victim_named(town: Town) -> None:
    await town.shop.send(view("letter-to-vera", userId="u17"))
    listed = (await town.acme.ask("{ items(first: 100) { nodes { key } } }"))["items"]["nodes"]
    assert "letter-to-vera" not in {one["key"] for one in listed}
    for reader in (town.acme, town.front):
        assert (await reader.ask('{ item(key: "letter-to-vera") { key } }'))["item"] is None


LETTER = {"product_id": "letter", "name": "Letter to Vera", "category": "oncology", "price": 77.5}
STATED = "key title category price updatedAt"


async def test_an_attacker_wants_to_read_what_the_victims_event_says_of_an_item(town: Town) -> None:
    seen_at = {"timestamp": "2026-05-04T03:02:01Z"}
    await town.shop.send({"type": "track", "event": "Product Viewed", "userId": "u17", "properties": LETTER} | seen_at)
    mallory = await town.mallory()
    proof = {"userToken": mallory.credential}
    await town.web.send(view("letter", userId="mallory", anonymousId=new_device(), context=proof))
    seen = await mallory.see_me(f"interactions(first: 10) {{ nodes {{ item {{ {STATED} }} }} }}")
    (node,) = seen["interactions"]["nodes"]
    assert node["item"] == {"key": "letter", "title": None, "category": None, "price": None, "updatedAt": None}


async def test_an_attacker_wants_an_event_to_describe_an_item_of_the_catalogue(town: Town) -> None:
    upsert = "mutation($input: [ItemInput!]!) { upsertItems(input: $input) { accepted } }"
    await town.operator.ask(upsert, input=[{"key": "letter"}])
    query = f'{{ item(key: "letter") {{ {STATED} }} items(first: 9, where: {{minPrice: 1}}) {{ nodes {{ key }} }} }}'
    before = await town.acme.ask(query)
    event = {"type": "track", "event": "Product Viewed", "properties": LETTER}
    await town.web.send(
        event | {"anonymousId": new_device()}, {"type": "page", "anonymousId": "x", "properties": LETTER}
    )
    await town.shop.send(event | {"userId": "u17"})
    assert await town.acme.ask(query) == before
    assert before["item"]["title"] is None


@pytest.mark.parametrize("strategy", ["GRAPH_WALK", "POPULAR", "AUTO"])
async def test_an_attacker_wants_to_see_in_her_recommendations_what_one_victim_bought(
    town: Town, strategy: str
) -> None:
    await declare(town, "common", "shared", "rare")
    for number in range(6):
        await order(town, f"p{number}", "common", "shared")
    await order(town, "mallory", "common")
    await refresh(town)
    before = await recommended(town.front, "mallory", strategy)
    assert "shared" in before
    await order(town, "u17", "common", "rare")
    await refresh(town)
    assert await recommended(town.front, "mallory", strategy) == before


async def test_an_attacker_wants_to_count_buyers_by_their_scores(town: Town) -> None:
    await declare(town, "common", "shared")
    for number in range(6):
        await order(town, f"p{number}", "common", "shared")
    await order(town, "mallory", "common")
    await refresh(town)
    scores = await recommended(town.front, "mallory", "POPULAR")
    assert all(0 <= score <= 1 for score in scores.values())


async def test_an_attacker_wants_to_be_alone_with_the_victim_in_a_segment(town: Town) -> None:
    for user in ("u17", "mallory", "p1"):
        await order(town, user, "odd1", "odd2", "odd3")
    await refresh(town)
    query = "{ segments(first: 100) { nodes { key kind } } }"
    for reader in (town.front, town.acme):
        assert not (await reader.ask(query))["segments"]["nodes"]
    seen = await town.front.see(AT_SHOP, "segments { segment { key } }")
    assert not seen["segments"]


async def test_an_attacker_wants_a_withdrawn_person_to_stay_in_what_is_served(town: Town) -> None:
    await declare(town, "common", "shared")
    for number in range(5):
        await order(town, f"p{number}", "common", "shared")
    await order(town, "mallory", "common")
    await refresh(town)
    assert "shared" in await recommended(town.front, "mallory", "GRAPH_WALK")
    person = await town.world.token("page", "shop", "p0")
    await person.withdraw("personalisation")
    for _ in range(60):
        if "shared" not in await recommended(town.front, "mallory", "GRAPH_WALK"):
            return
        await asyncio.sleep(1)
    pytest.fail("after a minute, the model in use still rests on the person")


async def test_an_attacker_wants_devices_of_her_own_to_be_the_crowd(town: Town) -> None:
    await declare(town, "common", "rare")
    await order(town, "u17", "common", "rare")
    await order(town, "mallory", "common")
    await refresh(town)
    before = await recommended(town.front, "mallory", "AUTO")
    for _ in range(25):
        device = new_device()
        await town.web.send(
            prefer("personalisation", anonymousId=device),
            view("common", anonymousId=device),
            view("rare", anonymousId=device),
        )
    await refresh(town)
    assert await recommended(town.front, "mallory", "AUTO") == before
