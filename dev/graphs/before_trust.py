"""Writes `tests/migrations/graph_before_trust.json`: a graph as the code before sources had a trust wrote it.

Run it in a checkout of commit e790167, with this file's path and the name of the file to write:

    git worktree add ../before e790167 && cd ../before
    PYTHONPATH=. python …/dev/graphs/before_trust.py …/tests/migrations/graph_before_trust.json

Everything is written through the doors that collection uses; the clock and the IDs of users are fixed, so that each run
writes the same file. Keys of sources are left out.
"""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

from algorithms.segments.rfm import RfmConfig
from api.collection.origin import Origin
from api.collection.segment.mapping import read_message
from graph.embedded.process import EngineOptions
from graph.embedded.store import EmbeddedStore
from graph.model.access import Source
from graph.model.time import Millis
from graph.schema import UNIQUE_KEYS
from graph.store.client import GraphClient
from migrations.runner import migrate
from privacy.policy import Policy
from resolvers.access.registration import register_source
from resolvers.collection import transaction
from resolvers.collection.ingestor import Ingestor
from resolvers.consent.permits import apply_policy
from resolvers.context import Services
from resolvers.identity import linkage
from resolvers.recommendation.serve import WalkRecommender
from resolvers.segments import rfm

START = 1_780_000_000_000
MINUTE = 60_000
NAMESPACES = {"web": "", "shop": "people", "crm": "people", "kiosk": ""}
TABLET, PHONE, LAPTOP = (f"0b6f7c1e-4d2a-4c1b-9e3f-00000000000{n}" for n in range(3))
STOLEN, LONELY, GUEST = (f"0b6f7c1e-4d2a-4c1b-9e3f-00000000001{n}" for n in range(3))
LEFT_OUT = {"ApiKey", "Lock", "Migration"}


class Numbered:
    """Stands for `ulid.ULID`: users are numbered."""

    numbers = count(1)

    def __init__(self) -> None:
        self._text = f"01K{next(self.numbers):023d}"

    def __str__(self) -> str:
        return self._text


class Writer:
    """A clock that moves on by a minute with each message, and the messages written so far."""

    def __init__(self) -> None:
        self.now = Millis(START)
        self.messages = count(1)
        self.ingestor: Any = None

    async def send(self, source: str, *, early: int = 0, **raw: Any) -> None:
        """Writes one message; its event happened `early` minutes before it is received."""
        self.now = Millis(self.now + MINUTE)
        origin = Origin(Source(source, NAMESPACES[source]), self.now, Policy.default(), own_types=True)
        raw |= {"messageId": f"m{next(self.messages)}"}
        raw.setdefault("timestamp", self.now - early * MINUTE)
        outcomes = await self.ingestor.submit([read_message(raw, origin)])
        if [outcome.value for outcome in outcomes] != ["accepted"]:
            raise RuntimeError(f"{raw} was not accepted: {outcomes}")

    async def identify(self, source: str, early: int = 0, **names: Any) -> None:
        traits = {name: names.pop(name) for name in ("email", "phone", "firstName") if name in names}
        external = names.pop("external", None)
        if external:
            entry = {"type": external[0], "id": external[1], "collection": "users", "encoding": "none"}
            names["context"] = {"externalIds": [entry]}
        await self.send(source, type="identify", traits=traits, early=early, **names)

    async def act(self, source: str, event: str = "Product Viewed", sku: str = "p1", **names: Any) -> None:
        properties = {"product_id": sku, "price": 12.5, "quantity": 1, "order_id": f"o-{sku}"}
        await self.send(source, type="track", event=event, properties=properties, **names)

    async def state(self, source: str, purpose: str, state: str, **rest: Any) -> None:
        await self.send(source, type="consent", purpose=purpose, state=state, **rest)


