"""Double opt-in: what is asked, which token confirms it, and when it proves that an account holds contact data."""

from __future__ import annotations

import uuid
from dataclasses import replace

import pytest

from graph.errors import BadInput, NotFound
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import DAY, Millis
from graph.store.client import GraphClient, Writer
from resolvers.consent.confirmations import (
    ConfirmationRequest,
    ask_confirmation,
    close_confirmation,
    find_confirmation,
    name_cookie,
    proves_holding,
    read_confirmed,
)
from resolvers.consent.statements import NamedRecord
from resolvers.context import RequestContext
from tests.context import request_of

pytestmark = pytest.mark.store

ADA = RecordRef("shop", RecordKind.USER, "ada")
STATEMENT = ConsentStatement("marketing", ConsentState.GIVEN, Millis(0), notice="letter", notice_version="2")
ASKED = ConfirmationRequest(NamedRecord("shop", "ada"), STATEMENT, "email", "Ada@Example.org")
VISITOR = RecordRef("shop", RecordKind.ANONYMOUS, str(uuid.uuid4()))
CREATE_RECORDS = "UNWIND $rows AS row CREATE (:Record {id: row[0], source: 'shop', kind: row[1], key: row[2]})"


@pytest.fixture
async def context(store: GraphClient) -> RequestContext:
    async def create(tx: Writer) -> None:
        await tx.run(CREATE_RECORDS, rows=[[one.id, one.kind.value, one.key] for one in (ADA, VISITOR)])

    await store.write(create)
    return request_of(store)


def at(context: RequestContext, days: float) -> RequestContext:
    now = Millis(context.now + int(days * DAY))
    return replace(context, now=now, services=replace(context.services, clock=lambda: now))


async def test_a_token_finds_what_was_asked_until_it_expires(context: RequestContext) -> None:
    asked = await ask_confirmation(context, ASKED)
    found = await find_confirmation(context.services, asked.token)
    assert found is not None
    assert (found.record, found.kind, found.value) == (ADA, "email", "ada@example.org")
    assert await find_confirmation(at(context, 7).services, asked.token) is None
    assert await find_confirmation(context.services, asked.token[:-1] + "x") is None
    assert await find_confirmation(context.services, found.id) is None


async def test_the_token_is_not_stored(context: RequestContext) -> None:
    asked = await ask_confirmation(context, ASKED)
    rows = await context.services.client.read("MATCH (c:Confirmation) RETURN properties(c) AS stored")
    assert asked.token not in str(rows)
    assert asked.cookie is not None
    assert asked.cookie.value not in str(rows)


async def test_it_confirms_the_statement_and_nothing_else(context: RequestContext) -> None:
    asked = await ask_confirmation(context, ASKED)
    found = await find_confirmation(context.services, asked.token)
    assert found is not None
    expected = replace(STATEMENT, effective_at=Millis(9), method="double_opt_in")
    assert read_confirmed(found, Millis(9)) == expected


async def test_only_the_browser_that_asked_proves_the_holding(context: RequestContext) -> None:
    asked, other = [await ask_confirmation(context, ASKED) for _ in range(2)]
    found = await find_confirmation(context.services, asked.token)
    assert found is not None
    assert asked.cookie is not None
    assert other.cookie is not None
    assert asked.cookie.name == name_cookie(found.id) != other.cookie.name
    assert proves_holding(context.services, found, asked.cookie.value)
    for browser in (other.cookie.value, asked.token, found.browser, "", None):
        assert not proves_holding(context.services, found, browser)


@pytest.mark.parametrize(
    "changes",
    [
        {"record": NamedRecord("shop", anonymous_id=VISITOR.key)},
        {"kind": None, "value": None},
    ],
)
async def test_without_an_account_or_contact_data_nothing_is_proven(
    context: RequestContext, changes: dict[str, object]
) -> None:
    asked = await ask_confirmation(context, replace(ASKED, **changes))
    found = await find_confirmation(context.services, asked.token)
    assert found is not None
    assert asked.cookie is None
    assert not proves_holding(context.services, found, asked.token)


async def test_a_closed_confirmation_says_so(context: RequestContext) -> None:
    asked = await ask_confirmation(context, ASKED)
    found = await find_confirmation(context.services, asked.token)
    assert found is not None
    assert found.confirmed_at is None
    await close_confirmation(context.services, found)
    closed = await find_confirmation(context.services, asked.token)
    assert closed is not None
    assert closed.confirmed_at == context.now


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"days": 0}, BadInput),
        ({"days": 31}, BadInput),
        ({"kind": "crm_id"}, BadInput),
        ({"value": "nobody"}, BadInput),
        ({"record": NamedRecord("shop")}, BadInput),
        ({"record": NamedRecord("shop", "ada", VISITOR.key)}, BadInput),
        ({"record": NamedRecord("shop", anonymous_id="visitor-1")}, BadInput),
        ({"statement": replace(STATEMENT, purpose="world_peace")}, BadInput),
        ({"record": NamedRecord("shop", "eve")}, NotFound),
    ],
)
async def test_what_cannot_be_confirmed_is_refused(
    context: RequestContext, changes: dict[str, object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        await ask_confirmation(context, replace(ASKED, **changes))
