"""Step 9: devices that no longer count for an account are no longer tied to it. A released step is never edited."""

from __future__ import annotations

from typing import Final

from migrations.step import Step, StepKind

DELETE_ENDED_TIES: Final = """
MATCH (d:Record)
WHERE d.id > $after
WITH d ORDER BY d.id LIMIT 250
OPTIONAL MATCH (d)-[c:COUNTS_FOR]->(:Record)
WHERE c.to IS NOT NULL
WITH d, collect(c) AS ended
FOREACH (c IN ended | DELETE c)
RETURN sum(size(ended)) AS changed, max(d.id) AS last
"""

STEP: Final = Step(9, "ended ties of devices deleted", StepKind.PAGES, (DELETE_ENDED_TIES,))
