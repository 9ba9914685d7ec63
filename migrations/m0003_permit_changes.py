"""Step 3: the index by which the watch finds the people whose permits have changed since a run.

A released step is never edited.
"""

from __future__ import annotations

from typing import Final

from migrations.step import Step, StepKind

DEFINE_INDEXES: Final = ("CREATE INDEX user_permits_changed_at IF NOT EXISTS FOR (n:User) ON (n.permits_changed_at)",)

STEP: Final = Step(3, "changes of permits", StepKind.DEFINITION, DEFINE_INDEXES)
