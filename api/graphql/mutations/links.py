"""The mutations that make links to send to people: to confirm a consent (double opt-in), and to take one back."""

from __future__ import annotations

from typing import Annotated

import strawberry

from api.consent.links import CONFIRM, UNSUBSCRIBE, write_link
from api.graphql.mutations.admission import GraphQLInfo, admit_roles, find_source
from api.graphql.mutations.inputs import RecordName
from api.graphql.types.context import GraphQLContext
from api.graphql.types.profile import IDENTIFIER_KINDS
from api.graphql.types.relay import given, optional
from api.graphql.types.scalars import DateTime
from graph.model.consent import ConsentState, ConsentStatement
from resolvers.consent.confirmations import ASKING_ROLES, ConfirmationRequest, ask_confirmation
from resolvers.consent.unsubscribing import Unsubscription, seal_unsubscription


@strawberry.input(description="The contact data that a link is sent to.")
class ContactInput:
    kind: str = strawberry.field(description=f"`email` or `phone`.\n\n{IDENTIFIER_KINDS}")
    value: str = strawberry.field(description="The value in any spelling; a phone number needs its country code.")


@strawberry.input(description="A consent that a person is asked to confirm.")
class ConfirmationInput:
    record: RecordName = strawberry.field(
        description="Whose consent it is: an account by its user ID, or a device by an anonymous ID that nobody can "
        "guess; not both."
    )
    purpose: str = strawberry.field(description="Key of a purpose in the policy; `purposes` lists them.")
    recipient: str | None = optional("Partner that the consent is about. Left out: all partners.")
    contact: ContactInput | None = optional(
        "The contact data that the link is sent to. If the person confirms in the browser that asks, the account is "
        "known to hold it."
    )
    notice: str | None = optional("Key of the notice that the person was shown; at most 512 characters.")
    notice_version: str | None = optional("Version of that notice; at most 512 characters.")
    notice_sha256: str | None = optional("SHA-256 of the notice's text.", name="noticeSha256")
    language: str | None = optional("Language of that notice; at most 512 characters.")
    controller: str | None = optional(
        "Organisation responsible for the data, if not the one in the policy; at most 512 characters."
    )
    channel: str | None = optional("Where the consent was asked for, such as `web`; at most 512 characters.")
    days: int = strawberry.field(default=7, description="For how many days the link is valid, 1 to 30.")


@strawberry.type(
    description="A cookie by which this server knows the browser that asked for a confirmation. Set it with `Secure`, "
    "`HttpOnly`, `SameSite=Lax` and the `Domain` that your site and this server share."
)
class AskingCookie:
    name: str = strawberry.field(description="Its name.")
    value: str = strawberry.field(description="Its value, a secret.")


@strawberry.type(description="A link to send to a person. It is a secret: send it to nobody else.")
class ConfirmationPayload:
    path: str = strawberry.field(description="Path and query of the link; put this server's public address before it.")
    expires_at: DateTime = strawberry.field(description="When the link expires.")
    cookie: AskingCookie | None = strawberry.field(
        description="For an account with contact data: a cookie to set in the browser that asks, and nowhere else. "
        "Otherwise null."
    )


@strawberry.input(description="A consent that a link takes back.")
class UnsubscribeInput:
    record: RecordName = strawberry.field(description="Whose consent it is: a user ID or an anonymous ID, not both.")
    purpose: str = strawberry.field(description="Key of a purpose in the policy; `purposes` lists them.")
    recipient: str | None = optional("Partner that the withdrawal is about. Left out: all partners.")


@strawberry.type(description="A link that takes a consent back, for the body and the headers of an e-mail.")
class UnsubscribePayload:
    path: str = strawberry.field(description="Path and query of the link; put this server's public address before it.")


@strawberry.type
class LinkMutation:
    @strawberry.mutation(
        description="Asks a person to confirm a consent (double opt-in) and returns the link to send them. The consent "
        "is given when they press the button behind the link, once. The record must be known. For operators."
    )
    async def request_confirmation(
        self,
        info: GraphQLInfo,
        input: Annotated[ConfirmationInput, strawberry.argument(description="What to confirm.")],
    ) -> ConfirmationPayload:
        context = admit_roles(info, ASKING_ROLES)
        await find_source(context, input.record.source)
        contact = given(input.contact)
        asked = await ask_confirmation(
            context.request,
            ConfirmationRequest(
                record=input.record.named(),
                statement=_read_statement(input, context),
                kind=contact.kind if contact else None,
                value=contact.value if contact else None,
                days=input.days,
            ),
        )
        return ConfirmationPayload(
            path=write_link(CONFIRM, asked.token),
            expires_at=asked.expires_at,  # type: ignore[arg-type]
            cookie=AskingCookie(name=asked.cookie.name, value=asked.cookie.value) if asked.cookie else None,
        )

    @strawberry.mutation(
        description="Returns a link that takes a consent back, as often as it is used, without a login. It never "
        "expires and does nothing else. E-mails also carry it in the headers `List-Unsubscribe` and "
        "`List-Unsubscribe-Post` (RFC 8058). For operators."
    )
    async def create_unsubscribe_link(
        self,
        info: GraphQLInfo,
        input: Annotated[UnsubscribeInput, strawberry.argument(description="What to take back.")],
    ) -> UnsubscribePayload:
        context = admit_roles(info, ASKING_ROLES)
        await find_source(context, input.record.source)
        services = context.request.services
        one = Unsubscription(
            input.record.named(), input.purpose, given(input.recipient) or None, context.request.viewer.client
        )
        token = seal_unsubscription(services.secret, one, services.policy)
        return UnsubscribePayload(path=write_link(UNSUBSCRIBE, token))


def _read_statement(input: ConfirmationInput, context: GraphQLContext) -> ConsentStatement:
    return ConsentStatement(
        purpose=input.purpose,
        state=ConsentState.GIVEN,
        effective_at=context.request.now,
        recipient=given(input.recipient) or None,
        notice=given(input.notice) or None,
        notice_version=given(input.notice_version) or None,
        notice_sha256=given(input.notice_sha256) or None,
        language=given(input.language) or None,
        controller=given(input.controller) or None,
        channel=given(input.channel) or None,
    )
