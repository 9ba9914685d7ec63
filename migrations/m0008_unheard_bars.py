"""Step 8: the index by which identifiers are found whose people have still to be marked for new bars.

A released step is never edited.
"""

from __future__ import annotations

from typing import Final

from migrations.step import Step, StepKind

DEFINE_INDEXES: Final = ("CREATE INDEX identifier_unheard_since IF NOT EXISTS FOR (n:Identifier) ON (n.unheard_since)",)

STEP: Final = Step(8, "unheard bars", StepKind.DEFINITION, DEFINE_INDEXES)
