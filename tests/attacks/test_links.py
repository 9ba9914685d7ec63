"""Attacks on links that are sent to people: confirming for somebody else, confirming without a person, and reusing
links."""

from __future__ import annotations

import pytest

from tests.attacks.town import AT_CRM, AT_SHOP, EMAIL, Town, leaks
from tests.world import identify, new_device, record

pytestmark = pytest.mark.store

ASK = "mutation($input: ConfirmationInput!) { requestConfirmation(input: $input) { path } }"
LINK = "mutation($input: UnsubscribeInput!) { createUnsubscribeLink(input: $input) { path } }"


async def ask(town: Town, user: str, device: str, purpose: str = "marketing") -> str:
    """Somebody at a device enters the victim's address into the shop's form."""
    contact = {"kind": "email", "value": EMAIL}
    named = {"source": "shop", "userId": user, "anonymousId": device}
    made = await town.operator.ask(ASK, input={"record": named, "purpose": purpose, "contact": contact})
    return str(made["requestConfirmation"]["path"])


async def test_an_attacker_wants_a_mail_scanner_to_confirm(town: Town) -> None:
    path = await ask(town, "u17", town.device)
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        await town.world.http.request(method, path)
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_the_victims_click_to_prove_that_she_holds_the_address(town: Town) -> None:
    hers = new_device()
    await town.mallory("shop", firstName="Mallory")
    path = await ask(town, "mallory", hers)
    assert (await town.world.http.post(path, data={"anonymousId": town.device})).status_code == 200
    seen = await town.service.see(record("shop", "mallory"))
    assert not leaks(seen)
    assert (await town.service.see(AT_CRM))["givenName"] == "Vera"
    assert (await town.service.see(AT_SHOP))["id"] != seen["id"]


async def test_an_attacker_wants_the_victims_click_to_open_the_victims_account(town: Town) -> None:
    await town.victim.withdraw("marketing")
    await town.mallory("shop", email=EMAIL)
    await town.world.http.post(await ask(town, "mallory", new_device()))
    assert (await town.mail.see(AT_SHOP, "email"))["email"] is None
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_to_use_a_confirmation_again_after_the_victim_withdrew(town: Town) -> None:
    path = await ask(town, "u17", town.device)
    await town.world.http.post(path)
    assert (await town.victim.consents())["marketing", None]
    unsubscribed = {"record": {"source": "shop", "userId": "u17"}, "purpose": "marketing"}
    made = await town.operator.ask(LINK, input=unsubscribed)
    await town.world.http.post(made["createUnsubscribeLink"]["path"])
    await town.world.http.post(path)
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_to_use_a_confirmation_after_it_expired(town: Town) -> None:
    path = await ask(town, "u17", town.device)
    town.world.clock.skip(days=8)
    assert (await town.world.http.post(path)).status_code == 404
    person = await town.world.token("page", "shop", "u17")
    assert not (await person.consents())["marketing", None]


async def test_an_attacker_wants_to_change_an_unsubscribe_link_to_another_person_or_to_a_grant(town: Town) -> None:
    await town.victim.state("marketing")
    await town.mallory("shop")
    made = await town.operator.ask(LINK, input={"record": {"source": "shop", "userId": "u18"}, "purpose": "marketing"})
    path = made["createUnsubscribeLink"]["path"]
    for changed in (f"{path[:-1]}A", f"{path}&userId=u17", path.replace("unsubscribe", "confirm"), f"{path}AA"):
        await town.world.http.post(changed, data={"userId": "u17", "state": "GIVEN", "purpose": "partner_sharing"})
    consents = await town.victim.consents()
    assert consents["marketing", None]
    assert not consents["partner_sharing", None]


async def test_an_attacker_wants_to_read_the_victim_in_a_link_or_its_page(town: Town) -> None:
    await town.shop.send(identify({"email": EMAIL}, userId="victim@example.org"))
    named = {"source": "shop", "userId": "victim@example.org"}
    made = await town.operator.ask(LINK, input={"record": named, "purpose": "marketing"})
    paths = [made["createUnsubscribeLink"]["path"], await ask(town, "u17", town.device)]
    for path in paths:
        page = (await town.world.http.get(path)).text + (await town.world.http.post(path)).text
        assert not leaks(path)
        assert not leaks(page)
        assert "u17" not in page + path
