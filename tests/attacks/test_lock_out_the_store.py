"""A local process wants to lock us out of the embedded engine: with wrong passwords, and with connections that wait."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from neo4j import GraphDatabase
from neo4j.exceptions import AuthError

from graph.embedded.store import EmbeddedStore
from graph.store.client import GraphClient, StoreLimits

ATTEMPTS = 50
WAITING = 600


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A store of its own, whose engine only these tests attack."""
    with EmbeddedStore.start(tmp_path_factory.mktemp("attacked")) as store:
        yield store


async def check_that_we_get_in(store: EmbeddedStore) -> None:
    async with await GraphClient.connect(store.target, StoreLimits(connections=8, persist=1)) as client:
        assert await client.read("RETURN 1 AS one") == [{"one": 1}]


@pytest.mark.parametrize("guess", ["root", "u0123456789abcdef0123456789abcdef"])
async def test_wrong_passwords_for_a_guessed_user_lock_nobody_out(running: EmbeddedStore, guess: str) -> None:
    async with await GraphClient.connect(running.target) as client:
        for number in range(ATTEMPTS):
            auth = (guess, f"guess-{number}")
            with GraphDatabase.driver(running.target.url, auth=auth) as driver, pytest.raises(AuthError):
                driver.verify_connectivity()
        assert await client.read("RETURN 1 AS one") == [{"one": 1}]
    await check_that_we_get_in(running)


async def test_wrong_passwords_over_the_engines_http_lock_nobody_out(running: EmbeddedStore) -> None:
    keeper = psutil.Process(running.description.pid)
    sockets = [each for process in keeper.children(recursive=True) for each in process.net_connections()]
    ports = {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN} - {running.description.port}
    assert ports
    for port in ports:
        for number in range(ATTEMPTS):
            try:
                async with httpx.AsyncClient(auth=("root", f"guess-{number}")) as http:
                    answer = await http.get(f"http://127.0.0.1:{port}/api/v1/databases")
            except httpx.ConnectError:
                continue  # nothing listens there, as it should be on Linux
            assert answer.status_code in (401, 403)
    await check_that_we_get_in(running)


async def test_connections_that_never_log_in_lock_nobody_out(running: EmbeddedStore) -> None:
    address = urlsplit(running.target.url)
    with ExitStack() as held:
        for _ in range(WAITING):
            held.enter_context(socket.create_connection((str(address.hostname), int(address.port or 0))))
        await check_that_we_get_in(running)


def test_no_readable_file_tells_others_the_user(running: EmbeddedStore) -> None:
    shown = Path(running.folder, "store.json").read_text()
    assert running.target.user not in shown
    assert json.loads(shown).keys() == {"pid", "port", "lasting"}
    assert running.folder.stat().st_mode & 0o077 == 0
