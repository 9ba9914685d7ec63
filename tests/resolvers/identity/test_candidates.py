"""Counting people who may be the same."""

from __future__ import annotations

import pytest

from graph.model.access import ALWAYS, Source, Trust
from graph.store.client import GraphClient
from resolvers.identity.candidates import CandidateReport, Unverified, advise_proof, count_candidates
from tests.arrivals import ingest, message, register

pytestmark = pytest.mark.store

WEB = Source("web", trust=Trust.PUBLIC)
SHOP = Source("shop", trust=Trust.SERVER)
CRM = Source("crm", trust=Trust.RECORD, user_namespace="crm")


async def test_candidates_are_counted_with_what_would_prove_them(store: GraphClient) -> None:
    traits = {"email": "ada@x.com"}
    await ingest(
        store,
        message(SHOP, type="identify", messageId="1", userId="ada", traits=traits),
        message(CRM, type="identify", messageId="2", userId="c1", traits=traits),
        message(WEB, type="identify", messageId="3", anonymousId="d1", userId="ada", traits=traits),
    )
    report = await count_candidates(store)
    assert report == CandidateReport({"email": 2}, (Unverified("shop", "email", 1),))
    assert report.total == 2
    assert advise_proof(report) == [
        "Candidates that rest on the e-mail addresses that shop stated without verifying: 1. If shop has always "
        "verified them, run `consentric source set shop --verifies email --verified-since always`; if it starts now, "
        "leave out `--verified-since`."
    ]


async def test_what_is_linked_is_no_candidate(store: GraphClient) -> None:
    shop = Source("shop", trust=Trust.SERVER, verifies={"email": ALWAYS})
    traits = {"email": "ada@x.com"}
    await register(store, shop, CRM)
    await ingest(
        store,
        message(shop, type="identify", messageId="1", userId="ada", traits=traits),
        message(CRM, type="identify", messageId="2", userId="c1", traits=traits),
    )
    assert await count_candidates(store) == CandidateReport()


async def test_counting_stops_at_the_limit(store: GraphClient) -> None:
    await ingest(store, message(SHOP, type="identify", messageId="1", userId="ada"))
    assert not (await count_candidates(store, limit=0)).complete
