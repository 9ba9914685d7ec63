"""Scenes in a company: a shop and its CRM, shared mailboxes, changed addresses, guests, and imported history."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from graph.model.access import ALWAYS, Trust
from tests.world import (
    DAY,
    Reader,
    Sender,
    World,
    external,
    identifier,
    identify,
    prefer,
    record,
    view,
)

pytestmark = pytest.mark.store


@dataclass(frozen=True, slots=True)
class Company:
    """A shop's back end, a CRM, the support desk that reads both, and an operator."""

    world: World
    shop: Sender
    crm: Sender
    support: Reader
    operator: Reader

    async def see(self, source: str, key: str) -> Any:
        """What support sees of a record's person."""
        return await self.support.see(record(source, key), "id email givenName familyName")

    async def are_joined(self, shop: str, crm: str) -> bool:
        """Whether a record of the shop and one of the CRM are the same person."""
        return bool((await self.see("shop", shop))["id"] == (await self.see("crm", crm))["id"])


@pytest.fixture
async def company(world: World) -> Company:
    return Company(
        world,
        shop=await world.source("shop", Trust.SERVER, "shop"),
        crm=await world.source("crm", Trust.RECORD, "crm"),
        support=await world.client("support", "frontend", "service"),
        operator=await world.client("operator", "operator", "service"),
    )


async def test_a_shop_and_a_crm_are_joined_at_once_by_a_customer_number(company: Company) -> None:
    await company.shop.send(identify({"firstName": "Ada"}, userId="u1", context=external("customer_no", "77")))
    await company.crm.send(identify({"lastName": "Lovelace"}, userId="c1", context=external("customer_no", "77")))
    assert await company.are_joined("u1", "c1")
    seen = await company.see("shop", "u1")
    assert (seen["givenName"], seen["familyName"]) == ("Ada", "Lovelace")


async def test_a_shop_and_a_crm_are_joined_by_email_once_the_shop_verifies(company: Company) -> None:
    await company.shop.send(identify({"email": "ada@example.org"}, userId="u1"))
    await company.crm.send(identify({"email": "ada@example.org", "firstName": "Ada"}, userId="c1"))
    assert not await company.are_joined("u1", "c1")
    await company.world.set_source("shop", verifies=["email"])
    assert not await company.are_joined("u1", "c1")  # whoever typed that address, the shop didn't check it then
    await company.world.set_source("shop", verifies=["email"], verified_since=ALWAYS)
    assert await company.are_joined("u1", "c1")
    company.world.clock.forget_credentials()
    await company.shop.send(identify({"email": "ben@example.org"}, userId="u2"))
    await company.crm.send(identify({"email": "ben@example.org"}, userId="c2"))
    assert await company.are_joined("u2", "c2")


async def test_people_behind_a_shared_mailbox_stay_apart_and_each_works(company: Company) -> None:
    await company.crm.send(
        identify({"email": "info@firm.example", "firstName": "Ann"}, userId="c1"),
        identify({"email": "info@firm.example", "firstName": "Ben"}, userId="c2"),
    )
    seen = [await company.see("crm", key) for key in ("c1", "c2")]
    assert [(one["givenName"], one["email"]) for one in seen] == [
        ("Ann", "info@firm.example"),
        ("Ben", "info@firm.example"),
    ]
    assert seen[0]["id"] != seen[1]["id"]
    assert await company.support.see(identifier("email", "info@firm.example")) is None


async def test_after_a_changed_email_the_new_one_is_shown_and_found(company: Company) -> None:
    await company.crm.send(identify({"email": "old@example.org", "firstName": "Ada"}, userId="c1"))
    company.world.clock.skip(days=1)
    await company.crm.send(identify({"email": "new@example.org"}, userId="c1"))
    assert (await company.see("crm", "c1"))["email"] == "new@example.org"
    assert (await company.support.see(identifier("email", "new@example.org")))["givenName"] == "Ada"
    assert await company.support.see(identifier("email", "old@example.org")) is None


async def test_a_guest_checkout_is_joined_once_the_address_is_verified(company: Company) -> None:
    await company.crm.send(identify({"email": "ada@example.org", "firstName": "Ada"}, userId="c1"))
    await company.shop.send(identify({"email": "ada@example.org"}, userId="guest-1"), view("tea", userId="guest-1"))
    assert not await company.are_joined("guest-1", "c1")
    asked = {
        "record": {"source": "shop", "userId": "guest-1"},
        "purpose": "marketing",
        "contact": {"kind": "email", "value": "ada@example.org"},
    }
    mutation = (
        "mutation($input: ConfirmationInput!) { requestConfirmation(input: $input) { path cookie { name value } } }"
    )
    made = (await company.operator.ask(mutation, input=asked))["requestConfirmation"]
    name, value = made["cookie"].values()
    answer = await company.world.http.post(made["path"], headers={"cookie": f"{name}={value}"})
    assert answer.status_code == 200
    assert await company.are_joined("guest-1", "c1")


async def test_imported_history_is_replayed_by_its_own_times(company: Company) -> None:
    mail = await company.world.client("mail", "frontend", "marketing")
    now = company.world.clock()
    await company.crm.send(identify({"email": "ada@example.org"}, userId="c1"))

    def said(given: bool, days_ago: int) -> dict[str, Any]:
        at = now - days_ago * DAY
        return prefer("marketing", given, userId="c1", timestamp=at, receivedAt=at)

    async def reaches() -> bool:
        return (await mail.see(record("crm", "c1"), "email"))["email"] is not None

    await company.crm.send(said(True, 100), consentric_import="true")
    assert await reaches()
    await company.crm.send(said(False, 300), consentric_import="true")
    assert await reaches(), "the refusal is older than the grant"
    await company.crm.send(said(False, 50), consentric_import="true")
    assert not await reaches()
    await company.crm.send(prefer("marketing", userId="c1"))
    assert await reaches()
