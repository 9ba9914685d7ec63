"""Attacks on devices: what a person denied holds on all devices that they proved to use, and nobody else makes a device
theirs."""

from __future__ import annotations

import pytest

from graph.model.access import Trust
from graph.model.identity import RecordKind, RecordRef
from resolvers.access import registration
from resolvers.identity.batch import resolve_all
from tests.attacks.town import AT_SHOP, EMAIL, Town
from tests.world import Reader, browser, identify, new_device, prefer, record, view, viewed

pytestmark = pytest.mark.store

TRACK = "mutation($input: [EventInput!]!) { track(input: $input) { accepted duplicate rejected { code } } }"


async def use(town: Town, device: str, *, grant: bool = True) -> None:
    """The victim permits personalisation on a device and logs in there."""
    if grant:
        await town.web.send(prefer("personalisation", anonymousId=device), view("tea", anonymousId=device))
    await town.web.send(identify(userId="u17", anonymousId=device, context=await town.prove()))


async def opened(town: Town, *devices: str) -> list[int]:
    """Returns which of the devices are open."""
    return [n for n, one in enumerate(devices) if viewed(await town.front.see(browser("web", one)))]


@pytest.mark.parametrize("number", [3, 20])
async def test_a_victim_who_withdraws_and_then_objects_to_linking_opens_no_device(town: Town, number: int) -> None:
    devices = [new_device() for _ in range(number)]
    for device in devices:
        await use(town, device)
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    assert await opened(town, *devices) == []
    at_web = await town.world.token("page", "web", "u17")
    await at_web.state("identity_linking", "OBJECTED")
    assert await opened(town, *devices) == []


async def test_a_late_device_stays_closed_after_an_objection(town: Town) -> None:
    device = new_device()
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    await use(town, device)
    assert await opened(town, device) == []
    at_web = await town.world.token("page", "web", "u17")
    await at_web.state("identity_linking", "OBJECTED")
    assert await opened(town, device) == []


async def test_a_front_end_wants_to_open_a_device_whose_account_withdrew(town: Town) -> None:
    device = new_device()
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    await use(town, device)
    assert await opened(town, device) == []
    with pytest.raises(AssertionError, match="FORBIDDEN"):
        await town.front.withdraw("identity_linking", record={"source": "web", "anonymousId": device})
    assert await opened(town, device) == []


async def test_a_withdrawal_holds_on_more_devices_than_count_for_an_account(town: Town) -> None:
    devices = [new_device() for _ in range(24)]
    for device in devices:
        await use(town, device)
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    assert await opened(town, *devices) == []


async def test_after_an_objection_to_linking_the_batch_opens_no_device_that_was_closed(town: Town) -> None:
    """The victim withdraws at the CRM, logs in on a device, and objects to linking, as a careful person does."""
    device = new_device()
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    await use(town, device)
    assert await opened(town, device) == []
    at_web = await town.world.token("page", "web", "u17")
    await at_web.state("identity_linking", "OBJECTED")
    before = await opened(town, device)
    services = town.world.services
    await resolve_all(services.client, services.policy, services.clock)
    assert (before, await opened(town, device)) == ([], [])


async def test_an_objection_to_linking_parts_the_account_from_its_devices_at_once(town: Town) -> None:
    device = new_device()
    at_web = await town.world.token("page", "web", "u17")
    await at_web.state("personalisation")
    await town.web.send(prefer("personalisation", anonymousId=device), view("secret", anonymousId=device))
    await use(town, device, grant=False)
    key = record("web", "u17")
    assert "secret" in viewed(await town.front.see(key))
    await at_web.state("identity_linking", "OBJECTED")
    before = viewed(await town.front.see(key))
    services = town.world.services
    await resolve_all(services.client, services.policy, services.clock)
    assert before == viewed(await town.front.see(key)), "batch = incremental"
    assert "secret" not in before


async def test_a_front_end_wants_to_overhear_on_its_device_what_the_victim_denied(town: Town) -> None:
    """It makes a device of its own the victim's, and reads the device's consents with the device's token."""
    device = new_device()
    await town.web.send(view("x", anonymousId=device))
    subject = RecordRef("web", RecordKind.ANONYMOUS, device)
    text = await registration.issue_token(town.world.services, town.world.issuer, "page", subject, 3600)
    mine = Reader(town.world.http, text)
    for purpose in ("marketing", "analytics", "personalisation", "partner_sharing"):
        await mine.state(purpose)
    before = await mine.consents()
    event = {"source": "shop", "messageId": "m1", "event": "Opened", "userId": "u17", "anonymousId": device}
    await town.mail.ask(TRACK, input=[event])
    await town.victim.withdraw("analytics")
    await town.victim.withdraw("partner_sharing", recipient="clinic")
    assert await mine.consents() == before


