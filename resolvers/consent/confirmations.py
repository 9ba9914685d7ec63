"""Double opt-in: asking for a confirmation, and what a link's token confirms.

The token is a bearer secret of 256 bits, sent to the person and never stored. It proves one statement. It proves that
the account holds the contact data only if it is used in the browser that asked. That browser has a second secret, made
for this confirmation and handed to it when it asked: what else a browser is known by, such as an anonymous ID, an
attacker may have planted in the browser of whoever reads the mail.
"""

from __future__ import annotations

import hmac
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from algorithms.identity.blocking import EMAIL, PHONE
from algorithms.identity.normalise import normalise_identifier
from graph.consent.confirmations import (
    Confirmation,
    finish_confirmation,
    read_confirmation,
    remove_expired_confirmations,
    write_confirmation,
)
from graph.errors import BadInput, NotFound
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import RecordKind, RecordRef, is_secret
from graph.model.time import DAY, Millis
from graph.store.client import Writer
from privacy.gate import Role
from resolvers.access.keys import derive_key
from resolvers.consent.statements import NamedRecord, check_statement
from resolvers.context import RequestContext, Services

ASKING_ROLES: Final = frozenset({Role.OPERATOR})
METHOD: Final = "double_opt_in"
LONGEST_DAYS: Final = 30
KEPT: Final = 90 * DAY
"""How long a confirmation is kept after it expires."""

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


@dataclass(frozen=True, slots=True)
class ConfirmationRequest:
    """What is asked for. `record` is whose statement it is; `kind` and `value` are the contact data that the link is
    sent to."""

    record: NamedRecord
    statement: ConsentStatement
    kind: str | None = None
    value: str | None = None
    days: int = 7


class BrowserSecret(NamedTuple):
    """The secret of the browser that asks, as a cookie."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class AskedConfirmation:
    """The token for the link and when it expires; for an account and its contact data, also the cookie for the browser
    that asks. Neither the token nor the cookie's value is stored."""

    token: str = field(repr=False)
    expires_at: Millis
    cookie: BrowserSecret | None = None


async def ask_confirmation(context: RequestContext, asked: ConfirmationRequest) -> AskedConfirmation:
    """Stores what is to be confirmed and returns the token. Raises BadInput if it can't be kept, NotFound if the record
    is unknown."""
    services, now = context.services, context.now
    if not 1 <= asked.days <= LONGEST_DAYS:
        raise BadInput(f"days: expected 1 to {LONGEST_DAYS}.")
    statement = check_statement(asked.statement, services.policy)
    kind, value = _check_contact(asked.kind, asked.value)
    token = secrets.token_urlsafe(32)
    record, id_ = _name_record(asked.record), hash_token(services.secret, token)
    cookie = None
    if kind is not None and record.kind is RecordKind.USER:
        cookie = BrowserSecret(name_cookie(id_), secrets.token_urlsafe(32))
    stored = Confirmation(
        id=id_,
        record=record,
        statement=_write_statement(statement),
        actor=context.viewer.client,
        expires_at=Millis(now + asked.days * DAY),
        browser=hash_browser(services.secret, cookie.value) if cookie else None,
        kind=kind,
        value=value,
    )

    async def work(tx: Writer) -> bool:
        await remove_expired_confirmations(tx, Millis(now - KEPT))
        return await write_confirmation(tx, stored)

    if not await services.client.write(work):
        raise NotFound("record: nothing is known of this record yet; send what is known of the person first.")
    return AskedConfirmation(token, stored.expires_at, cookie)


async def find_confirmation(services: Services, token: str) -> Confirmation | None:
    """Returns what a token confirms. None if there is no such token, or it expired."""
    if not TOKEN.fullmatch(token):
        return None
    found = await read_confirmation(services.client, hash_token(services.secret, token))
    return found if found is not None and services.clock() < found.expires_at else None


async def close_confirmation(services: Services, found: Confirmation) -> None:
    """Ends the use of a token, once its statement is written."""
    now = services.clock()
    await services.client.write(lambda tx: finish_confirmation(tx, found.id, now))


def proves_holding(services: Services, found: Confirmation, browser: str | None) -> bool:
    """Whether a confirmation proves that the account holds the contact data: only with the secret of the browser that
    asked."""
    if found.browser is None or not browser:
        return False
    return hmac.compare_digest(found.browser, hash_browser(services.secret, browser))


def read_confirmed(found: Confirmation, now: Millis) -> ConsentStatement:
    """Returns the statement that a confirmation makes, with effect from now."""
    stated = json.loads(found.statement)
    return ConsentStatement(state=ConsentState.GIVEN, effective_at=now, method=METHOD, **stated)


def hash_token(secret: bytes, token: str) -> str:
    """Returns the keyed hash under which a token is stored, 64 hexadecimal digits."""
    return hmac.new(derive_key(secret, "confirmation"), token.encode(), "sha256").hexdigest()


def hash_browser(secret: bytes, value: str) -> str:
    """Returns the keyed hash of a browser's secret, 64 hexadecimal digits."""
    text = value.encode("utf-8", "surrogatepass")
    return hmac.new(derive_key(secret, "confirmation-browser"), text, "sha256").hexdigest()


def name_cookie(id_: str) -> str:
    """Returns the name of the cookie for a confirmation: one browser may wait for several."""
    return f"consentric_{id_[:16]}"


_KEPT_FIELDS: Final = (
    "purpose",
    "recipient",
    "notice",
    "notice_version",
    "notice_sha256",
    "language",
    "controller",
    "channel",
)


def _write_statement(statement: ConsentStatement) -> str:
    kept = {name: value for name in _KEPT_FIELDS if (value := getattr(statement, name)) is not None}
    return json.dumps(kept, ensure_ascii=True, sort_keys=True)


def _name_record(record: NamedRecord) -> RecordRef:
    if record.user_id and record.anonymous_id:
        raise BadInput("record: name the userId or the anonymousId, not both.")
    if record.user_id:
        return RecordRef(record.source, RecordKind.USER, record.user_id)
    if record.anonymous_id:
        if not is_secret(record.anonymous_id):
            raise BadInput("record: this anonymousId can be guessed, so a link proves nothing about its device.")
        return RecordRef(record.source, RecordKind.ANONYMOUS, record.anonymous_id)
    raise BadInput("record: userId or anonymousId is required.")


def _check_contact(kind: str | None, value: str | None) -> tuple[str | None, str | None]:
    if kind is None or value is None:
        return None, None
    if kind not in (EMAIL, PHONE):
        raise BadInput("identifier: a link is sent to an email or a phone.")
    normalised = normalise_identifier(kind, value)
    if normalised is None:
        raise BadInput("identifier: it has no normalised form, or is a placeholder.")
    return kind, normalised
