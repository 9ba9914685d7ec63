"""Attacks on everybody else's service: memory, connections, the store's time, and requests that are made to fail."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Collection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import psutil
import pytest

from algorithms.arrays import Csr
from algorithms.identity.normalise import examine_identifier
from algorithms.recommendation.support import Supporters, find_supported_pairs
from api.collection.origin import Origin
from api.collection.segment.mapping import read_message
from api.collection.segment.traits import find_fact
from graph.access.sources import read_source
from graph.consent import bars
from graph.consent.bars import MOST_MARKED, mark_stale
from graph.model.identity import Grade, IdentifierRef, RecordKind, RecordRef, StatedIdentifier, UserId
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import Engine, GraphClient, Writer
from resolvers.collection.arrival import Arrival
from resolvers.consent import recording
from resolvers.consent.permits import refresh_stale
from resolvers.recommendation import fit
from resolvers.recommendation.fit import WalkFitConfig, refresh_walk
from tests.attacks.town import AT_SHOP, EMAIL, Town, build_town
from tests.usage import find_statements
from tests.world import Reader, browser, identify, new_device, open_world, prefer, view, viewed

pytestmark = pytest.mark.store


async def test_an_attacker_wants_a_long_number_to_fail_inside_the_server(town: Town) -> None:
    number = "9" * 5000
    http = town.world.http
    bodies = (
        f'{{"query": "{{ items(first: {number}) {{ nodes {{ key }} }} }}"}}',
        f'{{"query": "query($n: Int!) {{ items(first: $n) {{ nodes {{ key }} }} }}", "variables": {{"n": {number}}}}}',
    )
    for body in bodies:
        answer = await http.post(
            "/graphql",
            content=body,
            headers={"authorization": f"Bearer {town.front.credential}", "content-type": "application/json"},
        )
        assert answer.status_code == 400 or "errors" in answer.json()
        assert answer.status_code < 500
        assert "INTERNAL_SERVER_ERROR" not in answer.text


async def test_an_attacker_wants_documents_without_a_credential_to_fill_the_memory(town: Town) -> None:
    process = psutil.Process()
    before = process.memory_info().rss
    wide = "\U0001f600" + "x" * 900_000  # one such character makes Python keep four bytes for each
    for number in range(40):
        query = f'{{ __type(name: "{wide}{number}") {{ name }} }}'
        answer = await town.world.http.post("/graphql", json={"query": query})
        assert answer.status_code < 500
    assert process.memory_info().rss - before < 120 << 20


def test_an_attacker_wants_long_names_to_fill_the_caches() -> None:
    process = psutil.Process()

    def send(long: str) -> None:
        device = RecordRef("web", RecordKind.ANONYMOUS, long)
        claimed = StatedIdentifier(IdentifierRef("user_id", long), Grade.CLAIMED)
        Arrival.of(Message("m", "web", device, Millis(1), Millis(1), also=device, identifiers=(claimed,)))
        examine_identifier("email", f"{long}@shop.example")
        examine_identifier("phone", long)
        find_fact(long)

    before = process.memory_info().rss
    for number in range(20_000):
        send(f"{number}-" + "\U0001f600" * 480)
    assert process.memory_info().rss - before < 60 << 20


@pytest.fixture
async def narrow(store: GraphClient, tmp_path: Path) -> AsyncIterator[Town]:
    """The town on a server with low limits, so that a test meets them."""
    limits = {"client_rate": "50/minute", "stranger_rate": "20/minute", "body_seconds": 1, "head_seconds": 1}
    async with open_world(store, tmp_path / "narrow", **limits) as world:
        yield await build_town(world)


@pytest.mark.parametrize("part", ["head", "body"])
async def test_an_attacker_wants_slow_requests_to_hold_connections(narrow: Town, part: str) -> None:
    url = urlsplit(str(narrow.world.http.base_url))
    head = b"POST /v1/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 400000\r\n"
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    writer.write(head if part == "head" else head + b"\r\n{")
    await writer.drain()
    try:
        answer = await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()
    assert not answer or b" 408 " in answer.split(b"\r\n")[0] or b" 401 " in answer.split(b"\r\n")[0]


@pytest.mark.parametrize("who", ["a client", "a stranger"])
async def test_an_attacker_wants_to_ask_without_end(narrow: Town, who: str) -> None:
    stranger = Reader(narrow.world.http, "nobody")
    asking = narrow.front if who == "a client" else stranger
    answers = [await asking.post("{ purposes { key } }") for _ in range(60)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert refused
    assert all(int(answer.headers["retry-after"]) >= 1 for answer in refused)
    other = await narrow.service.post("{ purposes { key } }")
    assert other.status_code == (200 if who == "a client" else other.status_code)


async def test_an_attacker_wants_to_grow_a_record_without_end(town: Town) -> None:
    device = new_device()
    rejected = 0
    for part in range(40):
        traits = {f"attribute_{part}_{n}": "x" * 400 for n in range(60)}
        answer = await town.web.post(identify(traits, anonymousId=device))
        assert answer.status_code == 200
        rejected += sum(answer.json()["rejected"].values())
    assert rejected
    await town.web.send(prefer("personalisation", anonymousId=device))
    seen = await town.front.see(browser("web", device), "attributes")
    assert len(str(seen["attributes"])) < 300_000


async def test_an_attacker_wants_a_long_chain_of_records_to_hold_every_write(town: Town) -> None:
    links = [
        {"externalIds": [{"type": "chain", "id": f"n{number + step}"} for step in (0, 1)]} for number in range(400)
    ]
    await town.crm.send(*(identify(userId=f"k{number}", context=link) for number, link in enumerate(links)))
    started = time.perf_counter()
    joining = town.crm.send(identify(userId="k0", context={"externalIds": [{"type": "chain", "id": "n400"}]}))
    await asyncio.gather(joining, town.victim.withdraw("marketing"))
    assert time.perf_counter() - started < 30
    assert not (await town.victim.consents())["marketing", None]


async def test_an_attacker_wants_a_filter_to_read_a_whole_history_for_nothing(town: Town) -> None:
    await town.victim.state("personalisation")
    filtered = 'interactions(first: 100, where: {item: "x", types: [VIEWED]}) { nodes { id } }'
    many = " ".join(f"f{n}: {filtered}" for n in range(40))
    answer = await town.front.post(f"query($by: ProfileKey!) {{ profile(by: $by) {{ {many} }} }}", by=AT_SHOP)
    assert answer.json()["errors"][0]["extensions"]["code"] == "QUERY_TOO_COMPLEX"


async def test_a_person_wants_filters_of_recommendations_to_hold_the_server(town: Town) -> None:
    """A filter that nothing passes is asked of every item."""
    mallory = await town.mallory("shop")
    await mallory.state("personalisation")
    one = 'recommendations(first: 1, where: {topic: "none", minYear: 9000}) { score }'

    async def ask(number: int) -> str:
        return (await mallory.post(f"{{ me {{ {' '.join(f'a{n}: {one}' for n in range(number))} }} }}")).text

    assert "errors" not in await ask(9)
    assert "QUERY_TOO_COMPLEX" in await ask(10)


async def test_a_person_wants_the_items_that_she_looks_at_to_fill_the_memory_by_their_square(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model counts pairs of the items that a person chose: not of all, and of none that no catalogue declares."""
    counted: list[int] = []

    def watch(chosen: Csr, supporters: Supporters) -> Csr:
        counted.append(int(np.diff(chosen.indptr).max()))
        return find_supported_pairs(chosen, supporters)

    monkeypatch.setattr(fit, "find_supported_pairs", watch)
    monkeypatch.setattr(fit, "MOST_ITEMS", 20)
    upsert = "mutation($input: [ItemInput!]!) { upsertItems(input: $input) { accepted } }"
    await town.operator.ask(upsert, input=[{"key": f"i{n}", "title": "Item"} for n in range(30)])
    for name in ("mallory", *(f"mallory{n}" for n in range(4))):
        products = [{"product_id": f"{kind}{n}"} for kind in ("i", name) for n in range(30)]
        seen = {"type": "track", "event": "Order Completed", "properties": {"products": products}}
        await town.shop.send(identify(userId=name), prefer("personalisation", userId=name), seen | {"userId": name})
    await refresh_walk(town.world.services, WalkFitConfig(held_back=0))
    assert counted == [20]


