"""A step's checksum: it changes with everything that the step does, and with nothing else."""

from __future__ import annotations

from migrations.step import Step, StepKind


def test_a_checksum_ignores_layout_only() -> None:
    one = Step(1, "a", StepKind.DATA, ("MATCH (n)\n  RETURN n",))
    assert one.checksum == Step(1, "renamed", StepKind.DATA, ("MATCH (n) RETURN n",)).checksum
    assert one.checksum != Step(1, "a", StepKind.DATA, ("MATCH (m) RETURN m",)).checksum
    assert one.checksum != Step(1, "a", StepKind.DEFINITION, one.statements).checksum
    assert one.checksum != Step(1, "a", StepKind.DATA, (*one.statements, *one.statements)).checksum


def test_a_checksum_covers_version_order_and_statement_boundaries() -> None:
    steps = [
        Step(version, "a", StepKind.DEFINITION, statements)
        for version in (1, 11)
        for statements in ((), ("A", "B"), ("B", "A"), ("A B",), ("AB",), ("A",), ("A", ""))
    ]
    assert len({step.checksum for step in steps}) == len(steps)
