"""Whom a message is about, by the trust of its source and by what proves its names."""

from __future__ import annotations

from typing import Any

import pytest

from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment import names as names_module
from api.collection.segment.consents import StatementPayload, write_line
from api.collection.segment.mapping import open_message, read_message
from api.collection.segment.names import read_names
from graph.model.access import ALWAYS, Source, Trust
from graph.model.identity import Grade, Proof, RecordKind, RecordRef
from graph.model.message import Message
from graph.model.time import Millis
from privacy.policy import Policy

NOW = Millis(1_790_000_000_000)
POLICY = Policy.default()
SITE = Source("site", trust=Trust.PUBLIC)
SHOP = Source("shop", trust=Trust.SERVER, verifies={"phone": ALWAYS})
CRM = Source("crm", trust=Trust.RECORD)
PREFERENCES = {"consent": {"categoryPreferences": {"Advertising": False}}}
DEVICE, ACCOUNT = RecordRef("site", RecordKind.ANONYMOUS, "a"), RecordRef("site", RecordKind.USER, "u")


def read(source: Source = SITE, *, proof: Proof | None = None, **raw: Any) -> Message:
    message = {"type": "track", "messageId": "m", "event": "Clicked"} | raw
    return read_message(message, Origin(source, NOW, POLICY, proof=proof))


def refusal(**raw: Any) -> tuple[RejectionReason, str | None]:
    with pytest.raises(Rejected) as caught:
        read(**raw)
    return caught.value.reason, caught.value.field


def grades(message: Message) -> dict[str, Grade]:
    return {one.ref.kind: one.grade for one in message.identifiers}


def test_a_public_user_id_is_a_claim_of_the_device() -> None:
    message = read(userId="u", anonymousId="a")
    assert (message.record, message.also, message.proof) == (DEVICE, None, None)
    assert message.trust is Trust.PUBLIC
    assert grades(message) == {"user_id": Grade.CLAIMED, "anonymous_id": Grade.CLAIMED}


@pytest.mark.parametrize("anonymous", [None, "", "undefined", "a\0b"])
def test_a_public_user_id_alone_is_rejected(anonymous: str | None) -> None:
    assert refusal(userId="u", anonymousId=anonymous) == (RejectionReason.UNPROVEN_USER, "userId")


def test_a_placeholder_of_a_public_source_is_no_claim() -> None:
    message = read(userId="null", anonymousId="a")
    assert (message.record, grades(message)) == (DEVICE, {"anonymous_id": Grade.CLAIMED})
    assert refusal(userId="null") == (RejectionReason.BLOCKED_ID, "userId")
    assert refusal() == (RejectionReason.MISSING_ID, "userId")


def test_a_proven_message_of_a_public_source_belongs_to_the_account() -> None:
    message = read(userId="u", anonymousId="a", proof=Proof.HASH)
    assert (message.record, message.also, message.proof) == (ACCOUNT, DEVICE, Proof.HASH)
    assert grades(message) == {"user_id": Grade.PROVEN, "anonymous_id": Grade.PROVEN}
    assert read(userId="u", proof=Proof.TOKEN).record == ACCOUNT


def test_a_proof_covers_neither_contact_data_nor_external_ids() -> None:
    ids = [{"type": "user_id", "id": "victim"}, {"type": "crm_id", "id": "7"}]
    message = read(
        type="identify", userId="u", traits={"email": "v@x.org"}, context={"externalIds": ids}, proof=Proof.HASH
    )
    assert [one.grade for one in message.identifiers] == [Grade.PROVEN, *[Grade.CLAIMED] * 3]


def test_kinds_with_a_meaning_of_their_own_are_no_external_ids() -> None:
    ids = [{"type": kind, "id": "7"} for kind in ("alias", "external", "former_person", "card")]
    message = read(SHOP, userId="u", context={"externalIds": ids})
    assert {one.ref.kind for one in message.identifiers} == {"user_id", "card"}


def test_a_message_has_few_external_ids() -> None:
    def ids(number: int) -> dict[str, object]:
        return {"externalIds": [{"type": "card", "id": f"c{n}"} for n in range(number)]}

    assert len(read(SHOP, userId="u", context=ids(names_module.MOST_EXTERNAL_IDS)).identifiers) == 65
    with pytest.raises(Rejected, match="has more than 64 entries") as refused:
        read(SHOP, userId="u", context=ids(65))
    assert (refused.value.reason, refused.value.field) == (RejectionReason.BAD_VALUE, "context.externalIds")


@pytest.mark.parametrize("name", ["\u212aate", " kate", "Ze\u0301"])
def test_a_proven_user_id_has_one_spelling(name: str) -> None:
    with pytest.raises(Rejected, match="normal form C"):
        read(userId=name, anonymousId="a", proof=Proof.HASH)


def test_long_names_are_not_cached() -> None:
    before = names_module._find_name.cache_info().currsize
    read(SHOP, userId="u" * 200)
    assert names_module._find_name.cache_info().currsize == before


