"""The engine's process: what it is started with, what its log says, how it ends. Small programs stand in for it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from graph.embedded.process import (
    UNREACHABLE,
    EngineOptions,
    EngineProcess,
    choose_http_address,
    end_process,
    engine_command,
    in_use,
    is_engine,
)
from graph.errors import StoreInUse, StoreUnavailable

PORT = "print('<ArcadeDB_0> - Listening for incoming BOLT connections on 127.0.0.1:4711 (v4.4)', flush=True)\n"
SLEEP = "import time; time.sleep(600)"  # longer than any test may take
DEAF = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n{PORT}{SLEEP}"

Start = Callable[[str], EngineProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a Python program as the engine of the test's folder, without a keeper; it ends with the test."""
    started: list[EngineProcess] = []

    def run(program: str) -> EngineProcess:
        command = [sys.executable, "-c", program, f"-Darcadedb.server.rootPath={tmp_path}"]
        started.append(EngineProcess(command, tmp_path, tmp_path / "store.log", None))
        return started[-1]

    yield run
    for process in started:
        process.stop(0)


def test_the_command_line_holds_the_verified_flags(tmp_path: Path) -> None:
    command = engine_command(tmp_path, EngineOptions())
    assert "-Darcadedb.txWalFlush=1" in command
    assert "-Darcadedb.bolt.host=127.0.0.1" in command
    assert f"-Darcadedb.server.httpIncomingHost={choose_http_address()}" in command


def test_the_http_server_of_the_engine_gets_an_address_without_connections() -> None:
    with socket.socket() as listener:
        listener.bind((choose_http_address(), 0))
        listener.listen()
        if choose_http_address() != UNREACHABLE:
            pytest.skip("this system refuses a multicast address")
        for address in (UNREACHABLE, "127.0.0.1"):
            with pytest.raises(OSError, match=r"unreachable|refused"):
                socket.create_connection((address, listener.getsockname()[1]), timeout=5)


def test_options_set_memory_time_and_what_is_logged(tmp_path: Path) -> None:
    options = EngineOptions(heap="64m", statement_seconds=1.5, verbose_log=True)
    verbose = engine_command(tmp_path, options)
    assert {"-Xmx64m", "-Darcadedb.command.timeout=1500"} <= set(verbose)
    quiet = engine_command(tmp_path, EngineOptions())
    (settings,) = (argument for argument in quiet if argument.startswith("-Djava.util.logging.config.file="))
    assert Path(settings.partition("=")[2]).is_file()
    assert settings not in verbose


def test_the_port_is_read_from_the_log(start: Start) -> None:
    engine = start(f"print('starting')\n{PORT}{SLEEP}")
    assert engine.wait_for_port(30) == 4711
    assert not engine.ended


def test_a_port_announced_just_before_the_engine_ends_is_read(start: Start) -> None:
    assert start(PORT).wait_for_port(30) == 4711


def test_an_engine_that_ends_while_starting_names_its_log(start: Start) -> None:
    engine = start("print('no memory')")
    with pytest.raises(StoreUnavailable, match=str(engine.log)):
        engine.wait_for_port(30)
    assert engine.ended


def test_an_engine_that_finds_its_folder_locked_reports_it(start: Start, tmp_path: Path) -> None:
    with pytest.raises(StoreInUse, match=str(tmp_path)):
        start("print('com.arcadedb.exception.LockException: held')").wait_for_port(30)


def test_an_engine_that_opens_no_port_is_abandoned(start: Start) -> None:
    with pytest.raises(StoreUnavailable, match="did not open its port in 0 s"):
        start(SLEEP).wait_for_port(0.1)


def test_a_missing_program_is_reported(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="can't be started: No such file"):
        EngineProcess([str(tmp_path / "java")], tmp_path, tmp_path / "store.log", None)


def test_the_engine_gets_none_of_our_settings_and_a_private_log(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_STORE_PASSWORD", "s3cret")
    monkeypatch.setenv("KEPT", "1")
    umask = "os.umask(0)"
    engine = start(f"import os; print(sorted(os.environ), {umask}, os.getcwd(), sep='|', flush=True)\n{PORT}")
    engine.wait_for_port(30)
    names, mask, folder = engine.log.read_text().splitlines()[0].split("|")
    assert "'KEPT'" in names
    assert "CONSENTRIC" not in names
    assert int(mask) == 0o077
    assert Path(folder) == engine.log.parent
    assert engine.log.stat().st_mode & 0o777 == 0o600


def test_a_new_start_begins_a_new_log(start: Start) -> None:
    start(f"print('first')\n{PORT}").wait_for_port(30)
    second = start(PORT + SLEEP)
    second.wait_for_port(30)
    assert "first" not in second.log.read_text()


def test_a_stop_kills_what_ignores_the_signal(start: Start) -> None:
    engine = start(DEAF)
    engine.wait_for_port(30)
    engine.stop(0.1)
    assert engine.ended
    assert not psutil.pid_exists(engine.pid)


def test_an_engine_is_recognised_by_its_folder(start: Start, tmp_path: Path) -> None:
    engine = start(PORT + SLEEP)
    engine.wait_for_port(30)
    assert is_engine(engine.pid, tmp_path)
    assert not is_engine(engine.pid, tmp_path / "other")
    assert not is_engine(os.getpid(), tmp_path)
    engine.stop(5)
    assert not is_engine(engine.pid, tmp_path)


@pytest.mark.parametrize("pid", [2**22 + 1, 2**40, 2**70])
def test_a_number_without_a_process_is_not_an_engine(tmp_path: Path, pid: int) -> None:
    assert not is_engine(pid, tmp_path)


def test_an_unrelated_process_is_not_ended(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", SLEEP]) as other:
        end_process(other.pid, tmp_path, 1)
        assert other.poll() is None
        other.kill()


@pytest.mark.parametrize(("program", "signal_"), [(PORT + SLEEP, signal.SIGTERM), (DEAF, signal.SIGKILL)])
def test_an_engine_that_is_not_our_child_is_ended(
    start: Start, tmp_path: Path, program: str, signal_: signal.Signals
) -> None:
    engine = start(program)
    engine.wait_for_port(30)
    end_process(engine.pid, tmp_path, 0.2)
    assert psutil.Process(engine.pid).wait(30) == -signal_


def test_the_holder_of_a_folder_is_named_if_known(tmp_path: Path) -> None:
    assert "in use by process 7." in str(in_use(tmp_path, 7))
    assert "in use by another process." in str(in_use(tmp_path))
