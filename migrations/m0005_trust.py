"""Step 5: graphs from before sources had a trust. Sources become `server`, and what records hold is graded.

Deriving everything that follows from this (people, devices, bars, permits) takes more than statements: sources stay
unsettled until `resolvers.identity.rederive.settle_sources` has done it. A released step is never edited.
"""

from __future__ import annotations

from typing import Final

from migrations.pages import IDENTIFIERS, RECORDS, SOURCES, USERS
from migrations.step import Step, StepKind

# Every source spoke as the company itself, and `server` is what that means. An operator lowers it where it isn't so.
TRUST_SOURCES: Final = """
MATCH (s:Source)
WHERE s.name > $after AND s.name <= $until
WITH s, s.trust IS NULL AS old
SET s.verifies = CASE WHEN old THEN [] ELSE s.verifies END,
    s.trust_epoch = CASE WHEN old THEN 1 ELSE s.trust_epoch END,
    s.settled_epoch = CASE WHEN old THEN 0 ELSE s.settled_epoch END,
    s.trust = CASE WHEN old THEN 'server' ELSE s.trust END
RETURN sum(CASE WHEN old THEN 1 ELSE 0 END) AS changed
"""

# What records remember has another form now. 64 empty entries stand for a record of which nothing is remembered and
# everything has to be looked up, until it is derived.
FORGET_KNOWN: Final = """
MATCH (r:Record)
WHERE r.id > $after AND r.id <= $until
WITH r, r.known IS NOT NULL AS old
SET r.known = CASE WHEN old THEN ';;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;;' ELSE NULL END
RETURN sum(CASE WHEN old THEN 1 ELSE 0 END) AS changed
"""

GRADE_HOLDINGS: Final = """
MATCH (r:Record)
WHERE r.id > $after AND r.id <= $until
OPTIONAL MATCH (r)-[h:IDENTIFIED_BY]->(i:Identifier)
WHERE h.grade IS NULL
SET h.grade = CASE WHEN i.kind IN ['email', 'phone'] THEN 'stated' ELSE 'proven' END
RETURN count(h) AS changed
"""

# An alias of a device proves that the account used it. The account holds the device's own name from then on.
PROVE_ALIASES: Final = """
MATCH (d:Record)
WHERE d.id > $after AND d.id <= $until
OPTIONAL MATCH (d)-[l:LINKED]-(a:Record {kind: 'user'})
WHERE d.kind = 'anonymous' AND l.status = 'asserted' AND l.to IS NULL
OPTIONAL MATCH (d)-[:IDENTIFIED_BY|CLAIMS]->(i:Identifier {kind: 'anonymous_id'})
WITH d, a, i, min(l.from) AS since
WITH d, a, i, since, a IS NOT NULL AND i IS NOT NULL AND NOT EXISTS { (a)-[:IDENTIFIED_BY]->(i) } AS missing
FOREACH (one IN CASE WHEN missing THEN [a] ELSE [] END |
  CREATE (one)-[:IDENTIFIED_BY {since: since, grade: 'proven'}]->(i))
RETURN sum(CASE WHEN missing THEN 1 ELSE 0 END) AS changed
"""

END_DEVICE_LINKS: Final = """
MATCH (d:Record)
WHERE d.id > $after AND d.id <= $until
OPTIONAL MATCH (d)-[l:LINKED]-(:Record)
WHERE d.kind = 'anonymous' AND l.to IS NULL
SET l.to = timestamp(), l.ended_by = 'devices'
RETURN count(DISTINCT l) AS changed
"""

CLAIM_NAMES_OF_DEVICES: Final = """
MATCH (d:Record)
WHERE d.id > $after AND d.id <= $until
OPTIONAL MATCH (d)-[h:IDENTIFIED_BY]->(i:Identifier)
WHERE d.kind = 'anonymous' AND i.kind IN ['anonymous_id', 'user_id']
FOREACH (one IN CASE WHEN h IS NULL THEN [] ELSE [i] END | CREATE (d)-[:CLAIMS {since: h.since}]->(one))
DELETE h
RETURN count(i) AS changed
"""

MARK_DENYING: Final = """
MATCH (r:Record)
WHERE r.id > $after AND r.id <= $until
WITH r, r.denies IS NULL AND EXISTS {
  MATCH (r)-[:DECIDED]->(e:ConsentEvent)
  WHERE e.state IN ['refused', 'withdrawn', 'revoked', 'objected', 'invalidated']
} AS old
SET r.denies = CASE WHEN old THEN true ELSE r.denies END
RETURN sum(CASE WHEN old THEN 1 ELSE 0 END) AS changed
"""

# What a record denied held for its whole person. Where records of a person part now, it still has to: they all claim an
# identifier that stands for the former person, so that denials cross over it as between candidates.
KEEP_FORMER_PEOPLE: Final = """
MATCH (u:User)
WHERE u.id > $after AND u.id <= $until
OPTIONAL MATCH (u)<-[x:RESOLVES_TO]-(r:Record)
WHERE x.to IS NULL
WITH u, collect(r) AS records, sum(CASE WHEN r.denies THEN 1 ELSE 0 END) AS denying
WITH u, CASE WHEN size(records) > 1 AND denying > 0 THEN records ELSE [] END AS records
FOREACH (r IN records |
  MERGE (i:Identifier {id: 'former' + u.id})
  ON CREATE SET i.kind = 'former_person', i.value = u.id, i.namespace = '', i.degree = 0
  MERGE (r)-[c:CLAIMS]->(i)
  SET c.since = 0)
RETURN sum(size(records)) AS changed
"""

COUNT_HOLDERS: Final = """
MATCH (i:Identifier)
WHERE i.id > $after AND i.id <= $until
WITH i, COUNT { MATCH (i)<-[h:IDENTIFIED_BY]-(:Record) WHERE h.grade = 'proven' } AS degree
WITH i, degree, coalesce(i.degree, 0) <> degree AS old
SET i.degree = degree
RETURN sum(CASE WHEN old THEN 1 ELSE 0 END) AS changed
"""

STEP: Final = Step(
    5,
    "trust of sources",
    StepKind.PAGES,
    (
        TRUST_SOURCES,
        FORGET_KNOWN,
        GRADE_HOLDINGS,
        PROVE_ALIASES,
        END_DEVICE_LINKS,
        CLAIM_NAMES_OF_DEVICES,
        MARK_DENYING,
        KEEP_FORMER_PEOPLE,
        COUNT_HOLDERS,
    ),
    (SOURCES, RECORDS, RECORDS, RECORDS, RECORDS, RECORDS, RECORDS, USERS, IDENTIFIERS),
)
