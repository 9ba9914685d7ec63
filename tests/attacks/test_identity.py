"""Attacks on who is who: joining strangers, splitting a person, stealing devices, and making somebody unfindable."""

from __future__ import annotations

import pytest

from graph.model.access import Trust
from resolvers.access.sources import SourceChange, change_source
from tests.attacks.town import AT_CRM, AT_SHOP, CUSTOMER, EMAIL, Town, leaks
from tests.world import DAY, Reader, browser, external, identifier, identify, new_device, prefer, record, view, viewed

pytestmark = pytest.mark.store


async def settle_device(town: Town) -> None:
    """The victim's device proves that it is theirs, and both permit personalisation."""
    proof = await town.prove()
    await town.victim.state("personalisation")
    await town.web.send(
        prefer("personalisation", anonymousId=town.device),
        view("before", anonymousId=town.device),
        identify(userId="u17", anonymousId=town.device, context=proof),
    )


async def test_an_attacker_wants_to_steal_a_device_with_a_claim_from_the_past(town: Town) -> None:
    await settle_device(town)
    assert "before" in viewed(await town.front.see(AT_SHOP))
    past = town.world.clock() - 400 * DAY
    mallory = await town.mallory()
    await mallory.state("personalisation")
    await town.web.try_send(
        identify(userId="mallory", anonymousId=town.device, timestamp=past),
        identify(userId="mallory", anonymousId=town.device, timestamp=past, context={"userToken": mallory.credential}),
        {"type": "alias", "userId": "mallory", "previousId": town.device, "timestamp": past},
    )
    assert "before" in viewed(await town.front.see(AT_SHOP))
    assert "before" not in viewed(await town.front.see(record("web", "mallory")))
    assert "before" not in viewed(await mallory.see_me())


async def test_an_attacker_wants_to_steal_a_claimed_device_with_a_claim_from_the_past(town: Town) -> None:
    await town.victim.state("personalisation")
    await town.web.send(
        prefer("personalisation", anonymousId=town.device),
        view("before", anonymousId=town.device),
        identify(userId="u17", anonymousId=town.device),
    )
    await town.shop.send(identify(userId="mallory"), prefer("personalisation", userId="mallory"))
    past = town.world.clock() - 400 * DAY
    await town.web.try_send(identify(userId="mallory", anonymousId=town.device, timestamp=past))
    assert "before" not in viewed(await town.front.see(record("shop", "mallory")))


async def test_an_attacker_wants_to_crowd_out_the_victims_own_device(town: Town) -> None:
    await town.web.try_send(*(identify(userId="u17", anonymousId=new_device()) for _ in range(30)))
    await settle_device(town)
    assert "before" in viewed(await town.front.see(AT_SHOP))


async def test_an_attacker_wants_her_behaviour_to_flood_the_victims_history(town: Town) -> None:
    await town.victim.state("personalisation")
    devices = [new_device() for _ in range(30)]
    for number, device in enumerate(devices):
        await town.web.try_send(
            prefer("personalisation", anonymousId=device),
            view(f"poison{number}", userId="u17", anonymousId=device),
        )
    poisoned = {key for key in viewed(await town.front.see(AT_SHOP)) if key.startswith("poison")}
    assert len(poisoned) <= 20


async def test_an_attacker_wants_a_flood_of_claims_to_make_the_victim_unfindable(town: Town) -> None:
    before = await town.service.see(identifier("email", EMAIL))
    assert before["givenName"] == "Vera"
    await town.web.try_send(*(identify({"email": EMAIL}, anonymousId=new_device()) for _ in range(60)))
    await town.web.try_send(*(identify({"email": EMAIL}, userId=f"m{n}", anonymousId=new_device()) for n in range(60)))
    assert await town.service.see(identifier("email", EMAIL)) == before
    assert await town.service.see(AT_CRM) == before


