"""Who may state consent for whom, and which statements can be kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import Final, Self

from algorithms.identity.normalise import normalise_id
from graph.errors import BadInput, Forbidden
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from privacy.gate import Role, Viewer
from privacy.policy import Policy
from privacy.purposes import IDENTITY_LINKING, Assurance, spell_recipient

RECORDING_ROLES: Final = frozenset({Role.SUBJECT, Role.OPERATOR})
"""Front-ends with their own key are excluded: no viewer may grant itself what consent would open to it."""

WITHDRAWAL_ROLES: Final = RECORDING_ROLES | {Role.FRONTEND}

RECORDABLE_STATES: Final = frozenset(
    {ConsentState.GIVEN, ConsentState.RENEWED, ConsentState.REFUSED, ConsentState.OBJECTED, ConsentState.UNKNOWN}
)

LONGEST_TEXT: Final = 512
LONGEST_SIGNAL: Final = 8192

STATEMENT_TEXTS: Final[Mapping[str, str]] = {
    "recipient": "recipient",
    "lawful_basis": "lawfulBasis",
    "mechanism": "mechanism",
    "jurisdiction": "jurisdiction",
    "controller": "controller",
    "channel": "channel",
    "notice": "notice",
    "notice_version": "noticeVersion",
    "notice_sha256": "noticeSha256",
    "language": "language",
    "method": "method",
    "actor": "actor",
    "evidence_hash": "evidenceHash",
    "raw_signal": "rawSignal",
}
"""The optional texts of a statement, each with its name in the collection format and in errors."""


class InvalidStatement(BadInput):
    """A statement that can't be kept; `field` is the name of the invalid field."""

    def __init__(self, message: str, field: str) -> None:
        super().__init__(message)
        self.field = field


@dataclass(frozen=True, slots=True)
class NamedRecord:
    """A person as a source names them: by user ID, by anonymous ID, or by both."""

    source: str
    user_id: str | None = None
    anonymous_id: str | None = None

    @classmethod
    def of(cls, record: RecordRef) -> Self:
        """Returns a record as its source names it."""
        if record.kind is RecordKind.USER:
            return cls(record.source, user_id=record.key)
        return cls(record.source, anonymous_id=record.key)


@dataclass(frozen=True, slots=True)
class Speaker:
    """Whose statement it is, and who vouches for it: the person, with their credential, if `subject` is set, otherwise
    `client`."""

    record: NamedRecord
    client: str
    subject: RecordRef | None = None

    @property
    def assurance(self) -> Assurance:
        """How certain it is that the person made the statement."""
        return Assurance.STATED if self.subject is None else Assurance.AUTHENTICATED

    def scope_message_id(self, message_id: str | None) -> str | None:
        """Returns a message ID as this speaker may use it. Each speaker's IDs are kept apart from all others, including
        those that the source itself sends, so that no one can learn or take the IDs of other people's messages."""
        if not message_id:
            return message_id
        subject = "" if self.subject is None else self.subject.id
        text = f"{self.client}\0{subject}\0{message_id}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16).hexdigest()


def admit_recording(viewer: Viewer, state: ConsentState, record: NamedRecord | None) -> Speaker:
    """Returns who speaks when a viewer records a consent. Raises Forbidden if the viewer may not, BadInput if the state
    can't be recorded or `record` is missing."""
    _check_role(viewer, RECORDING_ROLES, "recordConsent")
    if state not in RECORDABLE_STATES:
        raise BadInput(
            "state: GIVEN, RENEWED, REFUSED, OBJECTED or UNKNOWN; to withdraw a consent, use withdrawConsent."
        )
    return _choose_speaker(viewer, record)


def admit_withdrawal(viewer: Viewer, purpose: str, jurisdiction: str | None, record: NamedRecord | None) -> Speaker:
    """Returns who speaks when a viewer withdraws a consent. Raises Forbidden if the viewer may not, or may not for this
    purpose, or may not state the jurisdiction, BadInput if `record` is missing."""
    _check_role(viewer, WITHDRAWAL_ROLES, "withdrawConsent")
    if viewer.role is Role.FRONTEND and purpose == IDENTITY_LINKING:
        raise Forbidden(f"purpose: only the person or an operator may object to {IDENTITY_LINKING}: it parts records.")
    if viewer.role is Role.FRONTEND and jurisdiction is not None:
        raise Forbidden("jurisdiction: a front-end may not set it, because it decides what silence means.")
    if viewer.role is Role.FRONTEND and record is not None and record.user_id and record.anonymous_id:
        raise BadInput(
            "record: name the userId or the anonymousId; a front-end can't state that both are one person's."
        )
    return _choose_speaker(viewer, record)


def _check_role(viewer: Viewer, roles: frozenset[Role], operation: str) -> None:
    if viewer.role not in roles:
        raise Forbidden(f"{operation}: this credential's role ({viewer.role}) may not do this.")


def _choose_speaker(viewer: Viewer, record: NamedRecord | None) -> Speaker:
    """Returns the credential's own person or, for a client's own key, the record that it names."""
    subject = viewer.subject
    if subject is None:
        if viewer.role is Role.SUBJECT:
            raise Forbidden("record: this key is not a person's; send the person's token.")
        if record is None:
            raise BadInput("record: name the person whose statement this is.")
        return Speaker(record, viewer.client)
    own = NamedRecord.of(subject)
    if record is not None and record != own:
        raise Forbidden("record: a person speaks for their own record only; leave it out.")
    return Speaker(own, viewer.client, subject)


def state_consent(head: Message, statement: ConsentStatement, speaker: Speaker, policy: Policy) -> Message:
    """Returns the message that states a consent, vouched for by the speaker; `head` is the message without content.
    Raises InvalidStatement."""
    vouched = replace(statement, actor=speaker.client, assurance=int(speaker.assurance))
    return replace(head, consents=(check_statement(vouched, policy),))


def check_statement(statement: ConsentStatement, policy: Policy) -> ConsentStatement:
    """Returns the statement with its recipient spelled as in permits. Raises InvalidStatement if a text is too long or
    the statement doesn't fit the policy."""
    _check_lengths(statement)
    if statement.recipient is not None:
        statement = replace(statement, recipient=spell_recipient(statement.recipient))
    try:
        policy.check_statement(statement)
    except BadInput as error:
        field = str(error).partition(":")[0]
        if field == "purpose":
            raise InvalidStatement(f"purpose must be one of {', '.join(policy.purposes)}.", field) from None
        raise InvalidStatement(f"{field} does not fit the policy's purposes.", field) from None
    if statement.notice is not None and normalise_id(statement.notice).value is None:
        raise InvalidStatement("notice must not be empty or contain control characters.", "notice")
    return statement


def _check_lengths(statement: ConsentStatement) -> None:
    lengths = {name: len(getattr(statement, slot) or "") for slot, name in STATEMENT_TEXTS.items()}
    lengths["categories"] = max(map(len, statement.categories), default=0)
    lengths["purpose"] = len(statement.purpose)
    for name, length in lengths.items():
        longest = LONGEST_SIGNAL if name == "rawSignal" else LONGEST_TEXT
        if length > longest or (name == "purpose" and not length):
            raise InvalidStatement(f"{name} is not an allowed field or value.", name)
