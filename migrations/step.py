"""The form of a migration step and of its status. Each step has a module of its own (`m0001_…`)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256

from graph.model.time import Millis


class StepKind(StrEnum):
    """What a step changes, and how it runs. Definitions are never rolled back, so a step holds statements of one kind
    only."""

    DEFINITION = "definition"
    DATA = "data"
    PAGES = "pages"


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered change to the graph. A released step is never edited: another change needs another step.

    Every statement must be safe to run twice: a definition uses IF NOT EXISTS, a data statement skips what it has
    already changed. A data statement changes at most 500 rows, returns their number as `changed`, and is repeated until
    that is 0. Where finding the next rows would mean reading all earlier ones again, a statement in pages takes the
    nodes whose key is after `$after` and not after `$until`. For each such statement, `pages` has the one that tells
    where the next pages end (`migrations/pages.py`).
    """

    version: int
    name: str
    kind: StepKind
    statements: tuple[str, ...]
    pages: tuple[str, ...] = ()

    @property
    def checksum(self) -> str:
        """SHA-256 over version, kind and statements, in hex."""
        digest = sha256(f"{self.version}\0{self.kind}".encode())
        for statement in self.statements:
            digest.update(b"\0" + " ".join(statement.split()).encode())
        return digest.hexdigest()


class MigrationState(StrEnum):
    """Whether a step was in the graph before this run, was applied by it, or is still pending."""

    PRESENT = "present"
    APPLIED = "applied"
    PENDING = "pending"


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """The state of one step. `applied_at` is None while it is pending; `changed` is how many rows this run changed."""

    version: int
    name: str
    checksum: str
    state: MigrationState
    applied_at: Millis | None
    changed: int = 0
