"""What a store holds once everything has written to it: declared properties only, each of its declared type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from algorithms.identity.devices import MOST_DEVICES
from api.collection.files.load import load_files
from graph.consent import bars
from graph.model.access import Trust
from graph.schema import NODES, RELATIONSHIPS, InteractionType, Label, Property, ValueType
from graph.store.client import GraphClient
from migrations.runner import hold_lock
from resolvers.access.registration import revoke_client, revoke_source
from resolvers.refresh import refresh_all
from resolvers.withdrawals import Watch
from tests.tastes import CONFIG
from tests.world import (
    DAY,
    Reader,
    Sender,
    World,
    external,
    identify,
    new_device,
    open_world,
    prefer,
    restrict_issuer,
    view,
)

pytestmark = pytest.mark.store

EARLIEST, LATEST = 1_000_000_000_000, 4_000_000_000_000
"""The years 2001 to 2096 in milliseconds; an instant in seconds or microseconds lies outside. 0 means never."""

CHECKS: Mapping[ValueType, Callable[[Any], bool]] = {
    ValueType.STRING: lambda value: isinstance(value, str),
    ValueType.INTEGER: lambda value: isinstance(value, int) and not isinstance(value, bool),
    ValueType.FLOAT: lambda value: isinstance(value, float),
    ValueType.BOOLEAN: lambda value: isinstance(value, bool),
    ValueType.STRINGS: lambda value: isinstance(value, list) and all(isinstance(each, str) for each in value),
    ValueType.INTEGERS: lambda value: isinstance(value, list) and all(type(each) is int for each in value),
    ValueType.FLOATS: lambda value: isinstance(value, list) and all(isinstance(each, float) for each in value),
    ValueType.JSON: lambda value: isinstance(orjson.loads(value), dict | list),
    ValueType.INSTANT: lambda value: isinstance(value, int) and (value == 0 or EARLIEST < value < LATEST),
}

STATED = {
    "recipient": "acme", "lawfulBasis": "consent", "mechanism": "opt_in", "jurisdiction": "DE", "controller": "shop",
    "channel": "web", "notice": "terms", "noticeVersion": "2", "noticeSha256": "ab", "language": "de", "method": "form",
    "actor": "parent", "evidenceHash": "cd", "rawSignal": "TCF", "categories": ["contact"],
}  # fmt: skip


INTERACTIONS = {type_.value: "interaction" for type_ in InteractionType}
"""Interaction types share their properties, so together they show each."""

EMAIL = {"email": "ada@shop.example.org"}
ASK = "mutation($input: ConfirmationInput!) { requestConfirmation(input: $input) { path } }"


@dataclass(frozen=True, slots=True)
class Company:
    """A company's systems, each with its key, and the clients that read them. `login` is the same installation with
    the tokens of an issuer that may speak for the web site only; `folder` is for files to load."""

    world: World
    login: World
    folder: Path
    shop: Sender
    web: Sender
    crm: Sender
    erp: Sender
    desk: Reader

    async def load(self, *lines: Mapping[str, Any], source: str = "shop") -> None:
        """Loads lines as `consentric load` does."""
        path = self.folder / "lines.ndjson"
        path.write_bytes(b"\n".join(orjson.dumps(line) for line in lines))
        report = await load_files(self.world.runtime, [path], source)
        assert (report.accepted, report.rejected) == (len(lines), {})

    async def person(self, user: str, source: str = "shop") -> Reader:
        """Somebody who is logged in."""
        return await self.world.token("page", source, user)


async def found_company(world: World, login: World, folder: Path) -> Company:
    """Registers the systems and the clients."""
    company = Company(
        world,
        login,
        folder,
        shop=await world.source("shop", Trust.SERVER, "site", jurisdiction="DE"),
        web=await world.source("web", Trust.PUBLIC, "site"),
        crm=await world.source("crm", Trust.RECORD, "crm"),
        erp=await world.source("erp", Trust.RECORD, "erp"),
        desk=await world.client("desk", "operator", "service"),
    )
    await world.client("page", "subject", "service")
    await world.client("acme", "partner", "partner_sharing", recipient="acme")
    return company


async def write_everything(world: World, login: World, folder: Path) -> None:
    """Lets each part of the application write to the store, as systems, people and operators cause it to."""
    company = await found_company(world, login, folder)
    await write_tastes(company)
    await write_activity(company)
    await write_consents(company)
    await write_devices(company)
    await write_people(company)
    await write_changes(company)
    await write_crowd(company)


async def write_crowd(company: Company) -> None:
    """A denial at an identifier that more people hold than one transaction marks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bars, "MOST_MARKED", 0)
        await company.crm.send(identify({"email": "info@firm.example"}, userId="c5"), prefer("analytics", userId="c5"))
        await company.crm.send(prefer("analytics", False, userId="c5"))


