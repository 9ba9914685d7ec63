"""The collection API over HTTP, on a real store: responses, and what is on disk when they are sent."""

from __future__ import annotations

import asyncio
import base64
import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette

from api.collection.bodies import MAX_BATCH, MAX_EVENT
from api.collection.http import collection_routes
from api.http.envelope import handle_error
from api.http.throttle import open_throttle
from api.process.runtime import Runtime
from api.process.settings import load_settings
from graph.errors import ConsentricError, RateLimited, StoreUnavailable
from graph.model.access import Trust
from graph.model.time import system_clock
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.access.credentials import Authority
from resolvers.access.registration import register_source
from resolvers.access.tokens import TokenIssuer, TokenVerifier
from resolvers.collection.ingestor import Ingestor
from resolvers.consent import recording
from resolvers.context import Services
from resolvers.recommendation.serve import WalkRecommender

pytestmark = pytest.mark.store

SECRET = b"s" * 32
VERIFIER = TokenVerifier([TokenIssuer("c", "c", Ed25519PrivateKey.generate()).trusted()], "c")


class Sender:
    """A source with its write key, and the service that it sends to."""

    def __init__(self, runtime: Runtime, key: str) -> None:
        self.services = runtime.services
        self.key = key
        app = Starlette(
            routes=collection_routes(runtime, open_throttle(load_settings())),
            exception_handlers={ConsentricError: handle_error},
        )
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://door")

    async def post(self, path: str, body: Any, *, key: str | None = "", **headers: str) -> httpx.Response:
        head = {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            head["authorization"] = "Basic " + base64.b64encode(f"{key or self.key}:".encode()).decode()
        content = body if isinstance(body, bytes) else orjson.dumps(body)
        return await self.http.post(f"/v1/{path}", content=content, headers=head)

    async def count(self, statement: str, **parameters: Any) -> int:
        return int((await self.services.client.read(statement, **parameters))[0]["n"])

    async def letters(self) -> list[tuple[str, str]]:
        rows = await self.services.client.read("MATCH (d:DeadLetter) RETURN d.reason AS reason, d.payload AS payload")
        return sorted((row["reason"], row["payload"]) for row in rows)


@pytest.fixture
async def sender(store: GraphClient) -> AsyncIterator[Sender]:
    policy = Policy.default()
    async with Ingestor(store, policy, system_clock) as ingestor:
        authority = Authority(store, SECRET, VERIFIER, system_clock)
        runtime = Runtime(Services(store, policy, WalkRecommender(), SECRET), ingestor, authority)
        made = await register_source(runtime.services, "shop", Trust.SERVER)
        one = Sender(runtime, made.write_key)
        async with one.http:
            yield one


def track(number: int = 0, **rest: Any) -> dict[str, Any]:
    event = {"type": "track", "messageId": f"m{number}", "userId": "ada", "event": "Product Viewed"}
    return event | {"properties": {"product_id": "p"}} | rest


VIEWS = "MATCH (:Session)-[e:VIEWED]->(:Item) RETURN count(e) AS n"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("identify", {"userId": "ada", "traits": {"email": "ada@example.org"}}),
        ("track", {"anonymousId": "x1", "event": "Signed Up"}),
        ("page", {"anonymousId": "x1", "name": "Home"}),
        ("screen", {"userId": "ada", "name": "Home"}),
        ("group", {"userId": "ada", "groupId": "g"}),
        ("alias", {"userId": "ada", "previousId": "x1"}),
    ],
)
async def test_each_single_endpoint_accepts_its_type(sender: Sender, path: str, body: dict[str, Any]) -> None:
    response = await sender.post(path, body | {"messageId": "m"})
    assert (response.status_code, response.json()["accepted"]) == (200, 1)
    assert (await sender.post(path, body | {"messageId": "m"})).json()["duplicate"] == 1


