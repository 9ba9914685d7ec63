"""Credentials in headers: a single Authorization header, two schemes, at most one purpose."""

from __future__ import annotations

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import HTTPConnection

from api.auth import admit_request, admit_sender, is_import, read_authorization, read_basic_user, read_purpose
from api.process.runtime import Runtime
from graph.errors import BadInput, Unauthenticated
from graph.model.time import system_clock
from resolvers.access.credentials import Authority
from resolvers.access.keys import KeyKind, make_key
from resolvers.access.tokens import TokenIssuer, TokenVerifier

VERIFIER = TokenVerifier([TokenIssuer("c", "c", Ed25519PrivateKey.generate()).trusted()], "c")
AUTHORITY = Authority(None, b"", VERIFIER, system_clock)  # type: ignore[arg-type]
RUNTIME = Runtime(services=None, ingestor=None, authority=AUTHORITY)  # type: ignore[arg-type]


def connection(*headers: tuple[str, str]) -> HTTPConnection:
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers]
    return HTTPConnection({"type": "http", "headers": raw})


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize("value", ["Bearer abc", "bearer abc", "BEARER   abc ", " Bearer abc"])
def test_the_scheme_is_case_insensitive(value: str) -> None:
    assert read_authorization(connection(("Authorization", value)), "") == ("bearer", "abc")


@pytest.mark.parametrize(
    "headers", [(), (("Authorization", "Bearer a"), ("Authorization", "Bearer b")), (("Authorization", "x" * 10_241),)]
)
def test_missing_repeated_and_oversized_headers_are_refused(headers: tuple[tuple[str, str], ...]) -> None:
    with pytest.raises(Unauthenticated, match="missing"):
        read_authorization(connection(*headers), "missing")


@pytest.mark.parametrize("password", ["", ":", ":ignored"])
def test_the_write_key_is_the_user_name(password: str) -> None:
    key = make_key(KeyKind.WRITE).text
    assert read_basic_user(b64encode(f"{key}{password}".encode()).decode()) == key


@pytest.mark.parametrize("text", ["", "!!!", "a", "é", b64encode("ключ:".encode()).decode()])
def test_malformed_basic_credentials_are_refused(text: str) -> None:
    if text == "":
        assert read_basic_user(text) == ""
        return
    with pytest.raises(Unauthenticated):
        read_basic_user(text)


@pytest.mark.parametrize("value", ["", "Bearer", "Digest abc", basic("x:y"), "abc"])
async def test_viewers_must_send_bearer_credentials(value: str) -> None:
    with pytest.raises(Unauthenticated):
        await admit_request(connection(("Authorization", value)), RUNTIME)


async def test_an_unknown_scheme_is_refused_for_senders() -> None:
    with pytest.raises(Unauthenticated):
        await admit_sender(connection(("Authorization", "Digest abc")), AUTHORITY)


def test_the_purpose_header_is_sent_at_most_once() -> None:
    assert read_purpose(connection()) is None
    assert read_purpose(connection(("Consentric-Purpose", " "))) is None
    assert read_purpose(connection(("Consentric-Purpose", " marketing "))) == "marketing"
    with pytest.raises(BadInput):
        read_purpose(connection(("Consentric-Purpose", "a"), ("Consentric-Purpose", "b")))


def test_an_import_says_so_once() -> None:
    assert not is_import(connection())
    assert not is_import(connection(("Consentric-Import", "false")))
    assert is_import(connection(("Consentric-Import", "true")))
    for headers in ((("Consentric-Import", "1"),), (("Consentric-Import", "true"), ("Consentric-Import", "true"))):
        with pytest.raises(BadInput):
            is_import(connection(*headers))