async def write_people(w: Writer) -> None:
    """People with several records: devices, shared addresses, aliases, external IDs, namespaces."""
    # Ada: two devices, an address that she changed (and took up again), a CRM record by the old one.
    await w.act("web", anonymousId=TABLET)
    await w.act("web", anonymousId=TABLET, userId="ada")
    await w.identify("web", userId="ada", email="ada@example.org", phone="+4930111111")
    await w.act("web", anonymousId=PHONE, userId="ada", sku="p2")
    await w.identify("crm", userId="c-ada", email="ada@example.org", firstName="Ada")
    await w.identify("web", userId="ada", email="ada@new.example.org")
    await w.identify("web", userId="ada", email="ada@example.org")
    await w.state("web", "personalisation", "given", userId="ada")
    await w.state("web", "analytics", "given", userId="ada")
    await w.state("web", "marketing", "withdrawn", anonymousId=PHONE)
    # Bob: a chain shop – web – crm over a phone number and an address; the CRM's withdrawal reaches the shop.
    await w.identify("shop", userId="bob", phone="+4930222222")
    await w.identify("web", userId="bob-web", phone="+4930222222", email="bob@example.org")
    await w.state("shop", "analytics", "given", userId="bob")
    await w.identify("crm", userId="c-bob", email="bob@example.org")
    await w.state("crm", "analytics", "withdrawn", userId="c-bob")
    # Carol: aliases of a user and of a device that was never seen together with her.
    await w.act("web", userId="carol-old")
    await w.act("web", anonymousId="carols-device")
    await w.send("web", type="alias", userId="carol", previousId="carol-old")
    await w.send("web", type="alias", userId="carol", previousId="carols-device")
    await w.state("web", "analytics", "given", userId="carol", recipient=None)
    # Dora: a loyalty card known to shop and CRM, seen in two stages, so that a user was retired.
    await w.identify("shop", userId="dora", email="dora@example.org")
    await w.identify("crm", userId="c-dora", external=("loyalty", "L-77"))
    await w.act("shop", "Order Completed", userId="dora", sku="p3")
    await w.identify("shop", userId="dora", external=("loyalty", "L-77"))
    await w.state("shop", "analytics", "given", userId="dora")
    await w.state("crm", "analytics", "given", userId="c-dora")
    await w.state("crm", "partner_sharing", "given", userId="c-dora", recipient="acme", expiresAt=START + 10**11)
    # Frank: one namespace of user IDs in shop and CRM.
    await w.act("shop", userId="frank", sku="p4")
    await w.identify("crm", userId="frank", email="frank@example.org")
    await w.state("crm", "partner_sharing", "withdrawn", userId="frank", recipient="acme")


async def write_cases(w: Writer) -> None:
    """Records that linkage kept apart, silence under several regimes, and statements with unusual times."""
    # Erin objects to identity linking; her address is known to the CRM as well.
    await w.identify("web", userId="erin", email="erin@example.org")
    await w.identify("crm", userId="c-erin", email="erin@example.org")
    await w.act("web", userId="erin", anonymousId=LAPTOP)
    await w.state("web", "identity_linking", "objected", userId="erin")
    # A kiosk on which two customers logged in, and an office's address that two customers state.
    await w.act("kiosk", anonymousId="kiosk-1", userId="gus")
    await w.act("kiosk", anonymousId="kiosk-1", userId="hana")
    await w.identify("shop", userId="ivo", email="info@office.example.org")
    await w.identify("shop", userId="jana", email="info@office.example.org")
    # Kim: opt-out in California on the web, silent in the CRM; Lea: the reverse order of regimes.
    await w.identify("web", userId="kim", email="kim@example.org")
    await w.state("web", "analytics", "given", userId="kim", jurisdiction="us_ca")
    await w.identify("crm", userId="c-kim", email="kim@example.org")
    await w.state("crm", "analytics", "given", userId="c-kim", jurisdiction="de")
    # A denial with a date in the future and a grant after it; a denial that was sent late.
    await w.act("shop", userId="max")
    await w.state("shop", "analytics", "withdrawn", userId="max", timestamp=w.now + 20 * 60 * MINUTE)
    await w.state("shop", "analytics", "given", userId="max")
    await w.act("shop", userId="nina")
    await w.state("shop", "analytics", "given", userId="nina")
    await w.state("shop", "analytics", "withdrawn", userId="nina", timestamp=START - MINUTE)
    # A stranger's device that claims Ada's address, one with a grant of its own, and one that became nobody's.
    await w.identify("web", anonymousId=STOLEN, email="ada@example.org", firstName="Mallory")
    await w.state("web", "analytics", "given", anonymousId=LONELY)
    await w.act("web", anonymousId=LONELY)
    await w.act("web", anonymousId="a1")
    await w.send("web", type="alias", userId="olga", previousId="a1")
    await w.state("web", "analytics", "refused", anonymousId="a1")
    # Two devices that share a guest's address and no account.
    await w.identify("web", anonymousId=GUEST, email="guest@example.org")
    await w.identify("web", anonymousId="guest-2", email="guest@example.org")
    await w.state("web", "personalisation", "withdrawn", anonymousId="guest-2")
    # A banner whose state every event carries.
    carried = {"consent": {"categoryPreferences": {"Analytics": True, "Advertising": False}}}
    for sku in ("p1", "p2"):
        await w.act("web", userId="pia", anonymousId="pias-device", sku=sku, context=carried)
    await w.act("web", "Order Completed", userId="ada", sku="p5")