async def test_bad_messages_in_a_batch_do_not_affect_the_others(sender: Sender) -> None:
    bad = [None, {}, track(2, userId=None), track(3, timestamp="1815-12-10"), track(4, properties={"product_id": []})]
    response = await sender.post("batch", {"batch": [track(0), *bad, track(1), track(0)]})
    assert response.status_code == 200
    body = response.json()
    assert (body["success"], body["accepted"], body["duplicate"]) == (True, 2, 1)
    assert body["rejected"] == {
        "not_an_object": 1, "unknown_type": 1, "missing_id": 1, "bad_timestamp": 1, "wrong_type": 1,
    }  # fmt: skip
    assert [(one["index"], one["reason"], one.get("field")) for one in body["errors"]] == [
        (1, "not_an_object", None), (2, "unknown_type", "type"), (3, "missing_id", "userId"),
        (4, "bad_timestamp", "timestamp"), (5, "wrong_type", "properties.product_id"),
    ]  # fmt: skip
    assert "1815" not in response.text
    assert await sender.count(VIEWS) == 2
    assert [reason for reason, _ in await sender.letters()] == sorted(body["rejected"])


async def test_a_consent_line_over_http_is_told_where_consents_go(sender: Sender) -> None:
    line = {"type": "consent", "userId": "ada", "purpose": "marketing", "state": "given"}
    body = (await sender.post("batch", {"batch": [line]})).json()
    assert "context.consent" in body["errors"][0]["message"]
    assert "recordConsent" in body["errors"][0]["message"]


async def test_a_batch_that_is_not_json_keeps_its_valid_messages(sender: Sender) -> None:
    deep = b"[" * 3000 + b"]" * 3000
    body = b'{"batch":[%s,{"a":NaN},{"x":%s},%s,{"userId":"\\ud83d"}]}'
    response = await sender.post("batch", body % (orjson.dumps(track(0)), deep, orjson.dumps(track(1))))
    assert response.json()["accepted"] == 2
    assert response.json()["rejected"] == {"malformed_json": 1, "too_deep": 1, "bad_unicode": 1}


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("batch", b"", "malformed_json"),
        ("batch", b"{", "malformed_json"),
        ("batch", b"\xff\xfe", "malformed_json"),
        ("batch", b"\x1f\x8bgarbage", "malformed_json"),
        ("batch", {}, "missing_field"),
        ("batch", {"batch": 5}, "missing_field"),
        ("batch", {"batch": [], "sentAt": "soon"}, "bad_timestamp"),
        ("batch", {"batch": [], "sentAt": {}}, "bad_timestamp"),
        ("batch", 5, "not_an_object"),
        ("track", b"nonsense", "malformed_json"),
        ("track", b"[" * 5000, "too_deep"),
        ("track", [], "not_an_object"),
        ("track", {"userId": "ada"}, "missing_field"),
        ("track", {"event": "x", "userId": None}, "missing_id"),
        ("track", b'{"event":"x","userId":"\\ud83d"}', "bad_unicode"),
        ("identify", {"userId": "undefined"}, "blocked_id"),
    ],
)
async def test_an_unacceptable_body_is_a_400_with_its_reason(sender: Sender, path: str, body: Any, reason: str) -> None:
    response = await sender.post(path, body)
    assert (response.status_code, response.json()["success"]) == (400, False)
    assert (response.json()["error"]["code"], response.json()["error"]["reason"]) == ("BAD_USER_INPUT", reason)
    assert response.json()["error"]["documentation"] == f"/errors/rejections#{reason}"
    assert await sender.count("MATCH (n:Message) RETURN count(n) AS n") == 0


async def test_an_empty_batch_is_accepted(sender: Sender) -> None:
    assert (await sender.post("batch", {"batch": []})).json()["accepted"] == 0


async def test_gzip_is_accepted_whatever_its_labels(sender: Sender) -> None:
    packed = gzip.compress(orjson.dumps({"batch": [track(0)]}))
    labels = {"content_encoding": "gzip", "content_type": "application/x-www-form-urlencoded"}
    assert (await sender.post("batch", packed, **labels)).json()["accepted"] == 1
    assert (await sender.post("batch", packed)).json()["duplicate"] == 1
    assert (await sender.post("batch", {"batch": [track(1)]}, content_type="text/plain")).json()["accepted"] == 1
    assert (await sender.post("track", gzip.compress(orjson.dumps(track(2))))).json()["accepted"] == 1


