"""Attacks on the proof of a login, `context.userHash`: forging it, stretching it, and using somebody else's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from api.collection.replay import replay
from graph.collection.dead_letters import read_letters
from graph.model.identity import Proof
from graph.store.client import GraphClient
from tests.attacks.town import AT_CRM, AT_SHOP, Town, build_town, leaks
from tests.world import (
    DAY,
    Reader,
    browser,
    external,
    identifier,
    identify,
    new_device,
    open_world,
    prefer,
    record,
    restrict_issuer,
    view,
    viewed,
)

pytestmark = pytest.mark.store


async def open_account(town: Town) -> Reader:
    """The victim's account at the web site and at the shop permits personalisation."""
    await town.victim.state("personalisation")
    return town.front


async def assert_refused(town: Town, user_hash: str, device: str, user: str = "u17") -> None:
    """A message with this hash is not the account's: it opens nothing."""
    proof = {"userHash": user_hash}
    await town.web.try_send(prefer("marketing", userId=user, anonymousId=device, context=proof))
    assert not (await town.consents())["marketing", None]
    seen = await town.mail.see(AT_SHOP, "email")
    assert seen is None or seen["email"] is None


async def test_a_valid_hash_opens_the_account(town: Town) -> None:
    proof = {"userHash": await town.world.user_hash("web", "u17", town.device)}
    await town.web.send(prefer("marketing", userId="u17", anonymousId=town.device, context=proof))
    assert (await town.consents())["marketing", None]


@pytest.mark.parametrize("forged", ["v1.9999999999.", "v1.0.", "v2.9999999999.", "", "u17"])
async def test_an_attacker_wants_to_forge_a_user_hash(town: Town, forged: str) -> None:
    await assert_refused(town, forged + "A" * 43, new_device())
    await assert_refused(town, forged, new_device())


async def test_an_attacker_wants_to_stretch_a_user_hash_past_its_end(town: Town) -> None:
    version, _, mac = (await town.world.user_hash("web", "u17", town.device, days=1)).split(".")
    later = town.world.clock() // 1000 + 20 * 86_400
    await assert_refused(town, f"{version}.{later}.{mac}", town.device)


async def test_an_attacker_wants_to_use_an_expired_user_hash(town: Town) -> None:
    user_hash = await town.world.user_hash("web", "u17", town.device, days=1)
    town.world.clock.skip(days=1.1)
    await assert_refused(town, user_hash, town.device)


async def test_an_attacker_wants_to_use_her_own_user_hash_for_the_victim(town: Town) -> None:
    await assert_refused(town, await town.world.user_hash("web", "mallory", town.device), town.device)


async def test_an_attacker_wants_to_use_a_user_hash_of_another_device(town: Town) -> None:
    await assert_refused(town, await town.world.user_hash("web", "u17", town.device), new_device())


async def test_an_attacker_wants_to_use_a_user_hash_of_another_source(town: Town) -> None:
    await assert_refused(town, await town.world.user_hash("app", "u17", town.device), town.device)


async def test_an_attacker_wants_to_move_the_border_between_user_id_and_device(town: Town) -> None:
    await assert_refused(town, await town.world.user_hash("web", "u1", f"7{town.device}"), town.device)


async def test_an_attacker_wants_a_user_hash_to_survive_two_rotations(town: Town) -> None:
    user_hash = await town.world.user_hash("web", "u17", town.device)
    await town.world.rotate_hash_key("web")
    await town.victim.state("personalisation")
    proof = {"userHash": user_hash}
    await town.web.send(
        prefer("personalisation", anonymousId=town.device),
        view("once", userId="u17", anonymousId=town.device, context=proof),
    )
    assert "once" in viewed(await town.front.see(AT_SHOP))
    await town.world.rotate_hash_key("web")
    town.world.clock.forget_credentials()
    await assert_refused(town, user_hash, town.device)


async def test_an_attacker_wants_a_write_key_to_make_user_hashes(town: Town) -> None:
    import hmac

    expires = town.world.clock() // 1000 + 3600
    parts = [b"u17", town.device.encode(), str(expires).encode()]
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    mac = hmac.digest(town.web.key.encode(), text, "sha256")
    from base64 import urlsafe_b64encode

    for shown in (mac.hex(), urlsafe_b64encode(mac).decode().rstrip("=")):
        await assert_refused(town, f"v1.{expires}.{shown}", town.device)


async def test_an_attacker_wants_a_static_hash_where_none_is_taken(town: Town) -> None:
    static = await town.world.static_hash("web", "u17")
    assert await add_behaviour(town, static, "first")
    await town.world.set_source("web", static_hash=False)
    town.world.clock.forget_credentials()
    await assert_refused(town, static, town.device)
    assert not await add_behaviour(town, static, "second")
    user_hash = await town.world.user_hash("web", "u17", "")
    await assert_refused(town, user_hash.split(".")[-1], town.device)


