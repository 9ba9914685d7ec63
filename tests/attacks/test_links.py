"""Attacks on links that are sent to people: confirming for somebody else, confirming without a person, and reusing
links."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from graph.model.access import Trust
from tests.attacks.town import AT_CRM, AT_SHOP, EMAIL, Town, leaks
from tests.world import browser, identify, new_device, record

pytestmark = pytest.mark.store

ASK = "mutation($input: ConfirmationInput!) { requestConfirmation(input: $input) { path cookie { name value } } }"
LINK = "mutation($input: UnsubscribeInput!) { createUnsubscribeLink(input: $input) { path } }"


@dataclass(frozen=True, slots=True)
class Asked:
    """A link that was sent to the victim, and the cookie in the browser that asked."""

    path: str
    cookie: str


async def ask(town: Town, user: str, source: str = "shop") -> Asked:
    """Somebody who is logged in as this user enters the victim's address into the shop's form."""
    contact = {"kind": "email", "value": EMAIL}
    named = {"source": source, "userId": user}
    made = await town.operator.ask(ASK, input={"record": named, "purpose": "marketing", "contact": contact})
    cookie = made["requestConfirmation"]["cookie"]
    return Asked(made["requestConfirmation"]["path"], f"{cookie['name']}={cookie['value']}")


async def test_an_attacker_wants_a_mail_scanner_to_confirm(town: Town) -> None:
    path = (await ask(town, "u17")).path
    for method in ("GET", "HEAD", "OPTIONS", "PUT", "DELETE"):
        await town.world.http.request(method, path)
    assert not (await town.victim.consents())["marketing", None]


PLANTED: Mapping[str, Callable[[Asked, str], Mapping[str, Any]]] = {
    "nothing": lambda hers, device: {},
    "the anonymous ID of her account": lambda hers, device: {"headers": {"cookie": f"ajs_anonymous_id={device}"}},
    "the anonymous ID in a form": lambda hers, device: {"data": {"anonymousId": device, "browser": device}},
    "the cookie of another confirmation": lambda hers, device: {"headers": {"cookie": hers.cookie}},
    "the secret of another confirmation": lambda hers, device: {"data": {"browser": hers.cookie.partition("=")[2]}},
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
async def test_an_attacker_wants_the_victims_click_to_prove_that_she_holds_the_address(
    town: Town, planted: Callable[[Asked, str], Mapping[str, Any]]
) -> None:
    """She planted in the victim's browser what she could."""
    device = new_device()
    await town.shop.send(identify({"firstName": "Mallory"}, userId="mallory", anonymousId=device))
    hers, asked = await ask(town, "mallory"), await ask(town, "mallory")
    assert (await town.world.http.post(asked.path, **planted(hers, device))).status_code == 200
    seen = await town.service.see(record("shop", "mallory"))
    assert not leaks(seen)
    assert (await town.service.see(AT_CRM))["givenName"] == "Vera"
    assert (await town.service.see(AT_SHOP))["id"] != seen["id"]
    assert (await town.mail.see(AT_CRM, "email"))["email"] is None


async def test_an_attacker_wants_the_victims_click_to_split_the_victim(town: Town) -> None:
    """Two accounts of one shop with one address would be two people behind it."""
    checked = await town.world.source("checked", Trust.SERVER, "checked", verifies=("email",))
    await checked.send(identify({"email": EMAIL}, userId="v1"), identify(userId="mallory"))
    assert (await town.service.see(record("checked", "v1"), "givenName"))["givenName"] == "Vera"
    asked = await ask(town, "mallory", "checked")
    await town.world.http.post(asked.path, headers={"cookie": f"ajs_anonymous_id={new_device()}"})
    assert (await town.service.see(record("checked", "v1"), "givenName"))["givenName"] == "Vera"


async def test_an_attacker_wants_the_victims_click_to_open_the_victims_account(town: Town) -> None:
    await town.victim.withdraw("marketing")
    await town.mallory("shop", email=EMAIL)
    await town.world.http.post((await ask(town, "mallory")).path)
    assert (await town.mail.see(AT_SHOP, "email"))["email"] is None
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_to_confirm_for_a_device_that_anybody_can_name(town: Town) -> None:
    """She enters an address of her own, with the anonymous ID of somebody else's old browser."""
    await town.web.send(identify({"firstName": "Vera"}, anonymousId="visitor-1"))
    asked = {"record": {"source": "web", "anonymousId": "visitor-1"}, "purpose": "personalisation"}
    answer = await town.operator.post(ASK, input=asked)
    made = (answer.json()["data"] or {}).get("requestConfirmation")
    if made:
        await town.world.http.post(made["path"])
    assert (await town.front.see(browser("web", "visitor-1"), "givenName"))["givenName"] is None


async def test_an_attacker_wants_to_use_a_confirmation_again_after_the_victim_withdrew(town: Town) -> None:
    path = (await ask(town, "u17")).path
    await town.world.http.post(path)
    assert (await town.victim.consents())["marketing", None]
    unsubscribed = {"record": {"source": "shop", "userId": "u17"}, "purpose": "marketing"}
    made = await town.operator.ask(LINK, input=unsubscribed)
    await town.world.http.post(made["createUnsubscribeLink"]["path"])
    await town.world.http.post(path)
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_to_use_a_confirmation_after_it_expired(town: Town) -> None:
    path = (await ask(town, "u17")).path
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
    paths = [made["createUnsubscribeLink"]["path"], (await ask(town, "u17")).path]
    for path in paths:
        page = (await town.world.http.get(path)).text + (await town.world.http.post(path)).text
        assert not leaks(path)
        assert not leaks(page)
        assert "u17" not in page + path
