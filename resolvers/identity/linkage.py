"""Linkage in the graph: deciding the neighbourhoods of accounts, and moving their records between people.

These use cases run inside the caller's write transaction. The same decision is made on arrival
and in the batch, each time over whole neighbourhoods, and it depends on the evidence alone. So the batch changes
nothing where arrivals have been linked, unless the rules have changed or a neighbourhood was too large for an arrival.
When memberships change, the caller runs `resolvers.consent.permits.refresh_permits` for `affected_users` in the same
transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from ulid import ULID

from algorithms.identity.clustering import RefusalReason
from algorithms.identity.linkage import DEFAULT_LINKAGE, Linkage, LinkageConfig, link
from algorithms.identity.succession import Succession, assign_users
from graph.identity.identifiers import write_refused_identifiers
from graph.identity.links import LinkEdge, read_sharing, write_link_ends, write_links
from graph.identity.users import write_moves, write_retirements, write_users
from graph.model.identity import LinkOutcome, RecordId, UserId
from graph.model.time import Millis
from graph.segments.memberships import end_unpermitted
from graph.store.client import Writer
from privacy.purposes import ANALYTICS
from resolvers.consent.recording import leave_denials, share_denials
from resolvers.identity.neighbourhood import LockedNeighbourhood, lock_neighbourhood

ACTOR: Final = "linkage/deterministic/1"
"""The actor stored on every edge that linkage opens; it includes the version of the rules."""


@dataclass(frozen=True, slots=True)
class LinkageChanges:
    """What linkage changed. `affected_users` are live users whose records have changed, and those whom the denials of
    people that parted reach; `merged` maps a retired user to its survivor, `split` a user to those that some of its
    records moved to. `opened` and `ended` count edges, `visited` are the records decided, `deferred` those whose
    neighbourhood is too large for an arrival."""

    affected_users: frozenset[UserId] = frozenset()
    merged: Mapping[UserId, UserId] = field(default_factory=dict)
    split: Mapping[UserId, tuple[UserId, ...]] = field(default_factory=dict)
    opened: int = 0
    ended: int = 0
    visited: frozenset[RecordId] = frozenset()
    deferred: frozenset[RecordId] = frozenset()


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
    opened, ended, parting = await _write_edges(tx, found, decision, now)
    reached = await leave_denials(tx, parting, now)
    moved = assign_users(decision.components, found.memberships(), lambda: UserId(str(ULID())))
    await _write_succession(tx, moved, now)
    users = {moved.moves.get(record, known.membership.user) for record, known in found.records.items()}
    reached |= await share_denials(tx, users, now)
    return LinkageChanges(
        affected_users=frozenset(moved.affected | reached),
        merged=moved.retired,
        split={user: tuple(successors) for user, successors in moved.split.items()},
        opened=opened,
        ended=ended,
        visited=frozenset(found.records),
        deferred=frozenset(found.deferred),
    )


async def _write_edges(
    tx: Writer, found: LockedNeighbourhood, decision: Linkage, now: Millis
) -> tuple[int, int, dict[str, set[UserId]]]:
    """Brings edges and refused identifiers in line with the decision. Returns how many edges were opened and ended, and
    what `_find_parting` does."""
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
    return len(opened), len(ended), _find_parting(ended, found, decision)


def _find_parting(
    ended: Sequence[tuple[LinkEdge, str]], found: LockedNeighbourhood, decision: Linkage
) -> dict[str, set[UserId]]:
    """Returns the identifiers, by ID, over which people part now, each with those people: what was denied to any of
    their records held for all, so it goes on to bar both sides. Only a judgement that two records are two people parts
    their denials, too."""
    place = {record: number for number, component in enumerate(decision.components) for record in component}
    parting: dict[str, set[UserId]] = {}
    for edge, reason in ended:
        left, right = (found.records[record].membership.user for record in (edge.left, edge.right))
        linked = edge.status is LinkOutcome.ACTIVE and edge.evidence and reason != _JUDGED
        if linked and left == right and place[edge.left] != place[edge.right]:
            parting.setdefault(edge.evidence, set()).add(left)
    return parting


_JUDGED: Final = RefusalReason.CANNOT_LINK


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
