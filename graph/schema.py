"""Labels, relationship types and keys of the graph: their only spelling.

What lives here: names, the unique keys that migrations turn into constraints, and the closed set of interaction types.
What does not: Cypher (one module an aggregate beside this one) and the steps that create constraints (`migrations/`).
A label and a relationship type never share a name.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Label(StrEnum):
    """Node labels."""

    SOURCE = "Source"
    CLIENT = "Client"
    API_KEY = "ApiKey"
    RECORD = "Record"
    IDENTIFIER = "Identifier"
    USER = "User"
    SESSION = "Session"
    ITEM = "Item"
    TOPIC = "Topic"
    CONSENT_EVENT = "ConsentEvent"
    POLICY = "Policy"
    PURPOSE = "Purpose"
    NOTICE = "Notice"
    RECIPIENT = "Recipient"
    SEGMENT = "Segment"
    MODEL_RUN = "ModelRun"
    MODEL_ROW = "ModelRow"
    MESSAGE = "Message"
    DEAD_LETTER = "DeadLetter"
    MIGRATION = "Migration"
    LOCK = "Lock"


class Rel(StrEnum):
    """Relationship types other than interactions."""

    FROM = "FROM"
    OPENS = "OPENS"
    IDENTIFIED_BY = "IDENTIFIED_BY"
    LINKED = "LINKED"
    RESOLVES_TO = "RESOLVES_TO"
    RETIRED_INTO = "RETIRED_INTO"
    HAD = "HAD"
    ABOUT = "ABOUT"
    DECIDED = "DECIDED"
    FOR = "FOR"
    UNDER = "UNDER"
    TO = "TO"
    SUPERSEDES = "SUPERSEDES"
    IN_SEGMENT = "IN_SEGMENT"


class InteractionType(StrEnum):
    """Relationship types from a session to an item. A closed set: any other event name is INTERACTED with its name."""

    VIEWED = "VIEWED"
    SEARCHED = "SEARCHED"
    CLICKED = "CLICKED"
    WISHLISTED = "WISHLISTED"
    CARTED = "CARTED"
    UNCARTED = "UNCARTED"
    CHECKED_OUT = "CHECKED_OUT"
    PURCHASED = "PURCHASED"
    REFUNDED = "REFUNDED"
    RATED = "RATED"
    REVIEWED = "REVIEWED"
    SHARED = "SHARED"
    INTERACTED = "INTERACTED"


UNIQUE_KEYS: Final[dict[Label, str]] = {
    Label.SOURCE: "name",
    Label.CLIENT: "name",
    Label.API_KEY: "id",
    Label.RECORD: "id",
    Label.IDENTIFIER: "id",
    Label.USER: "id",
    Label.SESSION: "id",
    Label.ITEM: "key",
    Label.TOPIC: "key",
    Label.CONSENT_EVENT: "id",
    Label.POLICY: "key",
    Label.PURPOSE: "key",
    Label.NOTICE: "id",
    Label.RECIPIENT: "key",
    Label.SEGMENT: "key",
    Label.MODEL_RUN: "id",
    Label.MODEL_ROW: "id",
    Label.MESSAGE: "id",
    Label.DEAD_LETTER: "id",
    Label.MIGRATION: "version",
    Label.LOCK: "name",
}
"""One unique property a label; migrations turn each into a constraint, which is also the index it is looked up by."""
