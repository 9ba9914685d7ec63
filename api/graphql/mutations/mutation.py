"""The mutations. They are written like collected messages, so they are just as idempotent and share commits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Final

import strawberry

from api.collection.intake import Receipt, Submission, submit
from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.consents import StatementPayload
from api.collection.segment.mapping import open_message, read_message, read_message_id
from api.collection.segment.messages import RawMessage
from api.graphql.mutations.admission import UNREGISTERED, GraphQLInfo, admit_roles, find_source
from api.graphql.mutations.inputs import ConsentInput, EventInput, ItemInput, RecordInput, WithdrawInput
from api.graphql.mutations.links import LinkMutation
from api.graphql.mutations.payloads import ConsentPayload, ItemsPayload, RecordPayload, Rejection, TrackPayload
from api.graphql.types.context import GraphQLContext
from api.graphql.types.relay import given
from graph.access.sources import read_source
from graph.errors import BadInput
from graph.model.access import Source
from graph.model.consent import ConsentState
from graph.model.identity import Proof
from privacy.gate import Role
from resolvers.consent.statements import Speaker, admit_recording, admit_withdrawal, state_consent
from resolvers.profile.find import Wanted, find_own

MOST_ENTRIES: Final = 500
RECORD_ROLES: Final = frozenset({Role.OPERATOR})
ITEM_ROLES: Final = frozenset({Role.OPERATOR})
TWO_NAMES: Final = "Name the userId or the anonymousId: a front-end can't state that both are one person's."
TRACK_ROLES: Final = frozenset({Role.FRONTEND, Role.OPERATOR})


def _bound(entries: Sequence[Any]) -> None:
    if len(entries) > MOST_ENTRIES:
        raise BadInput(f"input: at most {MOST_ENTRIES} entries in one request.")


def _read_entry(context: GraphQLContext, submission: Submission, index: int, raw: RawMessage, source: Source) -> None:
    """Adds an entry to a submission: its message, or the reason for its rejection. An operator's credential proves the
    names in it; a front-end's doesn't, nor may it state that a device is an account's."""
    services = context.request.services
    operator = context.request.viewer.role is Role.OPERATOR
    proof = Proof.CREDENTIAL if operator else None
    try:
        if not operator and raw.get("userId") and raw.get("anonymousId"):
            raise Rejected(RejectionReason.BAD_VALUE, TWO_NAMES, "anonymousId")
        origin = Origin(source, services.clock(), services.policy, own_types=True, proof=proof)
        submission.messages[index] = read_message(raw, origin)
    except Rejected as error:
        submission.reject(index, error)


async def _submit(context: GraphQLContext, submission: Submission) -> Receipt:
    """Writes a submission. Raises BadInput if the store refuses one of its messages."""
    receipt = await submit(context.ingestor, submission, context.request.viewer.credential)
    if RejectionReason.STORE_REFUSED in receipt.rejected:
        raise BadInput("input: the store can't hold one of its values; it was kept as a dead letter.")
    return receipt


def _show_rejected(receipt: Receipt) -> list[Rejection]:
    return [
        Rejection(index=one.index, code=one.reason, message=one.message, field=one.field) for one in receipt.rejections
    ]


