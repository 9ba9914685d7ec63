"""Step 9: devices that no longer count for an account are no longer tied to it. A released step is never edited."""

from __future__ import annotations

from typing import Final

from migrations.pages import RECORDS
from migrations.step import Step, StepKind

DELETE_ENDED_TIES: Final = """
MATCH (d:Record)
WHERE d.id > $after AND d.id <= $until
OPTIONAL MATCH (d)-[c:COUNTS_FOR]->(:Record)
WHERE c.to IS NOT NULL
WITH d, collect(c) AS ended
FOREACH (c IN ended | DELETE c)
RETURN sum(size(ended)) AS changed
"""

STEP: Final = Step(9, "ended ties of devices deleted", StepKind.PAGES, (DELETE_ENDED_TIES,), (RECORDS,))
