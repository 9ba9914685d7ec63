"""Whose address a request has, with and without trusted proxies."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from api.http.addresses import UNKNOWN, Addresses, key_of

PROXIES = Addresses([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def find(peer: str | None, *forwarded: str, addresses: Addresses = PROXIES) -> str:
    headers = [(b"x-forwarded-for", value.encode()) for value in forwarded]
    return addresses.find({"type": "http", "client": (peer, 1) if peer else None, "headers": headers})


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("192.0.2.1:4711", "192.0.2.1"),
        ("[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]", "2001:db8:1:2::/64"),
        ("", UNKNOWN),
        ("x" * 1000, UNKNOWN),
    ],
)
def test_addresses_are_limited_by_their_usual_unit(text: str, key: str) -> None:
    assert key_of(text) == key


def test_the_header_of_a_stranger_is_ignored() -> None:
    assert find("192.0.2.1", "198.51.100.7") == "192.0.2.1"
    assert find("10.0.0.1", "198.51.100.7", addresses=Addresses()) == "10.0.0.1"


def test_a_trusted_proxy_names_the_client() -> None:
    assert find("10.0.0.1", "198.51.100.7") == "198.51.100.7"
    assert find("fd00::1", "2001:db8::1") == "2001:db8::/64"


def test_what_the_client_wrote_itself_is_ignored() -> None:
    assert find("10.0.0.1", "203.0.113.9, 198.51.100.7, 10.0.0.2") == "198.51.100.7"
    assert find("10.0.0.1", "203.0.113.9", "198.51.100.7") == "198.51.100.7"
    assert find("10.0.0.1", "203.0.113.9, nonsense, 10.0.0.2") == "10.0.0.2"


def test_without_a_header_the_proxy_itself_is_limited() -> None:
    assert find("10.0.0.1") == "10.0.0.1"
    assert find("10.0.0.1", "") == "10.0.0.1"
    assert find(None) == UNKNOWN
