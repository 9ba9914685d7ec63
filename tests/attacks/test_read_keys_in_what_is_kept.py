"""Somebody who reads dead letters or logs hopes for keys, tokens and hashes. None is kept, even of broken bodies."""

from __future__ import annotations

import base64
import gzip
import json
from pathlib import Path

import httpx
import pytest

from resolvers.access.keys import KeyKind, make_key
from tests.attacks.serving import Served

TOKEN = "eyJhbGciOiJFZERTQSJ9.eyJ1c2VySWQiOiJ1MSJ9.c2lnbmF0dXJlLW9mLXRva2Vu"
HASH = "v1.1790000000." + "ab" * 32
STATIC = "5f2b" * 16
OTHER = make_key(KeyKind.API).text
pytestmark = pytest.mark.store


def bodies(write_key: str) -> list[bytes]:
    """Messages that are rejected, each with every kind of credential."""
    context = {"userToken": TOKEN, "userHash": STATIC, "note": f"Bearer {TOKEN}"}
    basic = base64.b64encode(f"{write_key}:".encode()).decode()
    message = {
        "writeKey": write_key,
        "type": "track",
        "userId": "u1",
        "timestamp": "never",
        "context": context,
        "properties": {"a": OTHER, "h": HASH, "headers": {"Authorization": f"Basic {basic}"}, "text": f"x\n{OTHER}"},
    }
    text = json.dumps(message)
    quoted = json.dumps(message | {"text": text})
    return [
        text.encode(),
        text[:-1].encode(),  # not JSON
        quoted[:-9].encode(),
        text.encode("utf-16"),
        text.replace("never", "\x00never").encode() + b"\xff",
        gzip.compress(text[:-1].encode()),
        b'[{"writeKey": "' + write_key.encode() + b'", "context": {"userHash": "' + STATIC.encode(),
        f"writeKey={write_key}&userHash={STATIC}&userToken={TOKEN}".encode(),
    ]


def assert_clean(text: str, write_key: str) -> None:
    for secret in (write_key, TOKEN, HASH, STATIC, OTHER, base64.b64encode(write_key.encode()).decode()[:40]):
        assert secret not in text
        assert secret not in text.replace("\ufffd", "")


def test_dead_letters_and_logs_hold_no_credential(served: Served) -> None:
    source, write_key = served.make_source()
    for body in bodies(write_key):
        for path in ("/v1/track", "/v1/batch"):
            response = httpx.post(served.url + path, content=body, auth=(write_key, ""))
            assert response.status_code in (200, 400)
            assert_clean(response.text, write_key)
    batch = b'{"batch": [' + b", ".join(bodies(write_key)[:2]) + b"]}"
    assert httpx.post(f"{served.url}/v1/batch", content=batch, auth=(write_key, "")).status_code in (200, 400)
    kept = served.run("dead-letters", "list", "--source", source, "--payload", "--json")
    assert len(json.loads(kept)) >= 4
    assert_clean(kept, write_key)
    assert_clean(served.log.read_text(), write_key)


def test_a_loaded_file_leaves_no_credential_in_dead_letters(served: Served, tmp_path: Path) -> None:
    source, write_key = served.make_source()
    file = tmp_path / "lines.ndjson"
    file.write_bytes(b"\n".join(body.replace(b"\n", b"") for body in bodies(write_key)[:3]))
    served.run("load", str(file), "--source", source)
    kept = served.run("dead-letters", "list", "--source", source, "--payload", "--json")
    assert json.loads(kept)
    assert_clean(kept, write_key)


def test_a_letter_without_its_credentials_can_still_be_replayed(served: Served) -> None:
    source, write_key = served.make_source()
    message = {"type": "track", "event": "e", "timestamp": "never", "context": {"userHash": HASH}, "userId": "u1"}
    assert httpx.post(f"{served.url}/v1/track", json=message, auth=(write_key, "")).status_code == 400
    (letter,) = json.loads(served.run("dead-letters", "list", "--source", source, "--payload", "--json"))
    assert json.loads(letter["payload"])["event"] == "e"
    assert json.loads(letter["payload"])["context"] == {}
