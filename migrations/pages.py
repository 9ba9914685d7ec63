"""Where pages end: statements that return the keys at which the next pages of a label's nodes end.

One engine sorts all that is left to find the first of it. So many pages are found at once, and each is then a range
between two keys, which takes the same time anywhere in the graph. Each statement returns the ends of up to 200 pages of
250 nodes after `$after`.
"""

from __future__ import annotations

from typing import Final

_ENDS: Final = """ ORDER BY key LIMIT 50000
WITH collect(key) AS keys
RETURN [i IN range(0, size(keys) - 1) WHERE i % 250 = 249 OR i = size(keys) - 1 | keys[i]] AS ends
"""

SOURCES: Final = f"""
MATCH (n:Source)
WHERE n.name > $after
WITH n.name AS key{_ENDS}"""

RECORDS: Final = f"""
MATCH (n:Record)
WHERE n.id > $after
WITH n.id AS key{_ENDS}"""

USERS: Final = f"""
MATCH (n:User)
WHERE n.id > $after
WITH n.id AS key{_ENDS}"""

IDENTIFIERS: Final = f"""
MATCH (n:Identifier)
WHERE n.id > $after
WITH n.id AS key{_ENDS}"""

ITEMS: Final = f"""
MATCH (n:Item)
WHERE n.key > $after
WITH n.key AS key{_ENDS}"""
