"""Deterministic linkage: from proven identifiers and asserted links to a partition of account records, every step
explained.

Evidence is processed by kind, strongest first (`LinkageConfig.order`), within a kind by the earliest receipt of the
identifier for any record, then by its ID. An identifier's records are processed by the receipt since when each has held
it, then by record ID. The first record leads; each further one joins the first group in which some record held the
identifier at the same time, unless a veto forbids it, or else leads a group of its own. Because weaker kinds come
later, a limit or conflict always costs the weakest, latest identifier its link: it is demoted, stays on its record, and
matching continues with the rest. Devices take no part: `algorithms/identity/devices.py` decides about them.

No tie is broken by the order of arrival, so the result depends on the evidence alone: batch and incremental linkage
agree in any order. Records that share no usable identifier, directly or through others, don't influence each other, so
a neighbourhood, which is closed under sharing, can be decided on its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from algorithms.identity.blocking import DEFAULT_BLOCKING, EMAIL, PHONE, USER_ID, BlockingRules
from algorithms.identity.clustering import Components, RefusalReason, Slot
from graph.model.identity import EvidenceRecord, Holding, Neighbourhood, RecordId
from graph.model.time import Millis

ALIAS: Final = "alias"
EXTERNAL: Final = "external"


class LinkageConfig(BaseModel):
    """How strong each kind of evidence is, and how far it may reach.

    `order` is strongest first; `alias` stands for asserted links, `external` for every kind not named. `limits` sets
    how many different identifiers of a kind one person may hold. For the `unique` kinds, one source may give a person
    only one per namespace: a shop that knows two user IDs knows two people, while a shop and a CRM may each have their
    own name for one person. Contact data of the `contacts` kinds that one source holds for two accounts at the same
    time, such as info@, links no one. A component has at most `component_cap` records. A neighbourhood of more than
    `neighbourhood_cap` records is left to the batch, so that no arrival holds up others.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    order: tuple[str, ...] = (USER_ID, ALIAS, EXTERNAL, EMAIL, PHONE)
    unique: frozenset[str] = frozenset({USER_ID})
    contacts: frozenset[str] = frozenset({EMAIL, PHONE})
    limits: Mapping[str, int] = Field(default_factory=lambda: {EXTERNAL: 10, EMAIL: 5, PHONE: 5})
    component_cap: int = Field(default=100, ge=2)
    neighbourhood_cap: int = Field(default=64, ge=2)
    blocking: BlockingRules = DEFAULT_BLOCKING

    @model_validator(mode="after")
    def _check(self) -> Self:
        if len(set(self.order)) != len(self.order) or not {ALIAS, EXTERNAL} <= set(self.order):
            raise ValueError("order must name alias, external and each further kind once")
        if any(limit < 1 for limit in self.limits.values()):
            raise ValueError("limits must be at least 1")
        return self

    def rank(self, kind: str) -> int:
        """Returns the position of a kind in the order; smaller is stronger."""
        return self.order.index(kind if kind in self.order else EXTERNAL)

    def slot(self, kind: str, namespace: str, source: str) -> Slot:
        """Returns the slot that an identifier of this kind, on a record of this source, counts towards."""
        if kind in self.unique:
            return Slot(kind, namespace, 1, unique=True, source=source)
        fallback = self.limits.get(EXTERNAL, 10)
        return Slot(kind, "", self.limits.get(kind, fallback), unique=False)


DEFAULT_LINKAGE: Final = LinkageConfig()
"""The default configuration."""


@dataclass(frozen=True, slots=True, order=True)
class Link:
    """An accepted link. `rule` is the identifier kind or `alias`, `evidence` the identifier's ID (empty for
    `alias`)."""

    left: RecordId
    right: RecordId
    rule: str
    evidence: str = ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Evidence that does not link.

    For a pair, `left` and `right` are set; for an identifier that links no records (blocked or too frequent), neither
    is; for a record that takes no part in linkage, only `left` is. `detail` is the kind whose limit or uniqueness
    prevents the link.
    """

    reason: RefusalReason
    rule: str = ""
    evidence: str = ""
    left: RecordId | None = None
    right: RecordId | None = None
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Linkage:
    """The decision: a spanning forest of links, the refusals, and the components (every record is in exactly one)."""

    links: tuple[Link, ...]
    refusals: tuple[Refusal, ...]
    components: tuple[tuple[RecordId, ...], ...]


@dataclass(frozen=True, slots=True, order=True)
class _Holder:
    """A record that holds an identifier from `since` until before `ended` (exclusive; None: still)."""

    since: Millis
    record: RecordId
    source: str
    ended: Millis | None = None

    def overlaps(self, other: _Holder) -> bool:
        """Whether both records held the identifier at the same time."""
        return (other.ended is None or self.since < other.ended) and (self.ended is None or other.since < self.ended)


@dataclass(slots=True)
class _Shared:
    """An identifier with its holders among the records that take part."""

    facts: Holding
    holders: list[_Holder] = field(default_factory=list)


def link(neighbourhood: Neighbourhood, config: LinkageConfig = DEFAULT_LINKAGE) -> Linkage:
    """Partitions a neighbourhood's records into people. O(n log n) in holdings, and O(cap²) for an identifier."""
    permitted = {record.id for record in neighbourhood.records if record.permitted}
    components = Components((record.id for record in neighbourhood.records), neighbourhood.apart, config.component_cap)
    links: list[Link] = []
    refusals = [
        Refusal(RefusalReason.NO_CONSENT, left=record.id) for record in neighbourhood.records if not record.permitted
    ]
    usable: list[_Shared] = []
    for shared in _collect(neighbourhood.records):
        reason = refuse_identifier(shared.facts, max(shared.facts.degree, len(shared.holders)), config)
        if reason is None and shared.facts.kind in config.contacts and _is_shared_within_source(shared.holders):
            reason = RefusalReason.SHARED_CONTACT
        if reason is None:
            usable.append(shared)
        else:
            refusals.append(Refusal(reason, shared.facts.kind, shared.facts.identifier))
    pairs = sorted({(min(pair), max(pair)) for pair in neighbourhood.asserted if permitted.issuperset(pair)})
    before = [shared for shared in usable if config.rank(shared.facts.kind) < config.rank(ALIAS)]
    after = [shared for shared in usable if config.rank(shared.facts.kind) > config.rank(ALIAS)]
    for shared in sorted(before, key=lambda each: _strength(each, config)):
        _link_holders(shared, components, config, links, refusals)
    for left, right in pairs:
        _link_asserted(left, right, components, links, refusals)
    for shared in sorted(after, key=lambda each: _strength(each, config)):
        _link_holders(shared, components, config, links, refusals)
    return Linkage(tuple(sorted(links)), tuple(sorted(refusals, key=_order_of_refusal)), components.groups())


