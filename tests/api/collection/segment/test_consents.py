"""A statement that did not arrive as a line is written as one if a dead letter has to keep it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from api.collection.origin import Origin
from api.collection.segment.consents import StatementPayload
from api.collection.segment.mapping import open_message, read_message
from graph.model.access import Source
from graph.model.consent import ConsentState, ConsentStatement
from graph.model.time import Millis
from privacy.policy import Policy

NOW = Millis(1_790_000_000_000)
ORIGIN = Origin(Source("shop", "people"), NOW, Policy.default(), own_types=True)
PLAIN = ConsentStatement("analytics", ConsentState.UNKNOWN, Millis(NOW - 5), assurance=2)
WHOLE = ConsentStatement(
    purpose="partner_sharing",
    state=ConsentState.GIVEN,
    effective_at=Millis(NOW - 5),
    recipient="acme",
    lawful_basis="consent",
    mechanism="opt_in",
    jurisdiction="us_ca",
    expires_at=Millis(NOW + 10**9),
    controller="Shop Ltd",
    channel="web",
    notice="privacy",
    notice_version="3",
    notice_sha256="ab12",
    language="de",
    method="banner",
    actor="support",
    assurance=1,
    evidence_hash="cd34",
    raw_signal="BOEFEAyOEFEAyAHABDENAI4AAAB9vABAASA",
    categories=("contact", "behaviour"),
)


@pytest.mark.parametrize("statement", [PLAIN, WHOLE], ids=["plain", "whole"])
@pytest.mark.parametrize("names", [("ada", None), (None, "a-1"), ("ada", "a-1")], ids=["user", "anonymous", "both"])
def test_a_payload_reads_as_the_same_message(statement: ConsentStatement, names: tuple[str | None, str | None]) -> None:
    head = open_message(ORIGIN, *names, message_id="m", timestamp=NOW - 5)
    message = replace(head, consents=(statement,))
    line = json.loads(StatementPayload(message).write())
    assert read_message(line, ORIGIN) == message


def test_a_payload_leaves_out_what_the_sender_left_out() -> None:
    texts = set()
    for received in (NOW, NOW + 1):
        head = open_message(replace(ORIGIN, received_at=received), "ada", None, message_id=None, timestamp=None)
        message = replace(head, consents=(replace(PLAIN, effective_at=head.at),))
        texts.add(StatementPayload(message, frozenset({"messageId", "timestamp"})).write())
    assert len(texts) == 1