async def add_behaviour(town: Town, user_hash: str, item: str, **names: Any) -> bool:
    """Returns whether what is sent with a hash becomes behaviour of the victim's account."""
    await town.victim.state("personalisation")
    names = {"userId": "u17", "anonymousId": new_device(), "context": {"userHash": user_hash}, **names}
    await town.web.try_send(view(item, **names))
    return item in viewed(await town.front.see(AT_SHOP))


async def test_an_attacker_wants_a_static_hash_of_the_victim_to_grant(town: Town) -> None:
    proof, device = {"userHash": await town.world.static_hash("web", "u17")}, new_device()
    carried = {**proof, "consent": {"categoryPreferences": {"Advertising": True}}}
    for names in ({"userId": "u17"}, {"userId": "u17", "anonymousId": device}):
        await town.web.try_send(
            prefer("marketing", context=proof, **names),
            view("bait", context=carried, **names),
            identify(context=carried, **names),
        )
    assert not (await town.consents())["marketing", None]
    assert not leaks(await town.mail.see(AT_SHOP, "email givenName"))


async def test_an_attacker_wants_a_static_hash_of_the_victim_to_refuse(town: Town) -> None:
    await town.victim.state("marketing")
    proof, device = {"userHash": await town.world.static_hash("web", "u17")}, new_device()
    carried = {**proof, "consent": {"categoryPreferences": {"Advertising": False}}}
    for names in ({"userId": "u17"}, {"userId": "u17", "anonymousId": device}):
        await town.web.try_send(
            prefer("marketing", False, context=proof, **names),
            view("bait", context=carried, **names),
            {"type": "page", "context": carried, **names},
        )
    assert (await town.consents())["marketing", None]


async def test_an_attacker_wants_a_static_hash_of_the_victim_to_change_name_and_address(town: Town) -> None:
    proof = {"userHash": await town.world.static_hash("web", "u17")}
    facts = "email phone givenName familyName address { street city } attributes identifiers { kind value }"
    before = await town.service.see(AT_SHOP, facts)
    lies = {"email": "mallory@evil.example", "phone": "+441632960999", "firstName": "Mallory", "vip": True}
    own = {**proof, "traits": lies, **external("customer_no", "666")}
    for names in ({"userId": "u17"}, {"userId": "u17", "anonymousId": new_device()}):
        await town.web.try_send(
            identify(lies, context=proof, **names),
            identify(context=own, **names),
            view("bait", context=own, **names),
            {"type": "group", "groupId": "evil", "traits": lies, "context": proof, **names},
            {"type": "alias", "previousId": "mallory", "context": proof, **names},
        )
    assert await town.service.see(AT_SHOP, facts) == before
    assert await town.service.see(identifier("email", "mallory@evil.example"), facts) is None


async def test_an_attacker_wants_a_static_hash_of_the_victim_to_prove_her_device(town: Town) -> None:
    proof, device = {"userHash": await town.world.static_hash("web", "u17")}, new_device()
    names = {"userId": "u17", "anonymousId": device, "context": proof}
    await town.web.try_send(
        view("bait", **names), identify(**names), {"type": "alias", "previousId": device, "context": proof, **names}
    )
    rows = await town.world.services.client.read(
        "MATCH (:Record {key: $key})-[c:COUNTS_FOR]->(:Record) RETURN c.grade AS grade", key=device
    )
    assert [row["grade"] for row in rows] == ["claimed"]


async def test_an_attacker_wants_to_hear_what_the_victim_denies_by_a_static_hash(town: Town) -> None:
    proof, device = {"userHash": await town.world.static_hash("web", "u17")}, new_device()
    carried = {"consent": {"categoryPreferences": {"Advertising": True}}}
    await town.web.send(view("bait", anonymousId=device, context=carried))
    await town.web.try_send(
        view("bait", userId="u17", anonymousId=device, context=proof),
        view("bait", userId="u17", anonymousId=device, context={**proof, **external("anonymous_id", device)}),
    )
    await (await town.world.token("page", "web", "u17")).withdraw("marketing")
    assert not (await town.consents())["marketing", None]
    heard = await town.auditor.consents(browser("web", device))
    assert heard["marketing", None]


async def test_an_attacker_wants_a_static_hash_to_use_up_the_ids_of_the_victims_messages(town: Town) -> None:
    static = await town.world.static_hash("web", "u17")
    assert await add_behaviour(town, static, "bait", messageId="m-1")
    proof = {"userHash": await town.world.user_hash("web", "u17", town.device)}
    assert await add_behaviour(town, proof["userHash"], "tea-1", messageId="m-1", anonymousId=town.device)


