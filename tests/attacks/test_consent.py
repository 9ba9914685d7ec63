"""Attacks on consent: opening what the victim closed, closing what the victim opened, and deceiving the victim."""

from __future__ import annotations

import asyncio

import pytest

from graph.model.access import Trust
from resolvers.access.sources import SourceChange, change_source
from tests.attacks.town import AT_CRM, AT_SHOP, CUSTOMER, EMAIL, PHONE, Town
from tests.world import DAY, browser, external, identifier, identify, new_device, prefer, record, view, viewed

pytestmark = pytest.mark.store

FEW = "email givenName country"
CARRIED = {"consent": {"categoryPreferences": {"Advertising": True}}}


async def withdraw_marketing(town: Town) -> None:
    """The victim permitted marketing and then took it back, both with their own token."""
    await town.victim.state("marketing")
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    await town.victim.withdraw("marketing")


async def assert_closed(town: Town, *sources: str) -> None:
    """Nothing of the victim is open for marketing, by whatever key a viewer asks."""
    for key in (AT_SHOP, AT_CRM, identifier("email", EMAIL), *(record(source, "u17") for source in sources)):
        seen = await town.mail.see(key, FEW)
        assert seen is None or seen["email"] is None
    assert not (await town.victim.consents())["marketing", None]


@pytest.mark.parametrize("claim", [{"email": EMAIL}, {"phone": PHONE}], ids=["email", "phone"])
@pytest.mark.parametrize("source", ["web", "shop"])
async def test_an_attacker_wants_to_reopen_what_the_victim_withdrew_by_claiming_their_contact_data(
    town: Town, source: str, claim: dict[str, str]
) -> None:
    await withdraw_marketing(town)
    mallory = await town.mallory(source, **claim)
    await mallory.state("marketing")
    await town.web.try_send(identify(claim, userId="mallory", anonymousId=new_device()))
    await mallory.state("marketing", "RENEWED")
    await assert_closed(town)


async def test_an_attacker_wants_to_reopen_what_the_victim_withdrew_by_claiming_their_customer_number(
    town: Town,
) -> None:
    await withdraw_marketing(town)
    device = new_device()
    await town.web.try_send(
        identify(anonymousId=device, userId="mallory", context=CUSTOMER),
        identify(anonymousId=device, context=CUSTOMER),
        prefer("marketing", anonymousId=device),
    )
    person = await town.world.token("page", "web", "mallory")
    await person.state("marketing")
    await assert_closed(town)


async def test_an_attacker_wants_to_grant_in_the_victims_name_with_a_public_key(town: Town) -> None:
    await town.web.try_send(
        prefer("marketing", userId="u17", anonymousId=new_device()),
        prefer("marketing", userId="u17"),
        prefer("personalisation", userId="u17", anonymousId=new_device()),
    )
    await assert_closed(town)
    seen = await town.front.see(AT_SHOP)
    assert seen is None or not (seen["givenName"] or seen["interactions"])
    assert not (await town.victim.consents())["personalisation", None]


async def test_an_attacker_wants_to_open_sharing_to_everybody_by_claiming_a_jurisdiction(town: Town) -> None:
    assert await town.acme.see(AT_CRM) is None
    mallory = await town.mallory(email=EMAIL)
    await mallory.state("partner_sharing", "UNKNOWN", jurisdiction="US-CA")
    await town.web.try_send(identify({"email": EMAIL, "jurisdiction": "US-CA"}, userId="u17", anonymousId=new_device()))
    for key in (AT_CRM, AT_SHOP, identifier("email", EMAIL)):
        assert await town.acme.see(key) is None


async def test_an_attacker_wants_the_victim_to_be_told_denied_while_data_flows(town: Town) -> None:
    await withdraw_marketing(town)
    mallory = await town.mallory(email=EMAIL)
    await mallory.state("marketing")
    await town.web.try_send(prefer("marketing", userId="u17", anonymousId=new_device()))
    told = (await town.victim.consents())["marketing", None]
    audited = (await town.auditor.consents(AT_CRM))["marketing", None]
    flows = (await town.mail.see(AT_CRM, FEW))["email"] is not None
    assert (told, audited, flows) == (False, False, False)


