"""The keeper as a process: it ends the program with its last user, and passes on signals and the exit code."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from graph.embedded.process import KEEPER

ROOT = Path(__file__).resolve().parents[3]
SLEEPER = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
SLOW_TO_END = """
import signal, sys, time
def end(*_):
    time.sleep(0.3)
    open(sys.argv[1], "w").close()
    sys.exit(3)
signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
time.sleep(60)
"""
DEAF = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(os.getpid(), flush=True)
time.sleep(60)
"""
IMPATIENT_KEEPER = """
import sys
from graph.embedded import keeper
keeper.STOP_SECONDS = 0.2
sys.exit(keeper.keep(sys.argv[1], sys.argv[2:]))
"""

Keep = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def lock_file(tmp_path: Path) -> Path:
    return tmp_path / "users"


@pytest.fixture
def user(lock_file: Path) -> Iterator[int]:
    """This test as a user of the program: a descriptor with the shared lock."""
    descriptor = os.open(lock_file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def keep(lock_file: Path) -> Iterator[Keep]:
    """Starts Python programs under a keeper; both end with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(program: str, *arguments: object, keeper: tuple[str, ...] = ("-I", "-S", str(KEEPER))) -> object:
        command = [sys.executable, *keeper, str(lock_file), sys.executable, "-c", program, *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        return started[-1]

    yield start  # type: ignore[misc]
    for process in started:
        process.kill()
        process.communicate()


def first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def free(user: int) -> None:
    fcntl.flock(user, fcntl.LOCK_UN)


def code_of(number: signal.Signals) -> int:
    """The keeper's exit code where its program died of a signal."""
    return 256 - number


def test_the_keeper_ends_with_its_program_and_returns_its_code(keep: Keep, user: int) -> None:
    assert keep("import sys; sys.exit(5)").wait(30) == 5


def test_a_program_lives_as_long_as_anyone_uses_it(keep: Keep, user: int, lock_file: Path) -> None:
    keeper = keep(SLEEPER)
    program = psutil.Process(int(first_line(keeper)))
    other = os.open(lock_file, os.O_RDWR)
    fcntl.flock(other, fcntl.LOCK_SH)
    free(user)
    with pytest.raises(subprocess.TimeoutExpired):
        keeper.wait(0.3)
    assert program.is_running()
    os.close(other)
    assert keeper.wait(30) == code_of(signal.SIGTERM)
    assert not program.is_running()


def test_a_newcomer_waits_until_the_program_has_ended(keep: Keep, user: int, tmp_path: Path, lock_file: Path) -> None:
    keeper = keep(SLOW_TO_END, tmp_path / "ended")
    first_line(keeper)
    free(user)
    newcomer = os.open(lock_file, os.O_RDWR)
    wait_for_the_keeper_s_lock(newcomer)
    assert not (tmp_path / "ended").exists()
    fcntl.flock(newcomer, fcntl.LOCK_SH)
    assert (tmp_path / "ended").exists()
    os.close(newcomer)
    assert keeper.wait(30) == 3


def wait_for_the_keeper_s_lock(descriptor: int) -> None:
    """Returns once the keeper holds the exclusive lock."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        time.sleep(0.005)
    raise AssertionError("the keeper never took the lock")


def test_a_signal_is_passed_on_to_the_program(keep: Keep, user: int, tmp_path: Path) -> None:
    keeper = keep(SLOW_TO_END, tmp_path / "ended")
    first_line(keeper)
    keeper.terminate()
    assert keeper.wait(30) == 3
    assert (tmp_path / "ended").exists()


def test_a_program_that_ignores_the_signal_is_killed(keep: Keep, user: int) -> None:
    keeper = keep(DEAF, keeper=("-c", IMPATIENT_KEEPER))
    program = psutil.Process(int(first_line(keeper)))
    free(user)
    assert keeper.wait(30) == code_of(signal.SIGKILL)
    assert not program.is_running()
