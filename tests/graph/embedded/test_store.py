"""The embedded store's process: private files, sharing between processes, no orphans, restart, limits."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from graph.embedded.process import UNREACHABLE, EngineOptions, is_engine
from graph.embedded.store import EmbeddedStore, describe_running, open_store, stop_running
from graph.errors import ConsentricError, StoreInUse, StoreTimeout, StoreUnavailable
from graph.store.client import GraphClient, StoreLimits, Writer

ROOT = Path(__file__).resolve().parents[3]
USER_SCRIPT = """
import sys, time
from pathlib import Path
from graph.embedded.store import open_store
store = open_store(Path(sys.argv[1]))
print(store.description.pid, flush=True)
if sys.argv[2] == "forget":
    sys.exit()
if sys.argv[2] == "stop":
    sys.stdin.read()
    store.stop()
    sys.exit()
time.sleep(600)
"""
STARTER_SCRIPT = """
import sys
from pathlib import Path
from graph.embedded.store import EmbeddedStore
from graph.errors import StoreInUse
try:
    EmbeddedStore.start(Path(sys.argv[1]))
except StoreInUse as error:
    print(error)
    sys.exit(7)
"""


@pytest.fixture
def python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python programs that end with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: str | Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-W", "error", "-c", script, *map(str, arguments)]
        process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedStore]:
    """A store for the tests that don't end it."""
    with open_store(tmp_path_factory.mktemp("running") / "data") as store:
        yield store


def family(pid: int) -> list[psutil.Process]:
    """The keeper and the engine below it."""
    keeper = psutil.Process(pid)
    return [keeper, *keeper.children(recursive=True)]


def wait_until_gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


async def write_topic(store: EmbeddedStore, key: str) -> None:
    async def work(tx: Writer) -> None:
        await tx.run("CREATE (t:Topic {key: $key})", key=key)

    async with await GraphClient.connect(store.target) as client:
        await client.write(work)


async def read_topics(store: EmbeddedStore) -> list[Any]:
    async with await GraphClient.connect(store.target) as client:
        rows = await client.read("MATCH (t:Topic) RETURN t.key AS key ORDER BY key")
    return [row["key"] for row in rows]