async def write_tastes(company: Company) -> None:
    """People of two tastes, what is computed from them, and the same once somebody withdraws."""
    items = [
        {"type": "item", "itemId": f"i{number}", "title": f"Film {number}", "category": "films", "price": 4,
         "available": True, "year": 2024, "attributes": {"reels": 3}, "topics": ["war" if number < 6 else "comedy"]}
        for number in range(12)
    ]  # fmt: skip
    people = [f"p{number}" for number in range(16)]
    await company.load(*items, *(line for place, user in enumerate(people) for line in rate(user, place)))
    await refresh_all(company.world.services, CONFIG)
    for purpose in ("analytics", "personalisation"):
        await (await company.person("p0")).withdraw(purpose)
    company.world.clock.skip(days=1)
    watch = Watch(company.world.services)
    await watch.look()
    await watch.settle()
    await watch.close()


def rate(user: str, place: int) -> Sequence[dict[str, Any]]:
    """What a person permits and rates."""
    permits = [
        {"type": "consent", "userId": user, "purpose": purpose, "state": "given"}
        for purpose in ("analytics", "personalisation")
    ]
    films = range(place % 2 * 6, place % 2 * 6 + 4 + place % 3)
    ratings = [{"product_id": f"i{number}", "rating": 5} for number in films]
    return permits + [
        {"type": "track", "userId": user, "event": "Product Rated", "properties": rating} for rating in ratings
    ]


