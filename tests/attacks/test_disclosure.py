"""Attacks on what is read: seeing the victim's data, putting words into their profile, and recognising them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from graph.model.access import Trust
from graph.store.client import GraphClient
from tests.attacks.town import AT_CRM, AT_SHOP, CUSTOMER, EMAIL, PHONE, TRAITS, Town, leaks
from tests.world import FACTS, browser, identifier, identify, new_device, open_world, prefer, record, view, viewed

pytestmark = pytest.mark.store

CLAIMS: Mapping[str, Mapping[str, Any]] = {
    "an e-mail address": {"traits": {"email": EMAIL}},
    "a phone number": {"traits": {"phone": PHONE}},
    "a customer number": {"context": CUSTOMER},
    "a user ID": {"userId": "u17"},
}


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())
async def test_an_attacker_wants_to_read_the_victim_on_her_own_page_by_claiming(
    town: Town, claim: Mapping[str, Any]
) -> None:
    device = new_device()
    await town.web.try_send(identify(**{"anonymousId": device, "userId": "mallory", **claim}))
    await town.web.try_send(identify(**{"anonymousId": device, **claim}))
    own = set(claim.get("traits", {}).values())  # what she typed herself
    for key in (browser("web", device), record("web", "mallory"), record("web", "u17")):
        assert not set(leaks(await town.service.see(key))) - own
    mallory = await town.world.token("page", "web", "mallory")
    assert not set(leaks(await mallory.see_me())) - own


@pytest.mark.parametrize("source", ["web", "shop"])
async def test_an_attacker_wants_to_read_the_victim_from_her_own_account(town: Town, source: str) -> None:
    mallory = await town.mallory(source, email=EMAIL, phone=PHONE)
    own = {"victim@example.org", PHONE}  # what she typed herself
    for seen in (await mallory.see_me(), await town.service.see(record(source, "mallory"))):
        assert not set(leaks(seen)) - own


@pytest.mark.parametrize("names", [("u17", "device"), ("mallory", "victim's device"), ("mallory", "u17")])
async def test_an_attacker_wants_an_alias_to_show_her_the_victim(town: Town, names: tuple[str, str]) -> None:
    device, own = town.device, new_device()
    await town.web.try_send(identify({"email": EMAIL, "firstName": "Vera"}, userId="u17", anonymousId=device))
    await town.web.try_send(view("tea", anonymousId=own))
    known = {"device": own, "victim's device": device}
    alias = {"type": "alias", "userId": names[0], "previousId": known.get(names[1], names[1]), "anonymousId": own}
    await town.web.try_send(alias)
    for key in (browser("web", own), record("web", "mallory")):
        assert not leaks(await town.service.see(key))


@pytest.mark.parametrize("user", ["u17", "6f1d2c9e-3b7a-4c58-9e21-0d4b8a7f5c36"], ids=["a name", "a UUID"])
async def test_an_attacker_wants_her_device_to_answer_for_the_user_id_that_it_is_named_after(
    town: Town, user: str
) -> None:
    """The shop proved the user ID in the namespace; the site's own source has no account of it."""
    await town.shop.send(identify(userId=user))
    await town.web.try_send(
        identify({"firstName": "Mallory"}, anonymousId=user),
        prefer("personalisation", anonymousId=user),
        prefer("partner_sharing", anonymousId=user, recipient="acme"),
    )
    for reader in (town.service, town.front, town.acme):
        assert await reader.see(record("web", user), "id givenName") is None
    assert (await town.service.see(browser("web", user), "givenName"))["givenName"] == "Mallory"


@pytest.mark.parametrize("claim", CLAIMS.values(), ids=CLAIMS.keys())
async def test_an_attacker_wants_to_overwrite_the_victims_traits_by_claiming(
    town: Town, claim: Mapping[str, Any]
) -> None:
    before = await town.service.see(AT_CRM)
    hers = {"firstName": "Mallory", "lastName": "M", "address": {"street": "2 Loud Street"}, "attributes_of": "mallory"}
    claim = {**claim, "traits": {**claim.get("traits", {}), **hers}}
    await town.web.try_send(identify(**{"anonymousId": new_device(), **claim}))
    assert await town.service.see(AT_CRM) == before
    assert before["givenName"] == "Vera"


