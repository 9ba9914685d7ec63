"""Source records, the identifiers they hold, how records are linked, and the people derived from them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple, NewType

from graph.model.time import Millis

UserId = NewType("UserId", str)
RecordId = NewType("RecordId", str)


class RecordKind(StrEnum):
    """Which of a source's two kinds of name a record carries."""

    USER = "user"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class RecordRef:
    """The name that a source gives a record: (source, userId) or (source, anonymousId)."""

    source: str
    kind: RecordKind
    key: str

    @property
    def id(self) -> RecordId:
        """Deterministic ID, 32 hex digits: the same name gives the same record on every arrival and on every engine."""
        text = f"{self.source}\0{self.kind}\0{self.key}".encode("utf-8", "surrogatepass")
        return RecordId(blake2b(text, digest_size=16).hexdigest())


_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-([0-9a-f])[0-9a-f]{3}-[0-9a-f]{12}", re.I)
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]+", re.I)
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]{22,}", re.ASCII)


def is_secret(anonymous_id: str) -> bool:
    """Whether an anonymous ID has a form that nobody can guess: a UUIDv4, at least 32 hexadecimal digits, or at least
    22 base64url characters. Other UUIDs hold a time and an address, and short hexadecimal IDs often a time."""
    uuid = _UUID.fullmatch(anonymous_id)
    if uuid is not None:
        return uuid[1] == "4" and uuid[2].lower() in "89ab"
    if _HEXADECIMAL.fullmatch(anonymous_id):
        return len(anonymous_id) >= 32
    return _BASE64URL.fullmatch(anonymous_id) is not None


@dataclass(frozen=True, slots=True, order=True)
class IdentifierRef:
    """One value that may identify a person: its kind (`user_id`, `anonymous_id`, `email`, `phone`, or an external
    kind), the normalised value, and the namespace within which it is unique (empty: everywhere)."""

    kind: str
    value: str
    namespace: str = ""

    @property
    def id(self) -> str:
        """Deterministic ID, 32 hex digits."""
        text = f"{self.kind}\0{self.namespace}\0{self.value}".encode("utf-8", "surrogatepass")
        return blake2b(text, digest_size=16).hexdigest()


class Grade(StrEnum):
    """How well it is known that an identifier belongs to a record: CLAIMED < STATED < PROVEN."""

    CLAIMED = "claimed"
    STATED = "stated"
    PROVEN = "proven"

    @property
    def rank(self) -> int:
        """0 to 2, in ascending order."""
        return list(Grade).index(self)


class Proof(StrEnum):
    """What proves that a public source's message is its account's. TOKEN: a subject token. HASH: a user hash.
    CREDENTIAL: an operator's or a person's own credential at the API. FRONTEND: a front-end's key, which may only
    withdraw. CONFIRMATION: a double opt-in in the browser that asked, which also proves the contact data that its link
    was sent to, whatever the source. STATIC: a hash of the user ID alone, which whoever saw it once can send for ever:
    it proves whose a behaviour is, and nothing else."""

    TOKEN = "token"  # noqa: S105 - not a secret
    HASH = "hash"
    CREDENTIAL = "credential"
    FRONTEND = "frontend"
    CONFIRMATION = "confirmation"
    STATIC = "static"


class StatedIdentifier(NamedTuple):
    """An identifier that a message states for its record, and how well it is known."""

    ref: IdentifierRef
    grade: Grade


@dataclass(frozen=True, slots=True)
class Holding:
    """An identifier that a record holds with proof: its ID and facts, since when it was received for the record and
    until when (`ended`, None: it is current), and how many records hold it with proof (`degree`).

    `refused` is the reason stored on an identifier that links no records. The decision doesn't read it;
    `resolvers/identity/neighbourhood.py` does, to notice an identifier that has just become too frequent.
    """

    identifier: str
    kind: str
    value: str
    namespace: str
    since: Millis
    degree: int = 1
    refused: str | None = None
    ended: Millis | None = None


@dataclass(frozen=True, slots=True)
class EvidenceRecord:
    """A source record as linkage sees it. `permitted` is False if its person objects to identity linking."""

    id: RecordId
    permitted: bool = True
    holdings: tuple[Holding, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """Records with everything that may influence their linkage: the pairs judged to be one person (`asserted`), and
    those judged not to be (`apart`)."""

    records: tuple[EvidenceRecord, ...]
    asserted: frozenset[tuple[RecordId, RecordId]] = frozenset()
    apart: frozenset[tuple[RecordId, RecordId]] = frozenset()


@dataclass(frozen=True, slots=True)
class Membership:
    """The live user of a record, with the instants at which the record and the user were created."""

    record: RecordId
    recorded_at: Millis
    user: UserId
    user_since: Millis


class Judgement(StrEnum):
    """What a source or a person states about two records: that they are one person, or that they are not."""

    ASSERTED = "asserted"
    CANNOT_LINK = "cannot_link"


class LinkOutcome(StrEnum):
    """What linkage makes of the evidence that two records share."""

    ACTIVE = "active"
    REFUSED = "refused"


LinkStatus = Judgement | LinkOutcome
"""What a LINKED edge states."""


class Trait(NamedTuple):
    """One fact in a record, with the time at which it was stated. None: the fact was removed."""

    value: Any
    at: Millis


Traits = Mapping[str, Trait]
"""One record's traits by name."""

ATTRIBUTE_PREFIX: Final = "attributes."
"""The prefix of traits that have no profile field of their own."""
