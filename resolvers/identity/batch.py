"""The batch: deciding afresh about every record, and the report on linkage as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from algorithms.identity.clustering import RefusalReason
from algorithms.identity.linkage import DEFAULT_LINKAGE, LinkageConfig
from graph.identity.devices import count_devices
from graph.identity.identifiers import count_refused_identifiers
from graph.identity.links import count_links
from graph.identity.users import count_records_and_people, read_record_page
from graph.model.identity import LinkOutcome, RecordId
from graph.model.time import Millis
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from resolvers.consent.permits import refresh_permits
from resolvers.identity.candidates import CandidateReport, count_candidates
from resolvers.identity.devices import settle_devices
from resolvers.identity.linkage import LinkageChanges, relink_records

BATCH_PAGE: Final = 250
BATCH_NEIGHBOURHOOD: Final = 20_000
"""Records per page of the batch, and the largest neighbourhood, in records, that the batch decides."""


@dataclass(frozen=True, slots=True)
class LinkageReport:
    """The state of linkage after the batch, as counts. `links` are those that hold now; `refused` counts refused pairs,
    identifiers and records by reason; `opened`, `ended`, `merged` and `split` are what this run changed, 0 if arrivals
    were linked under the same rules; `deferred` are records whose neighbourhood is too large even for the batch.
    `devices` are those that count for an account, by grade."""

    records: int
    users: int
    links: int
    refused: Mapping[str, int]
    opened: int
    ended: int
    merged: int
    split: int
    deferred: int
    devices: Mapping[str, int]
    candidates: CandidateReport


async def resolve_all(
    client: GraphClient,
    policy: Policy,
    clock: Callable[[], Millis],
    config: LinkageConfig = DEFAULT_LINKAGE,
    progress: Callable[[int], None] | None = None,
) -> LinkageReport:
    """Decides afresh about every record, page by page in the order of IDs, and refreshes the permits of those affected.

    May run alongside arrivals: each page is a transaction of its own over whole neighbourhoods. `progress` is called
    after each page with the number of records examined so far. Memory: the IDs of records visited ahead of their page.
    """
    roomy = config.model_copy(update={"neighbourhood_cap": max(config.neighbourhood_cap, BATCH_NEIGHBOURHOOD)})
    totals: Counter[str] = Counter()
    ahead: set[RecordId] = set()
    last = ""
    while page := await read_record_page(client, last, BATCH_PAGE):
        last = page[-1]
        outcome = await client.write(
            partial(_resolve_page, records=set(page) - ahead, policy=policy, now=clock(), config=roomy)
        )
        ahead = {record for record in ahead | (outcome.visited - outcome.deferred) if record > last}
        totals.update(opened=outcome.opened, ended=outcome.ended, merged=len(outcome.merged))
        totals.update(split=len(outcome.split), deferred=len(outcome.deferred), seen=len(page))
        if progress is not None:
            progress(totals["seen"])
    return await _report(client, totals)


async def _resolve_page(
    tx: Writer, records: Collection[RecordId], policy: Policy, now: Millis, config: LinkageConfig
) -> LinkageChanges:
    outcome = await relink_records(tx, records, now, config)
    await settle_devices(tx, records, (), now)
    if outcome.affected_users:
        await refresh_permits(tx, outcome.affected_users, policy, now)
    return outcome


async def _report(client: GraphClient, totals: Mapping[str, int]) -> LinkageReport:
    people = await count_records_and_people(client)
    counts = await count_links(client)
    refused = Counter(await count_refused_identifiers(client))
    for count in counts:
        if count.status is LinkOutcome.REFUSED:
            refused[count.reason] += count.number
    if people.objected:
        refused[RefusalReason.NO_CONSENT] = people.objected
    return LinkageReport(
        records=people.records,
        users=people.users,
        links=sum(count.number for count in counts if count.status is LinkOutcome.ACTIVE),
        refused=dict(sorted(refused.items())),
        opened=totals["opened"],
        ended=totals["ended"],
        merged=totals["merged"],
        split=totals["split"],
        deferred=totals["deferred"],
        devices=await count_devices(client),
        candidates=await count_candidates(client),
    )
