"""Links that are sent to people: `/confirm` finishes a double opt-in, `/unsubscribe` takes a consent back (RFC 8058).

A GET shows a button and changes nothing; a POST acts. Neither needs a login, a script or a cookie.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final
from urllib.parse import parse_qs, quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from api.collection.intake import Submission, submit
from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.consents import StatementPayload
from api.collection.segment.mapping import open_message
from api.collection.segment.names import grade
from api.consent.pages import show_question, show_result
from api.http.body import read_limited
from api.http.throttle import Throttle, visit_of
from api.process.runtime import Runtime
from graph.access.sources import read_source
from graph.consent.confirmations import Confirmation
from graph.errors import BadInput, StoreUnavailable
from graph.model.consent import ConsentStatement
from graph.model.identity import IdentifierRef, Proof
from privacy.policy import Policy
from resolvers.consent.confirmations import (
    close_confirmation,
    find_confirmation,
    name_cookie,
    proves_holding,
    read_confirmed,
)
from resolvers.consent.statements import InvalidStatement, NamedRecord, Speaker, state_consent
from resolvers.consent.unsubscribing import open_unsubscription

CONFIRM: Final = "/confirm"
UNSUBSCRIBE: Final = "/unsubscribe"
BROWSER_FIELD: Final = "browser"
"""The field of a form in which a site that doesn't share its cookies with this server sends the cookie's value on."""

LARGEST_FORM: Final = 8192

Handler = Callable[[Request], Awaitable[Response]]


def link_routes(runtime: Runtime, throttle: Throttle) -> list[Route]:
    """Returns the routes of links, served from an open runtime, behind the limits of the sender's address."""
    handlers = {CONFIRM: _handle_confirm(runtime), UNSUBSCRIBE: _handle_unsubscribe(runtime)}
    return [
        Route(path, throttle.guard(request_response(handler)), methods=["GET", "POST"])
        for path, handler in handlers.items()
    ]


def write_link(path: str, token: str) -> str:
    """Returns the path of a link, to which the caller adds this server's public address."""
    return f"{path}?token={quote(token, safe='')}"


def _handle_confirm(runtime: Runtime) -> Handler:
    async def handle(request: Request) -> Response:
        services = runtime.services
        found = await find_confirmation(services, request.query_params.get("token", ""))
        if found is None:
            visit_of(request).count_stranger()
            return _unknown_link()
        statement = read_confirmed(found, services.clock())
        if request.method != "POST":
            return show_question("Please confirm", _describe(statement, services.policy), "I agree")
        if found.confirmed_at is None:
            if not await _write_confirmed(runtime, found, statement, await _read_browser(request, found)):
                return _unknown_link()
            await close_confirmation(services, found)
        return show_result(200, "Thank you", "Your consent is confirmed. You can close this page.")

    return handle


def _handle_unsubscribe(runtime: Runtime) -> Handler:
    async def handle(request: Request) -> Response:
        services = runtime.services
        found = open_unsubscription(services.secret, request.query_params.get("token", ""))
        if found is None or found.purpose not in services.policy.purposes:
            visit_of(request).count_stranger()
            return _unknown_link()
        if request.method != "POST":
            title = services.policy.purposes[found.purpose].title
            text = f"Do you no longer want your data to be used for this purpose: {title}?"
            return show_question("Unsubscribe", text, "Unsubscribe", {"List-Unsubscribe": "One-Click"})
        if not await _write(runtime, found.statement(services.clock()), Speaker(found.record, found.client)):
            return _unknown_link()
        return show_result(200, "Unsubscribed", "Your consent is taken back. You can close this page.")

    return handle


def _unknown_link() -> Response:
    """One page for whatever is wrong with a link, so that it tells nothing about others."""
    return show_result(404, "This link is not valid", "It may have expired. Ask for a new one.")


def _describe(statement: ConsentStatement, policy: Policy) -> str:
    purpose = policy.purposes.get(statement.purpose)
    text = "You agree that your data is used for this purpose: "
    text += f"{purpose.title}. {purpose.description}" if purpose else statement.purpose
    if statement.recipient:
        text += f" Recipient: {statement.recipient}."
    if statement.notice:
        text += f" Notice: {statement.notice} {statement.notice_version or ''}".rstrip() + "."
    return text


MOST_FIELDS: Final = 20


async def _read_browser(request: Request, found: Confirmation) -> str | None:
    """Returns the secret of the browser that sends the form: from its cookie, or else from the form's field."""
    body = await read_limited(request, LARGEST_FORM)
    try:
        form = parse_qs(body.decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError:
        raise BadInput(f"The form has more than {MOST_FIELDS} fields.") from None
    return request.cookies.get(name_cookie(found.id)) or next(iter(form.get(BROWSER_FIELD, ())), None)


async def _write_confirmed(
    runtime: Runtime, found: Confirmation, statement: ConsentStatement, browser: str | None
) -> bool:
    """Writes the statement that a link confirms; in the browser that asked, also that the account holds the contact
    data. Returns what `_write` returns."""
    holds = proves_holding(runtime.services, found, browser)
    return await _write(
        runtime,
        statement,
        Speaker(NamedRecord.of(found.record), found.actor),
        message_id=f"confirmation-{found.id[:32]}",
        proof=Proof.CONFIRMATION if holds else Proof.CREDENTIAL,
        contact=IdentifierRef(found.kind, found.value) if holds and found.kind and found.value else None,
    )


async def _write(
    runtime: Runtime,
    statement: ConsentStatement,
    speaker: Speaker,
    *,
    message_id: str | None = None,
    proof: Proof = Proof.CREDENTIAL,
    contact: IdentifierRef | None = None,
) -> bool:
    """Writes the statement of a link, and the contact data that it proves. Returns False if its source or purpose no
    longer exists, or it can't be kept."""
    services, record = runtime.services, speaker.record
    source = await read_source(services.client, record.source)
    if source is None:
        return False
    origin = Origin(source, services.clock(), services.policy, proof=proof)
    try:
        head = open_message(origin, record.user_id, record.anonymous_id, message_id=message_id, timestamp=None)
        message = state_consent(head, statement, speaker, services.policy)
    except (Rejected, InvalidStatement):
        return False
    if contact is not None:
        held = grade(contact, source, message.received_at, proof)
        message = replace(message, identifiers=(*message.identifiers, held), traits={contact.kind: contact.value})
    message = replace(message, payload=StatementPayload(message, frozenset({"messageId", "timestamp"})))
    receipt = await submit(runtime.ingestor, Submission({0: message}), f"link {message.record and message.record.id}")
    if RejectionReason.TOO_MANY_CONSENTS in receipt.rejected:
        raise BadInput(receipt.rejections[0].message)
    if receipt.rejections:
        raise StoreUnavailable("The statement could not be written; try again.")
    return True