async def test_an_attacker_wants_to_split_a_person_so_that_a_withdrawal_protects_only_half(town: Town) -> None:
    shared = {"email": "split@example.org", "firstName": "Sue"}
    checks = await town.world.source("desk", Trust.RECORD, "desk")
    await checks.send(identify(shared, userId="d1"))
    await town.crm.send(identify(shared, userId="c1"), prefer("marketing", userId="c1"))
    assert (await town.mail.see(record("crm", "c1"), FEW))["email"] == "split@example.org"
    person = await town.world.token("page", "desk", "d1")
    await person.withdraw("marketing")
    assert (await town.mail.see(record("crm", "c1"), FEW))["email"] is None
    claims = [identify({"email": "split@example.org"}, anonymousId=new_device()) for _ in range(40)]
    await town.web.try_send(*claims)
    await town.shop.send(*(identify({"email": "split@example.org"}, userId=f"fake{n}") for n in range(40)))
    assert (await town.mail.see(record("crm", "c1"), FEW))["email"] is None


@pytest.mark.parametrize("squatted", ["a page view", "a grant"])
async def test_an_attacker_wants_to_swallow_a_withdrawal_by_squatting_its_message_id(town: Town, squatted: str) -> None:
    await town.victim.state("marketing")
    await town.shop.send(prefer("personalisation", userId="u17"))
    planted = {"messageId": "opt-out-u17", "userId": "u17", "anonymousId": new_device()}
    for sender in (town.web, town.app):
        await sender.try_send(view("tea", **planted) if squatted == "a page view" else prefer("marketing", **planted))
    mallory = await town.mallory()
    await mallory.state("marketing", messageId="opt-out-u17")
    await town.victim.withdraw("marketing", messageId="opt-out-u17")
    await assert_closed(town)
    other = new_device()
    await town.app.send(prefer("personalisation", anonymousId=other), view("tea", anonymousId=other))
    await town.app.send(prefer("personalisation", False, messageId="opt-out-u17", anonymousId=other))
    assert not viewed(await town.front.see(browser("app", other)))


async def test_an_attacker_wants_a_front_ends_withdrawal_to_count_as_a_duplicate(town: Town) -> None:
    await town.victim.state("marketing")
    await town.shop.send(view("tea", userId="u18", messageId="opt-out"))
    await town.front.withdraw("marketing", record={"source": "shop", "userId": "u17"}, messageId="opt-out")
    await assert_closed(town)


