"""Fixtures of the graph's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from graph.store.client import GraphClient
from tests.api.door import Door, open_door
from tests.shop import load_shop


@pytest.fixture
async def door(store: GraphClient) -> AsyncIterator[Door]:
    """A door on a shop with three items and one customer."""
    async with open_door(store) as door:
        await load_shop(door)
        yield door
