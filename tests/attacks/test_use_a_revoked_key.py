"""A key is revoked; whoever holds it goes on using it. After a second it opens nothing, even on an open connection."""

from __future__ import annotations

import time
from collections.abc import Callable

import httpx
import pytest

from tests.attacks.serving import Served

MARGIN = 0.1
pytestmark = pytest.mark.store


def use_until_refused(send: Callable[[], httpx.Response], since: float) -> float:
    """Uses the key without a pause; returns how many seconds after the revocation the last accepted request began."""
    last = 0.0
    while True:
        began = time.monotonic()
        response = send()
        if response.status_code == 401:
            return last
        assert response.status_code == 200, response.text
        last = began - since
        assert last < 10


@pytest.mark.parametrize("kept", [1, 0], ids=["kept connection", "new connections"])
def test_a_revoked_api_key_opens_nothing_after_a_second(served: Served, kept: int) -> None:
    name, key = served.make_client("frontend", "--purpose", "service")
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(headers=headers, limits=httpx.Limits(max_keepalive_connections=kept)) as http:

        def send() -> httpx.Response:
            return http.post(f"{served.url}/graphql", json={"query": "{ purposes { key } }"})

        assert send().status_code == 200
        served.run("client", "revoke", name)
        assert use_until_refused(send, time.monotonic()) <= 1 + MARGIN
        assert send().status_code == 401


@pytest.mark.parametrize("kept", [1, 0], ids=["kept connection", "new connections"])
def test_a_revoked_write_key_writes_nothing_after_a_second(served: Served, kept: int) -> None:
    name, key = served.make_source()
    with httpx.Client(auth=(key, ""), limits=httpx.Limits(max_keepalive_connections=kept)) as http:

        def send() -> httpx.Response:
            return http.post(f"{served.url}/v1/track", json={"event": "e", "userId": "u"})

        assert send().status_code == 200
        served.run("source", "revoke", name)
        assert use_until_refused(send, time.monotonic()) <= 1 + MARGIN
        assert send().status_code == 401