async def test_a_front_end_wants_to_prove_that_devices_are_the_victims(town: Town) -> None:
    """Its key may report events. That an account uses a device is for the account's own back end to say."""
    device = new_device()
    await town.victim.state("personalisation")
    await town.web.send(prefer("personalisation", anonymousId=device), view("poison", anonymousId=device))
    event = {"source": "shop", "messageId": "m1", "event": "Opened", "userId": "u17", "anonymousId": device}
    await town.front.ask(TRACK, input=[event])
    assert "poison" not in viewed(await town.front.see(AT_SHOP))


async def test_a_front_end_wants_to_crowd_out_the_device_on_which_the_victim_will_log_in(town: Town) -> None:
    """With 20 devices of its own it fills the account; the victim's next one no longer hears what the victim denied."""
    device = new_device()
    for n in range(20):
        theirs = new_device()
        await town.web.send(view("x", anonymousId=theirs))
        event = {"source": "shop", "messageId": f"m{n}", "event": "Opened", "userId": "u17", "anonymousId": theirs}
        await town.mail.ask(TRACK, input=[event])
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    await town.web.send(prefer("personalisation", anonymousId=device), view("tea", anonymousId=device))
    await town.shop.send(view("milk", userId="u17", anonymousId=device))
    assert await opened(town, device) == []


async def test_a_denial_at_a_crowded_address_holds_at_once_on_the_devices(town: Town) -> None:
    """More than 20 people share an address, so they are marked stale instead of being folded; so must be the devices
    that hear them."""
    device = new_device()
    await use(town, device)
    assert await opened(town, device) == [0]
    await town.shop.send(*(identify({"email": EMAIL}, userId=f"fake{n}") for n in range(25)))
    guest = await town.world.token("page", "shop", "fake7")
    await guest.withdraw("personalisation")
    seen = await opened(town, device)
    told = (await town.victim.consents())["personalisation", None]
    assert (seen, told) == ([], False)


async def test_a_device_whose_tie_ends_by_a_lowered_trust_stays_closed(town: Town) -> None:
    """The shop named the device; a denial at the CRM closed it. Then the shop's trust is lowered."""
    device = new_device()
    await town.web.send(prefer("personalisation", anonymousId=device), view("tea", anonymousId=device))
    await town.shop.send(view("milk", userId="u17", anonymousId=device))
    at_crm = await town.world.token("page", "crm", "c17")
    await at_crm.withdraw("personalisation")
    assert await opened(town, device) == []
    await town.world.set_source("shop", trust=Trust.PUBLIC)
    assert await opened(town, device) == []


@pytest.mark.parametrize("where", [("web", "u17"), ("shop", "u17"), ("crm", "c17")], ids=["web", "shop", "crm"])
async def test_an_attacker_wants_a_planted_device_to_stay_open_after_the_victim_withdrew(
    town: Town, where: tuple[str, str]
) -> None:
    """She proves the device first and plants it with a link; the victim accepts the banner, logs in, and withdraws. It
    must not matter at which of the victim's records."""
    device = new_device()
    mallory = await town.world.token("page", "web", "mallory")
    await town.web.send(identify(userId="mallory", anonymousId=device, context={"userToken": mallory.credential}))
    await use(town, device)
    assert await opened(town, device) == [0]
    victim = await town.world.token("page", *where)
    await victim.withdraw("personalisation")
    assert await opened(town, device) == []


READ_TIES = "MATCH (:Record {id: $id})<-[c:COUNTS_FOR]-(d:Record) RETURN d.key AS device"


async def test_an_attacker_wants_ties_that_ended_to_pile_up_on_the_victims_account(town: Town) -> None:
    """Her devices claim the victim's user ID, then her account proves them. Each time she objects to linking, they fall
    back to the victim, and each time she permits it again, they leave. Whoever reads the victim walks over the ties."""
    mallory = await town.mallory("web")
    devices = sorted(new_device() for _ in range(5))
    await town.web.send(*(identify(userId="u17", anonymousId=one) for one in devices))
    proof = {"userToken": mallory.credential}
    await town.web.send(*(identify(userId="mallory", anonymousId=one, context=proof) for one in devices))
    client, victim = town.world.services.client, RecordRef("shop", RecordKind.USER, "u17").id

    async def tied() -> list[str]:
        return sorted(row["device"] for row in await client.read(READ_TIES, id=victim))

    for _ in range(2):
        await mallory.state("identity_linking", "OBJECTED")
        assert await tied() == devices
        await mallory.state("identity_linking", "GIVEN")
        assert await tied() == []
