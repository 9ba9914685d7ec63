"""Redaction: what is removed from text, and what stays."""

from __future__ import annotations

import json

import pytest

from api.process.redaction import REMOVED, drop_credentials, redact
from resolvers.access.keys import KeyKind, make_key

KEY = make_key(KeyKind.WRITE).text
TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJhIjoxfQ.c2ln"


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ('{"writeKey":"a\\"b","n":1}', '{"writeKey":"[removed]","n":1}'),
        ('{"writeKey" : "cut', '{"writeKey" : "[removed]"'),
        ('{"userHash":12,"n":1}', '{"userHash":null,"n":1}'),
        ("{'userToken': 'x'}", "{'userToken': '[removed]'}"),
        ("writeKey=abc&n=1", "writeKey=null&n=1"),
        (f"a {KEY} b", f"a {REMOVED} b"),
        (f'"x\\n{KEY}"', f'"x\\n{REMOVED}"'),
        (f"token {TOKEN}.", f"token {REMOVED}."),
        ("v1.1790000000." + "ab" * 32, REMOVED),
        ("Basic dXNlcm5hbWU6cGFzc3dvcmQ=", f"Basic {REMOVED}"),
        ('{"underwriteKeys":"x","version":"v1.2.3","b":"cak_walk"}',) * 2,
    ],
)
def test_credentials_are_removed_and_nothing_else(text: str, redacted: str) -> None:
    assert redact(text) == redacted
    assert redact(redacted) == redacted


def test_json_within_json_and_text_with_holes_are_redacted() -> None:
    nested = json.dumps({"s": json.dumps({"writeKey": "hidden", "n": 1})})
    assert json.loads(json.loads(redact(nested))["s"]) == {"writeKey": REMOVED, "n": 1}
    assert "hidden" not in redact("\ufffd".join('{"writeKey":"hidden"}')).replace("\ufffd", "")


def test_fields_of_a_message_are_dropped_whatever_they_hold() -> None:
    message = {"writeKey": {"a": 1}, "context": {"userToken": [1], "userHash": 2, "ip": "x"}, "event": "e"}
    assert drop_credentials(message) == {"context": {"ip": "x"}, "event": "e"}
    assert drop_credentials({"context": "text"}) == {"context": "text"}
    assert drop_credentials([1]) == [1]


@pytest.mark.parametrize("unit", ["-eyJ", "eyJ-", "_eyJ", "v1.1", "YWNrX"])
def test_text_full_of_beginnings_takes_time_in_proportion(unit: str) -> None:
    """Quadratic time would exceed the time limit of a test."""
    assert len(redact(unit * 200_000)) > 0
