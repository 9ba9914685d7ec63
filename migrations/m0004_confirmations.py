"""Step 4: a unique key for confirmations, and an index by which expired ones are found.

A released step is never edited.
"""

from __future__ import annotations

from typing import Final

from migrations.step import Step, StepKind

DEFINE_CONFIRMATIONS: Final = (
    "CREATE CONSTRAINT confirmation_id IF NOT EXISTS FOR (n:Confirmation) REQUIRE n.id IS UNIQUE",
    "CREATE INDEX confirmation_expires_at IF NOT EXISTS FOR (n:Confirmation) ON (n.expires_at)",
)

STEP: Final = Step(4, "confirmations", StepKind.DEFINITION, DEFINE_CONFIRMATIONS)