def test_a_server_vouches_for_ids_and_for_what_it_verifies() -> None:
    traits = {"email": "ada@x.org", "phone": "+431588015"}
    message = read(SHOP, type="identify", userId="u", anonymousId="a", traits=traits)
    assert message.record == RecordRef("shop", RecordKind.USER, "u")
    assert message.also == RecordRef("shop", RecordKind.ANONYMOUS, "a")
    assert grades(message) == {
        "user_id": Grade.PROVEN, "anonymous_id": Grade.PROVEN, "email": Grade.STATED, "phone": Grade.PROVEN,
    }  # fmt: skip
    assert grades(read(CRM, type="identify", userId="u", traits=traits))["email"] is Grade.PROVEN


def test_an_alias_of_a_public_source_is_a_claim_by_the_device_it_names() -> None:
    for names in ({}, {"anonymousId": "a"}):
        message = read(type="alias", userId="u", previousId="a", **names)
        assert (message.record, message.also) == (DEVICE, None)
        assert grades(message)["user_id"] is Grade.CLAIMED


def test_an_alias_of_a_public_source_says_nothing_about_another_device() -> None:
    message = read(type="alias", userId="u", anonymousId="a", previousId="victim")
    assert message.record == DEVICE
    assert "victim" not in str(message.identifiers)


def test_the_proof_of_an_alias_does_not_cover_the_device_it_names() -> None:
    message = read(type="alias", userId="u", previousId="a", proof=Proof.HASH)
    assert (message.record, message.proof, grades(message)["user_id"]) == (DEVICE, None, Grade.CLAIMED)
    proven = read(type="alias", userId="u", anonymousId="a", previousId="a", proof=Proof.HASH)
    assert (proven.record, proven.also) == (ACCOUNT, DEVICE)


def test_an_alias_of_a_server_proves_a_device_and_states_a_former_user_id() -> None:
    message = read(SHOP, type="alias", userId="u", previousId="a")
    former = [(one.ref.kind, one.grade) for one in message.identifiers if one.ref.value == "a"]
    assert former == [("anonymous_id", Grade.PROVEN), ("user_id", Grade.STATED)]


STATIC_PROOF = {"userId": "u", "anonymousId": "a", "proof": Proof.STATIC}


@pytest.mark.parametrize("raw", [{}, {"type": "page"}, {"type": "screen", "name": "Home"}])
def test_with_a_static_hash_behaviour_is_the_accounts_and_states_nothing_else(raw: dict[str, Any]) -> None:
    context = {"externalIds": [{"type": "card", "id": "7"}], "traits": {"email": "v@x.org"}}
    message = read(**STATIC_PROOF, context=context, **raw)
    assert (message.record, message.also, message.proof) == (ACCOUNT, None, Proof.STATIC)
    assert grades(message) == {"user_id": Grade.PROVEN}
    assert (message.traits, message.consents) == (None, ())
    assert read(userId="u", proof=Proof.STATIC, **raw).record == ACCOUNT


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "identify", "traits": {"email": "v@x.org"}}, {"type": "group", "groupId": "g"},
        {"type": "alias", "previousId": "b"}, {"type": "page", "context": PREFERENCES}, {"context": PREFERENCES},
        {"event": "Segment Consent Preference Updated", "context": PREFERENCES},
    ],
)  # fmt: skip
def test_with_a_static_hash_anything_else_is_a_message_without_a_proof(raw: dict[str, Any]) -> None:
    names = {"userId": "u", "anonymousId": "a"}
    assert read(**STATIC_PROOF, **raw) == read(**names, **raw)
    if raw.get("type") != "alias":
        assert refusal(userId="u", proof=Proof.STATIC, **raw) == (RejectionReason.UNPROVEN_USER, "userId")


def test_a_static_hash_of_a_placeholder_proves_no_device() -> None:
    message = read(userId="null", anonymousId="a", proof=Proof.STATIC)
    assert (message.record, message.proof, grades(message)) == (DEVICE, None, {"anonymous_id": Grade.CLAIMED})


def test_messages_with_a_static_hash_use_up_no_ids_of_others() -> None:
    seen = read(**STATIC_PROOF)
    assert seen.id != read(userId="u", anonymousId="a", proof=Proof.HASH).id
    assert seen.own_id == "m"


def test_a_public_message_id_counts_within_its_record_only() -> None:
    mine, other = read(userId="u", anonymousId="a"), read(userId="u", anonymousId="b")
    assert mine.id == f"site|{DEVICE.id}|m" != other.id
    assert read(userId="u", anonymousId="a", proof=Proof.HASH).id == f"site|{ACCOUNT.id}|m"
    assert read(SHOP, userId="u").id == "shop|m"
    assert mine.own_id == other.own_id == read(SHOP, userId="u").own_id == "m"


def test_a_statement_about_a_public_record_keeps_the_message_id_of_its_sender() -> None:
    head = open_message(Origin(SITE, NOW, POLICY, proof=Proof.CREDENTIAL), "u", None, message_id="m", timestamp=None)
    line = {"type": "consent", "purpose": "analytics", "state": "given", "userId": "u", "messageId": "m"}
    origin = Origin(SITE, NOW, POLICY, own_types=True, proof=Proof.CREDENTIAL)
    message = read_message(line, origin)
    assert (head.record, head.id) == (message.record, message.id)
    assert write_line(message)["messageId"] == "m"
    assert '"messageId":"m"' in StatementPayload(message).write()


def test_names_are_read_without_a_message() -> None:
    named = read_names(SITE, "u", "a")
    assert (named.record, named.also, named.proof) == (DEVICE, None, None)
