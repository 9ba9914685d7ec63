"""The installation as operators and auditors see it. The sources of its parts are the graph's own values."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

import strawberry
from strawberry.types import Info

from api.graphql.types.context import GraphQLContext, request_of
from api.graphql.types.scalars import DateTime, Json
from resolvers.system import count_everything, describe_store, list_runs

VERSION: Final = version("consentric")


@strawberry.type(description="The store behind this server.")
class Store:
    """Its source is `graph.store.system.StoreVersion`."""

    engine: str = strawberry.field(description="`embedded` or `neo4j`.")
    version: str = strawberry.field(
        description="Version that the engine states; the embedded engine states the Neo4j version it is compatible "
        "with."
    )
    migration: int = strawberry.field(description="Number of the last migration: the version of the graph's schema.")


@strawberry.type(description="How many nodes and interactions the store holds.")
class Counts:
    """Its source is `graph.store.system.StoreCounts`."""

    records: int = strawberry.field(description="Source records.")
    users: int = strawberry.field(description="People, without profiles merged into others.")
    items: int = strawberry.field(description="Items, including those that only events name.")
    sessions: int = strawberry.field(description="Sessions.")
    interactions: int = strawberry.field(description="Interactions, including those without an item.")
    consents: int = strawberry.field(description="Consent events.")
    segments: int = strawberry.field(description="Segments.")
    messages: int = strawberry.field(description="Messages accepted, each counted once.")


@strawberry.type(description="One fit of a model or computation of segments, with a manifest of whose data it used.")
class ModelRun:
    """Its source is `graph.recommendation.runs.ModelRun`."""

    id: strawberry.ID = strawberry.field(description="ID of the run, a ULID; `node` does not accept it.")
    name: str = strawberry.field(description="What was computed: `walk` (recommendations), `rfm` or `communities`.")
    version: int = strawberry.field(description="Version of the computation's code.")
    purpose: str = strawberry.field(
        description="Key of the purpose that the run served; it used only people who permit that purpose."
    )
    current: bool = strawberry.field(description="Whether the run is the one in use.")
    started_at: DateTime = strawberry.field(description="When the run started.")
    finished_at: DateTime = strawberry.field(description="When the run finished.")
    consent_at: DateTime = strawberry.field(description="The instant of the consents that the run relied on.")
    people: int = strawberry.field(
        description="Number of people whose data was used, including devices that count for them."
    )
    stale_since: DateTime | None = strawberry.field(
        description="When the first of those people withdrew consent or was excluded for another reason. A minute "
        "later at the latest, what the run computed is replaced or no longer served. Null if none has."
    )
    left_out: list[str] = strawberry.field(
        description="Sources that were being derived again after their trust was lowered, so that people with a record "
        "from one were left out."
    )
    epoch: int = strawberry.field(
        description="Highest consent epoch among those people; a person's epoch grows with every change of their "
        "permits."
    )
    people_sha256: str = strawberry.field(
        name="peopleSha256",
        description="SHA-256 of the IDs of those people, sorted, one per line.",
    )
    rows: int = strawberry.field(description="Number of model rows written; 0 if the run writes none.")
    metrics: Json = strawberry.field(description="Measurements of the result, as a JSON object.")
    config: Json = strawberry.field(description="Settings of the run, as a JSON object.")


@strawberry.type(description="The installation: versions, store, counts and model runs.")
class System:
    """The installation. A part is read only if it is selected."""

    version: str = strawberry.field(description="Version of Consentric.")
    policy_version: str = strawberry.field(description="Digest of the consent policy in force, 16 hexadecimal digits.")

    @strawberry.field(description="The store behind this server.")
    async def store(self, info: Info[GraphQLContext, None]) -> Store:
        return await describe_store(request_of(info))  # type: ignore[return-value]

    @strawberry.field(description="Version of the graph's schema: the number of the last migration.")
    async def schema_version(self, info: Info[GraphQLContext, None]) -> int:
        return (await describe_store(request_of(info))).migration

    @strawberry.field(description="How much the store holds. May be slow on a large store.")
    async def counts(self, info: Info[GraphQLContext, None]) -> Counts:
        return await count_everything(request_of(info))  # type: ignore[return-value]

    @strawberry.field(description="The latest 20 model runs, newest first.")
    async def model_runs(self, info: Info[GraphQLContext, None]) -> list[ModelRun]:
        return await list_runs(request_of(info))  # type: ignore[return-value]
