"""The embedded engine as a child process: its command line, its life, its end.

What lives here: finding the engine's own Java, starting it tied to us or on its own, reading its port from its log,
stopping it. What does not: the folder's password, lock and description, and who may attach (`embedded.py`).
"""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from graph.errors import StoreInUse, StoreUnavailable

DATABASE: Final = "graph"
PORT_LINE: Final = re.compile(rb"Listening for incoming BOLT connections on \S*:(\d+) ")
LOCKED: Final = b"LockException"
KEEPER: Final = Path(__file__).with_name("keeper.py")


def find_engine() -> Path:
    """The folder of the engine's wheel, found without importing it (an import would start a Java in this process)."""
    spec = importlib.util.find_spec("arcadedb_embedded")
    if spec is None or not spec.submodule_search_locations:
        raise StoreUnavailable("The embedded engine is not installed; run `make setup`, or set CONSENTRIC_STORE.")
    return Path(spec.submodule_search_locations[0])


def engine_command(folder: Path, password_file: Path, statement_seconds: float, heap: str) -> list[str]:
    """The command line of the engine on one folder, on free loopback ports. Holds no secret."""
    engine = find_engine()
    settings = {
        "server.mode": "production",
        "txWalFlush": "1",
        "command.timeout": str(round(statement_seconds * 1000)),
        "server.rootPath": str(folder),
        "server.rootPasswordPath": str(password_file),
        "server.defaultDatabases": f"{DATABASE}[]",
        "bolt.defaultDatabase": DATABASE,
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt.host": "127.0.0.1",
        "bolt.port": "0",
        "server.httpIncomingHost": "127.0.0.1",
        "server.httpIncomingPort": "0",
        "bolt.maxMessageSize": "268435456",
        "bolt.packstream.maxValueLength": "268435456",
    }
    return [
        str(engine / "jre" / "bin" / "java"),
        f"-Xmx{heap}",
        "-XX:+UseSerialGC",
        "--enable-native-access=ALL-UNNAMED",
        "--add-modules",
        "jdk.incubator.vector",
        "--add-opens=java.base/java.nio.channels.spi=ALL-UNNAMED",
        *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
        "-cp",
        str(engine / "jars" / "*"),
        "com.arcadedb.server.ArcadeDBServer",
    ]


def keeper_way() -> str:
    """How the child is tied to us: by the kernel where it can, else by a watching process."""
    return "exec" if sys.platform == "linux" else "watch"


class EngineProcess:
    """One running engine. A thread of its own starts it and waits for it.

    The kernel's signal at a parent's death follows the *thread* that started the child, so that thread lives as long
    as the child does; whoever calls `start` may end.
    """

    def __init__(self, command: list[str], folder: Path, log: Path, *, tied: bool, way: str | None = None) -> None:
        self.log = log
        self._command = command
        self._folder = folder
        self._ended = threading.Event()
        started: SimpleQueue[subprocess.Popen[bytes] | OSError] = SimpleQueue()
        way = way or keeper_way()
        threading.Thread(
            target=self._run, args=(started, way if tied else None), name="consentric-store", daemon=True
        ).start()
        child = started.get()
        if isinstance(child, OSError):
            raise StoreUnavailable(f"The embedded engine can't be started: {child.strerror}.")
        self._child = child

    @property
    def pid(self) -> int:
        """The process to signal: the engine, or the keeper that passes signals on."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._ended.is_set()

    def _run(self, started: SimpleQueue[subprocess.Popen[bytes] | OSError], way: str | None) -> None:
        command = self._command
        if way is not None:
            command = [sys.executable, "-I", "-S", str(KEEPER), way, str(os.getpid()), *command]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTRIC_")}
        try:
            with self.log.open("wb") as output:
                child = subprocess.Popen(
                    command,
                    cwd=self._folder,
                    env=environment,
                    stdin=subprocess.PIPE if way == "watch" else subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,  # Ctrl-C in a terminal reaches us alone; we stop the engine last
                )
        except OSError as error:
            started.put(error)
            return
        started.put(child)
        child.wait()
        if child.stdin:
            child.stdin.close()
        self._ended.set()

    def wait_for_port(self, seconds: float) -> int:
        """The port of the engine, from its log. Raises StoreInUse where another process holds the folder."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self.ended
            text = self.log.read_bytes()
            if match := PORT_LINE.search(text):
                return int(match.group(1))
            if ended:
                raise self.failure()
            time.sleep(0.02)
        raise StoreUnavailable(f"The embedded engine did not open its port in {seconds:.0f} s; its log is {self.log}.")

    def failure(self) -> StoreInUse | StoreUnavailable:
        """Why the process ended by itself."""
        if LOCKED in self.log.read_bytes():
            return in_use(self._folder)
        return StoreUnavailable(f"The embedded engine ended while starting; its log is {self.log}.")

    def stop(self, seconds: float) -> None:
        """Ends the process: SIGTERM, and after `seconds` SIGKILL. What was acknowledged is kept either way."""
        if not self.ended:
            self._child.terminate()
            if not self._ended.wait(seconds):
                self._child.kill()
                self._ended.wait()


def in_use(folder: Path, holder: int | None = None) -> StoreInUse:
    """The error for a folder that another process holds."""
    who = f"process {holder}" if holder else "another process"
    return StoreInUse(
        f"The store in {folder} is in use by {who}. End that process, or run `consentric store start` before both, "
        "so that they share one store; or choose another folder with CONSENTRIC_DATA_DIR."
    )


def is_engine(pid: int, folder: Path) -> bool:
    """Whether a process is alive and, where the system can tell, an engine on this folder."""
    try:
        os.kill(pid, 0)
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except (OSError, OverflowError):
        return False
    return f"-Darcadedb.server.rootPath={folder}".encode() in arguments.split(b"\0")


def end_process(pid: int, folder: Path, seconds: float) -> None:
    """Ends an engine that is not our child: SIGTERM, and after `seconds` SIGKILL."""
    deadline = time.monotonic() + seconds
    if is_engine(pid, folder):
        os.kill(pid, signal.SIGTERM)
    while is_engine(pid, folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    if is_engine(pid, folder):
        os.kill(pid, signal.SIGKILL)
