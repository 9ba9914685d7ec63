"""The embedded store: one engine on one folder, shared by every process of this user that opens the folder.

The first process to open a folder starts the engine and describes it in DATA_DIR/store.json (process ID and port; the
credentials are in a file of their own, see `credentials.py`); later ones attach. Each holds a shared lock on
DATA_DIR/store.users while it uses the store. The engine stops when its last user ends, cleanly or not (`keeper.py`),
unless it was started by `start_lasting`: then it runs until `stop_running`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout
from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

from graph.embedded.credentials import prepare_credentials, read_credentials, write_private
from graph.embedded.process import (
    DATABASE,
    EngineOptions,
    EngineProcess,
    end_process,
    engine_command,
    in_use,
    is_engine,
)
from graph.errors import StoreInUse, StoreUnavailable
from graph.store.client import Engine, StoreTarget

START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """The contents of DATA_DIR/store.json. `lasting`: the store outlives its last user."""

    pid: int
    port: int
    lasting: bool


class EmbeddedStore:
    """A running embedded store in use by this process. `target` says how to connect; call `stop` when done."""

    def __init__(self, folder: Path, description: StoreDescription, use: int) -> None:
        self.folder = folder
        self.description = description
        self.target = locate(folder, description)
        self._use: int | None = use  # a bare descriptor, so that garbage collection can't stop the store
        self._process = os.getpid()

    @classmethod
    def start(cls, data_dir: Path, options: EngineOptions | None = None) -> Self:
        """Starts a store on a folder. Raises StoreInUse if one is already running there."""
        return cls._start(data_dir, options, lasting=False)

    @classmethod
    def start_lasting(cls, data_dir: Path, options: EngineOptions | None = None) -> Self:
        """Starts a store that runs until `stop_running`. Raises StoreInUse if one is already running there."""
        return cls._start(data_dir, options, lasting=True)

    @classmethod
    def attach(cls, data_dir: Path) -> Self | None:
        """Attaches to the store that is running on a folder; returns None if there is none."""
        folder = data_dir.resolve()
        if not users_file(folder).exists():
            return None
        use = begin_use(folder)
        running = describe_running(folder)
        if running is None:
            os.close(use)
            return None
        return cls(folder, running, use)

    @classmethod
    def _start(cls, data_dir: Path, options: EngineOptions | None, *, lasting: bool) -> Self:
        folder = prepare_folder(data_dir)
        with one_starter(folder):
            use = begin_use(folder)
            try:
                if running := describe_running(folder):
                    raise in_use(folder, running.pid)
                return cls(folder, launch(folder, options or EngineOptions(), lasting=lasting), use)
            except BaseException:
                os.close(use)
                raise

    def stop(self) -> None:
        """Ends this process's use. After the last use of a store that isn't lasting, waits until the store stops."""
        if self._use is None or os.getpid() != self._process:  # a forked copy's use ends with its process
            return
        use, self._use = self._use, None
        if end_use(self.folder, use) and not self.description.lasting:
            deadline = time.monotonic() + STOP_SECONDS
            while is_engine(self.description.pid, self.folder) and time.monotonic() < deadline:
                time.sleep(0.01)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def open_store(data_dir: Path) -> EmbeddedStore:
    """Attaches to the store on a folder, or starts one."""
    folder = prepare_folder(data_dir)
    if store := EmbeddedStore.attach(folder):
        return store
    try:
        return EmbeddedStore.start(folder)
    except StoreInUse:
        if store := EmbeddedStore.attach(folder):  # another process was faster
            return store
        raise


def stop_running(data_dir: Path) -> bool:
    """Stops a lasting store, even while others use it. Returns whether there was one.

    Raises StoreInUse if the store stops with its last user.
    """
    folder = data_dir.resolve()
    running = describe_running(folder)
    if running is None:
        return False
    if not running.lasting:
        raise StoreInUse(
            f"The store in {folder} was started by a command or a server, and ends with those that use it."
        )
    description_file(folder).unlink(missing_ok=True)
    end_process(running.pid, folder, STOP_SECONDS)
    return True


def launch(folder: Path, options: EngineOptions, *, lasting: bool) -> StoreDescription:
    """Starts an engine, waits until it responds, and writes its description."""
    prepare_credentials(folder)
    command = engine_command(folder, options)
    engine = EngineProcess(command, folder, folder / "store.log", None if lasting else users_file(folder))
    try:
        description = StoreDescription(engine.pid, engine.wait_for_port(START_SECONDS), lasting)
        wait_until_ready(locate(folder, description), engine)
        write_private(description_file(folder), json.dumps(asdict(description)))
    except BaseException:
        engine.stop(STOP_SECONDS)
        raise
    engine.release()
    return description


def locate(folder: Path, description: StoreDescription) -> StoreTarget:
    """Returns how to connect to a running store."""
    credentials = read_credentials(folder)
    return StoreTarget(
        url=f"bolt://127.0.0.1:{description.port}",
        user=credentials.user,
        password=credentials.password,
        database=DATABASE,
        engine=Engine.EMBEDDED,
    )


def describe_running(folder: Path) -> StoreDescription | None:
    """Returns the description of the store on a folder if its process is alive and is an engine on this folder."""
    description = read_description(folder)
    if description is None or not is_engine(description.pid, folder):
        return None
    return description


def read_description(folder: Path) -> StoreDescription | None:
    """Reads the description; returns None if it is missing or damaged."""
    try:
        facts = json.loads(description_file(folder).read_bytes())
        return StoreDescription(int(facts["pid"]), int(facts["port"]), bool(facts["lasting"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prepare_folder(data_dir: Path) -> Path:
    """Creates the folder, private to this user."""
    folder = data_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        (folder / "password").unlink(missing_ok=True)  # of earlier versions, whose user had a name that others knew
    except OSError as error:
        raise StoreUnavailable(f"The store's folder {folder} can't be used: {error.strerror}.") from None
    return folder


@contextmanager
def one_starter(folder: Path) -> Iterator[None]:
    """Lets one process at a time start a store on a folder. The system frees the lock if its holder dies. Raises
    StoreUnavailable after START_SECONDS."""
    lock = FileLock(folder / "store.lock", timeout=START_SECONDS, mode=0o600)
    try:
        lock.acquire()
    except Timeout:
        raise StoreUnavailable(f"Another process has been starting a store in {folder} for too long.") from None
    try:
        yield
    finally:
        lock.release()


def begin_use(folder: Path) -> int:
    """Takes the shared lock of the store's users and returns its descriptor. Waits while a keeper stops an unused
    store; raises StoreUnavailable after START_SECONDS."""
    use = os.open(users_file(folder), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + START_SECONDS
    while not try_lock(use, fcntl.LOCK_SH):
        if time.monotonic() > deadline:
            os.close(use)
            raise StoreUnavailable(f"The store in {folder} has been stopping for too long; end its processes by hand.")
        time.sleep(0.01)
    return use


def end_use(folder: Path, use: int) -> bool:
    """Frees the shared lock. Returns whether it was the last one, in which case the keeper now stops the store."""
    alone = try_lock(use, fcntl.LOCK_EX)
    os.close(use)
    if alone:
        return True
    probe = os.open(users_file(folder), os.O_RDWR)
    shared = try_lock(probe, fcntl.LOCK_SH)  # refused while a keeper has the exclusive lock
    os.close(probe)
    return not shared


def try_lock(descriptor: int, kind: int) -> bool:
    """Takes or converts a lock without waiting. Returns whether it succeeded."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until_ready(target: StoreTarget, engine: EngineProcess) -> None:
    """Waits until the store responds to a statement."""
    deadline = time.monotonic() + START_SECONDS
    with GraphDatabase.driver(target.url, auth=(target.user, target.password), telemetry_disabled=True) as driver:
        while True:
            try:
                with driver.session(database=target.database) as session:
                    session.run("RETURN 1 AS one").consume()
                return
            except (Neo4jError, DriverError):
                if engine.ended:
                    raise engine.failure() from None
                if time.monotonic() > deadline:
                    raise StoreUnavailable(f"The embedded engine did not respond; its log is {engine.log}.") from None
            time.sleep(0.02)


def users_file(folder: Path) -> Path:
    """Returns the path of the file on which users of the store hold a shared lock."""
    return folder / "store.users"


def description_file(folder: Path) -> Path:
    """Returns the path of the running store's description."""
    return folder / "store.json"
