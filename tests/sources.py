"""Registered sources, for tests of what arrives from them."""

from __future__ import annotations

from typing import Final

from graph.access.sources import write_source
from graph.model.access import ALWAYS, Source, Verified
from graph.store.client import GraphClient, Writer

VERIFIED: Final[Verified] = {"email": ALWAYS, "phone": ALWAYS}
"""What a server verifies in tests in which records join by contact data."""


async def register(store: GraphClient, *sources: Source) -> None:
    """Registers sources without keys. One that exists stays as it is."""

    async def work(tx: Writer) -> None:
        for source in sources:
            await write_source(tx, source)

    await store.write(work)