async def test_an_attacker_wants_one_claim_to_make_a_lookup_ambiguous(town: Town) -> None:
    await town.mallory("shop", email=EMAIL)
    seen = await town.service.see(identifier("email", EMAIL))
    assert seen["givenName"] == "Vera"
    await town.mallory("web", email=EMAIL)
    assert await town.service.see(identifier("email", EMAIL)) == seen


async def test_an_attacker_wants_to_split_the_victims_records_apart(town: Town) -> None:
    joined = await town.service.see(AT_SHOP)
    assert joined["givenName"] == "Vera"
    fakes = [identify(anonymousId=new_device(), userId=f"fake{n}", context=CUSTOMER) for n in range(40)]
    await town.web.try_send(*fakes)
    seen = await town.service.see(AT_SHOP)
    assert (seen["id"], seen["givenName"]) == (joined["id"], "Vera")


async def test_an_attacker_wants_to_be_joined_with_everybody_behind_a_shared_mailbox(town: Town) -> None:
    desk = await town.world.source("desk", Trust.RECORD, "desk")
    await town.crm.send(
        identify({"email": "info@firm.example", "firstName": "Ann"}, userId="ann"),
        identify({"email": "info@firm.example", "firstName": "Ben"}, userId="ben"),
    )
    await desk.send(identify({"email": "info@firm.example", "firstName": "Mallory"}, userId="m"))
    seen = {key["record"]["key"]: await town.service.see(key, "id givenName") for key in (
        record("crm", "ann"), record("crm", "ben"), record("desk", "m")
    )}  # fmt: skip
    assert sorted(one["givenName"] for one in seen.values()) == ["Ann", "Ben", "Mallory"]
    assert len({one["id"] for one in seen.values()}) == 3


@pytest.mark.parametrize("kind", ["email", "phone"])
async def test_an_attacker_wants_to_become_the_former_owner_of_a_recycled_contact(town: Town, kind: str) -> None:
    desk = await town.world.source("desk", Trust.RECORD, "desk")
    old, new = {"email": ("old@example.org", "new@example.org"), "phone": ("+441632960111", "+441632960112")}[kind]
    await town.crm.send(identify({kind: old, "firstName": "Olga"}, userId="olga"))
    town.world.clock.skip(days=1)
    await town.crm.send(identify({kind: new}, userId="olga"))
    town.world.clock.skip(days=100)
    await desk.send(identify({kind: old, "lastName": "Newcomer"}, userId="m"))
    newcomer = await town.service.see(record("desk", "m"))
    assert (newcomer["givenName"], newcomer["familyName"]) == (None, "Newcomer")
    assert (await town.service.see(record("crm", "olga")))["familyName"] is None


async def test_an_attacker_wants_to_take_the_victims_account_at_another_source_by_the_same_user_id(
    town: Town,
) -> None:
    forum = await town.world.source("forum", Trust.SERVER, "forum")
    await forum.send(identify(userId="u17"), view("x", userId="u17"))
    assert not leaks(await town.service.see(record("forum", "u17")))
    mallory = await town.world.token("page", "forum", "u17")
    assert not leaks(await mallory.see_me())


async def test_an_attacker_wants_her_objection_to_linking_to_tear_the_victim_apart(town: Town) -> None:
    joined = await town.service.see(AT_SHOP)
    device = new_device()
    mallory = await town.mallory(email=EMAIL)
    await mallory.state("identity_linking", "OBJECTED")
    await town.web.try_send(identify({"email": EMAIL}, userId="u17", anonymousId=device, context=CUSTOMER))
    assert await town.service.see(AT_SHOP) == joined


async def test_an_attacker_wants_a_user_id_in_an_external_id_to_prove_an_account(town: Town) -> None:
    device = new_device()
    named = {"externalIds": [{"type": kind, "id": "u17"} for kind in ("user_id", "customer_no", "anonymous_id")]}
    await town.web.try_send(
        identify({"externalId": "u17"}, anonymousId=device, context=named),
        identify(anonymousId=device, userId="mallory", context=named),
    )
    assert not leaks(await town.service.see(browser("web", device)))
    assert not leaks(await town.service.see(record("web", "mallory")))


