"""What operators and auditors can learn about the installation."""

from __future__ import annotations

from dataclasses import replace

import pytest

from graph.errors import Forbidden
from graph.model.recommendation import RunId
from graph.model.time import Millis
from graph.recommendation.runs import ModelRun, write_current_run
from graph.store.client import GraphClient
from privacy.gate import Role
from resolvers.system import RUNS_SHOWN, check_may_see_system, list_runs
from tests.context import request_of

pytestmark = pytest.mark.store

RUN = ModelRun(RunId("r"), "walk", 1, "personalisation", Millis(1), Millis(2), Millis(1), 2, 7, "ab" * 32)


@pytest.mark.parametrize("role", [Role.OPERATOR, Role.AUDITOR])
def test_operators_and_auditors_may_see_the_system(store: GraphClient, role: Role) -> None:
    check_may_see_system(request_of(store, role))


@pytest.mark.parametrize("role", sorted(set(Role) - {Role.OPERATOR, Role.AUDITOR}))
def test_no_other_role_may_see_the_system(store: GraphClient, role: Role) -> None:
    with pytest.raises(Forbidden, match="system: for operators and auditors only"):
        check_may_see_system(request_of(store, role))


async def test_only_the_latest_runs_are_listed_newest_first(store: GraphClient) -> None:
    assert await list_runs(request_of(store)) == []
    for number in range(RUNS_SHOWN + 2):
        id_ = f"{number:02}"
        await write_current_run(store, replace(RUN, id=RunId(id_), name=f"model {number % 3}"))
    runs = await list_runs(request_of(store))
    assert [run.id for run in runs] == [f"{number:02}" for number in range(RUNS_SHOWN + 1, 1, -1)]
    assert [run.id for run in runs if run.current] == ["21", "20", "19"]
