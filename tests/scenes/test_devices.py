"""Scenes at a device: a browser with a banner, an app that was offline, a login, a tablet that a family shares."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from graph.model.access import Trust
from tests.world import Reader, Sender, World, browser, identify, new_device, prefer, record, view, viewed

pytestmark = pytest.mark.store


@dataclass(frozen=True, slots=True)
class Site:
    """A site whose pages and app send for themselves, and whose front-end reads."""

    world: World
    web: Sender
    app: Sender
    front: Reader

    async def behaviour(self, user: str) -> set[str]:
        """What the front-end can personalise with for an account."""
        return viewed(await self.front.see(record("web", user)))

    async def on_device(self, device: str) -> set[str]:
        """What it can personalise with on a device."""
        return viewed(await self.front.see(browser("web", device)))


@pytest.fixture
async def site(world: World) -> Site:
    return Site(
        world,
        web=await world.source("web", Trust.PUBLIC, "site"),
        app=await world.source("app", Trust.PUBLIC, "site"),
        front=await world.client("front", "frontend", "personalisation"),
    )


async def test_a_device_is_personalised_at_once_after_its_banner(site: Site) -> None:
    device = new_device()
    await site.web.send(view("tea", anonymousId=device))
    assert await site.on_device(device) == set()
    await site.web.send(prefer("personalisation", anonymousId=device))
    assert await site.on_device(device) == {"tea"}
    await site.web.send(prefer("personalisation", False, anonymousId=device))
    assert await site.on_device(device) == set()


async def test_with_a_user_hash_the_account_of_a_browser_only_site_works_too(site: Site) -> None:
    device, other = new_device(), new_device()
    for one in (device, other):
        names = {"userId": "ada", "anonymousId": one}
        proof = {"userHash": await site.world.user_hash("web", "ada", one)}
        await site.web.send(
            identify({"firstName": "Ada"}, context=proof, **names),
            prefer("personalisation", context=proof, **names),
            view(f"item-{one}", context=proof, **names),
        )
    seen = await site.front.see(record("web", "ada"))
    assert seen["givenName"] == "Ada"
    assert viewed(seen) == {f"item-{device}", f"item-{other}"}


async def test_an_app_that_was_offline_sends_its_queue_twice_and_everything_counts_once_at_its_time(
    site: Site,
) -> None:
    device, now = new_device(), site.world.clock()
    queue = [
        {**prefer("personalisation", anonymousId=device), "messageId": "q0", "timestamp": now - 7_200_000},
        *(
            {**view(f"item{n}", anonymousId=device), "messageId": f"q{n}", "timestamp": now - 3_600_000 + n * 1000}
            for n in range(1, 4)
        ),
    ]
    await site.app.send(*queue)
    again = (await site.app.post(*queue)).json()
    assert (again["accepted"], again["duplicate"]) == (0, 4)
    seen = await site.front.see(browser("app", device), "interactions(first: 9) { nodes { item { key } } }")
    assert [node["item"]["key"] for node in seen["interactions"]["nodes"]] == ["item3", "item2", "item1"]


async def test_what_was_done_before_the_login_counts_for_the_account_afterwards(site: Site) -> None:
    device = new_device()
    await site.web.send(prefer("personalisation", anonymousId=device), view("before", anonymousId=device))
    names = {"userId": "ada", "anonymousId": device}
    proof = {"userHash": await site.world.user_hash("web", "ada", device)}
    await site.web.send(identify(context=proof, **names))
    assert await site.behaviour("ada") == set(), "the account has not permitted it"
    await site.web.send(prefer("personalisation", context=proof, **names), view("after", context=proof, **names))
    assert await site.behaviour("ada") == {"before", "after"}
    assert await site.on_device(device) == {"before"}


async def test_on_a_shared_family_device_anonymous_behaviour_goes_to_the_first_account_and_nothing_else(
    site: Site,
) -> None:
    tablet = new_device()
    await site.web.send(prefer("personalisation", anonymousId=tablet), view("anonymous", anonymousId=tablet))
    for person in ("ada", "ben"):
        proof = {"userHash": await site.world.user_hash("web", person, tablet)}
        names = {"userId": person, "anonymousId": tablet}
        await site.web.send(
            identify({"firstName": person.title()}, context=proof, **names),
            prefer("personalisation", context=proof, **names),
            view(f"by-{person}", context=proof, **names),
        )
    assert await site.behaviour("ada") == {"anonymous", "by-ada"}
    assert await site.behaviour("ben") == {"by-ben"}
    assert await site.on_device(tablet) == {"anonymous"}
    names = {(await site.front.see(record("web", person)))["givenName"] for person in ("ada", "ben")}
    assert names == {"Ada", "Ben"}
