"""Two stores that differ only in what a viewer may not see return byte-identical responses to that viewer.

Both are one store before and after a change to withheld data, so that IDs and times of visible data are equal. Canaries
in the withheld values must not appear in any response.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from graph.store.client import GraphClient
from tests.api.door import URL, Door, given, identify, open_door, viewed

pytestmark = pytest.mark.store

CANARY = "canary7f3a"
EVERYTHING = """
    id createdAt updatedAt email phone givenName familyName birthDate address { street city } age gender language
    country attributes preferences identifiers { kind value } consents { purpose permitted } withheld { field reason }
    consentHistory(first: 5) { nodes { purpose } pageInfo { hasNextPage } }
    sessions(first: 5) { edges { cursor node { id source } } pageInfo { hasNextPage endCursor } }
    interactions(first: 5) { edges { cursor node { type item { key } } } pageInfo { hasNextPage endCursor } }
    segments { segment { key size } score } rfm { cell } recommendations(first: 5) { item { key } score }
"""
BY = 'by: {{record: {{source: "shop", key: "{}"}}}}'


def probes(person: str, other: str) -> list[tuple[str, dict[str, Any]]]:
    """Returns one query per channel, about a person whose values are withheld and one whose existence is hidden."""
    one, hidden = BY.format(person), BY.format(other)
    return [
        (f"{{ profile({one}) {{ {EVERYTHING} }} }}", {}),
        (f"{{ profile({hidden}) {{ {EVERYTHING} }} }}", {}),
        (f"{{ a: profile({one}) {{ x: email y: givenName }} b: profile({hidden}) {{ z: email }} }}", {}),
        (
            f"{{ profile({one}) {{ ...f ... on Node {{ id }} ... on Profile {{ attributes }} }} }}"
            " fragment f on Profile { email interactions(first: 1) { nodes { at } } }",
            {},
        ),
        (
            f"query($on: Boolean!, $off: Boolean!) {{ profile({one})"
            " { email @include(if: $on) givenName @skip(if: $off) attributes @include(if: $off) } }",
            {"on": True, "off": False},
        ),
        ("query($id: ID!) { node(id: $id) { __typename ... on Profile { email age } } }", {"id": "UHJvZmlsZTp4"}),
        (f'{{ profile(by: {{identifier: {{kind: "email", value: "{CANARY}-bob@example.com"}}}}) {{ id }} }}', {}),
        (f'{{ profile(by: {{identifier: {{kind: "user_id", value: "{other}"}}}}) {{ id }} }}', {}),
        (f"{{ profile({one}) {{ interactions(first: 0) {{ nodes {{ id }} }} }} }}", {}),
        (f"{{ profile({one}) {{ sessions(first: 101) {{ nodes {{ id }} }} }} }}", {}),
        (f'{{ profile({one}) {{ interactions(first: 3, after: "AAAA") {{ nodes {{ id }} }} }} }}', {}),
        (f'{{ profile({one}) {{ interactions(first: 3, where: {{item: "i1"}}) {{ nodes {{ id }} }} }} }}', {}),
        (f"{{ profile({one}) {{ recommendations(first: 999) {{ score }} }} }}", {}),
        (f"{{ profile({one}) {{ recommendations(strategy: USER_USER) {{ score }} }} }}", {}),
        (f"{{ profile({one}) {{ recommendations(first: 4, strategy: POPULAR) {{ score }} }} }}", {}),
        (f"{{ profile({hidden}) {{ interactions(first: 0) {{ nodes {{ id }} }} }} }}", {}),
        (
            "{ items(first: 9) { nodes { key } pageInfo { hasNextPage } } segments(first: 9) { nodes { key size } } }",
            {},
        ),
        ('{ items(first: 9) { nodes { key title category updatedAt } } item(key: "i1") { updatedAt } }', {}),
        ("{ me { id } }", {}),
        ("{ system { counts { users } } }", {}),
        (f"{{ profile({one}) {{ emial }} }}", {}),
    ]


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    async with open_door(store) as door:
        await door.client("web", "frontend", "personalisation")
        await door.client("web2", "frontend", "personalisation")
        await door.client("acme", "partner", "partner_sharing", recipient="acme")
        await door.load(
            {"type": "item", "itemId": "i1", "title": "Lamp"},
            {"type": "item", "itemId": "i2", "title": "Chair"},
            identify("ada", email="ada@example.com", firstName="Ada", age=36, plan="gold"),
            identify("dan", email="dan@example.com", firstName="Dan", age=40),
            *given("ada", "partner_sharing", recipient="acme"),
        )
        await door.services.recommender.load(door.services.client, catalogue=True)
        yield door


async def answers(door: Door, key: str, about: list[tuple[str, dict[str, Any]]]) -> list[tuple[int, bytes, str]]:
    found = []
    for query, variables in about:
        got: httpx.Response = await door.send(query, key, variables)
        found.append((got.status_code, got.content, str(sorted(got.headers.items()))))
    return found


async def test_a_partner_learns_nothing_of_withheld_values_and_invisible_people(door: Door) -> None:
    about = probes("ada", "bob")
    before = await answers(door, door.keys["acme"], about)
    await door.load(
        identify("ada", email=f"{CANARY}@example.com", firstName=CANARY, plan=CANARY, address={"city": CANARY}),
        viewed("ada", "i1", f"{CANARY}-1"),
        viewed("ada", "i2", f"{CANARY}-2"),
        identify("bob", email=f"{CANARY}-bob@example.com", firstName=CANARY, age=99),
        viewed("bob", "i1", f"{CANARY}-3"),
        *given("bob", "personalisation", "analytics"),
        *given("ada", "analytics", "personalisation", "marketing", state="refused"),
    )
    after = await answers(door, door.keys["acme"], about)
    for (query, _), one, other in zip(about, before, after, strict=True):
        assert one == other, query
        assert CANARY.encode() not in other[1].replace(query.encode(), b""), query


async def test_a_front_end_learns_nothing_of_a_person_who_did_not_consent(door: Door) -> None:
    about = probes("dan", "dan")
    before = await answers(door, door.keys["web"], about)
    await door.load(
        identify("dan", email=f"{CANARY}@example.com", firstName=CANARY, age=41, plan=CANARY),
        viewed("dan", "i1", f"{CANARY}-1"),
        *given("dan", "marketing", "analytics"),
    )
    after = await answers(door, door.keys["web"], about)
    for (query, _), one, other in zip(about, before, after, strict=True):
        assert one == other, query
        assert CANARY.encode() not in other[1], query


async def test_the_probes_detect_a_visible_change(door: Door) -> None:
    """A viewer who may see the same change sees it."""
    await door.load(*given("dan", "personalisation"))
    about = probes("dan", "dan")
    before = await answers(door, door.keys["web"], about)
    await door.load(identify("dan", firstName=CANARY), viewed("dan", "i1", f"{CANARY}-1"))
    after = await answers(door, door.keys["web"], about)
    differing = [query for (query, _), one, other in zip(about, before, after, strict=True) if one != other]
    assert len(differing) >= 4


async def test_the_id_of_an_invisible_person_is_indistinguishable_from_an_unknown_one(door: Door) -> None:
    await door.load(identify("bob", firstName=CANARY))
    await door.client("audit", "auditor")
    found = await door.ask('{ profile(by: {record: {source: "shop", key: "bob"}}) { id } }', door.keys["audit"])
    query = "query($id: ID!) { node(id: $id) { id } profile(by: {id: $id}) { id email } }"
    real = await door.send(query, door.keys["acme"], {"id": found["profile"]["id"]})
    made_up = await door.send(query, door.keys["acme"], {"id": "UHJvZmlsZTowMUhYWFhYWFhYWFhYWFhYWFhYWFhYWFhY"})
    assert real.content == made_up.content


async def test_a_shared_identifier_does_not_reveal_an_invisible_person(door: Door) -> None:
    """Two people share an address: to a partner, the hidden one does not exist."""
    query = '{ profile(by: {identifier: {kind: "email", value: "ada@example.com"}}) { id age } }'
    before = await door.send(query, door.keys["acme"])
    assert before.json()["data"]["profile"]["age"] == 36
    await door.load(identify("zoe", email="ada@example.com"))
    after = await door.send(query, door.keys["acme"])
    assert before.content == after.content


async def test_a_cursor_is_valid_only_for_its_viewer_person_and_list(door: Door) -> None:
    await door.load(*given("ada", "personalisation"), *(viewed("ada", "i1", f"m{n}") for n in range(5)))
    await door.load(*given("dan", "personalisation"), *(viewed("dan", "i2", f"d{n}") for n in range(5)))
    page = """query($key: String!, $first: Int!, $after: String) {
        profile(by: {record: {source: "shop", key: $key}}) {
          interactions(first: $first, after: $after) { nodes { id } pageInfo { endCursor hasNextPage } } } }"""
    web = door.keys["web"]
    first = (await door.ask(page, web, {"key": "ada", "first": 2}))["profile"]["interactions"]
    assert [node["id"] for node in first["nodes"]] == ["shop|m4", "shop|m3"]
    cursor = first["pageInfo"]["endCursor"]
    rest = (await door.ask(page, web, {"key": "ada", "first": 9, "after": cursor}))["profile"]["interactions"]
    assert [node["id"] for node in rest["nodes"]] == ["shop|m2", "shop|m1", "shop|m0"]
    assert rest["pageInfo"]["hasNextPage"] is False
    flipped = ("B" if cursor[0] == "A" else "A") + cursor[1:]
    sessions = page.replace("interactions(", "sessions(")
    refused = [
        await door.send(page, web, {"key": "ada", "first": 2, "after": flipped}),
        await door.send(page, web, {"key": "ada", "first": 2, "after": cursor + "AA"}),
        await door.send(page, web, {"key": "ada", "first": 2, "after": "é"}),
        await door.send(page, web, {"key": "ada", "first": 2, "after": ""}),
        await door.send(page, web, {"key": "dan", "first": 2, "after": cursor}),
        await door.send(page, door.keys["web2"], {"key": "ada", "first": 2, "after": cursor}),
    ]
    assert len({response.content for response in refused}) == 1
    assert refused[0].json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
    assert await door.codes(sessions, web, {"key": "ada", "first": 2, "after": cursor}) == ["BAD_USER_INPUT"]


async def test_internal_errors_reveal_nothing(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    """The text of an exception is neither shown nor logged, because it may quote personal data."""
    await door.load(*given("ada", "personalisation"))

    def fail(*_: object, **__: object) -> None:
        raise ValueError(f"{CANARY}@example.com")

    object.__setattr__(door.services, "recommender", type("Broken", (), {"recommend": fail})())
    query = f"{{ profile({BY.format('ada')}) {{ id recommendations(first: 1) {{ score }} }} }}"
    response = await door.http.post(URL, json={"query": query}, headers={"authorization": f"Bearer {door.keys['web']}"})
    (error,) = response.json()["errors"]
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "documentation": "/errors/INTERNAL_SERVER_ERROR"}
    assert error["path"] == ["profile", "recommendations"]
    assert response.json()["data"]["profile"]["id"]
    assert CANARY not in response.text
    assert CANARY not in caplog.text
    assert "ValueError" in caplog.text
