"""Reading messages of every type, and the reasons for rejecting them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import read_message
from api.collection.segment.validation import LINE_TYPES, TYPES
from graph.model.access import Source
from graph.model.consent import ConsentState
from graph.model.identity import IdentifierRef, RecordKind, RecordRef
from graph.model.message import Message
from graph.model.time import Millis
from privacy.policy import Policy

NOW = Millis(1_790_000_000_000)
POLICY = Policy.default()


def read(
    raw: Any, *, source: Source = Source("shop"), sent_at: Any = None, from_file: bool = False, **origin: Any
) -> Message:
    origin = {"own_types": from_file, "received_earlier": from_file} | origin
    return read_message(raw, Origin(source, NOW, POLICY, sent_at, **origin))


def refusal(raw: Any, *, from_file: bool = False) -> tuple[RejectionReason, str | None]:
    with pytest.raises(Rejected) as caught:
        read(raw, from_file=from_file)
    return caught.value.reason, caught.value.field


def refs(message: Message) -> tuple[IdentifierRef, ...]:
    return tuple(one.ref for one in message.identifiers)


def track(**rest: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": "m", "userId": "u", "event": "Clicked"} | rest


def test_a_message_can_name_two_records() -> None:
    user, anonymous = read(track()), read(track(userId=None, anonymousId="a"))
    assert user.record == RecordRef("shop", RecordKind.USER, "u")
    assert anonymous.record == RecordRef("shop", RecordKind.ANONYMOUS, "a")
    assert user.also is anonymous.also is None
    assert refs(user) == (IdentifierRef("user_id", "u"),)
    assert refs(anonymous) == (IdentifierRef("anonymous_id", "a"),)


def test_products_of_one_message_form_one_order() -> None:
    products = [{"sku": "a", "price": 1}, {"sku": "b", "price": 2}]
    message = read(track(event="Order Completed", properties={"products": products}))
    assert [one.order for one in message.interactions] == [message.id, message.id]
    named = read(track(event="Order Completed", properties={"products": products, "order_id": "o"}))
    assert [one.order for one in named.interactions] == ["o", "o"]


def test_both_names_become_identifiers() -> None:
    message = read(track(anonymousId="a"), source=Source("shop", "eu"))
    assert message.record == RecordRef("shop", RecordKind.USER, "u")
    assert message.also == RecordRef("shop", RecordKind.ANONYMOUS, "a")
    assert refs(message) == (IdentifierRef("user_id", "u", "eu"), IdentifierRef("anonymous_id", "a"))


def test_whole_numbers_are_accepted_as_names() -> None:
    assert read(track(userId=7)).record == read(track(userId="7")).record


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"userId": None}, RejectionReason.MISSING_ID),
        ({"userId": "", "anonymousId": ""}, RejectionReason.MISSING_ID),
        ({"userId": "null"}, RejectionReason.BLOCKED_ID),
        ({"userId": "undefined", "anonymousId": None}, RejectionReason.BLOCKED_ID),
        ({"userId": "00000000-0000-0000-0000-000000000000"}, RejectionReason.BLOCKED_ID),
        ({"userId": "a\0b"}, RejectionReason.BAD_ID),
        ({"userId": "x" * 513}, RejectionReason.BAD_ID),
        ({"userId": "  "}, RejectionReason.BAD_ID),
        ({"userId": True}, RejectionReason.WRONG_TYPE),
        ({"userId": 1.5}, RejectionReason.WRONG_TYPE),
        ({"userId": {"$ne": 1}}, RejectionReason.WRONG_TYPE),
        ({"userId": "half \ud83d"}, RejectionReason.BAD_ID),
        ({"messageId": "x" * 257}, RejectionReason.BAD_ID),
        ({"messageId": "a\nb"}, RejectionReason.BAD_ID),
        ({"messageId": []}, RejectionReason.WRONG_TYPE),
    ],
)
def test_unusable_ids_are_rejected(names: dict[str, Any], expected: RejectionReason) -> None:
    assert refusal(track(**names))[0] is expected


def test_a_placeholder_beside_a_name_is_left_out() -> None:
    message = read(track(userId="null", anonymousId="a"))
    assert (message.record, message.also) == (RecordRef("shop", RecordKind.ANONYMOUS, "a"), None)
    assert read(track(anonymousId="undefined")).also is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (None, (RejectionReason.NOT_AN_OBJECT, None)),
        ([], (RejectionReason.NOT_AN_OBJECT, None)),
        ("text", (RejectionReason.NOT_AN_OBJECT, None)),
        ({}, (RejectionReason.UNKNOWN_TYPE, "type")),
        ({"type": None}, (RejectionReason.UNKNOWN_TYPE, "type")),
        ({"type": ["track"]}, (RejectionReason.UNKNOWN_TYPE, "type")),
        ({"type": "delete"}, (RejectionReason.UNKNOWN_TYPE, "type")),
        ({"type": "track", "userId": "u"}, (RejectionReason.MISSING_FIELD, "event")),
        (track(event=5), (RejectionReason.WRONG_TYPE, "event")),
        (track(event=""), (RejectionReason.BAD_VALUE, "event")),
        (track(properties=[]), (RejectionReason.WRONG_TYPE, "properties")),
        (track(context="x"), (RejectionReason.WRONG_TYPE, "context")),
        (track(context={"externalIds": {}}), (RejectionReason.WRONG_TYPE, "context.externalIds")),
        (
            track(context={"consent": {"categoryPreferences": {"Analytics": "yes"}}}),
            (RejectionReason.WRONG_TYPE, "context.consent.categoryPreferences"),
        ),
        (track(timestamp="soon"), (RejectionReason.BAD_TIMESTAMP, "timestamp")),
        (track(timestamp={}), (RejectionReason.WRONG_TYPE, "timestamp")),
        (track(timestamp=True), (RejectionReason.WRONG_TYPE, "timestamp")),
        (track(timestamp="1970-01-01"), (RejectionReason.BAD_TIMESTAMP, "timestamp")),
        (track(timestamp="2099-01-01"), (RejectionReason.BAD_TIMESTAMP, "timestamp")),
        (track(sentAt="soon"), (RejectionReason.BAD_TIMESTAMP, "sentAt")),
        ({"type": "group", "userId": "u"}, (RejectionReason.MISSING_FIELD, "groupId")),
        ({"type": "alias", "userId": "u", "previousId": None}, (RejectionReason.MISSING_ID, "previousId")),
        ({"type": "alias", "userId": "u"}, (RejectionReason.MISSING_FIELD, "previousId")),
        ({"type": "alias", "anonymousId": "a", "previousId": "b"}, (RejectionReason.MISSING_ID, "userId")),
        ({"type": "alias", "userId": "u", "previousId": "u"}, (RejectionReason.BAD_VALUE, "previousId")),
        (
            track(event="Segment Consent Preference Updated"),
            (RejectionReason.MISSING_FIELD, "context.consent.categoryPreferences"),
        ),
        (track(properties={"product_id": []}), (RejectionReason.WRONG_TYPE, "properties.product_id")),
        (track(properties={"product_id": "x" * 513}), (RejectionReason.BAD_VALUE, "properties.product_id")),
        (track(properties={"products": {"a": 1}}), (RejectionReason.WRONG_TYPE, "properties.products")),
        (track(properties={"products": [{}] * 251}), (RejectionReason.BAD_VALUE, "properties.products")),
        (
            track(event="Product Added", properties={"sku": 1, "price": "no"}),
            (RejectionReason.BAD_VALUE, "properties.price"),
        ),
        (
            track(event="Product Rated", properties={"sku": "a", "rating": {}}),
            (RejectionReason.BAD_VALUE, "properties.rating"),
        ),
        ({"type": "identify", "userId": "u", "traits": {"x" * 257: 1}}, (RejectionReason.BAD_VALUE, "traits")),
        (
            {"type": "identify", "userId": "u", "traits": {str(n): n for n in range(257)}},
            (RejectionReason.TOO_MANY_TRAITS, "traits"),
        ),
    ],
)  # fmt: skip
def test_a_rejection_has_a_reason_and_a_field(raw: Any, expected: tuple[RejectionReason, str | None]) -> None:
    assert refusal(raw) == expected


def test_traits_nested_too_deep_are_rejected() -> None:
    deep: Any = 1
    for _ in range(600):
        deep = [deep]
    assert refusal({"type": "identify", "userId": "u", "traits": {"a": deep}}) == (RejectionReason.TOO_DEEP, "traits")
    assert (
        refusal({"type": "identify", "userId": "u", "traits": {"address": {"a": deep}}})[0] is RejectionReason.TOO_DEEP
    )
    assert read(track(properties={"a": deep})).interactions


def test_our_own_types_are_accepted_in_files_only() -> None:
    assert {"item", "consent"} == LINE_TYPES - TYPES
    assert refusal({"type": "item", "itemId": "a"}) == (RejectionReason.UNKNOWN_TYPE, "type")


def test_a_message_without_an_id_gets_a_new_one() -> None:
    one, other = read(track(messageId=None)), read(track(messageId=""))
    assert one.id != other.id
    assert read(track(messageId="x")).id == "shop|x"
    assert read_message(track(messageId=None), Origin(Source("shop"), NOW, POLICY), "given").id == "shop|given"


def test_times_are_corrected_for_the_senders_clock() -> None:
    late = {"timestamp": "2020-01-01T00:00:00Z", "sentAt": "2020-01-01T00:00:10Z"}
    assert read(track(**late)).at == NOW - 10_000
    assert read(track(timestamp=late["timestamp"]), sent_at=late["sentAt"]).at == NOW - 10_000
    assert read(track()).at == NOW


def test_times_of_a_file_are_corrected_by_the_receipt_that_it_states() -> None:
    line = {"timestamp": "2020-01-01T00:00:00Z", "sentAt": "2020-01-01T00:00:10Z"}
    stated = 1_577_836_800_000
    assert read(track(**line), from_file=True).at == stated
    assert read(track(**line, receivedAt="2020-01-01T00:01:00Z"), from_file=True).at == stated + 50_000
    archived = line | {"receivedAt": "2020-01-01T00:01:00Z", "originalTimestamp": line["timestamp"]}
    assert read(track(**archived), from_file=True).at == stated
    assert read(track(receivedAt="2020-01-01T00:01:00Z"), from_file=True).at == stated + 60_000


def test_only_an_import_states_when_its_messages_were_received() -> None:
    line = track(receivedAt=NOW - 5000, timestamp=NOW - 9000)
    assert read(line).received_at == read(line, from_file=True).received_at == NOW
    assert read(line, imported=True).received_at == NOW - 5000
    assert read(track(timestamp=NOW - 9000), imported=True).received_at == NOW - 9000
    assert read(track(), imported=True).received_at == NOW


def test_an_import_states_no_receipt_in_the_future() -> None:
    assert read(track(receivedAt=NOW + 5000), imported=True).received_at == NOW
    assert read(track(timestamp=NOW + 5000), imported=True).received_at == NOW
    with pytest.raises(Rejected) as caught:
        read(track(receivedAt=0), imported=True)
    assert (caught.value.reason, caught.value.field) == (RejectionReason.BAD_TIMESTAMP, "receivedAt")


def test_a_consent_line_of_an_import_takes_effect_at_its_receipt() -> None:
    line = {"type": "consent", "userId": "u", "purpose": "analytics", "state": "refused", "receivedAt": NOW - 5000}
    with pytest.raises(Rejected):  # our own line types have no receivedAt
        read(line, imported=True, own_types=True)
    stated = {**line, "timestamp": NOW - 9000}
    del stated["receivedAt"]
    message = read(stated, imported=True, own_types=True)
    assert (message.received_at, message.consents[0].effective_at) == (NOW - 9000, NOW - 9000)


def test_standard_traits_are_facts_and_others_are_attributes() -> None:
    message = read(
        {
            "type": "identify", "userId": "u", "context": {"locale": "pt_BR", "traits": {"plan": "free", "age": 1}},
            "traits": {
                "email": " Ada@Example.ORG ", "phone": "+43 1 5880158", "firstName": "Ada", "lastName": "King",
                "name": "Somebody Else", "birthday": "1915-12-10T00:00:00Z",
                "address": {"city": "London", "country": "gb"},
                "age": "36", "gender": "female", "avatar": "a.png", "plan": "pro", "company": {"id": 1}, "phone2": None,
            },
        }
    )  # fmt: skip
    assert message.traits == {
        "email": "ada@example.org", "phone": "+4315880158", "givenName": "Ada", "familyName": "King",
        "birthDate": "1915-12-10", "address": {"city": "London", "country": "gb"}, "age": 36, "gender": "female",
        "country": "GB", "language": "pt",
        "attributes": {"avatar": "a.png", "plan": "pro", "company": {"id": 1}, "phone2": None},
    }  # fmt: skip
    assert refs(message)[1:] == (IdentifierRef("email", "ada@example.org"), IdentifierRef("phone", "+4315880158"))


def facts(**traits: Any) -> Any:
    return read({"type": "identify", "userId": "u", "traits": traits}).traits


def test_a_name_is_split_unless_its_parts_are_stated() -> None:
    assert facts(name="Ada  King Lovelace") == {"givenName": "Ada  King", "familyName": "Lovelace"}
    assert facts(name="Plato") == {"givenName": "Plato"}
    assert facts(name="Ada King", lastName="Byron") == {"givenName": "Ada", "familyName": "Byron"}


def test_null_and_empty_text_remove_a_fact() -> None:
    assert facts(email=None, phone="", plan=None) == {"email": None, "phone": None, "attributes": {"plan": None}}


def test_facts_without_a_canonical_form_stay_in_their_category() -> None:
    message = read(
        {"type": "identify", "userId": "u", "traits": {"email": "none of yours", "phone": "12", "birthday": "1.1."}}
    )
    assert message.traits == {"email": "none of yours", "phone": "12", "birthDate": "1.1."}
    assert len(message.identifiers) == 1


def test_demographics_of_the_wrong_type_are_attributes() -> None:
    assert facts(age="old", gender=["x"], language=None) == {
        "language": None, "attributes": {"age": "old", "gender": ["x"]},
    }  # fmt: skip


def test_external_ids_identify_the_person() -> None:
    given_ids = [
        {"id": "A-1", "type": "crm_id"}, {"id": 5, "type": "loyalty", "namespace": "at"},
        {"id": "X@Y.org", "type": "email", "namespace": "ignored"}, {"id": "u9", "type": "user_id"},
        {"id": "null", "type": "crm_id"}, {"id": None, "type": "crm_id"},
        {"id": "g", "type": "g", "collection": "groups"}, {"id": "no type"}, {},
    ]  # fmt: skip
    message = read(track(context={"externalIds": given_ids}), source=Source("shop", "eu"))
    assert refs(message)[1:] == (
        IdentifierRef("crm_id", "A-1"), IdentifierRef("loyalty", "5", "at"), IdentifierRef("email", "x@y.org"),
        IdentifierRef("user_id", "u9", "eu"),
    )  # fmt: skip


def test_a_group_is_kept_among_the_attributes() -> None:
    message = read({"type": "group", "userId": "u", "groupId": 7, "traits": {"name": "Acme"}})
    assert message.traits == {"attributes": {"groupId": "7", "groupTraits": {"name": "Acme"}}}


def test_an_alias_states_a_former_name() -> None:
    message = read({"type": "alias", "userId": "u", "previousId": "a"})
    assert {one.ref.kind for one in message.identifiers if one.ref.value == "a"} == {"anonymous_id", "user_id"}


def test_preferences_carried_along_have_the_lowest_assurance() -> None:
    preferences = {"Analytics": True, "DataSharing": False, "Cookies": True}
    message = read(track(context={"consent": {"categoryPreferences": preferences}}))
    assert [(one.purpose, one.state, one.assurance, one.recipient) for one in message.consents] == [
        ("analytics", ConsentState.GIVEN, 0, None), ("partner_sharing", ConsentState.REFUSED, 0, None),
    ]  # fmt: skip
    again = read(track(context={"consent": {"categoryPreferences": dict(reversed(preferences.items()))}}))
    assert message.carried == again.carried
    assert read(track(context={"consent": {"categoryPreferences": {}}})).consents == ()
    assert read(track(context={"consent": None})).carried is None


def test_a_preference_event_states_consent() -> None:
    message = read(
        track(
            event="Segment Consent Preference Updated", timestamp="2024-01-01",
            context={"consent": {"categoryPreferences": {"Functional": True}}},
        )
    )  # fmt: skip
    assert [(one.purpose, one.state, one.assurance, one.effective_at) for one in message.consents] == [
        ("personalisation", ConsentState.GIVEN, 1, 1_704_067_200_000)
    ]
    assert (message.carried, message.interactions) == (None, ())


def consent(**rest: Any) -> dict[str, Any]:
    return {"type": "consent", "userId": "u", "purpose": "partner_sharing", "state": "given"} | rest


def test_a_consent_line_with_all_fields_is_read() -> None:
    line = consent(
        recipient=" ACME", lawfulBasis="consent", mechanism="opt_in", jurisdiction="AT", expiresAt="2027-01-01",
        controller="shop", channel="email", notice="n", noticeVersion="2", noticeSha256="ab", language="de",
        method="form", actor="clerk", assurance=2, evidenceHash="cd", rawSignal="CP...", categories=["segments"],
        timestamp="2024-01-01",
    )  # fmt: skip
    (statement,) = read(line, from_file=True).consents
    assert (statement.recipient, statement.expires_at, statement.assurance) == ("acme", 1_798_761_600_000, 2)
    assert (statement.notice_version, statement.categories) == ("2", ("segments",))
    assert read(consent(state="withdrawn"), from_file=True).consents[0].effective_at == NOW


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"purpose": "fun"}, (RejectionReason.BAD_VALUE, "purpose")),
        ({"purpose": "analytics", "recipient": "acme"}, (RejectionReason.BAD_VALUE, "recipient")),
        ({"state": "maybe"}, (RejectionReason.BAD_VALUE, "state")),
        ({"mechanism": "shout"}, (RejectionReason.BAD_VALUE, "mechanism")),
        ({"lawfulBasis": "whim"}, (RejectionReason.BAD_VALUE, "lawfulBasis")),
        ({"assurance": 3}, (RejectionReason.BAD_VALUE, "assurance")),
        ({"expiresAt": "never"}, (RejectionReason.BAD_TIMESTAMP, "expiresAt")),
        ({"timestamp": "1815-12-10"}, (RejectionReason.BAD_TIMESTAMP, "timestamp")),
        ({"expires_at": "2030-01-01"}, (RejectionReason.BAD_VALUE, None)),
        ({"userId": None}, (RejectionReason.MISSING_ID, "userId")),
        ({"notice": " "}, (RejectionReason.BAD_VALUE, "notice")),
    ],
)  # fmt: skip
def test_invalid_consent_lines_are_rejected(
    change: dict[str, Any], expected: tuple[RejectionReason, str | None]
) -> None:
    assert refusal(consent(**change), from_file=True) == expected


def test_an_item_line_is_read() -> None:
    line = {
        "type": "item", "itemId": 50, "title": "Star Wars", "category": "film", "price": "9.90", "available": True,
        "year": 1977, "topics": ["action", {"key": "space", "weight": 0.5}, "action"], "attributes": {"a": [1]},
        "timestamp": "2024-01-01",
    }  # fmt: skip
    message = read(line, from_file=True)
    (item,) = message.items
    assert message.record is None
    assert (item.key, item.title, item.price, item.year) == ("50", "Star Wars", 9.9, 1977)
    assert (item.topics, item.attributes) == ((("action", 1.0), ("space", 0.5)), {"a": [1]})
    assert item.updated_at == message.at == 1_704_067_200_000


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"itemId": None}, (RejectionReason.MISSING_ID, "itemId")),
        ({"itemId": ""}, (RejectionReason.BAD_VALUE, "itemId")),
        ({"price": "dear"}, (RejectionReason.WRONG_TYPE, "price")),
        ({"year": 10**9}, (RejectionReason.BAD_VALUE, "year")),
        ({"topics": [{"key": "a", "weight": -1}]}, (RejectionReason.WRONG_TYPE, "topics")),
        ({"titel": "misspelt"}, (RejectionReason.BAD_VALUE, None)),
    ],
)  # fmt: skip
def test_invalid_item_lines_are_rejected(change: dict[str, Any], expected: tuple[RejectionReason, str | None]) -> None:
    found = refusal({"type": "item", "itemId": "a"} | change, from_file=True)
    assert found[1] == expected[1] or (found[1] or "").startswith(expected[1] or "")
    assert found[0] in (expected[0], RejectionReason.BAD_VALUE)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["2024-01-01", "null", "a\0b", "\u202e", "x" * 600]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = (
    "messageId", "userId", "anonymousId", "timestamp", "sentAt", "receivedAt", "originalTimestamp", "context", "traits",
    "properties", "event", "name", "category", "groupId", "previousId", "itemId", "title", "price", "available", "year",
    "topics", "attributes", "purpose", "state", "recipient", "assurance", "expiresAt", "notice", "categories",
    "mechanism",
)  # fmt: skip
PROPERTIES = (
    "product_id",
    "sku",
    "itemId",
    "price",
    "quantity",
    "products",
    "rating",
    "scale",
    "revenue",
    "query",
    "url",
)
INNER = ("email", "phone", "birthday", "age", "address", "name", "externalIds", "consent", "sessionId")
contents = st.dictionaries(
    st.sampled_from((*PROPERTIES, *INNER)),
    json_values | st.lists(st.dictionaries(st.sampled_from(PROPERTIES), json_values, max_size=3), max_size=3),
    max_size=4,
)  # fmt: skip
messages = st.builds(
    lambda kind, names, rest: names | rest | {"type": kind},
    st.sampled_from(sorted(LINE_TYPES)),
    st.just({"userId": "u", "event": "Order Completed", "itemId": "i", "purpose": "analytics", "state": "given"}),
    st.dictionaries(st.sampled_from(FIELDS), json_values | contents, max_size=6),
)


@settings(max_examples=400)
@given(json_values | messages, st.booleans())
@example(
    {
        "type": "track",
        "userId": "u",
        "event": "Order Completed",
        "properties": {"products": [{"sku": "a", "quantity": 0}], "total": 5},
    },
    True,
)
@example(
    {"type": "track", "userId": "u", "event": "Item Rated", "properties": {"sku": "a", "rating": 5, "scale": -1}}, True
)
def test_any_json_is_read_or_rejected_with_a_reason(raw: Any, from_file: bool) -> None:
    try:
        message = read(raw, from_file=from_file)
    except Rejected as error:
        refused = error
    else:
        refused = None
    if refused is not None:
        assert refused.reason in RejectionReason
        assert refused.message
        return
    assert message.record is not None or message.items
    for one in message.interactions:
        assert one.weight >= 0
        assert one.item is None or 0 < len(one.item) <= 512
