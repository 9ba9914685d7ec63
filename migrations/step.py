"""What a migration step is, and its checksum.

What lives here: the value `Step` and `MigrationStatus`. What does not: the steps themselves (one module each, `m0001_…`
and on), their order (`steps.py`), running them (`runner.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from graph.model.time import Millis


class StepKind(StrEnum):
    """What a step changes. Definitions are never rolled back, so a step holds one kind only."""

    DEFINITION = "definition"
    DATA = "data"


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered change of the graph. Once released it is never edited: a further change is a further step.

    Every statement must be safe to run twice: a definition says IF NOT EXISTS, a data statement finds nothing left to
    do. A data statement changes at most 500 rows, returns `changed` and is repeated until that is 0.
    """

    version: int
    name: str
    kind: StepKind
    statements: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """Digest of everything that the step does."""
        digest = sha256(f"{self.version}\0{self.kind}".encode())
        for statement in self.statements:
            digest.update(b"\0" + " ".join(statement.split()).encode())
        return digest.hexdigest()


class MigrationState(StrEnum):
    """Where a step stands: in the graph before this run, brought there by it, or still to come."""

    PRESENT = "present"
    APPLIED = "applied"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """One step as the graph has it. `applied_at` is None while it is pending."""

    version: int
    name: str
    checksum: str
    state: MigrationState
    applied_at: Millis | None
