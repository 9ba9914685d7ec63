"""Linkage in the graph: deciding the neighbourhoods of accounts, and moving their records between people.

These use cases run inside the caller's write transaction, except `resolve_all`. The same decision is made on arrival
and in the batch, each time over whole neighbourhoods, and it depends on the evidence alone. So the batch changes
nothing where arrivals have been linked, unless the rules have changed or a neighbourhood was too large for an arrival.
When memberships change, the caller runs `resolvers.consent.permits.refresh_permits` for `affected_users` in the same
transaction.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ulid import ULID

from algorithms.identity.clustering import RefusalReason
from algorithms.identity.linkage import DEFAULT_LINKAGE, Linkage, LinkageConfig, link
from algorithms.identity.succession import Succession, assign_users
from graph.identity.identifiers import count_refused_identifiers, write_refused_identifiers
from graph.identity.links import LinkEdge, count_links, read_sharing, write_link_ends, write_links
from graph.identity.users import count_records_and_people, read_record_page, write_moves, write_retirements, write_users
from graph.model.identity import LinkOutcome, RecordId, UserId
from graph.model.time import Millis
from graph.segments.memberships import end_unpermitted
from graph.store.client import GraphClient, Writer
from privacy.policy import Policy
from privacy.purposes import ANALYTICS
from resolvers.consent.permits import refresh_permits
from resolvers.identity.neighbourhood import LockedNeighbourhood, lock_neighbourhood

ACTOR: Final = "linkage/deterministic/1"
"""The actor stored on every edge that linkage opens; it includes the version of the rules."""

BATCH_PAGE: Final = 250
BATCH_NEIGHBOURHOOD: Final = 20_000
"""Records per page of the batch, and the largest neighbourhood, in records, that the batch decides."""


@dataclass(frozen=True, slots=True)
class LinkageChanges:
    """What linkage changed. `affected_users` are live users whose records have changed; `merged` maps a retired user to
    its survivor, `split` a user to those that some of its records moved to. `opened` and `ended` count edges, `visited`
    are the records decided, `deferred` those whose neighbourhood is too large for an arrival."""

    affected_users: frozenset[UserId] = frozenset()
    merged: Mapping[UserId, UserId] = field(default_factory=dict)
    split: Mapping[UserId, tuple[UserId, ...]] = field(default_factory=dict)
    opened: int = 0
    ended: int = 0
    visited: frozenset[RecordId] = frozenset()
    deferred: frozenset[RecordId] = frozenset()


@dataclass(frozen=True, slots=True)
class LinkageReport:
    """The state of linkage after the batch, as counts. `links` are those that hold now; `refused` counts refused pairs,
    identifiers and records by reason; `opened`, `ended`, `merged` and `split` are what this run changed, 0 if arrivals
    were linked under the same rules; `deferred` are records whose neighbourhood is too large even for the batch."""

    records: int
    users: int
    links: int
    refused: Mapping[str, int]
    opened: int
    ended: int
    merged: int
    split: int
    deferred: int


async def link_records(
    tx: Writer, records: Collection[RecordId], now: Millis, config: LinkageConfig = DEFAULT_LINKAGE
) -> LinkageChanges:
    """Decides afresh about these records and all that evidence connects with them, and writes only what differs.

    Call it for records with new evidence, new judgements, or changed consent to identity linking. A record that shares
    nothing and has no link costs no write. Idempotent.
    """
    return await _link(tx, await read_sharing(tx, records), now, config) if records else LinkageChanges()


async def relink_records(
    tx: Writer, records: Collection[RecordId], now: Millis, config: LinkageConfig = DEFAULT_LINKAGE
) -> LinkageChanges:
    """Does the same as `link_records`, including identifiers that earlier rules refused."""
    return await _link(tx, await read_sharing(tx, records, everything=True), now, config)


async def _link(tx: Writer, records: Collection[RecordId], now: Millis, config: LinkageConfig) -> LinkageChanges:
    if not records:
        return LinkageChanges()
    found = await lock_neighbourhood(tx, records, config)
    decision = link(found.evidence(), config)
    opened, ended = await _write_edges(tx, found, decision, now)
    moved = assign_users(decision.components, found.memberships(), lambda: UserId(str(ULID())))
    await _write_succession(tx, moved, now)
    return LinkageChanges(
        affected_users=frozenset(moved.affected),
        merged=moved.retired,
        split={user: tuple(successors) for user, successors in moved.split.items()},
        opened=opened,
        ended=ended,
        visited=frozenset(found.records),
        deferred=frozenset(found.deferred),
    )


async def _write_edges(tx: Writer, found: LockedNeighbourhood, decision: Linkage, now: Millis) -> tuple[int, int]:
    """Brings edges and refused identifiers in line with the decision. Returns how many edges were opened and ended."""
    wanted = _wanted_edges(decision)
    refused = {each.evidence: each.reason for each in decision.refusals if each.left is None}
    present = {edge for edge in found.edges() if isinstance(edge.status, LinkOutcome)}
    stored = found.refused()
    marks = [(each, refused.get(each)) for each, reason in stored.items() if reason != refused.get(each)]
    reasons = {(frozenset((edge.left, edge.right)), edge.evidence): edge.reason for edge in wanted}
    ended = [(edge, _explain_end(edge, found, refused, reasons)) for edge in present - wanted]
    opened = wanted - present
    if marks:
        await write_refused_identifiers(tx, marks, now)
    if ended:
        await write_link_ends(tx, ended, now)
    if opened:
        await write_links(tx, opened, ACTOR, now)
    return len(opened), len(ended)


def _wanted_edges(decision: Linkage) -> set[LinkEdge]:
    edges = {LinkEdge(each.left, each.right, LinkOutcome.ACTIVE, each.rule, each.evidence) for each in decision.links}
    for each in decision.refusals:
        if each.left is not None and each.right is not None:
            what = (LinkOutcome.REFUSED, each.rule, each.evidence, each.reason, each.detail)
            edges.add(LinkEdge(each.left, each.right, *what))
    return edges


def _explain_end(
    edge: LinkEdge,
    found: LockedNeighbourhood,
    refused: Mapping[str, RefusalReason],
    reasons: Mapping[tuple[frozenset[RecordId], str], str],
) -> str:
    """Returns why an edge no longer holds: the reason for its refusal, or `superseded` by other evidence."""
    if not all(found.records[record].evidence.permitted for record in (edge.left, edge.right)):
        return RefusalReason.NO_CONSENT
    here = reasons.get((frozenset((edge.left, edge.right)), edge.evidence))
    return refused.get(edge.evidence) or here or "superseded"


async def _write_succession(tx: Writer, moved: Succession, now: Millis) -> None:
    if moved.created:
        await write_users(tx, moved.created, now)
    if moved.moves:
        await write_moves(tx, moved.moves, now)
    if moved.retired:
        await write_retirements(tx, moved.retired, now)
        await end_unpermitted(tx, moved.retired.keys(), ANALYTICS, now)


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
    )
