"""The servers that the tests of attacks share: one as a process of its own, and a town on the store of the tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from graph.store.client import GraphClient
from tests.attacks.serving import Served, serve
from tests.attacks.town import Town, build_town
from tests.world import World, open_world


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in development, on a store of its own or on the Neo4j server under test: there it must end with its
    module, because its background work goes on while it runs."""
    with serve(tmp_path_factory.mktemp("served")) as running:
        yield running


@pytest.fixture
async def world(store: GraphClient, tmp_path: Path) -> AsyncIterator[World]:
    """A running installation without sources."""
    async with open_world(store, tmp_path) as opened:
        yield opened


@pytest.fixture
async def town(world: World) -> Town:
    """The installation of a shop that knows the victim."""
    return await build_town(world)
