"""What sources are trusted with, read inside a transaction, and when a change of it is settled."""

from __future__ import annotations

import pytest

from graph.access.terms import SourceTerms, read_terms, read_unsettled_sources, settle_source
from graph.model.access import ALWAYS, Trust
from graph.store.client import GraphClient
from tests.crowd import run

pytestmark = pytest.mark.store


async def test_the_terms_of_registered_sources_are_read(store: GraphClient) -> None:
    await run(
        store,
        "CREATE (:Source {name: 'web', trust: 'public'}) "
        "CREATE (:Source {name: 'crm', trust: 'record', verifies: ['email', 'phone'], verified_since: [7], "
        "jurisdiction: 'DE', trust_epoch: 3, settled_epoch: 2}) CREATE (:Source {name: 'old'})",
    )
    found = await store.write(lambda tx: read_terms(tx, ["web", "crm", "old", "nobody"]))
    assert found == {
        "web": SourceTerms(Trust.PUBLIC, {}, None),
        "crm": SourceTerms(Trust.RECORD, {"email": 7, "phone": ALWAYS}, "DE", 3, 2),
        "old": SourceTerms(Trust.SERVER, {}, None),
    }
    assert await store.write(lambda tx: read_terms(tx, [])) == {}
    assert await read_unsettled_sources(store) == ["crm"]


async def test_a_trust_that_changed_again_is_not_settled(store: GraphClient) -> None:
    await run(store, "CREATE (:Source {name: 'web', trust: 'public', trust_epoch: 2})")
    assert not await store.write(lambda tx: settle_source(tx, "web", 1))
    assert (await store.write(lambda tx: read_terms(tx, ["web"])))["web"].settled_epoch == 0
    assert await store.write(lambda tx: settle_source(tx, "web", 2))
    assert (await store.write(lambda tx: read_terms(tx, ["web"])))["web"].settled_epoch == 2
    assert not await store.write(lambda tx: settle_source(tx, "nobody", 0))
