"""Scenes with links that are sent to people: double opt-in for a newsletter, and unsubscribing with one click."""

from __future__ import annotations

import pytest

from graph.model.access import Trust
from tests.world import Reader, World, browser, identify, new_device, record

pytestmark = pytest.mark.store

ASK = "mutation($input: ConfirmationInput!) { requestConfirmation(input: $input) { path } }"
LINK = "mutation($input: UnsubscribeInput!) { createUnsubscribeLink(input: $input) { path } }"


@pytest.fixture
async def desk(world: World) -> Reader:
    """The newsletter's back end."""
    return await world.client("desk", "operator", "service")


@pytest.fixture
async def mail(world: World) -> Reader:
    """The system that sends the newsletter."""
    return await world.client("mail", "frontend", "marketing")


async def reaches(mail: Reader, source: str, key: str) -> bool:
    seen = await mail.see(record(source, key), "email")
    return seen is not None and seen["email"] is not None


async def test_a_newsletter_is_confirmed_by_double_opt_in_and_ended_with_one_click(
    world: World, desk: Reader, mail: Reader
) -> None:
    shop = await world.source("shop", Trust.SERVER, "shop")
    await shop.send(identify({"email": "ada@example.org"}, userId="ada"))
    named = {"source": "shop", "userId": "ada"}
    asked = {"record": named, "purpose": "marketing", "notice": "newsletter", "noticeVersion": "1"}
    for _ in range(2):
        assert not await reaches(mail, "shop", "ada")
        path = (await desk.ask(ASK, input=asked))["requestConfirmation"]["path"]
        assert "<button" in (await world.http.get(path)).text
        assert not await reaches(mail, "shop", "ada"), "a mail scanner opened the link"
        await world.http.post(path)
        assert await reaches(mail, "shop", "ada")
        link = (await desk.ask(LINK, input={"record": named, "purpose": "marketing"}))["createUnsubscribeLink"]["path"]
        answer = await world.http.post(link, data={"List-Unsubscribe": "One-Click"})
        assert answer.status_code == 200


async def test_what_a_link_confirmed_is_in_the_persons_log(world: World, desk: Reader) -> None:
    shop = await world.source("shop", Trust.SERVER, "shop")
    await shop.send(identify(userId="ada"))
    asked = {"record": {"source": "shop", "userId": "ada"}, "purpose": "marketing", "notice": "newsletter"}
    await world.http.post((await desk.ask(ASK, input=asked))["requestConfirmation"]["path"])
    await world.client("page", "subject", "service")
    ada = await world.token("page", "shop", "ada")
    history = "consentHistory(first: 9) { nodes { purpose state method notice assurance actor } }"
    [event] = (await ada.see_me(history))["consentHistory"]["nodes"]
    assert event == {
        "purpose": "marketing",
        "state": "GIVEN",
        "method": "double_opt_in",
        "notice": "newsletter",
        "assurance": 1,
        "actor": "desk",
    }


async def test_a_visitor_without_an_account_confirms_for_their_device(world: World, desk: Reader) -> None:
    device = new_device()
    web = await world.source("web", Trust.PUBLIC)
    await web.send(identify({"email": "ada@example.org", "firstName": "Ada"}, anonymousId=device))
    front = await world.client("front", "frontend", "personalisation")
    asked = {"record": {"source": "web", "anonymousId": device}, "purpose": "personalisation"}
    path = (await desk.ask(ASK, input=asked))["requestConfirmation"]["path"]
    assert (await front.see(browser("web", device), "givenName"))["givenName"] is None
    await world.http.post(path)
    assert (await front.see(browser("web", device), "givenName"))["givenName"] == "Ada"