def scan(number: int) -> str:
    """Returns filters that no item of the catalogue passes, side by side."""
    filters = (f"a{n}: items(first: 100, where: {{minYear: {9000 + n}}}) {{ nodes {{ key }} }}" for n in range(number))
    return f"{{ {' '.join(filters)} }}"


async def test_a_partner_wants_scans_of_the_catalogue_to_starve_everybody_else(town: Town) -> None:
    items = "UNWIND range(1, 500) AS n CREATE (:Item {key: toString($page) + '-' + toString(n), updated_at: 1})"
    for page in range(10):
        await town.world.services.client.write(lambda tx, page=page: tx.run(items, page=page))  # type: ignore[misc]
    assert "QUERY_TOO_COMPLEX" in (await town.acme.post(scan(20))).text
    answered, over = 0, asyncio.Event()

    async def flood() -> None:
        nonlocal answered
        while not over.is_set():
            answer = await town.acme.post(scan(9))
            assert answer.status_code < 500 or "STORE_TIMEOUT" in answer.text
            answered += 1

    flooding = [asyncio.create_task(flood()) for _ in range(60)]
    await asyncio.sleep(1)
    before = answered
    assert await town.front.see(AT_SHOP, "id")
    meanwhile = answered - before
    await town.victim.withdraw("marketing")
    over.set()
    await asyncio.gather(*flooding)
    slow = town.world.services.client.engine is Engine.EMBEDDED  # Neo4j answers a scan in a moment
    assert not slow or meanwhile < len(flooding) / 2, "others waited until most of the flood was answered"


