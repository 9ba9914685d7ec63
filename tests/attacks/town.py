"""A shop with a public web site, an app, a back end and a CRM, its viewers, and the victim, who is in all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from graph.model.access import Trust
from tests.world import Reader, Sender, World, external, identify, new_device, record, view

EMAIL: Final = "victim@example.org"
PHONE: Final = "+441632960961"
TRAITS: Final[Mapping[str, Any]] = {
    "email": EMAIL,
    "phone": PHONE,
    "firstName": "Vera",
    "lastName": "Victim",
    "gender": "female",
    "address": {"street": "1 Quiet Lane", "city": "Leeds", "country": "GB"},
    "attributes_of": "vera",
}
SECRETS: Final = (EMAIL, PHONE, "Vera", "Victim", "Quiet Lane")
"""What an attacker wants to read."""

AT_SHOP: Final = record("shop", "u17")
AT_CRM: Final = record("crm", "c17")
CUSTOMER: Final = external("customer_no", "17")


@dataclass(frozen=True, slots=True)
class Town:
    """The installation. `web` and `app` are public; `shop` gives their user IDs; `crm` has its own."""

    world: World
    web: Sender
    app: Sender
    shop: Sender
    crm: Sender
    service: Reader
    front: Reader
    mail: Reader
    acme: Reader
    auditor: Reader
    operator: Reader
    victim: Reader
    device: str = field(default_factory=new_device)

    async def prove(self) -> dict[str, Any]:
        """Returns the proof that the page sends along while the victim is logged in."""
        return {"userToken": (await self.world.token("page", "web", "u17")).credential}

    async def consents(self) -> dict[tuple[str, str | None], bool]:
        """Returns what the victim is told of their consents now, with a new token."""
        return await (await self.world.token("page", "shop", "u17")).consents()

    async def mallory(self, source: str = "web", **traits: Any) -> Reader:
        """Returns the attacker, who has an account of her own and wrote into it what she likes."""
        mallory = await self.world.token("page", source, "mallory")
        proof = {"userToken": mallory.credential}
        sender = self.web if source == "web" else self.shop
        await sender.send(identify(traits, userId="mallory", anonymousId=new_device(), context=proof))
        return mallory


async def build_town(world: World) -> Town:
    """Registers everybody, and the victim: an account at the shop and one in the CRM with the same customer number."""
    town = Town(
        world,
        web=await world.source("web", Trust.PUBLIC, "shop"),
        app=await world.source("app", Trust.PUBLIC, "shop"),
        shop=await world.source("shop", Trust.SERVER, "shop"),
        crm=await world.source("crm", Trust.RECORD, "crm"),
        service=await world.client("service", "frontend", "service"),
        front=await world.client("front", "frontend", "personalisation"),
        mail=await world.client("mail", "frontend", "marketing"),
        acme=await world.client("acme", "partner", recipient="acme"),
        auditor=await world.client("auditor", "auditor", "service", scopes=["values"]),
        operator=await world.client("operator", "operator", "service"),
        victim=await join_as_victim(world),
    )
    await town.shop.send(identify(userId="u17", context=CUSTOMER), view("tea", userId="u17"))
    await town.crm.send(identify(TRAITS, userId="c17", context=CUSTOMER))
    return town


async def join_as_victim(world: World) -> Reader:
    """Returns the victim with a token of the page."""
    await world.client("page", "subject", "service")
    return await world.token("page", "shop", "u17")


def leaks(seen: Any) -> list[str]:
    """Returns what of the victim's an answer shows."""
    text = str(seen)
    return [secret for secret in SECRETS if secret in text]
