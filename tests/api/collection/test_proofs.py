"""Proofs in messages, from the request to the store: they decide where a message is written, and are never kept."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import orjson
import pytest

from api.collection.bodies import Entry, read_batch
from api.collection.intake import Submission, read_entries, submit
from api.collection.origin import Origin
from api.collection.proofs import remove_proof
from api.collection.reasons import Rejected
from api.collection.replay import replay
from graph.collection.dead_letters import read_letters
from graph.model.access import Source, Trust
from graph.model.identity import Proof, RecordKind, RecordRef
from graph.store.client import GraphClient
from resolvers.access.proofs import ProofTexts, derive_hash_key
from tests.api.door import SECRET, START, Door, open_door
from tests.sources import register

pytestmark = pytest.mark.store

SITE = Source("site", trust=Trust.PUBLIC)
ACCOUNT, DEVICE = RecordRef("site", RecordKind.USER, "u17"), RecordRef("site", RecordKind.ANONYMOUS, "a1")
HASH_KEY = derive_hash_key(SECRET, "site", 1)
HASH, STATIC = HASH_KEY.sign("u17", "a1", START // 1000 + 3600), HASH_KEY.sign_static("u17")


def track(user_hash: object = HASH, **rest: Any) -> dict[str, Any]:
    message = {"type": "track", "messageId": "m", "userId": "u17", "anonymousId": "a1", "event": "Clicked"}
    return message | {"context": {"userHash": user_hash, "sessionId": "s"}} | rest


def origin_of(door: Door, source: Source = SITE) -> Origin:
    return Origin(source, door.clock(), door.services.policy, proofs=door.runtime.authority.proofs)


async def read(door: Door, *messages: Any, source: Source = SITE, **options: Any) -> Submission:
    return await read_entries([Entry(message) for message in messages], origin_of(door, source), **options)


async def test_a_proven_message_is_the_accounts(store: GraphClient) -> None:
    async with open_door(store) as door:
        (message,) = (await read(door, track())).messages.values()
        assert (message.record, message.also, message.proof) == (ACCOUNT, DEVICE, Proof.HASH)
        (claim,) = (await read(door, track(None))).messages.values()
        assert (claim.record, claim.also, claim.proof) == (DEVICE, None, None)


async def test_a_proof_in_the_context_of_a_batch_holds_for_its_messages(store: GraphClient) -> None:
    async with open_door(store) as door:
        found = await read(door, track() | {"context": {}}, context={"userHash": HASH})
        assert found.messages[0].proof is Proof.HASH


async def test_a_wrong_proof_is_not_taken_for_a_claim(store: GraphClient) -> None:
    async with open_door(store) as door:
        found = await read(door, track(userId="victim"), track("v1.5.x"), track(7), track(anonymousId="a2"))
        assert [(one.reason, one.field) for one in found.rejections] == [("bad_proof", "context.userHash")] * 4
        assert not found.messages
        token = track(context={"userToken": "x.y.z"})
        (refused,) = (await read(door, token)).rejections
        assert (refused.reason, refused.field) == ("bad_proof", "context.userToken")


async def test_a_proof_that_nothing_needs_is_ignored(store: GraphClient) -> None:
    async with open_door(store) as door:
        (device,) = (await read(door, track("old", userId=None))).messages.values()
        assert (device.record, device.proof) == (DEVICE, None)
        (account,) = (await read(door, track("old"), source=Source("shop"))).messages.values()
        assert account.record == RecordRef("shop", RecordKind.USER, "u17")


async def test_a_door_that_cannot_verify_a_proof_refuses_it(store: GraphClient) -> None:
    async with open_door(store) as door:
        found = await read_entries([Entry(track())], Origin(SITE, door.clock(), door.services.policy))
        assert found.rejections[0].reason == "bad_proof"


async def test_no_credential_enters_a_dead_letter(store: GraphClient) -> None:
    keys = {"writeKey": f"cpk_{'0' * 12}_{'a' * 49}"}
    async with open_door(store) as door:
        await register(store, SITE)
        submission = await read(
            door,
            track(timestamp="1815-12-10", **keys),
            track(userId="victim"),
            track(messageId="n", properties={"product_id": "half \ud83d", "note": HASH}),
            sized=True,
        )
        body = b'{"batch":[{"context":{"userHash" : "%s", "userToken":"eyJh.eyJi.c\\"d"},,}]}' % HASH.encode()
        broken = await read_entries(read_batch(body).entries, origin_of(door))
        await submit(door.runtime.ingestor, submission)
        await submit(door.runtime.ingestor, broken)
        letters = await read_letters(store, 10)
        assert sorted(letter.reason for letter in letters) == [
            "bad_proof", "bad_timestamp", "malformed_json", "store_refused",
        ]  # fmt: skip
        kept = str(letters)
        assert HASH not in kept
        assert HASH.split(".")[2] not in kept
        assert keys["writeKey"] not in kept
        assert "eyJ" not in kept


async def test_what_a_proof_proved_still_counts_in_replay(store: GraphClient) -> None:
    async with open_door(store) as door:
        await register(store, SITE)
        late = track(timestamp="2099-01-01")
        await submit(door.runtime.ingestor, await read(door, late, track("v1.5.x", messageId="n")))
        letters = {letter.reason: letter for letter in await read_letters(store, 10)}
        assert letters["bad_timestamp"].proof is Proof.HASH
        assert letters["bad_proof"].proof is None

        async def repair(tx: Any) -> None:
            payload = orjson.dumps({**late, "timestamp": None, "context": {}}).decode()
            await tx.run("MATCH (d:DeadLetter {reason: 'bad_timestamp'}) SET d.payload = $payload", payload=payload)

        await store.write(repair)
        report = await replay(door.runtime)
        assert (report.accepted, report.kept) == (1, [letters["bad_proof"].id])
        rows = await store.read("MATCH (r:Record {source: 'site', kind: 'user'}) RETURN r.id AS id")
        assert [row["id"] for row in rows] == [ACCOUNT.id]


async def test_a_static_hash_is_not_kept_and_still_proves_only_behaviour_in_replay(store: GraphClient) -> None:
    site = replace(SITE, static_hash=True)
    async with open_door(store) as door:
        await register(store, site)
        context = {"consent": {"categoryPreferences": {"Advertising": False}}}
        late = track(STATIC, timestamp="2099-01-01")
        carrying = late | {"messageId": "n", "context": late["context"] | context, "anonymousId": "a2"}
        await submit(door.runtime.ingestor, await read(door, late, carrying, source=site))
        letters = await read_letters(store, 10)
        assert [letter.proof for letter in letters] == [Proof.STATIC] * 2
        assert STATIC not in str(letters)

        async def repair(tx: Any) -> None:
            for letter in letters:
                payload = orjson.dumps(orjson.loads(letter.payload) | {"timestamp": None}).decode()
                await tx.run("MATCH (d:DeadLetter {id: $id}) SET d.payload = $payload", id=letter.id, payload=payload)

        await store.write(repair)
        assert (await replay(door.runtime)).accepted == 2
        rows = await store.read("MATCH (r:Record {source: 'site'}) RETURN r.kind AS kind, r.key AS key ORDER BY r.kind")
        assert [(row["kind"], row["key"]) for row in rows] == [("anonymous", "a2"), ("user", "u17")]


@pytest.mark.parametrize("value", [None, 5, [], {"context": None}, {"context": "x"}, {"context": {"page": 1}}])
def test_a_message_without_a_proof_stays_as_it_is(value: Any) -> None:
    kept, given = remove_proof(value)
    assert kept is value
    assert given == ProofTexts()


def test_a_proof_is_removed_without_touching_the_message() -> None:
    message = track()
    kept, given = remove_proof(message)
    assert given.user_hash == HASH
    assert kept["context"] == {"sessionId": "s"}
    assert message["context"]["userHash"] == HASH
    assert not isinstance(kept, Rejected)