async def test_an_attacker_wants_to_shut_the_victim_up_for_good_with_unproven_refusals(town: Town) -> None:
    device = new_device()
    refusals = [
        identify({"email": EMAIL}, userId="u17", anonymousId=device, context=CUSTOMER),
        *(prefer(p, False, userId="u17", anonymousId=device) for p in ("marketing", "personalisation", "analytics")),
    ]
    await town.web.try_send(*refusals)
    await town.victim.state("marketing")
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    await town.web.try_send(*refusals)
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    assert (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_to_shut_up_for_good_a_victim_whose_messages_only_carry_consents(town: Town) -> None:
    """Nothing is stated: the shop's messages carry along what the victim set in a banner."""
    for device in (new_device(), new_device()):
        await town.shop.send(view("tea", userId="u17", context=CARRIED))
        assert (await town.mail.see(AT_CRM, FEW))["email"] == EMAIL
        await town.web.send(prefer("marketing", False, userId="u17", anonymousId=device))
        town.world.clock.skip(seconds=60)
    await town.shop.send(view("tea", userId="u17", context=CARRIED))
    assert (await town.mail.see(AT_CRM, FEW))["email"] == EMAIL


async def test_an_old_phone_wants_its_old_refusal_to_override_a_newer_authenticated_grant(town: Town) -> None:
    phone = new_device()
    carried = {"consent": {"categoryPreferences": {"Advertising": False}}}
    await town.app.try_send(prefer("marketing", False, userId="u17", anonymousId=phone))
    await town.victim.state("marketing")
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    for _ in range(3):
        town.world.clock.skip(seconds=60)
        await town.app.try_send(view("tea", userId="u17", anonymousId=phone, context=carried))
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    assert (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_an_offline_refusal_to_be_lost_because_a_grant_is_newer(town: Town) -> None:
    yesterday = town.world.clock() - DAY
    await town.shop.send(prefer("marketing", userId="u17"))
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    await town.shop.send(prefer("marketing", False, userId="u17", timestamp=yesterday))
    await assert_closed(town)


async def test_an_attacker_wants_a_grant_from_the_future_to_outlive_a_withdrawal(town: Town) -> None:
    tomorrow = town.world.clock() + DAY // 2
    await town.shop.send(prefer("marketing", userId="u17", timestamp=tomorrow))
    await town.victim.withdraw("marketing")
    await assert_closed(town)
    town.world.clock.skip(days=1)
    await assert_closed_for_the_shop(town)


async def assert_closed_for_the_shop(town: Town) -> None:
    assert (await town.mail.see(AT_SHOP, FEW))["email"] is None


async def test_an_attacker_wants_to_import_a_grant_into_the_past_with_a_public_key(town: Town) -> None:
    device = new_device()
    await town.app.send(prefer("personalisation", anonymousId=device), view("tea", anonymousId=device))
    await town.app.send(prefer("personalisation", False, anonymousId=device))
    future = town.world.clock() + DAY // 2
    answer = await town.app.post(
        prefer("personalisation", anonymousId=device, receivedAt=future, timestamp=future), consentric_import="true"
    )
    assert answer.status_code == 403
    assert not viewed(await town.front.see(browser("app", device)))


async def test_an_attacker_wants_to_open_a_device_that_anybody_can_name(town: Town) -> None:
    guessable = "kiosk-1"
    await town.web.send(view("tea", anonymousId=guessable), prefer("personalisation", anonymousId=guessable))
    assert not viewed(await town.front.see(browser("web", guessable)))


async def test_an_attacker_wants_an_alias_to_carry_her_grant_to_the_victim(town: Town) -> None:
    await withdraw_marketing(town)
    device = new_device()
    await town.web.try_send(
        view("tea", anonymousId=device),
        {"type": "alias", "userId": "u17", "previousId": device, "anonymousId": device},
        {"type": "alias", "userId": "mallory", "previousId": "u17", "anonymousId": device},
        prefer("marketing", anonymousId=device),
    )
    mallory = await town.mallory()
    await mallory.state("marketing")
    await assert_closed(town)


async def test_an_attacker_wants_to_make_the_victim_speak_for_a_controller_or_notice_of_her_own(town: Town) -> None:
    await town.victim.state("marketing", notice="shop", noticeVersion="1")
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL
    mallory = await town.mallory(email=EMAIL)
    await mallory.state("marketing", "UNKNOWN", controller="Mallory Ltd", notice="hers", noticeVersion="9")
    device = new_device()
    await town.web.try_send(identify({"email": EMAIL}, userId="u17", anonymousId=device, context=external("x", "1")))
    assert (await town.mail.see(AT_SHOP, FEW))["email"] == EMAIL


async def test_a_device_wants_to_overhear_that_its_account_withdrew(town: Town) -> None:
    """The victim used more devices than an account leaves its denials on, one of them only after withdrawing."""
    *devices, late = [new_device() for _ in range(20)]
    proof = await town.prove()
    for device in devices:
        await town.web.send(
            prefer("personalisation", anonymousId=device),
            view(f"item-{device}", anonymousId=device),
            identify(userId="u17", anonymousId=device, context=proof),
        )
    await town.web.send(prefer("personalisation", anonymousId=late), view("late", anonymousId=late))
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    await town.web.send(identify(userId="u17", anonymousId=late, context=proof))
    assert [one for one in (*devices, late) if viewed(await town.front.see(browser("web", one)))] == []


async def test_an_attacker_wants_to_fill_the_victims_list_of_consents_with_partners_that_she_invents(
    town: Town,
) -> None:
    await town.shop.send(prefer("partner_sharing", userId="u17"))
    mine = await town.world.token("page", "crm", "c17")
    before = await mine.consents()
    stranger = await town.mallory("web", email=EMAIL)
    guest = await town.mallory("shop", email=EMAIL)
    for n in range(40):
        await stranger.withdraw("partner_sharing", recipient=f"claimed {n}")
        assert await mine.consents() == before, "what nothing proves names no partner"
    for n in range(40):
        await guest.withdraw("partner_sharing", recipient=f"typed {n}")
    told = await mine.consents()
    assert not told["partner_sharing", None], "what goes beyond a list of partners is about all of them"
    assert told.keys() == before.keys()
    town.world.clock.skip(seconds=60)
    await town.victim.state("partner_sharing")
    told = await mine.consents()
    assert told["partner_sharing", None]
    assert told.keys() == before.keys(), "an address that was typed in names no partner either"
    assert await town.acme.see(AT_CRM) is not None


ORDERS = {
    "externalIds": [{"type": f"order{n}", "id": f"o{n}", "collection": "users"} for n in range(18)],
}
"""More identifiers than a record leaves its denials on."""


@pytest.mark.parametrize("when", ["before the people part", "after they parted"])
async def test_an_attacker_wants_to_part_a_person_over_an_identifier_on_which_they_left_no_denial(
    town: Town, when: str
) -> None:
    """The victim has many order numbers, and is joined with the CRM by a card that came later, and over the CRM with
    the ERP."""
    erp = await town.world.source("erp", Trust.RECORD, "erp")
    card, number = external("card", "77"), external("number", "78")
    await town.shop.send(identify(userId="w1", context=ORDERS))
    town.world.clock.skip(seconds=5)
    await town.shop.send(identify(userId="w1", context=card))
    await town.crm.send(
        identify({"email": "wen@example.org"}, userId="c77", context=card),
        identify(userId="c77", context=number),
        prefer("marketing", userId="c77"),
    )
    await erp.send(
        identify({"email": "wen@example.net", "firstName": "Wen"}, userId="e78", context=number),
        prefer("marketing", userId="e78"),
    )
    assert (await town.service.see(record("shop", "w1")))["givenName"] == "Wen"
    person = await town.world.token("page", "shop", "w1")

    async def withdraw() -> None:
        await person.withdraw("marketing")

    async def part() -> None:
        await town.shop.send(*(identify(userId=f"crowd{n}", context=card) for n in range(30)))
        await town.shop.send(*(identify(userId=f"mob{n}", context=number) for n in range(30)))
        assert (await town.service.see(record("shop", "w1")))["givenName"] is None

    for step in (withdraw, part) if when.startswith("before") else (part, withdraw):
        await step()
    assert (await town.mail.see(record("crm", "c77"), FEW))["email"] is None
    if when.startswith("before"):
        assert (await town.mail.see(record("erp", "e78"), FEW))["email"] is None


async def test_an_attacker_wants_a_denial_and_a_claim_of_the_same_instant_to_miss_each_other(town: Town) -> None:
    devices = [new_device() for _ in range(12)]
    addresses = [f"{number}-{EMAIL}" for number in range(12)]
    claims = [
        town.web.send(identify({"email": one}, anonymousId=device))
        for one, device in zip(addresses, devices, strict=True)
    ]
    denials = [town.web.send(prefer("marketing", False, anonymousId=device)) for device in devices]
    await asyncio.gather(*claims, *denials)
    rows = await town.world.services.client.read(
        "MATCH (i:Identifier {kind: 'email'}) WHERE i.value IN $addresses AND i.bars IS NOT NULL "
        "RETURN i.value AS value",
        addresses=addresses,
    )
    assert sorted(row["value"] for row in rows) == sorted(addresses)


async def test_an_attacker_wants_the_victim_to_be_told_denied_while_data_flows_by_a_second_refusal(
    town: Town,
) -> None:
    """The victim's consent is only carried along. A first refusal of a stranger bars until it is carried again; every
    further one changes what the victim and auditors are told, but not what the gate does."""
    for _ in range(2):
        await town.shop.send(view("tea", userId="u17", context=CARRIED))
        assert (await town.mail.see(AT_CRM, FEW))["email"] == EMAIL
        await town.web.send(prefer("marketing", False, userId="u17", anonymousId=new_device()))
        town.world.clock.skip(seconds=60)
    told = (await town.victim.consents())["marketing", None]
    audited = (await town.auditor.consents(AT_CRM))["marketing", None]
    flows = (await town.mail.see(AT_CRM, FEW))["email"] is not None
    assert (told, audited) == (flows, flows)


async def test_while_a_source_is_settled_the_victim_is_told_what_the_gate_does(town: Town) -> None:
    await town.world.set_source("shop", verifies=("email",))
    town.world.clock.forget_credentials()
    await town.shop.send(prefer("marketing", userId="u17"))
    await change_source(town.world.services, "shop", SourceChange(verifies=()))
    town.world.clock.forget_credentials()
    told = (await town.victim.consents())["marketing", None]
    audited = (await town.auditor.consents(AT_CRM))["marketing", None]
    flows = (await town.mail.see(AT_CRM, FEW))["email"] is not None
    assert (told, audited) == (flows, flows)


async def test_a_front_end_wants_to_part_the_victim_so_that_a_withdrawal_protects_only_half(town: Town) -> None:
    """The shop knows the victim, and over the CRM the ERP does. A marketing front-end objects to linking in the
    victim's name; then the victim withdraws at the shop."""
    erp = await town.world.source("erp", Trust.RECORD, "erp")
    number = external("number", "78")
    await town.crm.send(identify(userId="c17", context=number))
    await erp.send(
        identify({"email": "vera@erp.example"}, userId="e78", context=number), prefer("marketing", userId="e78")
    )
    assert (await town.mail.see(record("erp", "e78"), "email"))["email"] is not None
    with pytest.raises(AssertionError, match="FORBIDDEN"):
        await town.mail.withdraw("identity_linking", record={"source": "crm", "userId": "c17"})
    await town.victim.withdraw("marketing")
    assert (await town.mail.see(record("erp", "e78"), "email"))["email"] is None


async def test_an_attacker_who_typed_the_victims_address_once_wants_to_learn_what_the_victim_denies(town: Town) -> None:
    """She types it at the shop, where anybody may, takes it back, and reads her own consents. While she keeps it, she
    may be the victim, and hears that a purpose is denied, though not to whom."""
    mallory = await town.mallory("shop", email=EMAIL)
    for purpose in ("marketing", "partner_sharing"):
        await mallory.state(purpose)
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("partner_sharing", recipient="clinic-for-rare-diseases")
    assert "clinic" not in str(await mallory.consents())
    await town.shop.send(identify({"email": "mallory@example.org"}, userId="mallory"))
    town.world.clock.skip(seconds=60)
    await mallory.state("partner_sharing", "RENEWED")
    before = await mallory.consents()
    await at_crm.withdraw("marketing")
    await at_crm.withdraw("partner_sharing")
    assert await mallory.consents() == before


async def test_an_attacker_with_some_accounts_wants_to_fill_the_victims_list_of_partners(town: Town) -> None:
    await town.shop.send(prefer("partner_sharing", userId="u17"))
    mine = await town.world.token("page", "crm", "c17")
    before = await mine.consents()
    accounts = 4
    for one in range(accounts):
        await town.shop.send(identify({"email": EMAIL}, userId=f"mallory{one}"))
        guest = await town.world.token("page", "shop", f"mallory{one}")
        for n in range(32):
            await guest.withdraw("partner_sharing", recipient=f"typed {one} {n}")
    assert len((await mine.consents()).keys() - before.keys()) <= 32