async def test_sizes_over_the_limits_are_refused(sender: Sender) -> None:
    wide = track(1, properties={"product_id": "p", "x": "y" * MAX_EVENT})
    response = await sender.post("batch", {"batch": [track(0), wide]})
    assert (response.json()["accepted"], response.json()["rejected"]) == (1, {"too_large": 1})
    assert (await sender.post("track", wide)).status_code == 413
    assert (await sender.post("batch", b" " * (MAX_BATCH + 1))).status_code == 413
    bomb = gzip.compress(b" " * (MAX_BATCH + 1))
    assert (await sender.post("batch", bomb)).status_code == 413
    assert len(bomb) < 10_000


async def test_ten_megabytes_are_refused_before_they_are_read(sender: Sender) -> None:
    sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(160):
            sent += 65_536
            yield b" " * 65_536

    head = {"authorization": "Basic " + base64.b64encode(f"{sender.key}:".encode()).decode()}
    response = await sender.http.post("/v1/batch", content=stream(), headers=head)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "PAYLOAD_TOO_LARGE")
    assert sent < 2 * MAX_BATCH
    declared = await sender.http.post("/v1/batch", content=b"", headers=head | {"content-length": "10485760"})
    assert declared.status_code == 413


async def test_a_sender_needs_a_valid_write_key(sender: Sender) -> None:
    for key in (None, "nobody", "cw_x_y", "\u00fc"):
        response = await sender.post("batch", {"batch": [track(0)]}, key=key)
        assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        assert "www-authenticate" in response.headers
    assert await sender.count("MATCH (n:Message) RETURN count(n) AS n") == 0
    response = await sender.post("batch", {"batch": [track(0)], "writeKey": sender.key}, key=None)
    assert response.json()["accepted"] == 1
    response = await sender.post("track", track(1, writeKey=sender.key), key=None)
    assert response.json()["accepted"] == 1
    assert (await sender.post("track", track(2, writeKey=5), key=None)).status_code == 401
    assert (await sender.post("batch", b"{", key=None)).status_code == 401


async def test_other_methods_are_not_allowed(sender: Sender) -> None:
    assert (await sender.http.get("/v1/batch")).status_code == 405


class Busy(Ingestor):
    """An ingestor whose store has a transient fault."""

    error: ConsentricError = StoreUnavailable("away")

    async def submit(self, *_: Any, **__: Any) -> Any:
        raise self.error


@pytest.mark.parametrize(("error", "status"), [(StoreUnavailable("away"), 503), (RateLimited("later"), 429)])
async def test_transient_faults_ask_the_sender_to_retry(
    store: GraphClient, error: ConsentricError, status: int
) -> None:
    policy = Policy.default()
    authority = Authority(store, SECRET, VERIFIER, system_clock)
    busy = Busy(store, policy, system_clock)
    busy.error = error
    runtime = Runtime(Services(store, policy, WalkRecommender(), SECRET), busy, authority)
    sender = Sender(runtime, (await register_source(runtime.services, "shop", Trust.SERVER)).write_key)
    for path, body in (("batch", {"batch": [track(0), {}]}), ("track", track(0)), ("track", {}), ("batch", b"{")):
        response = await sender.post(path, body)
        assert (response.status_code, "retry-after" in response.headers) == (status, True)


async def test_the_context_of_a_batch_provides_defaults_for_its_messages(sender: Sender) -> None:
    shared = {"consent": {"categoryPreferences": {"Analytics": True}}, "sessionId": "s"}
    own = track(1, userId="bob", context={"consent": {"categoryPreferences": {"Analytics": False}}})
    await sender.post("batch", {"batch": [track(0), own], "context": shared})
    rows = await sender.services.client.read(
        "MATCH (r:Record)-[:DECIDED]->(e:ConsentEvent) RETURN r.key AS key, e.state AS state"
    )
    assert sorted((row["key"], row["state"]) for row in rows) == [("ada", "given"), ("bob", "refused")]


