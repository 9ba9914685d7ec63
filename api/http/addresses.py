"""Whose request it is, by network address: the peer, or the client that a trusted proxy names.

`X-Forwarded-For` is believed only from a trusted proxy, and read from its right end: what stands further left was
written by somebody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

from starlette.datastructures import Headers
from starlette.types import Scope

from api.process.settings import Network

IPV6_PREFIX: Final = 64
"""An IPv6 client has a whole network of addresses, so the network is what is limited."""

UNKNOWN: Final = "unknown"
"""The address of a peer without one, such as a Unix socket."""


@lru_cache(maxsize=4096)
def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Returns the address that a text stands for, None if it stands for none. IPv4 within IPv6 becomes IPv4. A
    port, as some proxies add one, is ignored."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]  # [IPv6]:port
    elif text.count(":") == 1:
        text = text.partition(":")[0]  # IPv4:port
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(maxsize=4096)
def key_of(text: str) -> str:
    """Returns the key under which an address is limited: itself, or the /64 network of an IPv6 address."""
    address = parse_address(text)
    if address is None:
        return UNKNOWN
    return str(address) if isinstance(address, IPv4Address) else str(ip_network((address, IPV6_PREFIX), strict=False))


class Addresses:
    """Finds the address of a request. `proxies` are the networks of trusted proxies."""

    def __init__(self, proxies: Sequence[Network] = ()) -> None:
        self._proxies = tuple(proxies)

    def trusts(self, text: str) -> bool:
        """Returns whether an address is that of a trusted proxy."""
        address = parse_address(text)
        return address is not None and any(address in network for network in self._proxies)

    def find(self, scope: Scope) -> str:
        """Returns the key of the client's address."""
        client = scope.get("client")
        peer = client[0] if client else ""
        if self._proxies and self.trusts(peer):
            hops = [hop for value in Headers(scope=scope).getlist("x-forwarded-for") for hop in value.split(",")]
            for hop in reversed(hops):
                if parse_address(hop) is None:
                    break
                peer = hop
                if not self.trusts(hop):
                    break
        return key_of(peer)
