"""The embedded engine as a child process: its command line, its port, and how to start and stop it."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graph.errors import StoreInUse, StoreUnavailable

DATABASE: Final = "graph"
PORT_LINE: Final = re.compile(rb"Listening for incoming BOLT connections on \S*:(\d+) ")
LOCKED: Final = b"LockException"
KEEPER: Final = Path(__file__).with_name("keeper.py")
LOG_SETTINGS: Final = Path(__file__).with_name("engine-log.properties")

UNREACHABLE: Final = "224.0.0.1"
"""A multicast address: a socket can listen there, but TCP delivers no connection to it."""

UNKNOWN_CONNECTIONS: Final = 4096
"""How many connections may be open before they give a password, so that other processes can't use up all of them."""


def find_engine() -> Path:
    """Returns the folder of the engine's wheel without importing it: an import would start Java in this process."""
    spec = importlib.util.find_spec("arcadedb_embedded")
    if spec is None or not spec.submodule_search_locations:
        raise StoreUnavailable("The embedded engine is not installed; run `make setup`, or set CONSENTRIC_STORE.")
    return Path(spec.submodule_search_locations[0])


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How to run an engine. `verbose_log` keeps the engine's own log settings, which write the values of failed
    statements to disk: use it with invented data only."""

    heap: str = "512m"
    statement_seconds: float = 30.0
    verbose_log: bool = False


def engine_command(folder: Path, options: EngineOptions) -> list[str]:
    """Returns the command line of an engine on a folder, listening on a free loopback port. It holds no secret."""
    engine = find_engine()
    settings = {
        "server.mode": "production",
        "txWalFlush": "1",
        "command.timeout": str(round(options.statement_seconds * 1000)),
        "server.rootPath": str(folder),
        "server.defaultDatabases": f"{DATABASE}[]",
        "bolt.defaultDatabase": DATABASE,
        "server.plugins": "Bolt:com.arcadedb.bolt.BoltProtocolPlugin",
        "bolt.host": "127.0.0.1",
        "bolt.port": "0",
        "server.httpIncomingHost": choose_http_address(),
        "server.httpIncomingPort": "0",
        "network.maxPreAuthConnections": str(UNKNOWN_CONNECTIONS),
        "bolt.maxMessageSize": "268435456",
        "bolt.packstream.maxValueLength": "268435456",
    }
    return [
        str(engine / "jre" / "bin" / "java"),
        f"-Xmx{options.heap}",
        "-XX:+UseSerialGC",
        "--enable-native-access=ALL-UNNAMED",
        "--add-modules",
        "jdk.incubator.vector",
        "--add-opens=java.base/java.nio.channels.spi=ALL-UNNAMED",
        *(f"-Darcadedb.{name}={value}" for name, value in settings.items()),
        *([] if options.verbose_log else [f"-Djava.util.logging.config.file={LOG_SETTINGS}"]),
        "-cp",
        str(engine / "jars" / "*"),
        "com.arcadedb.server.ArcadeDBServer",
    ]


def choose_http_address() -> str:
    """Returns the address for the engine's HTTP server, which nobody uses and which can't be turned off: one that can't
    be reached, or loopback on systems that refuse it."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((UNREACHABLE, 0))
        except OSError:
            return "127.0.0.1"
    return UNREACHABLE


class EngineProcess:
    """An engine started by this process. With a lock file, it runs under a keeper until the file is no longer locked;
    without one, until it is stopped."""

    def __init__(self, command: list[str], folder: Path, log: Path, lock_file: Path | None) -> None:
        self.log = log
        self._folder = folder
        if lock_file is not None:
            command = [sys.executable, "-I", "-S", str(KEEPER), str(lock_file), *command]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTRIC_")}
        try:
            with open(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
                self._child = subprocess.Popen(
                    command,
                    cwd=folder,
                    env=environment,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    umask=0o077,
                    start_new_session=True,  # so Ctrl-C in a terminal reaches only us, and the engine stops last
                )
        except OSError as error:
            raise StoreUnavailable(f"The embedded engine can't be started: {error.strerror}.") from None

    @property
    def pid(self) -> int:
        """The process to signal: the engine, or the keeper, which passes signals on."""
        return self._child.pid

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._child.poll() is not None

    def release(self) -> None:
        """Detaches the process: this object no longer waits for it."""
        self._child.returncode = 0

    def wait_for_port(self, seconds: float) -> int:
        """Reads the engine's port from its log. Raises StoreInUse if another process holds the folder, StoreUnavailable
        if the engine ends or doesn't open its port in time."""
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
        """Returns the error for a process that ended by itself."""
        if LOCKED in self.log.read_bytes():
            return in_use(self._folder)
        return StoreUnavailable(f"The embedded engine ended while starting; its log is {self.log}.")

    def stop(self, seconds: float) -> None:
        """Ends the process: SIGTERM, then SIGKILL after `seconds`. Acknowledged writes survive either."""
        self._child.terminate()
        try:
            self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def in_use(folder: Path, holder: int | None = None) -> StoreInUse:
    """Returns the error for a folder that another process holds."""
    who = f"process {holder}" if holder else "another process"
    return StoreInUse(
        f"The store in {folder} is in use by {who}. "
        "End that process, or choose another folder with CONSENTRIC_DATA_DIR."
    )


def is_engine(pid: int, folder: Path) -> bool:
    """Returns whether a process is alive and, where the system can tell, is an engine on this folder."""
    try:
        os.kill(pid, 0)
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return not Path("/proc/self").exists()
    except (OSError, OverflowError):
        return False
    return f"-Darcadedb.server.rootPath={folder}".encode() in arguments.split(b"\0")


def end_process(pid: int, folder: Path, seconds: float) -> None:
    """Ends an engine that is not our child: SIGTERM, then SIGKILL after `seconds`."""
    deadline = time.monotonic() + seconds
    if is_engine(pid, folder):
        os.kill(pid, signal.SIGTERM)
    while is_engine(pid, folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    if is_engine(pid, folder):
        os.kill(pid, signal.SIGKILL)
