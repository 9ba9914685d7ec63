"""Identifiers that records of several people share."""

from __future__ import annotations

import pytest

from graph.identity.candidates import read_shared_page
from graph.identity.identifiers import NewHolding, write_claims, write_holdings
from graph.model.identity import Grade
from graph.model.time import Millis
from graph.store.client import GraphClient
from tests.newcomers import email, record, user, write_newcomers

pytestmark = pytest.mark.store


async def test_an_identifier_is_shared_if_it_leads_to_several_people(store: GraphClient) -> None:
    await write_newcomers(store, "ada", "bob", "cyd")
    stated = [NewHolding(record(name), email("home"), Grade.STATED, Millis(1)) for name in ("ada", "bob")]
    alone = NewHolding(record("cyd"), email("cyd"), Grade.PROVEN, Millis(1))
    claimed = NewHolding(record("cyd"), email("home"), Grade.CLAIMED, Millis(1))
    await store.write(lambda tx: write_holdings(tx, [*stated, alone]))
    await store.write(lambda tx: write_claims(tx, [claimed]))
    (shared,), after = await read_shared_page(store, "", 10)
    assert after is None
    assert shared.id == email("home").id
    found = {(holder.user, holder.grade) for holder in shared.holders}
    assert found == {(user("ada"), Grade.STATED), (user("bob"), Grade.STATED), (user("cyd"), Grade.CLAIMED)}


async def test_pages_go_on_after_the_last_identifier(store: GraphClient) -> None:
    await write_newcomers(store, "ada", "bob")
    for value in ("one", "two", "three"):
        held = [NewHolding(record(name), email(value), Grade.STATED, Millis(1)) for name in ("ada", "bob")]
        await store.write(lambda tx, held=held: write_holdings(tx, held))
    found, after = [], ""
    while after is not None:
        shared, after = await read_shared_page(store, after, 2)
        found += [one.id for one in shared]
    assert sorted(found) == sorted(email(value).id for value in ("one", "two", "three"))
