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
    5: "ec1deb1075e7efe63671d98bf4b33ffc910fc2da0dea66bc2c1dc9d85665fbae",
    6: "bd5d5eb20d65f7b9c0e0c6a67b8afa82d68812f52178993a7a101f6ee2da76e7",
    7: "ee4c7bb4fe1add118bb0f0b1df6a089b0b1fee6f78be5daff914c70f834af662",
    8: "91a5eddac77b7c1ab3d3838deccf4ab3ba99c5cc3139af249e1bf6f7fdbdd7fe",
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
            assert re.search(r"RETURN .+ AS changed, max\(\S+\) AS last$", statement.strip())


def test_no_two_definitions_share_a_name() -> None:
    definitions = [text for step in STEPS if step.kind is StepKind.DEFINITION for text in step.statements]
    names = re.findall(r"CREATE (?:CONSTRAINT|INDEX) (\w+)", "\n".join(definitions))
    assert len(set(names)) == len(definitions)