async def test_an_attacker_wants_her_address_to_be_where_the_victims_mail_goes(town: Town) -> None:
    await town.victim.state("marketing")
    hers = {"email": "mallory@example.net", "phone": "+441632960000"}
    await town.web.try_send(identify(hers, userId="u17", anonymousId=new_device()))
    seen = await town.mail.see(AT_SHOP)
    assert (seen["email"], seen["phone"]) == (EMAIL, PHONE)


async def test_an_attacker_wants_to_read_through_a_device_that_she_planted_before_the_login(town: Town) -> None:
    planted = new_device()
    await town.web.send(prefer("personalisation", anonymousId=planted), view("lure", anonymousId=planted))
    proof = await town.prove()
    await town.web.send(
        identify({"email": EMAIL, "firstName": "Vera"}, userId="u17", anonymousId=planted, context=proof),
        view("diary", userId="u17", anonymousId=planted, context=proof),
    )
    for reader in (town.service, town.front):
        seen = await reader.see(browser("web", planted))
        assert not leaks(seen)
        assert "diary" not in viewed(seen)


async def test_an_attacker_wants_her_grant_on_a_planted_device_to_open_the_account(town: Town) -> None:
    planted = new_device()
    await town.web.send(prefer("marketing", anonymousId=planted), prefer("personalisation", anonymousId=planted))
    proof = await town.prove()
    await town.web.send(identify(userId="u17", anonymousId=planted, context=proof))
    await town.web.send(prefer("marketing", anonymousId=planted))
    seen = await town.mail.see(AT_SHOP)
    assert seen is None or not leaks(seen)
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_to_find_the_victims_pseudonym_at_another_partner(town: Town) -> None:
    beta = await town.world.client("beta", "partner", recipient="beta")
    await town.victim.state("partner_sharing", recipient="acme")
    await town.victim.state("partner_sharing", recipient="beta")
    ids = {
        "acme": (await town.acme.see(AT_SHOP, "id"))["id"],
        "beta": (await beta.see(AT_SHOP, "id"))["id"],
        "front": (await town.service.see(AT_SHOP, "id"))["id"],
    }
    assert len(set(ids.values())) == 3
    node = "query($id: ID!) { node(id: $id) { id ... on Profile { country } } }"
    for name in ("beta", "front"):
        assert (await town.acme.ask(node, id=ids[name]))["node"] is None
        assert await town.acme.see({"id": ids[name]}, "country") is None
    assert (await town.acme.ask(node, id=ids["acme"]))["node"]["country"] == "GB"


async def test_an_attacker_wants_to_recognise_a_person_who_came_back_by_an_old_pseudonym(town: Town) -> None:
    await town.victim.state("partner_sharing", recipient="acme")
    first = (await town.acme.see(AT_SHOP, "id"))["id"]
    await town.victim.withdraw("partner_sharing", recipient="acme")
    assert await town.acme.see({"id": first}, "id") is None
    await town.victim.state("partner_sharing", recipient="acme")
    assert (await town.acme.see(AT_SHOP, "id"))["id"] != first
    assert await town.acme.see({"id": first}, "id") is None


SEEN = "interactions(first: 10) { nodes { id order } } sessions(first: 10) { nodes { id } }"


