"""The installation as operators and auditors see it.

What lives here: `System` and its parts. What does not: reading them (`resolvers/system.py`). The sources of its parts
are the graph's own values.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import strawberry
from strawberry.types import Info

from api.types.context import Asking, request_of
from api.types.scalars import DateTime, Json
from resolvers.system import count_everything, describe_store, list_runs

VERSION: Final = version("consentric")


@strawberry.type(description="The store behind this server.")
class Store:
    """Its source is `graph.store.system.StoreVersion`."""

    engine: str
    version: str = strawberry.field(description="As the engine states it; the embedded one names its Neo4j dialect.")
    migration: int = strawberry.field(description="The last migration: the version of the graph's schema.")


@strawberry.type(description="How many there are of what.")
class Counts:
    """Its source is `graph.store.system.StoreCounts`."""

    records: int
    users: int
    items: int
    sessions: int
    interactions: int
    consents: int
    segments: int
    messages: int


@strawberry.type(description="One computation, with the manifest that proves whose data it used.")
class ModelRun:
    """Its source is `graph.recommendation.runs.ModelRun`."""

    id: strawberry.ID
    name: str
    version: int
    purpose: str
    current: bool
    started_at: DateTime
    finished_at: DateTime
    consent_at: DateTime = strawberry.field(description="As of when consents were read.")
    people: int
    epoch: int = strawberry.field(description="The highest consent epoch among the people.")
    people_sha256: str = strawberry.field(name="peopleSha256", description="Hash of their ids, sorted, one a line.")
    rows: int
    metrics: Json
    config: Json


@strawberry.type(description="Versions, store, counts and model runs.")
class System:
    """The installation; each part is read only where it is selected."""

    version: str
    policy_version: str = strawberry.field(description="A digest of the consent policy in force.")

    @strawberry.field
    async def store(self, info: Info[Asking, None]) -> Store:
        return await describe_store(request_of(info))  # type: ignore[return-value]

    @strawberry.field(description="The number of the last migration.")
    async def schema_version(self, info: Info[Asking, None]) -> int:
        return (await describe_store(request_of(info))).migration

    @strawberry.field
    async def counts(self, info: Info[Asking, None]) -> Counts:
        return await count_everything(request_of(info))  # type: ignore[return-value]

    @strawberry.field(description="The latest, newest first.")
    async def model_runs(self, info: Info[Asking, None]) -> list[ModelRun]:
        return await list_runs(request_of(info))  # type: ignore[return-value]
