"""The pages behind links that are sent to people, through HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph.model.access import Trust
from graph.store.client import GraphClient
from resolvers.consent import recording
from tests.world import Reader, World, identify, open_world, record

pytestmark = pytest.mark.store

ADA = record("shop", "ada")
NAMED = {"source": "shop", "userId": "ada"}
ASK = "mutation($input: ConfirmationInput!) { requestConfirmation(input: $input) { path expiresAt } }"
LINK = "mutation($input: UnsubscribeInput!) { createUnsubscribeLink(input: $input) { path } }"


@pytest.fixture
async def world(store: GraphClient, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(store, tmp_path) as opened:
        shop = await opened.source("shop", Trust.SERVER)
        await shop.send(identify({"firstName": "Ada", "email": "ada@example.org"}, userId="ada"))
        yield opened


@pytest.fixture
async def desk(world: World) -> Reader:
    return await world.client("desk", "operator", "service")


@pytest.fixture
async def mail(world: World) -> Reader:
    return await world.client("mail", "frontend", "marketing")


async def ask(desk: Reader, **more: object) -> str:
    made = await desk.ask(ASK, input={"record": NAMED, "purpose": "marketing", **more})
    return str(made["requestConfirmation"]["path"])


async def reaches(mail: Reader) -> bool:
    return (await mail.see(ADA, "email"))["email"] is not None


async def test_a_confirmation_counts_once_the_button_is_pressed(world: World, desk: Reader, mail: Reader) -> None:
    path = await ask(desk, notice="letter", noticeVersion="3")
    page = await world.http.get(path)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert '<form method="post">' in page.text
    assert "Notice: letter 3." in page.text
    assert "<script" not in page.text
    assert not await reaches(mail)
    for _ in range(2):
        done = await world.http.post(path)
        assert (done.status_code, "Thank you" in done.text) == (200, True)
    assert await reaches(mail)


@pytest.mark.parametrize("way", ["cookie", "field"])
async def test_the_browser_that_asked_is_known_by_its_cookie_or_a_field_of_the_form(
    world: World, desk: Reader, way: str
) -> None:
    crm = await world.source("crm", Trust.RECORD, "crm")
    await crm.send(identify({"email": "ada@example.org", "lastName": "Lovelace"}, userId="c1"))
    service = await world.client("service", "frontend", "service")
    query = ASK.replace("path", "path cookie { name value }")
    contact = {"kind": "email", "value": "ada@example.org"}
    made = (await desk.ask(query, input={"record": NAMED, "purpose": "marketing", "contact": contact}))[
        "requestConfirmation"
    ]
    name, value = made["cookie"]["name"], made["cookie"]["value"]
    assert (await service.see(ADA, "familyName"))["familyName"] is None
    if way == "cookie":
        await world.http.post(made["path"], headers={"cookie": f"{name}={value}"})
    else:
        await world.http.post(made["path"], data={"browser": value})
    assert (await service.see(ADA, "familyName"))["familyName"] == "Lovelace"


async def test_a_confirmed_address_replaces_the_one_on_record(world: World, desk: Reader, mail: Reader) -> None:
    query = ASK.replace("path", "path cookie { name value }")
    asked = {"record": NAMED, "purpose": "marketing", "contact": {"kind": "email", "value": "Ada@new.example"}}
    made = (await desk.ask(query, input=asked))["requestConfirmation"]
    await world.http.post(made["path"], data={"browser": made["cookie"]["value"]})
    assert (await mail.see(ADA, "email"))["email"] == "ada@new.example"


async def test_a_link_may_be_fetched_and_examined_without_effect(world: World, desk: Reader, mail: Reader) -> None:
    path = await ask(desk)
    for _ in range(3):
        assert (await world.http.get(path)).status_code == 200
        assert (await world.http.head(path)).status_code == 200
    assert not await reaches(mail)


async def test_a_used_confirmation_does_not_give_a_consent_again(world: World, desk: Reader, mail: Reader) -> None:
    path = await ask(desk)
    await world.http.post(path)
    await desk.withdraw("marketing", record=NAMED)
    assert (await world.http.post(path)).status_code == 200
    assert not await reaches(mail)


async def test_an_unsubscribe_link_denies_with_one_post_as_often_as_it_is_used(
    world: World, desk: Reader, mail: Reader
) -> None:
    made = await desk.ask(LINK, input={"record": NAMED, "purpose": "marketing"})
    path = made["createUnsubscribeLink"]["path"]
    assert "ada" not in path
    for _ in range(2):
        await desk.state("marketing", record=NAMED)
        assert await reaches(mail)
        page = await world.http.get(path)
        assert 'name="List-Unsubscribe" value="One-Click"' in page.text
        assert await reaches(mail)
        done = await world.http.post(path, data={"List-Unsubscribe": "One-Click"})
        assert done.status_code == 200
        assert not await reaches(mail)


@pytest.mark.parametrize("path", ["/confirm", "/unsubscribe"])
@pytest.mark.parametrize("token", ["", "x", "A" * 43, "A" * 9000, "é"])
async def test_an_unknown_link_says_so_and_nothing_more(world: World, path: str, token: str) -> None:
    for answer in (
        await world.http.get(path, params={"token": token}),
        await world.http.post(path, params={"token": token}),
    ):
        assert (answer.status_code, "This link is not valid" in answer.text) == (404, True)


async def test_a_link_that_a_full_record_has_no_room_for_says_so(
    world: World, desk: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = {"record": NAMED, "purpose": "partner_sharing", "recipient": "acme"}
    path = (await desk.ask(LINK, input=wanted))["createUnsubscribeLink"]["path"]
    monkeypatch.setattr(recording, "MOST_LIVE", 0)
    refused = await world.http.post(path, data={"List-Unsubscribe": "One-Click"})
    assert (refused.status_code, "different consent statements" in refused.text) == (400, True)
    everybody = await desk.ask(LINK, input={"record": NAMED, "purpose": "partner_sharing"})
    done = await world.http.post(everybody["createUnsubscribeLink"]["path"], data={"List-Unsubscribe": "One-Click"})
    assert done.status_code == 200


async def test_a_form_of_too_many_fields_is_an_error_of_the_client(world: World, desk: Reader) -> None:
    fields = {f"f{number}": "x" for number in range(30)}
    assert (await world.http.post(await ask(desk), data=fields)).status_code == 400


async def test_links_of_one_kind_do_not_work_for_the_other(world: World, desk: Reader) -> None:
    path = (await ask(desk)).replace("/confirm", "/unsubscribe")
    assert (await world.http.post(path)).status_code == 404


@pytest.mark.parametrize("mutation", [ASK, LINK])
async def test_only_operators_make_links(world: World, mail: Reader, mutation: str) -> None:
    answer = await mail.post(mutation, input={"record": NAMED, "purpose": "marketing"})
    assert answer.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"record": {"source": "shop", "userId": "eve"}}, "NOT_FOUND"),
        ({"record": {"source": "other", "userId": "ada"}}, "BAD_USER_INPUT"),
        ({"purpose": "world_peace"}, "BAD_USER_INPUT"),
        ({"days": 31}, "BAD_USER_INPUT"),
        ({"contact": {"kind": "email", "value": "nobody"}}, "BAD_USER_INPUT"),
    ],
)
async def test_what_cannot_be_confirmed_is_refused(desk: Reader, changes: dict[str, object], code: str) -> None:
    answer = await desk.post(ASK, input={"record": NAMED, "purpose": "marketing", **changes})
    assert answer.json()["errors"][0]["extensions"]["code"] == code


async def test_a_token_is_in_no_log(world: World, desk: Reader, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG", "consentric")
    path = await ask(desk)
    await world.http.post(path)
    token = path.partition("=")[2]
    assert not [
        entry for entry in caplog.records if entry.name.startswith("consentric") and token in str(entry.__dict__)
    ]
    assert token not in (await world.http.get("/metrics")).text