async def test_an_attacker_wants_long_histories_of_claimed_devices_to_slow_the_victim_down(town: Town) -> None:
    """Of each device, only its latest sessions are read, whatever it did before."""
    await town.victim.state("personalisation")
    for _ in range(8):
        device = new_device()
        await town.web.send(prefer("personalisation", anonymousId=device), identify(userId="u17", anonymousId=device))
        order = {"type": "track", "event": "Order Completed", "anonymousId": device}
        for _ in range(4):
            products = [{"product_id": f"x{number}"} for number in range(250)]
            await town.web.send(*(order | {"properties": {"products": products}} for _ in range(3)))
        views = (view(f"y{number}", anonymousId=device, context={"sessionId": number}) for number in range(100))
        await town.web.send(*views)
    assert "y99" in viewed(await town.front.see(AT_SHOP))
    bought = "interactions(first: 5, where: {types: [PURCHASED]}) { nodes { id } }"
    assert (await town.front.see(AT_SHOP, bought))["interactions"]["nodes"] == []


async def test_an_attacker_wants_a_flood_of_banners_to_delay_those_of_others(town: Town) -> None:
    flood = [
        town.web.post(*(prefer("personalisation", number % 2 == 0, anonymousId=new_device()) for number in range(1000)))
        for _ in range(4)
    ]
    sending = asyncio.gather(*flood)
    for _ in range(500):
        if town.world.runtime.ingestor.waiting >= 2000:
            break
        await asyncio.sleep(0.02)
    services = town.world.services
    source = await read_source(services.client, "web")
    assert source is not None
    banner = prefer("marketing", anonymousId=new_device(), messageId="elsewhere")
    message = read_message(banner, Origin(source, services.clock(), services.policy))
    await town.world.runtime.ingestor.submit([message], sender="web elsewhere")
    unfinished = not sending.done()
    await sending
    assert unfinished, "the banner waited for everybody else's"


