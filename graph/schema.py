"""Everything the graph stores, declared as data: labels, relationship types, and every property with its type, category
of personal data, erasure, writers and meaning.

Tests compare the tables with the statements in both directions; `make graph-doc` writes `docs/graph.md` from them. No
code acts on `category` or `erasure` yet: encryption, erasure and export will read them. A label and a relationship type
never share a name.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
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
    CONFIRMATION = "Confirmation"
    MIGRATION = "Migration"
    LOCK = "Lock"


class Rel(StrEnum):
    """Relationship types other than interactions."""

    FROM = "FROM"
    OPENS = "OPENS"
    IDENTIFIED_BY = "IDENTIFIED_BY"
    CLAIMS = "CLAIMS"
    COUNTS_FOR = "COUNTS_FOR"
    LINKED = "LINKED"
    RESOLVES_TO = "RESOLVES_TO"
    RETIRED_INTO = "RETIRED_INTO"
    HAD = "HAD"
    ABOUT = "ABOUT"
    DECIDED = "DECIDED"
    FORMERLY_DECIDED = "FORMERLY_DECIDED"
    ASKED = "ASKED"
    FOR = "FOR"
    UNDER = "UNDER"
    TO = "TO"
    SUPERSEDES = "SUPERSEDES"
    IN_SEGMENT = "IN_SEGMENT"


class InteractionType(StrEnum):
    """Relationship types from a session to an item. The set is closed: any other event is INTERACTED, with its name."""

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


class ValueType(StrEnum):
    """The types a property may have. There are no others: a time is an integer, a nested value is JSON text."""

    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    BOOLEAN = "boolean"
    STRINGS = "strings"
    INTEGERS = "integers"
    FLOATS = "floats"
    JSON = "json"
    INSTANT = "instant"


class DataCategory(StrEnum):
    """What personal data says about a person: all values of `privacy.fields.Category`, which decides who may see a
    field, and three that no field has."""

    CONTACT = "contact"
    IDENTITY = "identity"
    DEMOGRAPHICS = "demographics"
    ATTRIBUTES = "attributes"
    BEHAVIOUR = "behaviour"
    PREFERENCES = "preferences"
    SEGMENTS = "segments"
    PREDICTIONS = "predictions"
    CONSENTS = "consents"
    LINKAGE = "linkage"
    PSEUDONYM = "pseudonym"
    MIXED = "mixed"


class Erasure(StrEnum):
    """What happens to stored data when a person is erased."""

    KEEP = "keep"
    DELETE = "delete"
    DELETE_UNSHARED = "delete_unshared"
    TOMBSTONE = "tombstone"
    RECOMPUTE = "recompute"


VALUE_TYPES: Final[Mapping[ValueType, str]] = {
    ValueType.STRING: "Text.",
    ValueType.INTEGER: "A 64-bit integer.",
    ValueType.FLOAT: "A 64-bit floating-point number.",
    ValueType.BOOLEAN: "True or false.",
    ValueType.STRINGS: "A list of strings.",
    ValueType.INTEGERS: "A list of 64-bit integers.",
    ValueType.FLOATS: "A list of floating-point numbers.",
    ValueType.JSON: "A nested value as JSON text, which no statement looks into.",
    ValueType.INSTANT: "An integer: milliseconds since 1970-01-01 UTC.",
}

DATA_CATEGORIES: Final[Mapping[DataCategory, str]] = {
    DataCategory.CONTACT: "How to reach the person, including the names that systems know them by.",
    DataCategory.IDENTITY: "Given name, family name, date of birth. Stored inside `Record.traits`.",
    DataCategory.DEMOGRAPHICS: "Age, gender, language, country. Stored inside `Record.traits`.",
    DataCategory.ATTRIBUTES: "A company's own, custom facts. Stored inside `Record.traits`.",
    DataCategory.BEHAVIOUR: "What the person did, when, and in which session.",
    DataCategory.PREFERENCES: "What the person states they like. Stored inside `Record.traits`.",
    DataCategory.SEGMENTS: "Groups and scores computed for the person.",
    DataCategory.PREDICTIONS: "Recommendations. Computed on request and never stored.",
    DataCategory.CONSENTS: "What the person states about the use of their data, and what follows from it.",
    DataCategory.LINKAGE: "Which records belong to the person, since when, and why.",
    DataCategory.PSEUDONYM: "An ID that singles out a person without naming them. An unkeyed hash of a name is one.",
    DataCategory.MIXED: "Several categories in one text, which only reading it can tell apart.",
}

ERASURES: Final[Mapping[Erasure, str]] = {
    Erasure.KEEP: "Kept: it says nothing about the person.",
    Erasure.DELETE: "Deleted. A property is deleted with its node or relationship.",
    Erasure.DELETE_UNSHARED: "Deleted once no other person's record points to the node; until then kept for them.",
    Erasure.TOMBSTONE: "Deleted; a keyed hash of it is kept outside the node and prevents the record from returning.",
    Erasure.RECOMPUTE: "Derived from several people; the next computation replaces it and no longer counts the person.",
}


@dataclass(frozen=True, slots=True)
class Property:
    """One property of a label or relationship type. `category` is None if it is not personal data; `writers` are the
    modules whose statements set it."""

    name: str
    type: ValueType
    category: DataCategory | None
    erasure: Erasure
    writers: tuple[str, ...]
    meaning: str


@dataclass(frozen=True, slots=True)
class NodeType:
    """One label. `key` is the property that identifies a node; `erasure` is what erasing a person does to the node."""

    label: Label
    key: str
    erasure: Erasure
    meaning: str
    properties: tuple[Property, ...]


@dataclass(frozen=True, slots=True)
class RelationshipType:
    """One relationship type, with the labels that it may start and end at. `erasure` is what erasing a person does to
    the relationship."""

    name: Rel | InteractionType
    starts: tuple[Label, ...]
    ends: tuple[Label, ...]
    erasure: Erasure
    meaning: str
    properties: tuple[Property, ...] = ()


# Short names, so that a property fits on a line of the tables below.
STRING, INTEGER, FLOAT, BOOLEAN = ValueType.STRING, ValueType.INTEGER, ValueType.FLOAT, ValueType.BOOLEAN
STRINGS, FLOATS, JSON, INSTANT = ValueType.STRINGS, ValueType.FLOATS, ValueType.JSON, ValueType.INSTANT
INTEGERS = ValueType.INTEGERS
CONTACT, BEHAVIOUR, SEGMENTS = DataCategory.CONTACT, DataCategory.BEHAVIOUR, DataCategory.SEGMENTS
CONSENTS, LINKAGE = DataCategory.CONSENTS, DataCategory.LINKAGE
PSEUDONYM, MIXED = DataCategory.PSEUDONYM, DataCategory.MIXED
KEEP, DELETE, UNSHARED = Erasure.KEEP, Erasure.DELETE, Erasure.DELETE_UNSHARED
TOMBSTONE, RECOMPUTE = Erasure.TOMBSTONE, Erasure.RECOMPUTE

# The modules that write.
_CLIENTS: Final = ("graph.access.clients",)
_SOURCES: Final = ("graph.access.sources",)
_TERMS: Final = ("graph.access.terms",)
_SESSIONS: Final = ("graph.activity.sessions",)
_ITEMS: Final = ("graph.catalogue.items",)
_LETTERS: Final = ("graph.collection.dead_letters",)
_MESSAGES: Final = ("graph.collection.messages",)
_CONFIRMATIONS: Final = ("graph.consent.confirmations",)
_LOG: Final = ("graph.consent.log",)
_PERMITS: Final = ("graph.consent.permits",)
_POLICY: Final = ("graph.consent.policy_version",)
_BARS: Final = ("graph.consent.bars",)
_DEVICES: Final = ("graph.identity.devices",)
_IDENTIFIERS: Final = ("graph.identity.identifiers",)
_LINKS: Final = ("graph.identity.links",)
_LOCKS: Final = ("graph.identity.locks",)
_REGRADING: Final = ("graph.identity.regrading",)
_RECORDS: Final = ("graph.identity.records",)
_USERS: Final = ("graph.identity.users",)
_RUNS: Final = ("graph.recommendation.runs",)
_DEFINITIONS: Final = ("graph.segments.definitions",)
_MEMBERSHIPS: Final = ("graph.segments.memberships",)
_RFM: Final = ("graph.segments.rfm",)
_MIGRATIONS: Final = ("migrations.runner",)
_TRUST: Final = ("migrations.m0005_trust",)
_FACTS: Final = (*_ITEMS, "migrations.m0006_declared_items")

# fmt: off
_NODES: Final = (
    NodeType(Label.SOURCE, "name", KEEP, "A system that sends data: a shop's web site, an app, a CRM.", (
        Property("name", STRING, None, KEEP, _SOURCES, "The name it was registered under."),
        Property("user_namespace", STRING, None, KEEP, _SOURCES,
                 "The namespace of its user IDs; empty if it shares them with all other such sources."),
        Property("created_at", INSTANT, None, KEEP, _SOURCES, "When it was registered."),
        Property("trust", STRING, None, KEEP, _SOURCES + _TRUST,
                 "What its statements are worth: `public`, `server` or `record`."),
        Property("verifies", STRINGS, None, KEEP, _SOURCES + _TRUST,
                 "Kinds of contact data that it checks: `email`, `phone`."),
        Property("verified_since", INTEGERS, None, KEEP, _SOURCES,
                 "For each of `verifies`, the receipt from which on it checked that kind (0 or absent: always)."),
        Property("jurisdiction", STRING, None, KEEP, _SOURCES,
                 "The jurisdiction of its records that state none; absent if there is no such default."),
        Property("trust_epoch", INTEGER, None, KEEP, _SOURCES + _TRUST,
                 "Increases when something that rests on its trust may no longer hold."),
        Property("settled_epoch", INTEGER, None, KEEP, _SOURCES + _TERMS + _TRUST,
                 "The trust epoch up to which everything that rests on its trust has been derived."),
        Property("hash_generation", INTEGER, None, KEEP, _SOURCES, "The number of the key of its user hashes."),
        Property("hash_rotated_at", INSTANT, None, KEEP, _SOURCES, "When that key came into use."),
        Property("static_hash", BOOLEAN, None, KEEP, _SOURCES,
                 "Whether it takes hashes of the user ID alone, which prove behaviour only; absent: no."),
        Property("_v", INTEGER, None, KEEP, _SOURCES, "Touch counter: a write locks the node. No statement reads it."),
    )),
    NodeType(Label.CLIENT, "name", KEEP, "A registered program that reads or manages the graph.", (
        Property("name", STRING, None, KEEP, _CLIENTS, "The name it was registered under; never reused."),
        Property("role", STRING, None, KEEP, _CLIENTS, "What it may do, such as `frontend`, `partner` or `operator`."),
        Property("purposes", STRINGS, None, KEEP, _CLIENTS, "The purposes it may use."),
        Property("recipient", STRING, None, KEEP, _CLIENTS, "The partner that it belongs to; absent for first party."),
        Property("scopes", STRINGS, None, KEEP, _CLIENTS, "Further rights, such as an auditor's to see values."),
        Property("created_at", INSTANT, None, KEEP, _CLIENTS, "When it was registered."),
        Property("revoked_at", INSTANT, None, KEEP, _CLIENTS, "When it was revoked; absent while it is valid."),
        Property("_v", INTEGER, None, KEEP, _CLIENTS, "Touch counter: a write locks the node. No statement reads it."),
    )),
    NodeType(Label.API_KEY, "id", KEEP, "A key that opens a source for writing or a client for reading.", (
        Property("id", STRING, None, KEEP, _CLIENTS + _SOURCES, "The public part of the key."),
        Property("hash", STRING, None, KEEP, _CLIENTS + _SOURCES,
                 "A keyed hash of the whole key, which itself is not stored."),
        Property("created_at", INSTANT, None, KEEP, _CLIENTS + _SOURCES, "When it was issued. No statement reads it."),
        Property("revoked_at", INSTANT, None, KEEP, _CLIENTS + _SOURCES,
                 "When it was revoked; absent while it is valid."),
    )),
    NodeType(Label.RECORD, "id", DELETE,
             "What one source knows under one of its own names. Never merged. Erasing a person deletes all of their "
             "records.", (
        Property("id", STRING, PSEUDONYM, TOMBSTONE, _RECORDS,
                 "Unkeyed hash of source, kind and key. A keyed hash of it blocks an erased record."),
        Property("source", STRING, LINKAGE, DELETE, _RECORDS, "The source's name."),
        Property("kind", STRING, LINKAGE, DELETE, _RECORDS,
                 "Which of the source's names it has: `user` or `anonymous`."),
        Property("key", STRING, CONTACT, DELETE, _RECORDS,
                 "The source's user ID or anonymous ID; it may be an e-mail address, so it counts as contact data."),
        Property("created_at", INSTANT, LINKAGE, DELETE, _RECORDS, "When its first message was written."),
        Property("updated_at", INSTANT, LINKAGE, DELETE, _RECORDS,
                 "When its traits last changed. No statement reads it."),
        Property("traits", JSON, MIXED, DELETE, _RECORDS,
                 "What the source states about the person, {name: [value, at]}: contact, identity, demographics, "
                 "attributes, preferences. A removed fact stays as [null, at]."),
        Property("known", STRING, PSEUDONYM, DELETE, _RECORDS + _REGRADING + _TRUST,
                 "IDs of the latest 64 identifiers it holds or claims, with grade and `since`, so that a repeat costs "
                 "no write."),
        Property("contacts", JSON, PSEUDONYM, DELETE, _RECORDS,
                 "IDs of its e-mail addresses and phone numbers, each with the receipts of its first and last "
                 "statement, from which `ended` follows."),
        Property("first_claim", STRING, PSEUDONYM, DELETE, _IDENTIFIERS + _REGRADING,
                 "The user ID that a device claimed first: the receipt and the identifier's ID."),
        Property("crowded", BOOLEAN, LINKAGE, DELETE, _DEVICES,
                 "Whether more devices name the account than may count for it; absent means no."),
        Property("denies", BOOLEAN, CONSENTS, DELETE, _LOG + _TRUST,
                 "Whether the record ever denied anything; absent means no."),
        Property("denied_since", STRINGS, CONSENTS, DELETE, _LOG,
                 "When it first denied each purpose: the instant of receipt, `@`, and the purpose."),
        Property("recent_sessions", STRINGS, BEHAVIOUR, DELETE, (*_SESSIONS, "migrations.m0007_recent_sessions"),
                 "The IDs of a device's 20 latest sessions, as they began to arrive."),
        Property("session_id", STRING, BEHAVIOUR, DELETE, _SESSIONS,
                 "The session that its next event is compared with."),
        Property("carried", STRING, CONSENTS, DELETE, _RECORDS,
                 "Digest of the consents that its messages last repeated, with user and consent epoch at that time."),
        Property("carried_at", INSTANT, CONSENTS, DELETE, _RECORDS, "The time of the message that repeated them."),
        Property("linking_objected", BOOLEAN, CONSENTS, DELETE, _LOG,
                 "Whether the record's own statements bar it from linkage; absent means no."),
        Property("_v", INTEGER, None, DELETE, _RECORDS + _LINKS + _LOCKS + _REGRADING,
                 "Touch counter: a write locks the node; 1 means a new record."),
    )),
    NodeType(Label.IDENTIFIER, "id", UNSHARED,
             "A normalised value that may identify a person. Records of several people may hold it.", (
        Property("id", STRING, PSEUDONYM, UNSHARED, _IDENTIFIERS + _TRUST,
                 "Unkeyed hash of kind, namespace and value; for a former person, `former` and the person's ID."),
        Property("kind", STRING, CONTACT, UNSHARED, _IDENTIFIERS + _TRUST,
                 "Such as `email`, `phone`, `user_id`, `anonymous_id`. A `former_person`, of which records were part "
                 "before sources had a trust, only passes on denials."),
        Property("value", STRING, CONTACT, UNSHARED, _IDENTIFIERS + _TRUST, "The normalised value, in clear text."),
        Property("namespace", STRING, CONTACT, UNSHARED, _IDENTIFIERS + _TRUST,
                 "The range within which the value is unique; empty: everywhere."),
        Property("degree", INTEGER, LINKAGE, RECOMPUTE, _IDENTIFIERS + _REGRADING + _TRUST,
                 "How many records hold it with proof. Erasing one of several holders must lower it."),
        Property("bars", JSON, CONSENTS, RECOMPUTE, _BARS,
                 "Denials that records left on it, for everyone who has it: purpose, recipient, assurance, latest "
                 "instant, record, event, whether of a device, first instant."),
        Property("unheard_since", INSTANT, CONSENTS, RECOMPUTE, _BARS,
                 "Since when people who hear its bars wait to be marked stale, because they are many; absent: nobody "
                 "waits."),
        Property("_v", INTEGER, None, UNSHARED, _BARS, "Touch counter: a write locks the node. No statement reads it."),
        Property("refused", STRING, LINKAGE, RECOMPUTE, _IDENTIFIERS,
                 "Why it links no records, such as `frequency_cap`; absent while it may link."),
        Property("refused_at", INSTANT, LINKAGE, RECOMPUTE, _IDENTIFIERS,
                 "When `refused` was set or lifted. No statement reads it."),
    )),
    NodeType(Label.USER, "id", DELETE,
             "A person, derived from linked records. Erasure also deletes the users that were retired into this one.", (
        Property("id", STRING, PSEUDONYM, DELETE, _RECORDS + _USERS,
                 "A random ULID, which says nothing about the person."),
        Property("created_at", INSTANT, LINKAGE, DELETE, _RECORDS + _USERS, "When the user was created."),
        Property("updated_at", INSTANT, LINKAGE, DELETE, _RECORDS + _USERS,
                 "When the user was created, retired, or last given a record."),
        Property("retired_at", INSTANT, LINKAGE, DELETE, _USERS,
                 "When the user was merged into another; absent while it is live."),
        Property("permits", STRINGS, CONSENTS, DELETE, _RECORDS + _USERS + _PERMITS,
                 "Purposes, or purpose@recipient, that the fold of the consent log allows."),
        Property("permit_ends", INTEGERS, CONSENTS, DELETE, _PERMITS + _BARS,
                 "For each of `permits`, the instant until which it may be relied on; 0: no end. Absent: all end at "
                 "`permits_until`."),
        Property("permit_grants", STRINGS, CONSENTS, DELETE, _PERMITS,
                 "For each of `permits` with a recipient, the ID of the grant that decides it; empty: none does."),
        Property("permits_until", INSTANT, CONSENTS, DELETE, _PERMITS + _BARS,
                 "When the permits have to be folded again; absent if never."),
        Property("consent_epoch", INTEGER, CONSENTS, DELETE, _RECORDS + _USERS + _PERMITS,
                 "Increases each time the permits are rewritten."),
        Property("permits_changed_at", INSTANT, CONSENTS, DELETE, _USERS + _PERMITS + _BARS,
                 "When the permits were last rewritten, or the user retired; absent if never."),
        Property("rfm_recency", FLOAT, SEGMENTS, DELETE, _RFM, "Days since the latest purchase."),
        Property("rfm_frequency", FLOAT, SEGMENTS, DELETE, _RFM, "The number of purchases."),
        Property("rfm_monetary", FLOAT, SEGMENTS, DELETE, _RFM, "Value of the purchases less refunds."),
        Property("rfm_recency_score", INTEGER, SEGMENTS, DELETE, _RFM, "Score of recency, 1 to 5 by quantile."),
        Property("rfm_frequency_score", INTEGER, SEGMENTS, DELETE, _RFM, "Score of frequency, 1 to 5 by quantile."),
        Property("rfm_monetary_score", INTEGER, SEGMENTS, DELETE, _RFM, "Score of monetary value, 1 to 5 by quantile."),
        Property("rfm_cell", STRING, SEGMENTS, DELETE, _RFM, "The three scores as three digits."),
        Property("rfm_computed_at", INSTANT, SEGMENTS, DELETE, _RFM, "When the run that scored the person began."),
        Property("rfm_shown", BOOLEAN, SEGMENTS, DELETE, _RFM,
                 "Whether enough people are in the cell for everybody to know of it."),
        Property("rfm_run", STRING, SEGMENTS, DELETE, _RFM, "The ID of that run."),
        Property("_v", INTEGER, None, DELETE, _LOCKS, "Touch counter: a write locks the node. No statement reads it."),
    )),
    NodeType(Label.SESSION, "id", DELETE,
             "Events of one record without a pause of 30 minutes, or with the same session ID.", (
        Property("id", STRING, BEHAVIOUR, DELETE, _SESSIONS, "Hash of the record's ID and of what began the session."),
        Property("started_at", INSTANT, BEHAVIOUR, DELETE, _SESSIONS, "The time of its first event."),
        Property("ended_at", INSTANT, BEHAVIOUR, DELETE, _SESSIONS, "The time of its last event."),
        Property("events", INTEGER, BEHAVIOUR, DELETE, _SESSIONS, "How many messages it holds. No statement reads it."),
    )),
    NodeType(Label.ITEM, "key", KEEP,
             "What people look at, buy or rate. Catalogues describe it; one that only events name has just a key.", (
        Property("key", STRING, None, KEEP, _ITEMS + _SESSIONS, "The catalogue's key."),
        Property("title", STRING, None, KEEP, _FACTS, "Its title."),
        Property("category", STRING, None, KEEP, _FACTS, "Its category."),
        Property("price", FLOAT, None, KEEP, _FACTS, "Its price in the shop's own unit."),
        Property("available", BOOLEAN, None, KEEP, _FACTS, "Whether it is available."),
        Property("year", INTEGER, None, KEEP, _FACTS, "The year it was made or published."),
        Property("attributes", JSON, None, KEEP, _FACTS, "Custom facts, {name: value}."),
        Property("title_at", INSTANT, None, KEEP, _FACTS, "When the title was declared."),
        Property("category_at", INSTANT, None, KEEP, _FACTS, "When the category was declared."),
        Property("price_at", INSTANT, None, KEEP, _FACTS, "When the price was declared."),
        Property("available_at", INSTANT, None, KEEP, _FACTS, "When the availability was declared."),
        Property("year_at", INSTANT, None, KEEP, _FACTS, "When the year was declared."),
        Property("attributes_at", INSTANT, None, KEEP, _FACTS, "When the attributes were declared."),
        Property("topics_at", INSTANT, None, KEEP, _FACTS, "When the topics were declared."),
        Property("updated_at", INSTANT, None, KEEP, _ITEMS,
                 "When it was last declared; absent for an item that only events name."),
    )),
    NodeType(Label.TOPIC, "key", KEEP, "A subject that items are about.", (
        Property("key", STRING, None, KEEP, _ITEMS, "Its name."),
    )),
    NodeType(Label.CONSENT_EVENT, "id", DELETE,
             "What a person stated about one purpose. Append-only until erasure; from then on, the record's tombstone "
             "keeps an old grant from returning.", (
        Property("id", STRING, CONSENTS, DELETE, _LOG,
                 "Hash of the message's ID, the record, its number in the message, and what it says."),
        Property("seq", INTEGER, CONSENTS, DELETE, _LOG, "Its place in the record's log, from 1."),
        Property("received_at", INSTANT, CONSENTS, DELETE, _LOG,
                 "When it was received; for an import, when the import states that it was."),
        Property("proof", STRING, CONSENTS, DELETE, _LOG,
                 "What proved it: `token`, `hash`, `credential`, `frontend` or `confirmation`; absent: only its "
                 "source's word."),
        Property("reach", STRINGS, CONSENTS, DELETE, _LOG,
                 "The sources for whose records the proof's issuer may speak; absent: any."),
        Property("repeated_at", INSTANT, CONSENTS, DELETE, _LOG,
                 "When it was last carried along again: the only property that is set later."),
        Property("purpose", STRING, CONSENTS, DELETE, _LOG, "The purpose it is about."),
        Property("recipient", STRING, CONSENTS, DELETE, _LOG,
                 "The partner it is about; absent for first party or all."),
        Property("state", STRING, CONSENTS, DELETE, _LOG, "What was stated: `given`, `refused`, `withdrawn` …"),
        Property("effective_at", INSTANT, CONSENTS, DELETE, _LOG, "When it takes effect."),
        Property("expires_at", INSTANT, CONSENTS, DELETE, _LOG, "When it expires; absent if it does not."),
        Property("lawful_basis", STRING, CONSENTS, DELETE, _LOG, "The basis under GDPR Art. 6(1)."),
        Property("mechanism", STRING, CONSENTS, DELETE, _LOG, "`opt_in`, `opt_out` or `notice_only`."),
        Property("jurisdiction", STRING, CONSENTS, DELETE, _LOG, "Whose law applies."),
        Property("controller", STRING, CONSENTS, DELETE, _LOG, "The company it was stated to."),
        Property("channel", STRING, CONSENTS, DELETE, _LOG, "Where it was stated, such as `web`."),
        Property("notice", STRING, CONSENTS, DELETE, _LOG, "The name of the text that the person was shown."),
        Property("notice_version", STRING, CONSENTS, DELETE, _LOG, "The version of that text."),
        Property("notice_sha256", STRING, CONSENTS, DELETE, _LOG, "The hash of that text."),
        Property("language", STRING, CONSENTS, DELETE, _LOG, "The language of that text."),
        Property("method", STRING, CONSENTS, DELETE, _LOG, "How it was stated, such as `form`."),
        Property("actor", STRING, CONSENTS, DELETE, _LOG,
                 "Who stated it on the person's behalf; this may name another person."),
        Property("assurance", INTEGER, CONSENTS, DELETE, _LOG,
                 "How certain it is that the person stated it, from 0 to 2."),
        Property("evidence_hash", STRING, CONSENTS, DELETE, _LOG, "Hash of evidence kept elsewhere."),
        Property("raw_signal", STRING, CONSENTS, DELETE, _LOG, "The signal as it arrived, such as a TCF string."),
        Property("categories", STRINGS, CONSENTS, DELETE, _LOG,
                 "The categories of data that it names, if any; kept as evidence."),
    )),
    NodeType(Label.CONFIRMATION, "id", DELETE,
             "A consent that a person was asked to confirm by a link (double opt-in). Deleted 90 days after it "
             "expires.", (
        Property("id", STRING, CONSENTS, DELETE, _CONFIRMATIONS,
                 "Keyed hash of the link's token, which is not stored."),
        Property("statement", JSON, CONSENTS, DELETE, _CONFIRMATIONS,
                 "What is confirmed, {name: value}: the purpose, its recipient, the notice."),
        Property("actor", STRING, CONSENTS, DELETE, _CONFIRMATIONS, "The client that asked."),
        Property("browser", STRING, None, DELETE, _CONFIRMATIONS,
                 "Keyed hash of the secret of the browser that asked; absent if nothing is to be proven of contact "
                 "data."),
        Property("kind", STRING, CONTACT, DELETE, _CONFIRMATIONS, "`email` or `phone`, if the link was sent to one."),
        Property("value", STRING, CONTACT, DELETE, _CONFIRMATIONS, "The normalised address or number."),
        Property("expires_at", INSTANT, CONSENTS, DELETE, _CONFIRMATIONS, "When the link expires."),
        Property("confirmed_at", INSTANT, CONSENTS, DELETE, _CONFIRMATIONS, "When it was used; absent before."),
    )),
    NodeType(Label.POLICY, "key", KEEP, "The policy under which all permits were last folded; a single node.", (
        Property("key", STRING, None, KEEP, _POLICY, "Always `in_force`."),
        Property("version", STRING, None, KEEP, _POLICY, "The policy's version, a hash of its content."),
        Property("since", INSTANT, None, KEEP, _POLICY,
                 "When the permits were folded under it. No statement reads it."),
    )),
    NodeType(Label.PURPOSE, "key", KEEP, "A purpose that at least one statement is about.", (
        Property("key", STRING, None, KEEP, _LOG, "Its name."),
    )),
    NodeType(Label.NOTICE, "id", KEEP, "A text that people were shown before they made a statement.", (
        Property("id", STRING, None, KEEP, _LOG, "Hash of name and version."),
        Property("name", STRING, None, KEEP, _LOG, "Its name. No statement reads it."),
        Property("version", STRING, None, KEEP, _LOG, "Its version. No statement reads it."),
    )),
    NodeType(Label.RECIPIENT, "key", KEEP, "A partner that at least one statement is about.", (
        Property("key", STRING, None, KEEP, _LOG, "Its name."),
    )),
    NodeType(Label.SEGMENT, "key", KEEP, "A set of people, as the last run defined it.", (
        Property("key", STRING, None, KEEP, _DEFINITIONS, "Its key, such as `high_value_buyer` or `community_1`."),
        Property("kind", STRING, None, KEEP, _DEFINITIONS, "How it is computed: `rfm` or `community`."),
        Property("title", STRING, None, KEEP, _DEFINITIONS, "Its title; for a community, what sets it apart."),
        Property("description", STRING, None, KEEP, _DEFINITIONS,
                 "A longer description: counts and items, never a single person."),
        Property("purpose", STRING, None, KEEP, _DEFINITIONS, "The purpose its members must permit."),
        Property("version", INTEGER, None, KEEP, _DEFINITIONS, "Starts at 1; increases when its definition changes."),
        Property("definition", JSON, None, KEEP, _DEFINITIONS, "The configuration it is computed by."),
        Property("run", STRING, None, KEEP, _DEFINITIONS,
                 "The ID of the run that last wrote it. No statement reads it."),
        Property("shown", BOOLEAN, None, KEEP, _DEFINITIONS,
                 "Whether enough people are in it for everybody to know of it."),
        Property("created_at", INSTANT, None, KEEP, _DEFINITIONS, "When it was first defined. No statement reads it."),
        Property("updated_at", INSTANT, None, KEEP, _DEFINITIONS, "When it was last defined."),
    )),
    NodeType(Label.MODEL_RUN, "id", KEEP,
             "One fit of a model or one computation of segments, with a manifest that proves whose data it used.", (
        Property("id", STRING, None, KEEP, _RUNS, "A ULID."),
        Property("name", STRING, None, KEEP, _RUNS, "What was computed: `walk`, `rfm` or `communities`."),
        Property("version", INTEGER, None, KEEP, _RUNS, "The version of the algorithm."),
        Property("purpose", STRING, None, KEEP, _RUNS, "The purpose that all of its people permit."),
        Property("started_at", INSTANT, None, KEEP, _RUNS, "When it began."),
        Property("finished_at", INSTANT, None, KEEP, _RUNS, "When it ended."),
        Property("consent_at", INSTANT, None, KEEP, _RUNS, "The instant for which consent was checked."),
        Property("people", INTEGER, None, KEEP, _RUNS, "How many people it used."),
        Property("epoch", INTEGER, None, KEEP, _RUNS, "The highest consent epoch among them."),
        Property("people_sha256", STRING, None, KEEP, _RUNS,
                 "Hash of all of their IDs together: it proves a known list and reveals no single ID, so it is kept."),
        Property("rows", INTEGER, None, KEEP, _RUNS, "How many model rows it wrote."),
        Property("metrics", JSON, None, KEEP, _RUNS, "Its metrics, such as nDCG and group sizes."),
        Property("config", JSON, None, KEEP, _RUNS, "Its configuration."),
        Property("current", BOOLEAN, None, KEEP, _RUNS, "Whether it is the one being served."),
        Property("members", STRING, PSEUDONYM, RECOMPUTE, _RUNS,
                 "A salted filter that tells whether somebody may be among the people it used; absent once it is no "
                 "longer current."),
        Property("left_out", STRINGS, None, KEEP, _RUNS, "The unsettled sources whose people it left out."),
        Property("stale_since", INSTANT, None, KEEP, _RUNS,
                 "When the first of its people withdrew; absent if none has."),
        Property("refit_by", STRING, None, KEEP, _RUNS, "The ULID of the process that computes its successor."),
        Property("refit_until", INSTANT, None, KEEP, _RUNS, "When that process's claim ends."),
        Property("_v", INTEGER, None, KEEP, _RUNS, "Touch counter: a write locks the node. No statement reads it."),
    )),
    NodeType(Label.MODEL_ROW, "id", RECOMPUTE,
             "One item of a model. A row may reflect only a few people, so a run without the erased person replaces "
             "it.", (
        Property("id", STRING, None, RECOMPUTE, _RUNS, "The run's ID and the item's key."),
        Property("run", STRING, None, RECOMPUTE, _RUNS, "The ID of the run that wrote it."),
        Property("item", STRING, None, RECOMPUTE, _RUNS, "The item's key."),
        Property("neighbours", STRINGS, None, RECOMPUTE, _RUNS, "The keys of the items that lead to it."),
        Property("weights", FLOATS, None, RECOMPUTE, _RUNS, "How strongly each of them does."),
        Property("popularity", FLOAT, None, RECOMPUTE, _RUNS, "How many people chose it."),
    )),
    NodeType(Label.MESSAGE, "id", DELETE,
             "An entry in the ledger of accepted messages: each counts once. Nothing connects it to its record; "
             "erasure can find it only by the IDs of interactions and consent events.", (
        Property("id", STRING, PSEUDONYM, DELETE, _MESSAGES,
                 "The source's name and the message's own ID, chosen by the sender."),
        Property("at", INSTANT, BEHAVIOUR, DELETE, _MESSAGES, "The time of the event."),
        Property("claim", INTEGER, None, DELETE, _MESSAGES, "The random mark of the attempt that wrote it."),
    )),
    NodeType(Label.DEAD_LETTER, "id", DELETE,
             "A rejected message, kept to be replayed. Nothing connects it to a record: erasure must read payloads.", (
        Property("id", STRING, PSEUDONYM, DELETE, _LETTERS, "Unkeyed hash of source and payload."),
        Property("source", STRING, None, DELETE, _LETTERS, "The source's name."),
        Property("payload", STRING, MIXED, DELETE, _LETTERS, "What arrived, as text: possibly every category."),
        Property("reason", STRING, None, DELETE, _LETTERS, "The code of the rejection."),
        Property("message", STRING, None, DELETE, _LETTERS, "The reason in words, without quoting a value."),
        Property("field", STRING, None, DELETE, _LETTERS, "The field that was rejected, if it was a field."),
        Property("received_at", INSTANT, BEHAVIOUR, DELETE, _LETTERS, "When it last arrived."),
        Property("first_at", INSTANT, BEHAVIOUR, DELETE, _LETTERS, "When it first arrived. No statement reads it."),
        Property("times", INTEGER, BEHAVIOUR, DELETE, _LETTERS, "How often it arrived."),
        Property("truncated", BOOLEAN, None, DELETE, _LETTERS,
                 "Whether the payload was truncated, so that it can't be replayed."),
        Property("from_file", BOOLEAN, None, DELETE, _LETTERS,
                 "Whether an operator loaded it from a file; such messages may state more than a sender's."),
        Property("imported", BOOLEAN, None, DELETE, _LETTERS,
                 "Whether it is part of an import, so that the message states when it was received."),
        Property("proof", STRING, None, DELETE, _LETTERS,
                 "What proved the sender's names when it arrived, such as `hash`; the proof itself is not kept."),
        Property("reach", STRINGS, None, DELETE, _LETTERS,
                 "The sources for whose records the proof's issuer may speak; absent: any."),
    )),
    NodeType(Label.MIGRATION, "version", KEEP, "A schema step that was applied.", (
        Property("version", INTEGER, None, KEEP, _MIGRATIONS, "Its number."),
        Property("name", STRING, None, KEEP, _MIGRATIONS, "Its name."),
        Property("checksum", STRING, None, KEEP, _MIGRATIONS, "Hash of what it does; a changed step is refused."),
        Property("applied_at", INSTANT, None, KEEP, _MIGRATIONS, "When it was applied."),
    )),
    NodeType(Label.LOCK, "name", KEEP, "A lease that only one process holds.", (
        Property("name", STRING, None, KEEP, _MIGRATIONS, "What it guards: `migration`."),
        Property("holder", STRING, None, KEEP, _MIGRATIONS, "The ULID of the process that holds it."),
        Property("until", INSTANT, None, KEEP, _MIGRATIONS, "When the lease ends; 0 once released."),
        Property("_v", INTEGER, None, KEEP, _MIGRATIONS,
                 "Touch counter: a write locks the node. No statement reads it."),
    )),
)

_INTERACTION: Final = (
    Property("message_id", STRING, BEHAVIOUR, DELETE, _SESSIONS,
             "The ID of its message, with a number if the message holds several. Unique per type."),
    Property("at", INSTANT, BEHAVIOUR, DELETE, _SESSIONS, "The time of the event, corrected for the sender's clock."),
    Property("weight", FLOAT, BEHAVIOUR, DELETE, _SESSIONS, "How much it counts in favour of the item, 0 to 5."),
    Property("value", FLOAT, BEHAVIOUR, DELETE, _SESSIONS, "Money or a rating, in its own unit."),
    Property("quantity", FLOAT, BEHAVIOUR, DELETE, _SESSIONS, "The quantity of the item."),
    Property("order", STRING, BEHAVIOUR, DELETE, _SESSIONS, "The order that several items belong to."),
    Property("name", STRING, BEHAVIOUR, DELETE, _SESSIONS,
             "The event's own name, a page's name or path, or a search query: free text."),
)
"""The properties of every interaction type."""

_INTERACTIONS: Final = (
    (InteractionType.VIEWED, "The person looked at the item, or at a page or screen without an item."),
    (InteractionType.SEARCHED, "The person searched for the item, or for anything else."),
    (InteractionType.CLICKED, "The person clicked on the item."),
    (InteractionType.WISHLISTED, "The person added the item to a wish list."),
    (InteractionType.CARTED, "The person added the item to the cart."),
    (InteractionType.UNCARTED, "The person removed the item from the cart."),
    (InteractionType.CHECKED_OUT, "The person began to check out with the item."),
    (InteractionType.PURCHASED, "The person bought the item."),
    (InteractionType.REFUNDED, "The person returned the item for a refund."),
    (InteractionType.RATED, "The person rated the item."),
    (InteractionType.REVIEWED, "The person reviewed the item."),
    (InteractionType.SHARED, "The person shared the item."),
    (InteractionType.INTERACTED, "The person did something that has no type of its own; `name` tells what."),
)

_RELATIONSHIPS: Final = (
    RelationshipType(Rel.FROM, (Label.RECORD,), (Label.SOURCE,), DELETE,
                     "The source that the record comes from."),
    RelationshipType(Rel.OPENS, (Label.API_KEY,), (Label.CLIENT, Label.SOURCE), KEEP, "What the key opens."),
    RelationshipType(Rel.IDENTIFIED_BY, (Label.RECORD,), (Label.IDENTIFIER,), DELETE,
                     "The record holds the identifier: it is proven, or the source states it.", (
        Property("since", INSTANT, LINKAGE, DELETE, _IDENTIFIERS + _REGRADING + _TRUST,
                 "The earliest receipt of a message that stated it at this grade."),
        Property("grade", STRING, LINKAGE, DELETE, _IDENTIFIERS + _REGRADING + _TRUST,
                 "`stated` or `proven`. Only proven ones link."),
        Property("proof", STRING, LINKAGE, DELETE, _IDENTIFIERS + _REGRADING,
                 "What proved it: `token`, `hash`, `credential`, `frontend`, `confirmation`, or `static` for the user "
                 "ID of behaviour; absent: only its source's word."),
        Property("ended", INSTANT, LINKAGE, DELETE, _IDENTIFIERS + _REGRADING,
                 "When another e-mail address or phone number of the record took its place; absent while current."),
    )),
    RelationshipType(Rel.CLAIMS, (Label.RECORD,), (Label.IDENTIFIER,), DELETE,
                     "The record claims the identifier, as anybody could. A device claims its own anonymous ID.", (
        Property("since", INSTANT, LINKAGE, DELETE, _IDENTIFIERS + _REGRADING + _TRUST,
                 "The earliest receipt of a message that claimed it."),
        Property("heard", BOOLEAN, LINKAGE, DELETE, _REGRADING,
                 "Whether the record held it before its source's trust was lowered: it still hears of denials."),
    )),
    RelationshipType(Rel.COUNTS_FOR, (Label.RECORD,), (Label.RECORD,), DELETE,
                     "What the device did counts for the account. Deleted when it no longer does.", (
        Property("grade", STRING, LINKAGE, DELETE, _DEVICES, "`claimed` or `proven`."),
        Property("received", INSTANT, LINKAGE, DELETE, _DEVICES, "When the claim or the proof was received."),
        Property("from", INSTANT, LINKAGE, DELETE, _DEVICES, "Since when it counts. No statement reads it."),
    )),
    RelationshipType(Rel.LINKED, (Label.RECORD,), (Label.RECORD,), DELETE,
                     "A judgement about two records, or what linkage makes of one piece of evidence. Ended, not "
                     "deleted; erasing either record deletes it, even a cannot-link.", (
        Property("status", STRING, LINKAGE, DELETE, _LINKS, "`asserted`, `cannot_link`, `active` or `refused`."),
        Property("rule", STRING, LINKAGE, DELETE, _LINKS, "The kind of the identifier, or `alias`."),
        Property("evidence", STRING, PSEUDONYM, DELETE, _LINKS, "The ID of the identifier."),
        Property("reason", STRING, LINKAGE, DELETE, _LINKS, "Why it was refused."),
        Property("detail", STRING, LINKAGE, DELETE, _LINKS, "The identifier kind on which the refusal rests."),
        Property("actor", STRING, LINKAGE, DELETE, _LINKS,
                 "Who decided, with the version of the rules. No statement reads it."),
        Property("from", INSTANT, LINKAGE, DELETE, _LINKS, "Since when it holds."),
        Property("to", INSTANT, LINKAGE, DELETE, _LINKS + _TRUST, "When it was ended; absent while it holds."),
        Property("ended_by", STRING, LINKAGE, DELETE, _LINKS + _TRUST, "Why it was ended. No statement reads it."),
    )),
    RelationshipType(Rel.RESOLVES_TO, (Label.RECORD,), (Label.USER,), DELETE,
                     "The person that the record belongs to. Exactly one is open; ended ones are the history.", (
        Property("from", INSTANT, LINKAGE, DELETE, _RECORDS + _USERS, "Since when it holds. No statement reads it."),
        Property("to", INSTANT, LINKAGE, DELETE, _USERS, "When the record moved to another user; absent while open."),
    )),
    RelationshipType(Rel.RETIRED_INTO, (Label.USER,), (Label.USER,), DELETE,
                     "The user that this one was merged into.", (
        Property("at", INSTANT, LINKAGE, DELETE, _USERS, "When it was merged. No statement reads it."),
    )),
    RelationshipType(Rel.HAD, (Label.RECORD,), (Label.SESSION,), DELETE, "The record's sessions."),
    RelationshipType(Rel.ABOUT, (Label.ITEM,), (Label.TOPIC,), KEEP, "What the item is about.", (
        Property("weight", FLOAT, None, KEEP, _ITEMS, "How much the item is about the topic, 0 or more."),
    )),
    RelationshipType(Rel.DECIDED, (Label.RECORD,), (Label.CONSENT_EVENT,), DELETE,
                     "What was stated through the record and may still matter."),
    RelationshipType(Rel.FORMERLY_DECIDED, (Label.RECORD,), (Label.CONSENT_EVENT,), DELETE,
                     "What was stated through the record and can't matter any more: a later statement supersedes it."),
    RelationshipType(Rel.ASKED, (Label.RECORD,), (Label.CONFIRMATION,), DELETE,
                     "Whose consent is to be confirmed."),
    RelationshipType(Rel.FOR, (Label.CONSENT_EVENT,), (Label.PURPOSE,), DELETE,
                     "The purpose it is about. No statement follows it: `ConsentEvent.purpose` is read."),
    RelationshipType(Rel.UNDER, (Label.CONSENT_EVENT,), (Label.NOTICE,), DELETE,
                     "The text that the person was shown. No statement follows it: `ConsentEvent.notice` is read."),
    RelationshipType(Rel.TO, (Label.CONSENT_EVENT,), (Label.RECIPIENT,), DELETE,
                     "The partner it is about. No statement follows it: `ConsentEvent.recipient` is read."),
    RelationshipType(Rel.SUPERSEDES, (Label.CONSENT_EVENT,), (Label.CONSENT_EVENT,), DELETE,
                     "The record's previous event on the same subject. No statement follows it: `seq` is read."),
    RelationshipType(Rel.IN_SEGMENT, (Label.USER,), (Label.SEGMENT,), DELETE,
                     "The person is in the segment. Leaving ends it; returning makes another.", (
        Property("since", INSTANT, SEGMENTS, DELETE, _MEMBERSHIPS, "When the person entered."),
        Property("until", INSTANT, SEGMENTS, DELETE, _MEMBERSHIPS, "When the person left; absent for a member."),
        Property("score", FLOAT, SEGMENTS, DELETE, _MEMBERSHIPS, "How well the person fits."),
        Property("version", INTEGER, SEGMENTS, DELETE, _MEMBERSHIPS, "The segment's version at that time."),
        Property("run", STRING, SEGMENTS, DELETE, _MEMBERSHIPS,
                 "The ID of the run that wrote it. No statement reads it."),
    )),
    *(RelationshipType(type_, (Label.SESSION,), (Label.ITEM, Label.SESSION), DELETE, meaning, _INTERACTION)
      for type_, meaning in _INTERACTIONS),
)
# fmt: on

NODES: Final[Mapping[Label, NodeType]] = {node.label: node for node in _NODES}
"""Every label."""

RELATIONSHIPS: Final[Mapping[Rel | InteractionType, RelationshipType]] = {each.name: each for each in _RELATIONSHIPS}
"""Every relationship type. An interaction without an item goes from its session to the session itself."""

UNIQUE_KEYS: Final[Mapping[Label, str]] = {label: node.key for label, node in NODES.items()}
"""One unique property per label. Migrations make each a constraint, which also serves as the index for look-ups."""