@pytest.mark.parametrize("spelling", ["Kate ", "\tKate", "\u212aate"], ids=["space", "tab", "kelvin"])
async def test_an_attacker_wants_the_victims_account_by_a_user_id_that_only_looks_the_same(
    town: Town, spelling: str
) -> None:
    """The shop keeps both apart, and reports what she does under her own."""
    await town.shop.send(identify({"firstName": "Kate"}, userId="Kate"))
    answer = await town.shop.post(identify(userId=spelling), prefer("marketing", userId=spelling))
    assert answer.json()["rejected"] == {"bad_id": 2}
    mallory = await town.world.token("page", "shop", spelling)
    assert await mallory.see_me("givenName") is None
    assert (await town.service.see(record("shop", "Kate"), "givenName"))["givenName"] == "Kate"


async def begin_to_check(town: Town) -> Reader:
    """Mallory types the address of another customer at the shop, which checks addresses from then on."""
    await town.crm.send(identify({"email": "carl@example.org", "firstName": "Carl"}, userId="c99"))
    await town.shop.send(identify({"email": "carl@example.org"}, userId="mallory"))
    await town.world.set_source("shop", verifies=("email",))
    town.world.clock.forget_credentials()
    return await town.world.token("page", "shop", "mallory")


async def test_an_attacker_wants_the_address_that_she_typed_to_be_proven_once_the_shop_checks(town: Town) -> None:
    mallory = await begin_to_check(town)
    await town.shop.send(identify({"firstName": "Mallory"}, userId="mallory"))
    for seen in (await town.service.see(record("shop", "mallory")), await mallory.see_me()):
        assert seen["givenName"] != "Carl"
    await town.shop.send(identify({"email": "carl@example.org"}, userId="carl"))
    assert (await town.service.see(record("shop", "carl")))["givenName"] == "Carl"
    assert (await town.service.see(record("shop", "mallory")))["givenName"] == "Mallory"


async def test_whoever_confirms_an_address_that_was_typed_earlier_is_proven(town: Town) -> None:
    await begin_to_check(town)
    assert (await town.service.see(record("shop", "mallory")))["givenName"] is None
    await town.shop.send(identify({"email": "carl@example.org"}, userId="mallory"))
    assert (await town.service.see(record("shop", "mallory")))["givenName"] == "Carl"
    await town.world.set_source("shop", verifies=())
    assert (await town.service.see(record("shop", "mallory")))["givenName"] is None
    await town.world.set_source("shop", verifies=("email",))
    assert (await town.service.see(record("shop", "mallory")))["givenName"] is None


async def test_an_attacker_wants_an_import_to_prove_what_was_received_before_the_shop_checked(town: Town) -> None:
    past = town.world.clock()
    await begin_to_check(town)
    address = {"email": "carl@example.org"}
    imported = identify(address, userId="mallory", timestamp=past)
    await town.shop.send(imported, consentric_import="true")
    external_address = identify(userId="mallory", timestamp=past, context=external("email", "carl@example.org"))
    await town.shop.send(external_address, consentric_import="true")
    assert (await town.service.see(record("shop", "mallory")))["givenName"] is None


async def test_an_attacker_wants_a_message_admitted_before_a_change_to_be_written_after_it(town: Town) -> None:
    """The server still remembers that the shop checks addresses."""
    await town.world.set_source("shop", verifies=("email",))
    town.world.clock.forget_credentials()
    await town.shop.send(identify(userId="mallory"))
    await change_source(town.world.services, "shop", SourceChange(verifies=()))
    typed = identify({"email": EMAIL}, userId="mallory")
    assert (await town.shop.post(typed)).status_code == 503
    town.world.clock.forget_credentials()
    await town.shop.send(typed)
    assert not leaks(await town.service.see(record("shop", "mallory"), "givenName familyName phone"))