async def test_an_attacker_wants_a_crowd_of_writes_to_delay_a_withdrawal(town: Town) -> None:
    await town.victim.state("personalisation")
    answered, over = 0, asyncio.Event()

    async def flood() -> None:
        nonlocal answered
        while not over.is_set():
            await town.web.post(*(view(f"i{n}", anonymousId=new_device()) for n in range(200)))
            answered += 1

    flooding = [asyncio.create_task(flood()) for _ in range(15)]
    await asyncio.sleep(0.5)
    before = answered
    await town.victim.withdraw("personalisation")
    meanwhile = answered - before
    over.set()
    await asyncio.gather(*flooding)
    # Neo4j writes several groups side by side, each of which takes as many times longer.
    rounds = 1 if town.world.services.client.engine is Engine.EMBEDDED else 8
    assert meanwhile < rounds * len(flooding), "the withdrawal waited for everybody else"


async def test_an_attacker_wants_a_long_log_to_hold_every_statement_of_others(town: Town) -> None:
    device = new_device()
    for _ in range(2):
        await town.web.send(*(prefer("personalisation", n % 2 == 0, anonymousId=device) for n in range(700)))
    logs = "MATCH (r:Record {key: $device})-[d]->(e:ConsentEvent) RETURN type(d) AS type, count(e) AS n ORDER BY type"
    rows = await town.world.services.client.read(logs, device=device)
    assert [(row["type"], row["n"]) for row in rows] == [("DECIDED", 2), ("FORMERLY_DECIDED", 1398)]


FOLLOWERS = """
UNWIND range(1, $number) AS n
MATCH (i:Identifier {kind: 'email', value: $email})
MATCH (s:Source {name: 'shop'})
CREATE (r:Record {id: 'guest' + toString(n), source: 'shop', kind: 'user', key: 'guest-' + toString(n)})
CREATE (u:User {id: 'guest-person' + toString(n), permits: ['marketing', 'service'], permit_ends: [0, 0],
  permit_grants: ['', ''], consent_epoch: 1, created_at: 1, updated_at: 1})
CREATE (r)-[:RESOLVES_TO {from: 1}]->(u)
CREATE (r)-[:FROM]->(s)
CREATE (r)-[:IDENTIFIED_BY {grade: 'stated', since: 1}]->(i)
"""


async def test_an_attacker_wants_the_victims_withdrawal_to_wait_for_all_accounts_with_the_same_address(
    town: Town,
) -> None:
    """She opened thousands of accounts at the shop with the victim's address. Each is barred, but not all at once."""
    client = town.world.services.client
    await town.crm.send(prefer("marketing", userId="c17"))
    await client.write(lambda tx: tx.run(FOLLOWERS, number=2 * MOST_MARKED, email=EMAIL))
    ended: list[int] = []

    async def count(tx: Writer, users: Collection[UserId], now: Millis) -> None:
        ended.append(len(users))
        await mark_stale(tx, users, now)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bars, "mark_stale", count)
        await (await town.world.token("page", "crm", "c17")).withdraw("marketing")
    assert sum(ended) <= MOST_MARKED
    assert not (await (await town.world.token("page", "crm", "c17")).consents())["marketing", None]
    await refresh_stale(client, town.world.services.policy, town.world.clock())
    rows = await client.read("MATCH (u:User) WHERE 'marketing' IN u.permits RETURN count(u) AS number")
    assert rows[0]["number"] == 0


async def count_live(town: Town, key: str) -> int:
    """The number of statements on a record that every further one reads."""
    logs = "MATCH (:Record {key: $key})-[:DECIDED]->(e:ConsentEvent) RETURN count(e) AS n"
    return int((await town.world.services.client.read(logs, key=key))[0]["n"])