async def test_an_attacker_wants_a_static_hash_to_be_taken_for_a_user_hash(town: Town) -> None:
    static = await town.world.static_hash("web", "u17")
    later = town.world.clock() // 1000 + 3600
    for device in (town.device, ""):
        await assert_refused(town, f"v1.{later}.{static}", device)
        real = await town.world.user_hash("web", "u17", device)
        assert not await add_behaviour(town, real.split(".")[2], "bait", anonymousId=device)


async def test_an_attacker_wants_a_static_hash_of_another_source_or_user(town: Town) -> None:
    own = await town.world.static_hash("web", "mallory")
    other = await town.world.static_hash("app", "u17")
    assert not await add_behaviour(town, own, "bait-1")
    assert not await add_behaviour(town, other, "bait-2")


async def test_an_attacker_wants_a_static_hash_to_survive_two_rotations(town: Town) -> None:
    static = await town.world.static_hash("web", "u17")
    for item in ("tea-1", "tea-2"):
        assert await add_behaviour(town, static, item)
        await town.world.rotate_hash_key("web")
        town.world.clock.forget_credentials()
    assert not await add_behaviour(town, static, "bait")


@pytest.mark.parametrize("token", ["of another account", "of another device's account", "damaged"])
async def test_an_attacker_wants_to_speak_for_the_victim_with_a_token_of(town: Town, token: str) -> None:
    device = new_device()
    credential = {
        "of another account": (await town.world.token("page", "web", "mallory")).credential,
        "of another device's account": (await town.world.token("page", "shop", "mallory")).credential,
        "damaged": f"{town.victim.credential[:-3]}AAA",
    }[token]
    await town.web.try_send(prefer("marketing", userId="u17", anonymousId=device, context={"userToken": credential}))
    assert not (await town.consents())["marketing", None]


@pytest.mark.parametrize("door", ["page", "API"])
async def test_the_issuer_of_one_site_wants_to_grant_for_the_records_of_others(
    store: GraphClient, tmp_path: Path, door: str
) -> None:
    issuer, setting = restrict_issuer(tmp_path, "web")
    async with open_world(store, tmp_path, trusted_issuers=setting) as world:
        town = await build_town(world)
        person = await replace(world, issuer=issuer).token("page", "web", "u17")
        proof = {"userToken": person.credential}
        await town.web.send(identify(userId="u17", context=proof))
        if door == "API":
            await person.state("marketing")
        else:
            await town.web.send(prefer("marketing", userId="u17", context=proof))
        assert not leaks(await town.mail.see(AT_CRM, "email"))
        assert not leaks(await town.mail.see(record("web", "u17"), "email"))
        assert not (await town.consents())["marketing", None]


async def test_an_attacker_wants_to_move_a_proven_letter_past_a_withdrawal_without_a_proof(town: Town) -> None:
    """The victim's page has a wrong clock, so its proven grant becomes a letter. The victim withdraws; whoever sends
    the same text again, without the proof, makes the letter a proven one that was received now."""
    grant = prefer("marketing", userId="u17", messageId="optin-u17", timestamp=town.world.clock() + 2 * DAY)
    proven = prefer("marketing", userId="u17", messageId="optin-u17", timestamp=grant["timestamp"])
    proven["context"] = {**(await town.prove()), **proven["context"]}
    assert (await town.web.post(proven)).json()["rejected"] == {"bad_timestamp": 1}
    town.world.clock.skip(days=1.5)
    await town.shop.send(prefer("marketing", userId="u17"), prefer("marketing", False, userId="u17"))
    assert (await town.mail.see(AT_SHOP, "email"))["email"] is None
    town.world.clock.skip(seconds=60)
    assert (await town.web.post(grant)).json()["rejected"] == {"unproven_user": 1}
    await replay(town.world.runtime)
    town.world.clock.skip(days=1)
    assert (await town.mail.see(AT_SHOP, "email"))["email"] is None


async def test_an_attacker_wants_a_proven_withdrawal_never_to_be_replayed(town: Town) -> None:
    """She sends the text of a dead letter again with a bad proof: that is another letter, and changes nothing."""
    denial = prefer("marketing", False, userId="u17", messageId="optout-u17", timestamp=town.world.clock() + 2 * DAY)
    consent = denial["context"]
    denial["context"] = {**(await town.prove()), **consent}
    assert (await town.web.post(denial)).json()["rejected"] == {"bad_timestamp": 1}
    denial["context"] = {"userToken": "x.y.z", **consent}
    assert (await town.web.post(denial)).json()["rejected"] == {"bad_proof": 1}
    letters = await read_letters(town.world.services.client, 10)
    assert {(one.reason, one.proof) for one in letters} == {("bad_timestamp", Proof.TOKEN), ("bad_proof", None)}