async def write_graph(client: GraphClient) -> None:
    """Writes the whole graph."""
    policy, writer = Policy.default(), Writer()
    await migrate(client, clock=lambda: Millis(START))
    await apply_policy(client, policy, Millis(START))
    services = Services(client, policy, WalkRecommender(), b"s" * 32, lambda: writer.now)
    for name in ("web", "shop", "crm"):
        await register_source(services, name, NAMESPACES[name])
    async with Ingestor(client, policy, services.clock) as writer.ingestor:
        await write_people(writer)
        await write_cases(writer)
    await rfm.refresh_rfm(services, RfmConfig())


async def dump(client: GraphClient) -> dict[str, Any]:
    """Returns nodes by label, and relationships with the labels and keys of their ends."""
    nodes: dict[str, list[Any]] = {}
    for row in await client.read("MATCH (n) RETURN labels(n)[0] AS label, properties(n) AS facts"):
        if row["label"] not in LEFT_OUT:
            nodes.setdefault(row["label"], []).append(dict(sorted(row["facts"].items())))
    keys = {label.value: key for label, key in UNIQUE_KEYS.items()}
    edges = []
    statement = """
    MATCH (a)-[r]->(b)
    RETURN type(r) AS type, labels(a)[0] AS start, properties(a) AS a, labels(b)[0] AS end, properties(b) AS b,
           properties(r) AS facts
    """
    for row in await client.write(lambda tx: tx.run(statement)):
        if not LEFT_OUT & {row["start"], row["end"]}:
            start, end = row["a"][keys[row["start"]]], row["b"][keys[row["end"]]]
            facts = dict(sorted(row["facts"].items()))
            edges.append([row["type"], row["start"], start, row["end"], end, facts])
    return {
        "now": START + 200 * MINUTE,
        "nodes": {label: sorted(some, key=json.dumps) for label, some in sorted(nodes.items())},
        "relationships": sorted(edges, key=json.dumps),
    }


async def build() -> dict[str, Any]:
    """Writes the graph into a new store and returns what is in it."""
    for module in (transaction, linkage, rfm):
        module.ULID = Numbered  # type: ignore[attr-defined]
    with tempfile.TemporaryDirectory() as folder, EmbeddedStore.start(Path(folder), EngineOptions()) as store:
        async with await GraphClient.connect(store.target) as client:
            await write_graph(client)
            return await dump(client)


def main(target: Path) -> None:
    """Writes the file, with a line for each node and relationship."""
    found = asyncio.run(build())
    labels = [f"{json.dumps(label)}: [\n{join(some)}\n]" for label, some in found["nodes"].items()]
    parts = [f'"now": {found["now"]}', f'"nodes": {{\n{",".join(labels)}\n}}']
    parts.append(f'"relationships": [\n{join(found["relationships"])}\n]')
    target.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")


def join(rows: list[Any]) -> str:
    """Returns rows as lines of JSON."""
    return ",\n".join(json.dumps(row) for row in rows)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
