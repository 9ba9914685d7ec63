"""The server that the tests of attacks share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.attacks.serving import Served, serve


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server in development, on a store of its own."""
    with serve(tmp_path_factory.mktemp("served")) as running:
        yield running
