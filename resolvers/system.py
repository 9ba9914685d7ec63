"""Use cases of the installation: what operators and auditors learn about the store, its contents and model runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from graph.errors import Forbidden
from graph.recommendation.runs import ModelRun, read_runs
from graph.store.system import StoreCounts, StoreVersion, read_counts, read_version
from privacy.gate import Role
from resolvers.context import RequestContext

SYSTEM_ROLES: Final = frozenset({Role.OPERATOR, Role.AUDITOR})
RUNS_SHOWN: Final = 20


def check_may_see_system(request: RequestContext) -> None:
    """Raises Forbidden unless the viewer is an operator or an auditor."""
    if request.viewer.role not in SYSTEM_ROLES:
        raise Forbidden("system: for operators and auditors only.")


async def describe_store(request: RequestContext) -> StoreVersion:
    """Returns the engine and the schema version."""
    return await read_version(request.services.client)


async def count_everything(request: RequestContext) -> StoreCounts:
    """Counts what the store holds."""
    return await read_counts(request.services.client)


async def list_runs(request: RequestContext) -> Sequence[ModelRun]:
    """Returns the latest model runs with their manifests."""
    return await read_runs(request.services.client, RUNS_SHOWN)
