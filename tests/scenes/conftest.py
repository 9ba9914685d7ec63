"""Fixtures of the scenes: an installation, to which each scene adds the systems of a company."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graph.store.client import GraphClient
from tests.world import World, open_world


@pytest.fixture
async def world(store: GraphClient, tmp_path: Path) -> AsyncIterator[World]:
    """A running installation without sources."""
    async with open_world(store, tmp_path) as opened:
        yield opened