async def test_the_sending_time_of_a_batch_corrects_the_senders_clock(sender: Sender) -> None:
    wrong = {"timestamp": "2001-01-01T00:00:00Z"}
    await sender.post("batch", {"batch": [track(0, **wrong)], "sentAt": "2001-01-01T01:00:00Z"})
    at = await sender.count("MATCH (m:Message) RETURN m.at AS n")
    assert abs(system_clock() - 3_600_000 - at) < 60_000


async def test_concurrent_connections_write_every_message_once(sender: Sender) -> None:
    responses = await asyncio.gather(
        *(sender.post("track", track(number % 40, userId=f"u{number % 7}")) for number in range(80)),
        *(sender.post("batch", {"batch": [track(number) for number in range(100, 150)]}) for _ in range(3)),
    )
    assert {response.status_code for response in responses} == {200}
    assert sum(response.json()["accepted"] for response in responses) == 90
    assert await sender.count(VIEWS) == 90


STORED = "MATCH (r:Record {key: 'ada'}) RETURN size(r.traits) AS n"


async def grow(sender: Sender, number: int) -> list[httpx.Response]:
    """Sends identify messages with 100 new traits each, 25 KB in all."""
    responses = []
    for n in range(number):
        traits = {f"t{n}_{m}": "v" * 220 for m in range(100)}
        responses.append(await sender.post("identify", {"userId": "ada", "messageId": f"g{n}", "traits": traits}))
    return responses


async def test_a_record_does_not_grow_without_end(sender: Sender) -> None:
    """Before there was a limit, 150 such messages made a record of 4.4 MB."""
    responses = await grow(sender, 12)
    assert [response.status_code for response in responses] == [200] * 2 + [400] * 10
    error = responses[-1].json()["error"]
    assert (error["reason"], error["field"]) == ("too_many_traits", "traits")
    assert error["documentation"] == "/errors/rejections#too_many_traits"
    assert await sender.count(STORED) <= 65_536
    assert [reason for reason, _ in await sender.letters()] == ["too_many_traits"] * 10
    assert (await sender.post("identify", {"userId": "ada", "traits": {"t0_0": "short"}})).status_code == 200


async def test_messages_of_a_full_record_do_not_affect_their_batch(sender: Sender) -> None:
    await grow(sender, 2)
    full = [{"type": "identify", "userId": "ada", "traits": {f"n{n}": "v" * 9000}} for n in range(3)]
    response = await sender.post("batch", {"batch": [track(0), *full, track(1), {"type": "page", "userId": "bob"}]})
    body = response.json()
    assert (body["accepted"], body["rejected"]) == (4, {"too_many_traits": 2})
    assert [one["index"] for one in body["errors"]] == [2, 3]
    assert await sender.count(VIEWS) == 2


async def test_a_message_with_too_many_traits_is_rejected_at_the_door(sender: Sender) -> None:
    response = await sender.post("identify", {"userId": "ada", "traits": {f"t{n}": 1 for n in range(257)}})
    assert (response.status_code, response.json()["error"]["reason"]) == (400, "too_many_traits")
    assert await sender.count("MATCH (r:Record) RETURN count(r) AS n") == 0


async def test_a_withdrawal_counts_although_its_record_is_full(sender: Sender) -> None:
    choice = {"context": {"consent": {"categoryPreferences": {"Functional": False}}}}
    await grow(sender, 2)
    response = await sender.post("identify", {"userId": "ada", "traits": {"new": "v" * 30_000}} | choice)
    assert response.json()["error"]["reason"] == "too_many_traits"
    refused = "MATCH (e:ConsentEvent {purpose: 'personalisation', state: 'refused'}) RETURN count(e) AS n"
    assert await sender.count(refused) == 1


def prefer(id_: str, at: int | None = None, **preferences: bool) -> dict[str, Any]:
    context = {"consent": {"categoryPreferences": preferences}}
    message = {"type": "track", "userId": "ada", "event": "Segment Consent Preference Updated", "context": context}
    return message | {"messageId": id_} | ({} if at is None else {"timestamp": at})


