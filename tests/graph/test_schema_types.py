"""What a store holds once everything has written to it: declared properties only, each of its declared type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
import pytest

from algorithms.segments.communities import CommunityConfig
from algorithms.segments.rfm import RfmConfig
from graph.access.clients import write_client_revocation
from graph.access.sources import revoke_source_keys
from graph.collection.dead_letters import DeadLetter, write_letters
from graph.consent.policy_version import write_policy_version
from graph.identity.identifiers import write_refused_identifiers
from graph.model.identity import IdentifierRef, UserId
from graph.schema import NODES, RELATIONSHIPS, InteractionType, Label, Property, ValueType
from graph.segments.memberships import end_unpermitted
from graph.store.client import GraphClient
from migrations.runner import hold_lock
from resolvers.refresh import RefreshConfig, refresh_all
from tests.api.door import START, Door, open_door
from tests.crowd import Event, Person, set_permits, write_crowd

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

CONFIG = RefreshConfig(
    rfm=RfmConfig(types=("RATED",), window_days=None),
    communities=CommunityConfig(neighbours=20, resolution=0.5, smallest=3),
)
EMAIL = {"email": "ada@shop.example.org"}


def denial(**more: bool) -> dict[str, Any]:
    """A context that carries along a denial of analytics."""
    return {"consent": {"categoryPreferences": {"Analytics": False, **more}}}


def crowd() -> list[Person]:
    """People of two tastes, some with longer histories."""
    return [
        Person(
            f"p{number:02}", [[Event(f"i{number % 2 * 10 + k}", "RATED", value=5.0) for k in range(4 + number // 4)]]
        )
        for number in range(16)
    ]


async def write_everything(door: Door) -> None:
    """Lets each part of the application write to the store."""
    store = door.services.client
    await write_crowd(store, crowd())
    await refresh_all(door.services, CONFIG)
    await set_permits(store, "p00", ())
    await door.client("crm", "partner", "partner_sharing", recipient="acme")
    await write_activity(door)
    await write_identities(door)
    letter = DeadLetter("shop", "bad_value", "A number is needed.", "{}", door.clock(), "properties.price")
    refused = IdentifierRef("email", EMAIL["email"]).id
    await store.write(lambda tx: end_unpermitted(tx, [UserId("p00")], "analytics", door.clock()))
    await store.write(lambda tx: write_letters(tx, [letter]))
    await store.write(lambda tx: write_refused_identifiers(tx, [(refused, "frequency_cap")], door.clock()))
    await store.write(lambda tx: write_policy_version(tx, "1", door.clock()))
    async with hold_lock(store, door.clock):
        pass
    await store.write(lambda tx: write_client_revocation(tx, "crm", door.clock()))
    await store.write(lambda tx: revoke_source_keys(tx, "shop", door.clock()))


async def write_activity(door: Door) -> None:
    """Items, interactions of every kind of property, and consent."""
    product = {"product_id": "tea", "price": 4, "quantity": 2}
    await door.load(
        {"type": "item", "itemId": "tea", "title": "Tea", "category": "drinks", "price": 4, "available": True,
         "year": 2024, "attributes": {"leaf": "green"}, "topics": ["drinks"]},
        {"type": "track", "userId": "u1", "event": "Order Completed", "properties": {"order_id": 7, **product}},
        {"type": "track", "userId": "u1", "event": "Signed Up"},
        {"type": "consent", "userId": "u1", "purpose": "partner_sharing", "state": "given",
         "expiresAt": int(START) + 86_400_000, **STATED},
        {"type": "consent", "userId": "u1", "purpose": "partner_sharing", "state": "withdrawn", "recipient": "acme"},
    )  # fmt: skip
    await door.load({"type": "identify", "userId": "u1", "traits": EMAIL, "context": denial()})
    await door.load({"type": "identify", "userId": "u1", "context": denial(Functional=True)})


async def write_identities(door: Door) -> None:
    """A merge, a split by an objection, and links that are refused."""
    await door.load({"type": "identify", "anonymousId": "a1"}, {"type": "identify", "userId": "u2", "traits": EMAIL})
    await door.load({"type": "identify", "userId": "u1", "anonymousId": "a1"})
    await door.load({"type": "consent", "userId": "u1", "purpose": "identity_linking", "state": "objected"})


def find_wrong(owner: str, declared: Iterable[Property], held: Mapping[str, Any]) -> list[str]:
    """The properties that are not declared, or not of their type."""
    types = {each.name: each.type for each in declared}
    return [
        f"{owner}.{name}: {value!r} is not {types.get(name, 'declared')}"
        for name, value in held.items()
        if name not in types or not CHECKS[types[name]](value)
    ]


async def test_everything_stored_is_declared_and_has_its_type(store: GraphClient) -> None:
    async with open_door(store) as door:
        await write_everything(door)
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
    assert unseen == set(), "let write_everything write it"


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
