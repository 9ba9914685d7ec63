"""Mutations: they enter through the same door as collected messages, so they are as idempotent and share its commits.

What lives here: who may do what, and the way from an input to the ingestor. What does not: the shapes
(`api/graphql/mutations/inputs.py`), reading lines (`api/collection/segment/mapping.py`), writing
(`resolvers/collection/ingestor.py`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Annotated, Any, Final

import strawberry
from strawberry.types import Info

from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import read_message
from api.graphql.mutations.inputs import (
    ConsentInput,
    ConsentPayload,
    EventInput,
    ItemInput,
    ItemsPayload,
    Line,
    RecordInput,
    RecordName,
    RecordPayload,
    Rejection,
    TrackPayload,
    WithdrawInput,
)
from api.graphql.types.context import GraphQLContext
from api.graphql.types.relay import given
from graph.access.sources import read_source
from graph.errors import BadInput, Forbidden
from graph.model.access import Source
from graph.model.consent import ConsentState
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from privacy.gate import Role
from privacy.purposes import Assurance
from resolvers.collection.transaction import MessageOutcome
from resolvers.context import RequestContext
from resolvers.profile.find import Wanted, find_own

MOST_ENTRIES: Final = 500
SAYABLE: Final = frozenset(
    {ConsentState.GIVEN, ConsentState.RENEWED, ConsentState.REFUSED, ConsentState.OBJECTED, ConsentState.UNKNOWN}
)
RECORD_ROLES: Final = frozenset({Role.OPERATOR})
ITEM_ROLES: Final = frozenset({Role.OPERATOR})
TRACK_ROLES: Final = frozenset({Role.FRONTEND, Role.OPERATOR})
CONSENT_ROLES: Final = frozenset({Role.SUBJECT, Role.OPERATOR})
"""Not front-ends by their own key: what consent opens for a viewer, that viewer can't give itself."""
WITHDRAWAL_ROLES: Final = CONSENT_ROLES | {Role.FRONTEND}

GraphQLInfo = Info[GraphQLContext, None]


@dataclass(slots=True)
class Delivery:
    """Lines on their way into the graph: what could be read, and what could not."""

    asking: GraphQLContext
    messages: list[Message] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    _sources: dict[str, Source | None] = field(default_factory=dict)

    async def source(self, name: str) -> Source:
        """A registered source, looked up once a request. Raises BadInput."""
        if name not in self._sources:
            self._sources[name] = await read_source(self.asking.request.services.client, name)
        found = self._sources[name]
        if found is None:
            raise BadInput("source: it is not registered; see `consentric source create`.")
        return found

    def add(self, index: int, line: Line, source: Source) -> None:
        """Reads one line; what can't be read is noted as rejected."""
        services = self.asking.request.services
        origin = Origin(source, services.clock(), services.policy, own_types=True)
        try:
            self.messages.append(read_message(line, origin))
        except Rejected as error:
            self.rejected.append(Rejection(index=index, code=error.reason, message=error.message, field=error.field))

    async def commit(self) -> tuple[int, int]:
        """Writes what could be read; answers how many were new and how many known. Raises where one is refused."""
        if not self.messages:
            return 0, 0
        outcomes = await self.asking.ingestor.submit(self.messages)
        if any(outcome not in (MessageOutcome.ACCEPTED, MessageOutcome.DUPLICATE) for outcome in outcomes):
            raise BadInput("input: the store can't hold a value of it; it was kept as a dead letter.")
        return outcomes.count(MessageOutcome.ACCEPTED), outcomes.count(MessageOutcome.DUPLICATE)


def _admit(info: GraphQLInfo, roles: Collection[Role]) -> GraphQLContext:
    role = info.context.request.viewer.role
    if role not in roles:
        raise Forbidden(f"{info.field_name}: this credential's role ({role}) may not do this.")
    return info.context


