"""Bodies are read up to a limit, whether their length is declared, understated or nonsense."""

from __future__ import annotations

import pytest
from starlette.requests import Request
from starlette.types import Message

from api.http.body import read_limited
from graph.errors import PayloadTooLarge


class Sent:
    """A body that arrives in parts, and how many of them were read."""

    def __init__(self, *parts: bytes) -> None:
        self.parts = parts
        self.read = 0

    async def receive(self) -> Message:
        self.read += 1
        more = self.read < len(self.parts)
        return {"type": "http.request", "body": self.parts[self.read - 1], "more_body": more}

    def request(self, declared: bytes | None = None) -> Request:
        headers = [] if declared is None else [(b"content-length", declared)]
        return Request({"type": "http", "method": "POST", "headers": headers}, self.receive)


@pytest.mark.parametrize("declared", [None, b"", b"4", b"0", "\u00b2".encode("latin-1"), b"-9", b"many"])
async def test_a_body_within_the_limit_is_returned_whatever_is_declared(declared: bytes | None) -> None:
    assert await read_limited(Sent(b"ab", b"cd").request(declared), 4) == b"abcd"


async def test_a_declared_length_over_the_limit_is_refused_unread() -> None:
    sent = Sent(b"abcd")
    with pytest.raises(PayloadTooLarge, match="over 4 bytes"):
        await read_limited(sent.request(b"5"), 4)
    assert sent.read == 0


async def test_reading_stops_at_the_limit() -> None:
    sent = Sent(b"ab", b"cde", b"f")
    with pytest.raises(PayloadTooLarge, match="over 4 bytes"):
        await read_limited(sent.request(b"1"), 4)
    assert sent.read == 2