async def test_consents_of_a_full_record_do_not_affect_their_batch(
    sender: Sender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "MOST_LIVE", 3)
    tomorrow = system_clock() + 3_600_000
    await sender.post("batch", {"batch": [prefer(f"p{n}", tomorrow + n, Analytics=True) for n in range(3)]})
    both = prefer("both", Functional=True, Advertising=False)
    carrying = track(7, context={"consent": {"categoryPreferences": {"Functional": True, "Analytics": False}}})
    batch = [track(0), both, carrying, prefer("q", Functional=True), prefer("r", Advertising=False), track(1)]
    body = (await sender.post("batch", {"batch": batch})).json()
    assert (body["accepted"], body["rejected"]) == (3, {"too_many_consents": 3})
    assert [(one["index"], one["reason"]) for one in body["errors"]] == [(n, "too_many_consents") for n in (1, 2, 3)]
    letters = await sender.letters()
    assert sorted(orjson.loads(payload)["messageId"] for _, payload in letters) == ["both", "m7", "q"]
    assert await sender.count(VIEWS) == 2
    refused = (
        "MATCH (:Record)-[:DECIDED]->(e:ConsentEvent {state: 'refused'}) RETURN e.purpose AS purpose ORDER BY purpose"
    )
    rows = await sender.services.client.read(refused)
    assert [row["purpose"] for row in rows] == ["analytics", "marketing"]
    assert await sender.count("MATCH (:Record)-[:DECIDED]->(e:ConsentEvent) RETURN count(e) AS n") == 5


async def test_traits_and_consents_may_both_have_no_room(sender: Sender, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "MOST_LIVE", 0)
    await grow(sender, 2)
    choice = {"context": {"consent": {"categoryPreferences": {"Functional": True, "Advertising": False}}}}
    response = await sender.post("identify", {"userId": "ada", "traits": {"new": "v" * 30_000}} | choice)
    assert response.json()["error"]["reason"] == "too_many_traits"
    assert [reason for reason, _ in await sender.letters()] == ["too_many_traits"]
    rows = await sender.services.client.read("MATCH (e:ConsentEvent) RETURN e.purpose AS purpose, e.state AS state")
    assert [(row["purpose"], row["state"]) for row in rows] == [("marketing", "refused")]


async def test_the_key_of_a_server_is_refused_in_a_browser(sender: Sender) -> None:
    for headers in ({"origin": "https://shop.example"}, {"sec_fetch_site": "cross-site"}):
        for key, body in (("", track(0)), (None, track(0, writeKey=sender.key))):
            response = await sender.post("track", body, key=key, **headers)
            assert (response.status_code, response.json()["error"]["code"]) == (403, "FORBIDDEN")
    assert await sender.count("MATCH (n:Message) RETURN count(n) AS n") == 0
    site = await register_source(sender.services, "site", Trust.PUBLIC)
    seen = await sender.post("track", track(0, anonymousId="a"), key=site.write_key, origin="https://shop.example")
    assert seen.json()["accepted"] == 1
    named = await sender.post("track", track(1), key=site.write_key)
    assert (named.status_code, named.json()["error"]["reason"]) == (400, "unproven_user")


RECEIVED = "MATCH (d:DeadLetter) RETURN d.received_at AS at, d.imported AS imported"


async def test_only_an_import_states_its_receipt(sender: Sender) -> None:
    day = 1_700_000_000_000
    line = track(0, receivedAt=day, properties={"product_id": []})
    assert (await sender.post("track", line, consentric_import="true")).status_code == 400
    assert [row["imported"] for row in await sender.services.client.read(RECEIVED)] == [True]
    assert (await sender.post("track", track(1), consentric_import="yes")).status_code == 400
    site = await register_source(sender.services, "site", Trust.PUBLIC)
    refused = await sender.post("batch", {"batch": [track(2)]}, key=site.write_key, consentric_import="true")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "FORBIDDEN")


async def test_a_public_message_id_is_not_taken_by_another_device(sender: Sender) -> None:
    site = await register_source(sender.services, "site", Trust.PUBLIC)
    for device, duplicate in (("a", 0), ("b", 0), ("a", 1)):
        sent = await sender.post("track", track(0, anonymousId=device), key=site.write_key)
        assert sent.json()["duplicate"] == duplicate