async def test_two_partners_want_to_match_a_person_by_the_ids_of_orders(store: GraphClient, tmp_path: Path) -> None:
    """A company may let partners see behaviour. What was bought together still shows; which order it was doesn't."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"categories": {"behaviour": ["personalisation", "analytics", "partner_sharing"]}}')
    async with open_world(store, tmp_path, policy=policy) as world:
        shop = await world.source("shop", Trust.SERVER, "shop")
        partners = [await world.client(name, "partner", recipient=name) for name in ("acme", "beta")]
        await world.client("page", "subject", "service")
        products = {"order_id": "A-1001", "products": [{"product_id": "tea"}, {"product_id": "mug"}]}
        await shop.send({"type": "track", "event": "Order Completed", "userId": "u17", "properties": products})
        await shop.send(view("tea", userId="u17"))
        await (await world.token("page", "shop", "u17")).state("partner_sharing")
        one, two = [await reader.see(AT_SHOP, SEEN) for reader in partners]
    for kind in ("interactions", "sessions"):
        assert not {part["id"] for part in one[kind]["nodes"]} & {part["id"] for part in two[kind]["nodes"]}
    orders = [Counter(part["order"] for part in seen["interactions"]["nodes"]) for seen in (one, two)]
    assert [sorted(counts.values()) for counts in orders] == [[1, 2], [1, 2]]
    assert set(orders[0]) & set(orders[1]) == {None}
    assert "A-1001" not in str((one, two))


async def test_an_attacker_wants_to_match_a_person_by_the_times_of_the_profile(town: Town) -> None:
    await town.victim.state("partner_sharing", recipient="acme")
    answer = await town.acme.post(
        "query($by: ProfileKey!) { profile(by: $by) { country createdAt updatedAt } }", by=AT_SHOP
    )
    data = answer.json().get("data") or {}
    seen = data.get("profile") or {}
    assert seen.get("createdAt") is None
    assert seen.get("updatedAt") is None


async def test_an_attacker_wants_to_use_another_viewers_cursor(town: Town) -> None:
    await town.victim.state("personalisation")
    await town.shop.send(*(view(f"item{n}", userId="u17") for n in range(4)))
    page = "interactions(first: 1, after: $after) { pageInfo { endCursor } nodes { item { key } } }"
    query = f"query($by: ProfileKey!, $after: String) {{ profile(by: $by) {{ {page} }} }}"
    seen = await town.front.ask(query, by=AT_SHOP, after=None)
    cursor = seen["profile"]["interactions"]["pageInfo"]["endCursor"]
    other = await town.world.client("other", "frontend", "personalisation")
    answer = (await other.post(query, by=AT_SHOP, after=cursor)).json()
    assert answer["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("kind", ["record", "identifier", "id", "node", "device"])
async def test_an_attacker_wants_to_tell_a_person_who_does_not_share_from_one_who_does_not_exist(
    town: Town, kind: str
) -> None:
    await town.web.send(view("tea", anonymousId=town.device))
    there = (await town.service.see(AT_SHOP, "id"))["id"]
    absent = "UHJvZmlsZTowMUhRMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA=="
    by = {
        "record": (AT_SHOP, record("shop", "nobody")),
        "identifier": (identifier("email", EMAIL), identifier("email", "nobody@example.org")),
        "id": ({"id": there}, {"id": absent}),
        "node": ({"id": there}, {"id": absent}),
        "device": (browser("web", town.device), browser("web", new_device())),
    }[kind]
    query = f"query($by: ProfileKey!) {{ profile(by: $by) {{ {FACTS} }} }}"
    node = "query($by: ID!) { node(id: $by) { id } }"
    answers = [
        await town.acme.post(node, by=key["id"]) if kind == "node" else await town.acme.post(query, by=key)
        for key in by
    ]
    withheld, missing = answers
    assert withheld.content == missing.content
    assert withheld.status_code == missing.status_code
    dynamic = {"date", "x-request-id"}
    assert {n: v for n, v in withheld.headers.items() if n not in dynamic} == {
        n: v for n, v in missing.headers.items() if n not in dynamic
    }


async def test_an_attacker_wants_one_expired_permit_to_hide_or_open_another(town: Town) -> None:
    soon = datetime.fromtimestamp(town.world.clock() / 1000 + 3600, UTC).isoformat()
    await town.victim.state("partner_sharing", recipient="beta", expiresAt=soon)
    await town.victim.state("partner_sharing", recipient="acme")
    beta = await town.world.client("beta", "partner", recipient="beta")
    assert await beta.see(AT_SHOP, "country") is not None
    town.world.clock.skip(seconds=7200)
    assert await beta.see(AT_SHOP, "country") is None
    assert (await town.acme.see(AT_SHOP, "country"))["country"] == TRAITS["address"]["country"]


async def test_a_marketing_front_end_wants_the_secret_of_the_victims_device_to_grant_with_it(town: Town) -> None:
    """The anonymous ID is a bearer secret: whoever has it grants for the device. The victim permits marketing only."""
    await town.victim.state("marketing")
    await town.web.send(view("secret", anonymousId=town.device))
    await town.web.send(identify(userId="u17", anonymousId=town.device, context=await town.prove()))
    assert not viewed(await town.front.see(browser("web", town.device)))
    shown = {}
    for key in (AT_SHOP, record("web", "u17"), AT_CRM, identifier("email", EMAIL)):
        seen = await town.mail.see(key, "identifiers { kind value }")
        shown |= {one["value"]: one["kind"] for one in (seen or {}).get("identifiers") or ()}
    for value, kind in shown.items():
        if kind == "anonymous_id":
            await town.web.try_send(prefer("personalisation", anonymousId=value))
    assert not viewed(await town.front.see(browser("web", town.device)))
