"""A denial opens nothing: what others denied of the same address holds beside it."""

from __future__ import annotations

import pytest

from graph.model.access import Trust
from tests.attacks.town import EMAIL
from tests.world import World, identify, record

pytestmark = pytest.mark.store

AT_SHOP, AT_CRM = record("shop", "u17"), record("crm", "c17")


async def build(world: World):
    """A shop that verifies nothing, a CRM, two partners; both know the address, which joins nobody. The shop's
    customer shares with everybody; in the CRM, the holder of the address then denies all sharing."""
    shop = await world.source("shop", Trust.SERVER, "shop")
    crm = await world.source("crm", Trust.RECORD, "crm")
    acme = await world.client("acme", "partner", recipient="acme")
    beta = await world.client("beta", "partner", recipient="beta")
    operator = await world.client("operator", "operator", "service")
    front = await world.client("front", "frontend", "marketing")
    await world.client("page", "subject", "service")
    await shop.send(identify({"email": EMAIL, "gender": "female"}, userId="u17"))
    await crm.send(identify({"email": EMAIL}, userId="c17"))
    me = await world.token("page", "shop", "u17")
    await me.state("partner_sharing")
    assert await beta.see(AT_SHOP, "gender") is not None
    await operator.withdraw("partner_sharing", record={"source": "crm", "userId": "c17"})
    assert await beta.see(AT_SHOP, "gender") is None, "the CRM's denial bars the candidate"
    return acme, beta, me, front


async def test_a_person_who_denies_one_partner_opens_all_others(world: World) -> None:
    """Denying acme must not lift what the same address denied to everybody."""
    acme, beta, me, _ = await build(world)
    await me.withdraw("partner_sharing", recipient="acme")
    assert await acme.see(AT_SHOP, "gender") is None
    assert await beta.see(AT_SHOP, "gender") is None
    assert await me.consents()


async def test_a_front_end_opens_a_barred_person_to_partners_by_a_denial_of_an_invented_one(world: World) -> None:
    """A marketing front-end, which may only withdraw, opens the victim to a partner."""
    _, beta, _, front = await build(world)
    await front.withdraw("partner_sharing", recipient="nobody", record={"source": "shop", "userId": "u17"})
    assert await beta.see(AT_SHOP, "gender") is None


async def build_former(world: World):
    """The shop's customer had the address when the CRM's customer with that address denied marketing, and was barred;
    then the shop's customer moved to another address, and stays barred."""
    shop = await world.source("shop", Trust.SERVER, "shop")
    crm = await world.source("crm", Trust.RECORD, "crm")
    operator = await world.client("operator", "operator", "service")
    mail = await world.client("mail", "frontend", "marketing")
    await world.client("page", "subject", "service")
    await shop.send(identify({"email": EMAIL}, userId="u17"))
    await crm.send(identify({"email": EMAIL}, userId="c17"))
    await (await world.token("page", "shop", "u17")).state("marketing")
    assert (await mail.see(AT_SHOP, "email"))["email"] == EMAIL
    await operator.withdraw("marketing", record={"source": "crm", "userId": "c17"})
    await shop.send(identify({"email": "new@shop.example.org"}, userId="u17"))
    assert (await mail.see(AT_SHOP, "email"))["email"] is None, "the denial of then still bars the customer"
    return shop, operator, mail


async def test_who_denies_again_opens_the_person_whom_the_first_denial_barred(world: World) -> None:
    """A repeated denial replaces the bar by a later one, which a former holder of the address no longer hears."""
    _, operator, mail = await build_former(world)
    await operator.withdraw("marketing", record={"source": "crm", "userId": "c17"})
    assert (await mail.see(AT_SHOP, "email"))["email"] is None


async def test_a_stranger_who_types_the_former_address_lifts_its_bars(world: World) -> None:
    """Mallory opens an account with the victim's former address and withdraws her own consent."""
    shop, _, mail = await build_former(world)
    await shop.send(identify({"email": EMAIL}, userId="mallory"))
    await (await world.token("page", "shop", "mallory")).withdraw("marketing")
    assert (await mail.see(AT_SHOP, "email"))["email"] is None


async def test_a_front_end_opens_people_of_a_shared_verified_address_by_many_denials(world: World) -> None:
    """The same where both hold the address with proof: beyond 32 recipients, a bar names none and replaces others'."""
    crm = await world.source("crm", Trust.RECORD, "crm")
    beta = await world.client("beta", "partner", recipient="beta")
    front = await world.client("front", "frontend", "marketing")
    operator = await world.client("operator", "operator", "service")
    await crm.send(identify({"email": EMAIL, "gender": "female"}, userId="c17"))
    await crm.send(identify({"email": EMAIL}, userId="c18"))
    await operator.state("partner_sharing", record={"source": "crm", "userId": "c17"})
    await operator.withdraw("partner_sharing", record={"source": "crm", "userId": "c18"})
    assert await beta.see(AT_CRM, "gender") is None
    for number in range(33):
        await front.withdraw("partner_sharing", recipient=f"p{number}", record={"source": "crm", "userId": "c17"})
    assert await beta.see(AT_CRM, "gender") is None


async def test_a_partner_wants_its_name_in_capitals_to_keep_what_was_withdrawn(world: World) -> None:
    shop = await world.source("shop", Trust.SERVER, "shop")
    name = "μαΐστρος"
    partner = await world.client("partner", "partner", recipient=name)
    await world.client("page", "subject", "service")
    await shop.send(identify({"gender": "female"}, userId="u17"))
    me = await world.token("page", "shop", "u17")
    await me.state("partner_sharing", recipient=name)
    assert await partner.see(AT_SHOP, "gender") is not None
    await me.withdraw("partner_sharing", recipient=name.upper())
    assert await partner.see(AT_SHOP, "gender") is None
