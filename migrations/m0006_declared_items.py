"""Step 6: what events said of items is removed, because everybody sees it. What catalogues declared stays.

A fact had a rank: the time at which it was stated, plus 10^15 if a catalogue declared it. A released step is never
edited.
"""

from __future__ import annotations

from typing import Final

from migrations.pages import ITEMS
from migrations.step import Step, StepKind

KEEP_DECLARED_FACTS: Final = """
MATCH (i:Item)
WHERE i.key > $after AND i.key <= $until
WITH i,
  i.title_rank AS title,
  i.category_rank AS category,
  i.price_rank AS price,
  i.available_rank AS available,
  i.year_rank AS year,
  i.attributes_rank AS attributes,
  i.topics_rank AS topics
WITH *, any(rank IN [title, category, price, available, year, attributes] WHERE rank < 1000000000000000) AS told
SET i.title = CASE WHEN title < 1000000000000000 THEN NULL ELSE i.title END,
    i.category = CASE WHEN category < 1000000000000000 THEN NULL ELSE i.category END,
    i.price = CASE WHEN price < 1000000000000000 THEN NULL ELSE i.price END,
    i.available = CASE WHEN available < 1000000000000000 THEN NULL ELSE i.available END,
    i.year = CASE WHEN year < 1000000000000000 THEN NULL ELSE i.year END,
    i.attributes = CASE WHEN attributes < 1000000000000000 THEN NULL ELSE i.attributes END,
    i.title_at = CASE WHEN title >= 1000000000000000 THEN title - 1000000000000000 ELSE i.title_at END,
    i.category_at = CASE WHEN category >= 1000000000000000 THEN category - 1000000000000000 ELSE i.category_at END,
    i.price_at = CASE WHEN price >= 1000000000000000 THEN price - 1000000000000000 ELSE i.price_at END,
    i.available_at = CASE WHEN available >= 1000000000000000 THEN available - 1000000000000000 ELSE i.available_at END,
    i.year_at = CASE WHEN year >= 1000000000000000 THEN year - 1000000000000000 ELSE i.year_at END,
    i.attributes_at =
      CASE WHEN attributes >= 1000000000000000 THEN attributes - 1000000000000000 ELSE i.attributes_at END,
    i.topics_at = CASE WHEN topics >= 1000000000000000 THEN topics - 1000000000000000 ELSE i.topics_at END,
    i.title_rank = NULL, i.category_rank = NULL, i.price_rank = NULL, i.available_rank = NULL,
    i.year_rank = NULL, i.attributes_rank = NULL, i.topics_rank = NULL, i.created_at = NULL
RETURN sum(CASE WHEN told THEN 1 ELSE 0 END) AS changed
"""

STEP: Final = Step(6, "undeclared item facts removed", StepKind.PAGES, (KEEP_DECLARED_FACTS,), (ITEMS,))