async def test_an_attacker_wants_consents_of_tomorrow_to_fill_a_log(town: Town) -> None:
    device = new_device()
    await town.web.send(prefer("analytics", anonymousId=device))
    for part in range(3):
        at = town.world.clock() + 3_600_000 + part
        await town.web.try_send(*(prefer("personalisation", timestamp=at, anonymousId=device) for _ in range(200)))
    assert await count_live(town, device) == recording.MOST_UNVOUCHED
    for _ in range(3):
        await town.web.send(prefer("analytics", False, anonymousId=device))
        await town.web.send(prefer("personalisation", False, anonymousId=device))
    assert await count_live(town, device) <= recording.MOST_UNVOUCHED + 2
    town.world.clock.skip(days=1)
    told = await town.auditor.consents(browser("web", device))
    assert not told["analytics", None]
    assert not told["personalisation", None]


@pytest.mark.parametrize("varied", ["recipient", "notice", "noticeVersion", "controller", "jurisdiction"])
async def test_an_attacker_wants_different_consents_to_fill_a_log(
    town: Town, varied: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_LIVE", 20)
    mallory = await town.mallory("shop")
    mutation = "mutation($input: ConsentInput!) { recordConsent(input: $input) { accepted } }"
    for state in ("GIVEN", "UNKNOWN", "REFUSED"):
        for number in range(12):
            statement = {"purpose": "partner_sharing", "state": state, "notice": "n", varied: f"X{number}"}
            answer = await mallory.post(mutation, input=statement)
            assert "errors" not in answer.json() or "different consent statements" in answer.text
    assert await count_live(town, "mallory") <= 21
    await mallory.withdraw("partner_sharing", jurisdiction="DE")
    assert await count_live(town, "mallory") <= 21
    told = await mallory.consents()
    assert not any(permitted for (purpose, _), permitted in told.items() if purpose == "partner_sharing")


async def test_a_marketing_front_end_wants_withdrawals_that_it_invents_to_leave_the_victims_grants_no_room(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_LIVE", 10)
    monkeypatch.setattr(recording, "MOST_OF_FRONTENDS", 5, raising=False)
    named = {"source": "shop", "userId": "u17"}
    mutation = "mutation($input: WithdrawInput!) { withdrawConsent(input: $input) { accepted } }"
    for number in range(12):
        invented = {"record": named, "purpose": "partner_sharing", "recipient": f"invented {number}"}
        answer = await town.mail.post(mutation, input=invented)
        assert "errors" not in answer.json() or "different consent statements" in answer.text
    await town.victim.state("partner_sharing", recipient="acme")
    await town.operator.state("analytics", record=named)
    await town.shop.send(prefer("personalisation", userId="u17"))
    told = await town.victim.consents()
    assert all(told[one] for one in (("partner_sharing", "acme"), ("analytics", None), ("personalisation", None)))
    await town.mail.withdraw("partner_sharing", record=named)
    assert not (await town.victim.consents())["partner_sharing", None]


async def test_an_attacker_wants_one_message_to_leave_hundreds_of_identifiers(town: Town) -> None:
    many = {"externalIds": [{"type": "c", "id": f"c{number}"} for number in range(400)]}
    await town.web.try_send(identify(userId="u17", anonymousId=new_device(), context=many))
    held = "MATCH (n:Identifier {kind: 'c'}) RETURN count(n) AS number"
    assert (await town.world.services.client.read(held))[0]["number"] <= 64


def find_merges_from_records(text: str) -> list[str]:
    """Returns the relationships that a statement merges from a record's side, as it is written."""
    starts = re.findall(r"MERGE \((\w+)\)<?-\[", text)
    return [name for name in starts if re.search(rf"\({name}:Record\b", text)]


def test_an_attacker_wants_whatever_is_added_to_a_record_to_look_through_all_that_it_has() -> None:
    """`MERGE` looks for a relationship from the end that is written first: a record may have any number of sessions and
    statements, and each of these has one record."""
    old = "MATCH (r:Record {id: 'a'}) MERGE (s:Session {id: 'b'}) MERGE (r)-[:HAD]->(s)"
    assert find_merges_from_records(old) == ["r"]
    assert not find_merges_from_records(old.replace("(r)-[:HAD]->(s)", "(s)<-[:HAD]-(r)"))
    assert not [one.name for one in find_statements(["graph"]) if find_merges_from_records(one.text)]
