"""An integer of 5,000 digits is over Python's limit for conversions: it must be refused as input, not as our fault."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from tests.attacks.serving import Served

DIGITS = "9" * 5000
LITERALS = (
    "{ items(first: DIGITS) { edges { node { title } } } }",
    "{ items(first: -DIGITS) { edges { node { title } } } }",
    "query ($n: Int = DIGITS) { items(first: $n) { edges { node { title } } } }",
    "{ items(where: {priceMin: DIGITS}) { edges { node { title } } } }",
    "{ items(where: {priceMin: DIGITS.5}) { edges { node { title } } } }",
    "{ items(where: {priceMin: 1eDIGITS}) { edges { node { title } } } }",
    "{ item(key: DIGITS) { title } }",
    "{ node(id: DIGITS) { id } }",
    "{ purposes @skip(if: DIGITS) { key } }",
    '{ profile(by: {record: {source: "shop", key: DIGITS}}) { givenName } }',
    'mutation { recordConsent(input: {record: {source: "shop", userId: DIGITS}}) { __typename } }',
)
pytestmark = pytest.mark.store


def ask(served: Served, key: str, body: bytes, accept: str = "application/json") -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": accept}
    return httpx.post(f"{served.url}/graphql", content=body, headers=headers)


@pytest.fixture(scope="module")
def key(served: Served) -> str:
    return served.make_client("frontend", "--purpose", "service")[1]


@pytest.fixture(scope="module")
def write_key(served: Served) -> str:
    return served.make_source()[1]


@pytest.mark.parametrize("document", LITERALS)
def test_a_literal_in_a_document_is_bad_input(served: Served, key: str, document: str) -> None:
    body = json.dumps({"query": document.replace("DIGITS", DIGITS)}).encode()
    response = ask(served, key, body, "application/graphql-response+json")
    assert response.status_code == 400, response.text
    assert {error["extensions"]["code"] for error in response.json()["errors"]} == {"BAD_USER_INPUT"}


@pytest.mark.parametrize("number", [DIGITS, f"-{DIGITS}", f"{DIGITS}.5", f"1e{DIGITS}"])
@pytest.mark.parametrize("place", ['"variables": {"n": NUMBER}', '"extensions": {"n": NUMBER}', '"more": NUMBER'])
def test_a_number_in_a_graphql_body_is_bad_input(served: Served, key: str, place: str, number: str) -> None:
    body = '{"query": "query ($n: Int) { items(first: $n) { edges { node { title } } } }", ' + place + "}"
    response = ask(served, key, body.replace("NUMBER", number).encode())
    assert response.status_code == 400
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


def test_a_number_in_variables_of_a_get_request_is_bad_input(served: Served, key: str) -> None:
    headers = {"Authorization": f"Bearer {key}"}
    parameters = {"query": "{ purposes { key } }", "variables": '{"n": ' + DIGITS + "}"}
    response = httpx.get(f"{served.url}/graphql", params=parameters, headers=headers)
    assert response.status_code == 400


@pytest.mark.parametrize("number", [DIGITS, f"-{DIGITS}", f"{DIGITS}.5", f"1e{DIGITS}", "9" * 400, "1e400"])
@pytest.mark.parametrize("kind", ["identify", "track", "page", "screen", "group", "alias", "batch"])
def test_a_number_in_a_message_is_rejected(served: Served, write_key: str, kind: str, number: str) -> None:
    message = '{"type": "track", "event": "e", "userId": "u", "anonymousId": "a", "properties": {"n": ' + number + "}}"
    body = (
        '{"batch": [' + message + ', {"type": "track", "event": "e", "userId": "u"}]}' if kind == "batch" else message
    )
    response = httpx.post(f"{served.url}/v1/{kind}", content=body.encode(), auth=(write_key, ""))
    if kind == "batch":
        assert response.status_code == 200
        assert response.json()["rejected"] == {"bad_value": 1}
    else:
        assert response.status_code == 400, response.text
        assert response.json()["error"]["code"] == "BAD_USER_INPUT"


def test_a_loaded_number_becomes_a_dead_letter_and_its_replay_keeps_it(served: Served, tmp_path: Path) -> None:
    source, _ = served.make_source()
    file = tmp_path / "numbers.ndjson"
    file.write_text('{"type": "track", "event": "e", "userId": "u", "properties": {"n": ' + DIGITS + "}}\n")
    loaded = served.run_json("load", str(file), "--source", source)
    assert loaded["rejected"] == {"bad_value": 1}
    replayed = served.run_json("dead-letters", "replay", "--source", source)
    assert replayed["accepted"] == 0