def refuse_identifier(facts: Holding, degree: int, config: LinkageConfig) -> RefusalReason | None:
    """Returns why an identifier links no records at all, or None: its value is blocked, or `degree` exceeds the cap of
    its kind."""
    if config.blocking.reason(facts.kind, facts.value) is not None:
        return RefusalReason.BLOCKED_VALUE
    if degree > config.blocking.cap(facts.kind):
        return RefusalReason.FREQUENCY_CAP
    return None


def _collect(records: Iterable[EvidenceRecord]) -> Iterator[_Shared]:
    found: dict[str, _Shared] = {}
    for record in records:
        if record.permitted:
            for holding in record.holdings:
                shared = found.get(holding.identifier)
                if shared is None:
                    shared = found[holding.identifier] = _Shared(holding)
                shared.holders.append(_Holder(holding.since, record.id, record.source, holding.ended))
    for shared in found.values():
        shared.holders.sort(key=lambda holder: (holder.since, holder.record))
        yield shared


def _is_shared_within_source(holders: list[_Holder]) -> bool:
    """Whether one source holds the identifier for two accounts at the same time. O(holders²), at most the cap's."""
    return any(
        one.source == other.source and one.overlaps(other)
        for place, one in enumerate(holders)
        for other in holders[place + 1 :]
    )


def _strength(shared: _Shared, config: LinkageConfig) -> tuple[int, Millis, str]:
    return config.rank(shared.facts.kind), shared.holders[0].since, shared.facts.identifier


def _link_holders(
    shared: _Shared, components: Components, config: LinkageConfig, links: list[Link], refusals: list[Refusal]
) -> None:
    """Joins an identifier's holders around the earliest one. The module's docstring explains what a veto leads to."""
    facts = shared.facts
    groups: list[list[_Holder]] = []
    demoted: dict[str, tuple[RecordId, Slot]] = {}
    for holder in shared.holders:
        record = holder.record
        slot = config.slot(facts.kind, facts.namespace, holder.source)
        component = components.find(record)
        known = next((group for group in groups if components.find(group[0].record) == component), None)
        if known is not None:
            known.append(holder)
            continue
        if component in demoted:
            continue
        if not components.admit(record, slot, facts.identifier):
            demoted[component] = (record, slot)
            continue
        refusal = _join_group(holder, groups, facts, components, links)
        if refusal is not None:
            refusals.append(refusal)
    anchors = [group[0].record for group in groups] or [record for record, _ in demoted.values()][:1]
    for record, slot in demoted.values():
        if record != anchors[0]:
            refusals.append(Refusal(slot.reason, facts.kind, facts.identifier, anchors[0], record, slot.kind))


def _join_group(
    holder: _Holder, groups: list[list[_Holder]], facts: Holding, components: Components, links: list[Link]
) -> Refusal | None:
    """Joins a holder to the first group that allows it, or else begins a group; then returns why the first did not."""
    refusal: Refusal | None = None
    for group in groups:
        beside = next((member for member in group if member.overlaps(holder)), None)
        if beside is None:
            why = Refusal(
                RefusalReason.NO_OVERLAP, facts.kind, facts.identifier, group[0].record, holder.record, facts.kind
            )
        elif (veto := components.veto(beside.record, holder.record)) is not None:
            why = Refusal(veto.reason, facts.kind, facts.identifier, beside.record, holder.record, veto.kind or "")
        else:
            components.join(beside.record, holder.record)
            links.append(Link(beside.record, holder.record, facts.kind, facts.identifier))
            group.append(holder)
            return None
        refusal = refusal or why
    groups.append([holder])
    return refusal


def _link_asserted(
    left: RecordId, right: RecordId, components: Components, links: list[Link], refusals: list[Refusal]
) -> None:
    if components.find(left) == components.find(right):
        return
    veto = components.veto(left, right)
    if veto is None:
        components.join(left, right)
        links.append(Link(left, right, ALIAS))
    else:
        refusals.append(Refusal(veto.reason, ALIAS, "", left, right, veto.kind or ""))


def _order_of_refusal(refusal: Refusal) -> tuple[str, ...]:
    return refusal.rule, refusal.evidence, refusal.left or "", refusal.right or "", refusal.reason
