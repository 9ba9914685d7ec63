"""Confirmations in the store: asked for a known record, read with it, finished once, removed after they expire."""

from __future__ import annotations

import pytest

from graph.consent.confirmations import (
    Confirmation,
    finish_confirmation,
    read_confirmation,
    remove_expired_confirmations,
    write_confirmation,
)
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer

pytestmark = pytest.mark.store

ADA = RecordRef("shop", RecordKind.USER, "ada")
ASKED = Confirmation("c1", ADA, '{"purpose": "marketing"}', "desk", Millis(500), "d" * 64, "email", "ada@example.org")
CREATE_RECORD = "CREATE (:Record {id: $id, source: 'shop', kind: 'user', key: 'ada'})"


async def write(store: GraphClient, asked: Confirmation = ASKED) -> bool:
    return await store.write(lambda tx: write_confirmation(tx, asked))


@pytest.fixture
async def record(store: GraphClient) -> GraphClient:
    async def create(tx: Writer) -> None:
        await tx.run(CREATE_RECORD, id=ADA.id)

    await store.write(create)
    return store


async def test_what_is_asked_is_read_with_its_record(record: GraphClient) -> None:
    assert await write(record)
    assert await read_confirmation(record, "c1") == ASKED
    assert await read_confirmation(record, "c2") is None


async def test_nothing_is_asked_of_an_unknown_record(store: GraphClient) -> None:
    assert not await write(store)
    assert await store.read("MATCH (c:Confirmation) RETURN c.id AS id") == []


async def test_the_first_confirmation_is_kept(record: GraphClient) -> None:
    await write(record)
    for now in (7, 9):
        await record.write(lambda tx, at=now: finish_confirmation(tx, "c1", Millis(at)))
    found = await read_confirmation(record, "c1")
    assert found is not None
    assert found.confirmed_at == 7


async def test_only_expired_ones_are_removed(record: GraphClient) -> None:
    await write(record)
    await record.write(lambda tx: remove_expired_confirmations(tx, Millis(500)))
    assert await read_confirmation(record, "c1") is not None
    await record.write(lambda tx: remove_expired_confirmations(tx, Millis(501)))
    assert await read_confirmation(record, "c1") is None
