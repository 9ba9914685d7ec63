"""The list of steps: numbered, safe to run twice, and never edited once released."""

from __future__ import annotations

import re

import pytest

from migrations.step import Step, StepKind
from migrations.steps import STEPS

RELEASED = {
    1: "774db7315498b37866038d483107ce1d5ddd19f13a5302ee8f5b9f3a2759ae50",
    2: "d62aa907e951aa0c550001de318c023c0a8ddbf6dee572cd80d42c39e9c5f81f",
    3: "6fe1471e67a105237ca73fd120df0cb586da6834c9183ec1d53334db7782af4f",
    4: "d2ec0acf86578351e98d33c576264340684248c7ab4e8db248d7964c3f831ce3",
    5: "3ac335cb3af564d7d0dd2d64e53acea895dd800f6616e7d4569fbbdb9788272a",
    6: "7a768eb45b782b494800d4421859dad485dbeb40c5a2cdf6cdb00aa916adfffd",
    7: "6130c2313eaee3c30133748d733cd311581ec6888a0c6bbda62dbc35e31cdd63",
    8: "91a5eddac77b7c1ab3d3838deccf4ab3ba99c5cc3139af249e1bf6f7fdbdd7fe",
    9: "9426cf7df3113ed619026e106c4c9cfdb7134983099ac7adaee6ef406382569b",
}
"""Checksums of the steps as released. A graph that holds another checksum is refused, so these lines never change; a
new step adds one."""


def test_steps_are_numbered_from_one_without_gaps() -> None:
    assert [step.version for step in STEPS] == list(range(1, len(STEPS) + 1))


def test_a_released_step_is_never_edited() -> None:
    assert {step.version: step.checksum for step in STEPS} == RELEASED


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_every_statement_is_safe_to_run_twice(step: Step) -> None:
    assert step.statements
    for statement in step.statements:
        if step.kind is StepKind.DEFINITION:
            assert re.match(r"CREATE (CONSTRAINT|INDEX) \w+ IF NOT EXISTS FOR ", statement)
        elif step.kind is StepKind.DATA:
            assert re.search(r"RETURN \S+ AS changed$", statement.strip())
        else:
            assert re.search(r"WHERE (\w\.\w+) > \$after AND \1 <= \$until\n", statement)
            assert re.search(r"RETURN .+ AS changed$", statement.strip())
    assert len(step.pages) == (len(step.statements) if step.kind is StepKind.PAGES else 0)


def test_no_two_definitions_share_a_name() -> None:
    definitions = [text for step in STEPS if step.kind is StepKind.DEFINITION for text in step.statements]
    names = re.findall(r"CREATE (?:CONSTRAINT|INDEX) (\w+)", "\n".join(definitions))
    assert len(set(names)) == len(definitions)
