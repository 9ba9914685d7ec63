"""Step 2: indexes for look-ups by a property other than the key.

Each index is on one property: one engine returns wrong ranges from a composite index that starts with a number. A
released step is never edited.
"""

from __future__ import annotations

from typing import Final

from migrations.step import Step, StepKind

DEFINE_INDEXES: Final = (
    "CREATE INDEX item_category IF NOT EXISTS FOR (n:Item) ON (n.category)",
    "CREATE INDEX dead_letter_source IF NOT EXISTS FOR (n:DeadLetter) ON (n.source)",
    "CREATE INDEX model_row_run IF NOT EXISTS FOR (n:ModelRow) ON (n.run)",
    "CREATE INDEX user_permits_until IF NOT EXISTS FOR (n:User) ON (n.permits_until)",
)

STEP: Final = Step(2, "look-up indexes", StepKind.DEFINITION, DEFINE_INDEXES)