async def write_activity(company: Company) -> None:
    """Interactions of every kind of property, and messages that are rejected."""
    product = {"product_id": "i1", "price": 4, "quantity": 2}
    await company.shop.send(
        {"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"order_id": 7, **product}},
        {"type": "track", "userId": "u1", "event": "Signed Up"},
    )
    context = {"userToken": (await company.login.token("page", "web", "u1")).credential}
    await company.web.send(prefer("analytics", userId="u1", context=context))
    bad = {"product_id": "i1", "price": ["a lot"]}
    answer = await company.web.post(
        {"type": "track", "userId": "u1", "event": "Product Added", "properties": bad, "context": context}
    )
    assert answer.json()["rejected"] == {"bad_value": 1}


async def write_consents(company: Company) -> None:
    """Statements with all that they may state, repeated denials, and a double opt-in."""
    await company.shop.send(identify(EMAIL, userId="u1"))
    until = company.world.clock() + 30 * DAY
    sharing = {"type": "consent", "userId": "u1", "purpose": "partner_sharing", "state": "given"}
    await company.load(sharing | STATED | {"expiresAt": until})
    await company.shop.send(identify(EMAIL, userId="u2", context=denial()))
    await company.shop.send(identify(userId="u2", context=denial(Functional=True)))
    asked = {
        "record": {"source": "shop", "userId": "u1"},
        "purpose": "marketing",
        "contact": {"kind": "email", "value": EMAIL["email"]},
    }
    path = (await company.desk.ask(ASK, input=asked))["requestConfirmation"]["path"]
    assert (await company.world.http.post(path)).status_code == 200


def denial(**more: bool) -> dict[str, Any]:
    """A context that carries along a denial of analytics."""
    return {"consent": {"categoryPreferences": {"Analytics": False, **more}}}


async def write_devices(company: Company) -> None:
    """Devices that claim an account, more than may count for it; one of them proves to be another's."""
    devices = [new_device() for _ in range(MOST_DEVICES + 1)]
    await company.web.send(*(view("i1", anonymousId=device, userId="u1") for device in devices))
    context = {"userHash": await company.world.user_hash("web", "u3", devices[0])}
    await company.web.send(prefer("analytics", anonymousId=devices[0], userId="u3", context=context))


async def write_people(company: Company) -> None:
    """Two people who become one and, after an objection, two again; an address that changes hands, and one that two
    people share."""
    number = external("customer_no", "77")
    await company.crm.send(identify(EMAIL, userId="c1", context=number))
    await company.shop.send(identify(userId="u1", context=number))
    await (await company.person("u1")).state("identity_linking", "OBJECTED")
    await company.crm.send(identify({"email": "old@firm.example"}, userId="c2"))
    company.world.clock.skip(days=1)
    await company.crm.send(identify({"email": "new@firm.example"}, userId="c2"))
    await company.erp.send(identify({"email": "old@firm.example"}, userId="e1"))
    await company.crm.send(*(identify({"email": "info@firm.example"}, userId=user) for user in ("c3", "c4")))


async def write_changes(company: Company) -> None:
    """What operators change about systems and clients."""
    world = company.world
    await world.set_source("shop", verifies=("email",))
    await world.set_source("erp", trust=Trust.PUBLIC)
    await world.rotate_hash_key("web")
    await revoke_client(world.services, "acme")
    await revoke_source(world.services, "erp")
    async with hold_lock(world.services.client, world.clock):
        pass


def find_wrong(owner: str, declared: Iterable[Property], held: Mapping[str, Any]) -> list[str]:
    """The properties that are not declared, or not of their type."""
    types = {each.name: each.type for each in declared}
    return [
        f"{owner}.{name}: {value!r} is not {types.get(name, 'declared')}"
        for name, value in held.items()
        if name not in types or not CHECKS[types[name]](value)
    ]


async def test_everything_stored_is_declared_and_has_its_type(store: GraphClient, tmp_path: Path) -> None:
    issuer, setting = restrict_issuer(tmp_path, "web")
    async with open_world(store, tmp_path, trusted_issuers=setting) as world:
        await write_everything(world, replace(world, issuer=issuer), tmp_path)
    declared = {label.value: node.properties for label, node in NODES.items()}
    declared |= {name.value: each.properties for name, each in RELATIONSHIPS.items()}
    nodes = await store.read("MATCH (n) RETURN labels(n) AS owners, properties(n) AS held")
    edges = await store.read("MATCH ()-[r]->() RETURN [type(r)] AS owners, properties(r) AS held")
    seen: set[tuple[str, str]] = set()
    for row in nodes + edges:
        (owner,) = row["owners"]
        assert find_wrong(owner, declared[owner], row["held"]) == []
        seen |= {(INTERACTIONS.get(owner, owner), name) for name in row["held"]}
    unseen = {(INTERACTIONS.get(owner, owner), each.name) for owner, all_ in declared.items() for each in all_} - seen
    assert not unseen, f"let write_everything write {sorted(unseen)}"


def test_a_wrong_type_is_found() -> None:
    declared = NODES[Label.SESSION].properties
    assert find_wrong("Session", declared, {"id": "s", "events": 1, "ended_at": 1_790_000_000_000}) == []
    held = {"id": 1, "events": True, "ended_at": 1_790_000_000, "mood": "good"}
    assert [fault.split(":")[0] for fault in find_wrong("Session", declared, held)] == [
        "Session.id",
        "Session.events",
        "Session.ended_at",
        "Session.mood",
    ]
