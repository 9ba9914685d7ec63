"""Step 7: the records of devices list their latest sessions. A released step is never edited."""

from __future__ import annotations

from typing import Final

from migrations.pages import RECORDS
from migrations.step import Step, StepKind

LIST_RECENT_SESSIONS: Final = """
MATCH (r:Record)
WHERE r.id > $after AND r.id <= $until
OPTIONAL MATCH (r)-[:HAD]->(s:Session)
WHERE r.kind = 'anonymous' AND r.recent_sessions IS NULL
WITH r, s ORDER BY s.started_at DESC
WITH r, collect(s.id)[0..20] AS latest
SET r.recent_sessions = CASE WHEN size(latest) > 0 THEN latest ELSE r.recent_sessions END
RETURN sum(CASE WHEN size(latest) > 0 THEN 1 ELSE 0 END) AS changed
"""

STEP: Final = Step(7, "recent sessions", StepKind.PAGES, (LIST_RECENT_SESSIONS,), (RECORDS,))
