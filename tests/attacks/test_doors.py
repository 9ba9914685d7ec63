"""Attacks on the doors themselves: keys in the wrong place, old messages sent again, and secrets that leave traces."""

from __future__ import annotations

import json
import logging

import httpx
import pytest

from api.cli.dead_letters import replay_with
from resolvers.access import registration
from resolvers.collection.dead_letters import list_letters
from tests.attacks.town import AT_SHOP, EMAIL, Town
from tests.world import identify, new_device, prefer, record, view, viewed

pytestmark = pytest.mark.store


@pytest.mark.parametrize("header", [{"origin": "https://shop.example"}, {"sec_fetch_site": "cross-site"}])
async def test_an_attacker_wants_to_use_a_server_key_that_somebody_put_into_a_page(
    town: Town, header: dict[str, str]
) -> None:
    for sender in (town.shop, town.crm):
        answer = await sender.post(prefer("marketing", userId="u17"), **header)
        assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")
        assert sender.key not in answer.text
    assert not (await town.consents())["marketing", None]


async def test_a_page_may_use_a_public_key(town: Town) -> None:
    answer = await town.web.post(view("tea", anonymousId=new_device()), origin="https://shop.example")
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in ("*", "https://shop.example")
    assert town.web.key.partition("_")[0] != town.shop.key.partition("_")[0]


async def test_an_attacker_wants_a_revoked_key_to_work_for_a_while(town: Town) -> None:
    assert await town.front.see(AT_SHOP, "id")
    await registration.revoke_client(town.world.services, "front")
    town.world.clock.forget_credentials()
    answer = await town.front.post("{ purposes { key } }")
    assert answer.status_code == 401


async def test_an_attacker_wants_the_replay_of_a_dead_letter_to_grant(town: Town) -> None:
    await town.web.try_send(
        prefer("marketing", userId="u17"),
        identify({"email": EMAIL, "firstName": "Mallory"}, userId="u17"),
        {"type": "track", "event": "x", "userId": "u17", "timestamp": "yesterday"},
        prefer("marketing", userId="u17", timestamp="yesterday"),
    )
    letters = await list_letters(town.world.services.client, 100)
    assert len(letters) == 4
    town.world.clock.skip(days=2)
    await replay_with(town.world.runtime, None, None)
    assert not (await town.consents())["marketing", None]
    assert (await town.service.see(AT_SHOP))["givenName"] == "Vera"


async def test_an_attacker_wants_a_replayed_claim_to_be_the_first(town: Town) -> None:
    device = new_device()
    await town.shop.send(identify(userId="mallory"), prefer("personalisation", userId="mallory"))
    await town.web.send(prefer("personalisation", anonymousId=device), view("before", anonymousId=device))
    late = identify(userId="mallory", anonymousId=device, timestamp="2020-01-01T00:00:00Z", receivedAt="2020-01-01")
    await town.victim.state("personalisation")
    await town.web.send(identify(userId="u17", anonymousId=device))
    await town.web.try_send(late | {"timestamp": "never"}, late)
    await replay_with(town.world.runtime, None, None)
    assert "before" not in viewed(await town.front.see(record("shop", "mallory")))


async def test_an_attacker_wants_to_read_secrets_in_dead_letters_logs_or_metrics(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    proof = {"userToken": town.victim.credential, "userHash": "v1.9999999999.c2VjcmV0LXVzZXItaGFzaA"}
    bad = {
        "type": "track",
        "event": "",
        "writeKey": town.shop.key,
        "userId": "u17",
        "anonymousId": "",
        "context": proof,
    }
    http = town.world.http
    for body in (json.dumps(bad), json.dumps({"batch": [bad], "writeKey": town.shop.key}), json.dumps(bad)[:-1]):
        for path in ("/v1/track", "/v1/batch"):
            await http.post(path, content=body, auth=(town.shop.key, ""))
            await http.post(path, content=body, auth=(town.web.key, ""))
    await town.web.try_send({"type": "alias", "userId": "u17", "context": proof})
    kept = "".join(f"{one.payload}{one.message}" for one in await list_letters(town.world.services.client, 100))
    assert "u17" in kept
    logged = "".join(f"{entry.getMessage()}{entry.__dict__}" for entry in caplog.records if "httpx" not in entry.name)
    shown = (await http.get("/metrics")).text
    for secret in (town.shop.key, town.web.key, town.victim.credential, "c2VjcmV0LXVzZXItaGFzaA"):
        assert secret not in kept
        assert secret not in logged
        assert secret not in shown


async def test_an_attacker_wants_to_learn_from_metrics_that_a_partner_read_somebody(town: Town) -> None:
    await town.victim.state("partner_sharing", recipient="acme", expiresAt="2100-01-01T00:00:00Z")

    async def writes() -> float:
        lines = (await town.world.http.get("/metrics")).text.splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if 'store_seconds_count{kind="write"' in line)

    before = await writes()
    town.world.clock.skip(days=365 * 80)
    assert await town.acme.see(AT_SHOP, "id") is None
    assert await writes() == before


async def test_an_attacker_wants_a_token_that_never_expires(town: Town) -> None:
    from graph.model.identity import RecordKind, RecordRef

    subject = RecordRef("shop", RecordKind.USER, "u17")
    token = town.world.issuer.sign("page", subject, town.world.clock(), 10 * 365 * 86_400)
    answer = await town.world.http.post(
        "/graphql", json={"query": "{ me { id } }"}, headers={"authorization": f"Bearer {token}"}
    )
    assert answer.status_code == 401


async def test_an_attacker_wants_to_know_how_the_store_is_set_up(town: Town) -> None:
    client = town.world.services.client
    texts = []
    for query in ("{ me { id } }", '{ node(id: "x") { id } }', "{ system { store { engine } } }"):
        texts.append((await town.front.post(query)).text)
    texts.append((await town.world.http.get("/readyz")).text)
    assert client is not None
    assert not [text for text in texts if "CONSENTRIC_" in text or "bolt" in text]


async def test_an_attacker_wants_an_open_page_to_read_with_the_victims_token(town: Town) -> None:
    preflight = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    answer: httpx.Response = await town.world.http.options("/graphql", headers=preflight)
    assert "access-control-allow-origin" not in answer.headers