def _bound(entries: Sequence[Any]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise BadInput(f"input: at most {MOST_ENTRIES} entries in one request.")


@strawberry.type(description="Everything that can be written.")
class Mutation:
    """What can be written."""

    @strawberry.mutation(description="Writes what a source knows about a person. For operators.")
    async def upsert_record(
        self, info: GraphQLInfo, input: Annotated[RecordInput, strawberry.argument(description="The record.")]
    ) -> RecordPayload:
        delivery = Delivery(_admit(info, RECORD_ROLES))
        delivery.add(0, input.line(), await delivery.source(input.source))
        accepted, duplicate = await delivery.commit()
        return RecordPayload(accepted=accepted, duplicate=duplicate, rejected=delivery.rejected)

    @strawberry.mutation(description="Writes items of the catalogue. For operators.")
    async def upsert_items(
        self,
        info: GraphQLInfo,
        input: Annotated[list[ItemInput], strawberry.argument(description="The items, at most 500.")],
    ) -> ItemsPayload:
        delivery = Delivery(_admit(info, ITEM_ROLES))
        _bound(input)
        catalogue = Source(name=f"graphql:{delivery.asking.request.viewer.client}")
        for index, item in enumerate(input):
            delivery.add(index, item.line(), catalogue)
        accepted, duplicate = await delivery.commit()
        return ItemsPayload(accepted=accepted, duplicate=duplicate, rejected=delivery.rejected)

    @strawberry.mutation(
        description="Writes events, each counted once by its `messageId`. For front-ends and operators."
    )
    async def track(
        self,
        info: GraphQLInfo,
        input: Annotated[list[EventInput], strawberry.argument(description="The events, at most 500.")],
    ) -> TrackPayload:
        delivery = Delivery(_admit(info, TRACK_ROLES))
        _bound(input)
        for index, event in enumerate(input):
            try:
                source = await delivery.source(event.source)
            except BadInput as error:
                unknown = Rejection(
                    index=index, code=RejectionReason.UNKNOWN_SOURCE, message=str(error), field="source"
                )
                delivery.rejected.append(unknown)
            else:
                delivery.add(index, event.line(), source)
        accepted, duplicate = await delivery.commit()
        return TrackPayload(accepted=accepted, duplicate=duplicate, rejected=delivery.rejected)

    @strawberry.mutation(
        description="Records what a person states about a purpose. For the person, by their own token, and operators."
    )
    async def record_consent(
        self, info: GraphQLInfo, input: Annotated[ConsentInput, strawberry.argument(description="The statement.")]
    ) -> ConsentPayload:
        asking = _admit(info, CONSENT_ROLES)
        if ConsentState(input.state) not in SAYABLE:
            raise BadInput("state: GIVEN, RENEWED, REFUSED, OBJECTED or UNKNOWN; use withdrawConsent to take back.")
        return await _state(asking, input.line(), given(input.record))

    @strawberry.mutation(
        description="Takes back a consent, with effect from the next read. For the person, front-ends and operators."
    )
    async def withdraw_consent(
        self, info: GraphQLInfo, input: Annotated[WithdrawInput, strawberry.argument(description="The withdrawal.")]
    ) -> ConsentPayload:
        asking = _admit(info, WITHDRAWAL_ROLES)
        if asking.request.viewer.role is Role.FRONTEND and given(input.jurisdiction) is not None:
            raise Forbidden("jurisdiction: a front-end does not state it; what silence means depends on it.")
        return await _state(asking, input.line(), given(input.record))


async def _state(asking: GraphQLContext, line: Line, record: RecordName | None) -> ConsentPayload:
    """Writes one statement and answers, to the person, where every purpose stands then."""
    delivery, request = Delivery(asking), asking.request
    line |= _speaker(request, record)
    subject = request.viewer.subject
    line["assurance"] = int(Assurance.STATED if subject is None else Assurance.AUTHENTICATED)
    line["actor"] = request.viewer.client
    if subject is not None and line.get("messageId"):
        line["messageId"] = _own_id(subject, line["messageId"])
    delivery.add(0, line, await delivery.source(line.pop("source")))
    if delivery.rejected:
        first = delivery.rejected[0]
        raise BadInput(first.message)
    accepted, duplicate = await delivery.commit()
    consents = None
    if subject is not None:
        after = replace(request, now=request.services.clock())
        view = await find_own(after, Wanted(frozenset({"consents"})))
        consents = view.facts.consents if view else None
    return ConsentPayload(accepted=accepted, duplicate=duplicate, consents=consents)  # type: ignore[arg-type]


def _own_id(subject: RecordRef, message_id: str) -> str:
    """A person's message id as one of theirs alone: nobody finds out, or takes, the ids of other people's messages."""
    return blake2b(f"{subject.id}\0{message_id}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _speaker(request: RequestContext, record: RecordName | None) -> Line:
    """Who speaks: the credential's own person, or, for a client of its own, the record that it names."""
    subject = request.viewer.subject
    if subject is None:
        if request.viewer.role is Role.SUBJECT:
            raise Forbidden("record: this key is no person's; send the person's token.")
        if record is None:
            raise BadInput("record: name whose statement this is.")
        names = {"userId": given(record.user_id), "anonymousId": given(record.anonymous_id)}
        return {"source": record.source} | {name: key for name, key in names.items() if key is not None}
    own = "userId" if subject.kind is RecordKind.USER else "anonymousId"
    if record is not None:
        said = {"userId": given(record.user_id), "anonymousId": given(record.anonymous_id)}
        if record.source != subject.source or {n: k for n, k in said.items() if k is not None} != {own: subject.key}:
            raise Forbidden("record: a person speaks for their own record only; leave it out.")
    return {"source": subject.source, own: subject.key}