async def test_a_stopped_store_is_gone_and_starts_again_with_its_data(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    processes = family(store.description.pid)
    assert any("java" in process.name() for process in processes)
    await write_topic(store, "kept")
    store.stop()
    assert not is_engine(store.description.pid, tmp_path)
    assert describe_running(tmp_path) is None
    wait_until_gone(processes)
    store.stop()  # a second stop does nothing
    with open_store(tmp_path) as again:
        assert await read_topics(again) == ["kept"]


def test_files_are_private_and_no_credential_is_shown(running: EmbeddedStore) -> None:
    user, password = running.target.user, running.target.password
    assert len(password) >= 32
    assert len(user) >= 32
    shown = [(running.folder / name).read_text() for name in ("store.json", "store.log")] + [repr(running.target)]
    for process in family(running.description.pid):
        shown += [" ".join(process.cmdline()), str(process.environ())]
    for text in shown:
        assert password not in text
        assert user not in text
    for path in [running.folder, *running.folder.rglob("*")]:
        assert path.stat().st_mode & 0o077 == 0, path


def test_the_engine_listens_on_loopback_only(running: EmbeddedStore) -> None:
    sockets = [connection for process in family(running.description.pid) for connection in process.net_connections()]
    listening = {connection.laddr.ip for connection in sockets if connection.status == psutil.CONN_LISTEN}
    assert listening
    assert listening <= {"127.0.0.1", "::1", "::ffff:127.0.0.1", UNREACHABLE, f"::ffff:{UNREACHABLE}"}


async def test_a_failed_statement_leaves_no_value_on_disk_outside_the_database(running: EmbeddedStore) -> None:
    secret = "jane.doe@example.org"
    async with await GraphClient.connect(running.target) as client:
        for statement in ("RETURN duration($value) AS x", "RETURN date($value) + $value.a AS x", "RETURN $value +"):
            with pytest.raises(ConsentricError, match="refused a statement"):
                await client.read(statement, value=secret)
    files = read_files_outside_the_database(running.folder)
    assert b"BOLT" in files
    assert secret.encode() not in files


def read_files_outside_the_database(folder: Path) -> bytes:
    files = (path for path in folder.rglob("*") if path.is_file() and "databases" not in path.parts)
    return b"".join(path.read_bytes() for path in files)


async def test_processes_share_one_store(running: EmbeddedStore, python: Callable[..., subprocess.Popen[str]]) -> None:
    other = python(USER_SCRIPT, running.folder, "wait")
    assert other.stdout
    assert int(other.stdout.readline()) == running.description.pid
    await write_topic(running, "shared")
    with pytest.raises(StoreInUse):
        EmbeddedStore.start(running.folder)


async def test_a_store_outlives_its_starter_while_another_uses_it(
    tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    first = python(USER_SCRIPT, tmp_path, "stop")
    assert first.stdout
    pid = int(first.stdout.readline())
    processes = family(pid)
    with open_store(tmp_path) as store:
        assert store.description.pid == pid
        first.communicate()  # closes its input: it stops its use and ends
        assert first.returncode == 0
        await write_topic(store, "still here")
        assert await read_topics(store) == ["still here"]
    wait_until_gone(processes)


def test_killing_the_only_user_leaves_no_orphan(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    user = python(USER_SCRIPT, tmp_path, "wait")
    assert user.stdout
    processes = family(int(user.stdout.readline()))
    os.kill(user.pid, signal.SIGKILL)
    wait_until_gone(processes)


def test_killing_the_keeper_leaves_no_orphan(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    if sys.platform != "linux":
        pytest.skip("needs the kernel's signal at a parent's death")
    user = python(USER_SCRIPT, tmp_path, "wait")
    assert user.stdout
    keeper, *engine = family(int(user.stdout.readline()))
    assert engine
    keeper.kill()
    wait_until_gone(engine)


def test_a_store_that_is_never_stopped_ends_with_its_user(
    tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    user = python(USER_SCRIPT, tmp_path, "forget")
    output, _ = user.communicate()
    assert user.returncode == 0
    if psutil.pid_exists(int(output)):
        wait_until_gone([psutil.Process(int(output))])
    open_store(tmp_path).stop()


def test_racing_openers_get_one_store(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    users = [python(USER_SCRIPT, tmp_path, "wait") for _ in range(3)]
    assert len({user.stdout.readline() for user in users if user.stdout}) == 1


def test_a_folder_in_use_is_refused_with_advice(
    running: EmbeddedStore, python: Callable[..., subprocess.Popen[str]]
) -> None:
    second = python(STARTER_SCRIPT, running.folder)
    output, _ = second.communicate()
    assert second.returncode == 7
    assert str(running.folder) in output
    assert "CONSENTRIC_DATA_DIR" in output


def test_a_folder_held_by_a_foreign_engine_is_refused(tmp_path: Path) -> None:
    """Somebody runs the engine on the folder without describing it: its own lock is found out."""
    with open_store(tmp_path):
        (tmp_path / "store.json").unlink()
        with pytest.raises(StoreInUse, match="another process"):
            open_store(tmp_path)


async def test_a_lasting_store_runs_until_stopped(tmp_path: Path, python: Callable[..., subprocess.Popen[str]]) -> None:
    store = EmbeddedStore.start_lasting(tmp_path)
    try:
        store.stop()
        user = python(USER_SCRIPT, tmp_path, "stop")
        output, _ = user.communicate()
        assert int(output) == store.description.pid
        with open_store(tmp_path) as attached:
            await write_topic(attached, "lasting")
        assert is_engine(store.description.pid, tmp_path)
    finally:
        assert stop_running(tmp_path)
    assert not is_engine(store.description.pid, tmp_path)
    assert not stop_running(tmp_path)


def test_a_shared_store_is_not_stopped_from_outside(running: EmbeddedStore) -> None:
    with pytest.raises(StoreInUse, match="started by a command or a server"):
        stop_running(running.folder)
    assert is_engine(running.description.pid, running.folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1, "port": 1, "lasting": true}', '{"pid": "x"}'])
def test_a_stale_or_broken_description_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "store.json").write_text(text)
    assert describe_running(tmp_path) is None


def test_a_description_of_another_folders_engine_is_ignored(running: EmbeddedStore, tmp_path: Path) -> None:
    assert describe_running(running.folder) == running.description
    (tmp_path / "store.json").write_bytes((running.folder / "store.json").read_bytes())
    assert describe_running(tmp_path) is None


@pytest.mark.parametrize("lost", ["credentials.json", "config/server-users.jsonl"])
async def test_lost_credentials_are_replaced_and_the_data_is_kept(tmp_path: Path, lost: str) -> None:
    with open_store(tmp_path) as store:
        await write_topic(store, "kept")
    (tmp_path / lost).unlink()
    with open_store(tmp_path) as store:
        assert await read_topics(store) == ["kept"]


async def test_the_engine_stops_an_endless_statement(tmp_path: Path) -> None:
    with EmbeddedStore.start(tmp_path, EngineOptions(statement_seconds=1)) as store:
        async with await GraphClient.connect(store.target, StoreLimits(statement=1, grace=30)) as client:
            with pytest.raises(StoreTimeout, match="was stopped"):
                await client.read(
                    "UNWIND range(1, 1000000) AS a UNWIND range(1, 1000000) AS b "
                    "WITH a, b WHERE a + b < 0 RETURN count(*) AS n"
                )


async def test_a_client_reports_that_the_store_is_gone(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    async with await GraphClient.connect(store.target, StoreLimits(persist=0.3)) as client:
        store.stop()
        with pytest.raises(StoreUnavailable):
            await client.read("RETURN 1 AS one")


def test_an_unusable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="can't be used"):
        open_store(tmp_path / "file" / "below")


def test_a_kill_during_the_first_start_leaves_a_usable_folder(
    tmp_path: Path, python: Callable[..., subprocess.Popen[str]]
) -> None:
    for moment in (0.5, 1.0, 1.5):
        folder = tmp_path / str(moment)
        user = python(USER_SCRIPT, folder, "wait")
        time.sleep(moment)
        user.kill()
        open_store(folder).stop()