@strawberry.type(description="Everything that can be written.")
class Mutation(LinkMutation):
    @strawberry.mutation(description="Writes what a source knows about a person. For operators.")
    async def upsert_record(
        self, info: GraphQLInfo, input: Annotated[RecordInput, strawberry.argument(description="The record.")]
    ) -> RecordPayload:
        context, submission = admit_roles(info, RECORD_ROLES), Submission()
        source = await find_source(context, input.source)
        _read_entry(context, submission, 0, input.raw_message(), source)
        receipt = await _submit(context, submission)
        return RecordPayload(accepted=receipt.accepted, duplicate=receipt.duplicate, rejected=_show_rejected(receipt))

    @strawberry.mutation(description="Writes items of the catalogue. For operators.")
    async def upsert_items(
        self,
        info: GraphQLInfo,
        input: Annotated[list[ItemInput], strawberry.argument(description="The items, at most 500.")],
    ) -> ItemsPayload:
        context, submission = admit_roles(info, ITEM_ROLES), Submission()
        _bound(input)
        catalogue = Source(name=f"graphql:{context.request.viewer.client}")
        for index, item in enumerate(input):
            _read_entry(context, submission, index, item.raw_message(), catalogue)
        receipt = await _submit(context, submission)
        return ItemsPayload(accepted=receipt.accepted, duplicate=receipt.duplicate, rejected=_show_rejected(receipt))

    @strawberry.mutation(
        description="Writes events, each counted once by its `messageId`. For front-ends and operators."
    )
    async def track(
        self,
        info: GraphQLInfo,
        input: Annotated[list[EventInput], strawberry.argument(description="The events, at most 500.")],
    ) -> TrackPayload:
        context, submission = admit_roles(info, TRACK_ROLES), Submission()
        _bound(input)
        client = context.request.services.client
        sources = {name: await read_source(client, name) for name in {event.source for event in input}}
        for index, event in enumerate(input):
            source = sources[event.source]
            if source is None:
                submission.reject(index, Rejected(RejectionReason.UNKNOWN_SOURCE, UNREGISTERED, "source"))
            else:
                _read_entry(context, submission, index, event.raw_message(), source)
        receipt = await _submit(context, submission)
        return TrackPayload(accepted=receipt.accepted, duplicate=receipt.duplicate, rejected=_show_rejected(receipt))

    @strawberry.mutation(
        description="Records what a person states about a purpose. For the person, by their own token, and operators."
    )
    async def record_consent(
        self, info: GraphQLInfo, input: Annotated[ConsentInput, strawberry.argument(description="The statement.")]
    ) -> ConsentPayload:
        record = given(input.record)
        viewer = info.context.request.viewer
        speaker = admit_recording(viewer, ConsentState(input.state), record.named() if record else None)
        return await _state(info.context, speaker, input)

    @strawberry.mutation(
        description="Takes back a consent, with effect from the next read. A purpose that does not rest on consent, "
        "such as `service`, stays permitted. A record that is not known yet is created. For the person, front-ends "
        "and operators."
    )
    async def withdraw_consent(
        self, info: GraphQLInfo, input: Annotated[WithdrawInput, strawberry.argument(description="The withdrawal.")]
    ) -> ConsentPayload:
        record = given(input.record)
        viewer = info.context.request.viewer
        speaker = admit_withdrawal(viewer, input.purpose, given(input.jurisdiction), record.named() if record else None)
        return await _state(info.context, speaker, input)


async def _state(context: GraphQLContext, speaker: Speaker, input: ConsentInput | WithdrawInput) -> ConsentPayload:
    """Writes one statement. Returns where each purpose stands afterwards, but only to the person themselves."""
    request, services = context.request, context.request.services
    record = speaker.record
    source = await find_source(context, record.source)
    reach = request.viewer.sources
    proof = Proof.FRONTEND if request.viewer.role is Role.FRONTEND else Proof.CREDENTIAL
    origin = Origin(source, services.clock(), services.policy, proof=proof, reach=reach)
    own_id = given(input.message_id)
    head = open_message(
        origin,
        record.user_id,
        record.anonymous_id,
        message_id=speaker.scope_message_id(own_id and read_message_id(own_id, None)),
        timestamp=given(input.effective_at),
    )
    message = state_consent(head, input.statement(head.at), speaker, services.policy)
    stated = {"messageId": given(input.message_id), "timestamp": given(input.effective_at)}
    generated = frozenset(name for name, value in stated.items() if not value)
    message = replace(message, payload=StatementPayload(message, generated))
    receipt = await _submit(context, Submission({0: message}))
    if receipt.rejections:
        raise BadInput(f"input: {receipt.rejections[0].message}")
    consents = None
    if speaker.subject is not None:
        view = await find_own(replace(request, now=services.clock()), Wanted(frozenset({"consents"})))
        consents = view.facts.consents if view else None
    return ConsentPayload(accepted=receipt.accepted, duplicate=receipt.duplicate, consents=consents)  # type: ignore[arg-type]
