"""The embedded store: one engine on one folder, shared by all processes of this user that open it.

What lives here: who starts it, who attaches, the locks, its password file and its description (`store.json`). What
does not: the engine's process (`process.py`), statements (`client.py`).

The first process to open a folder starts the store and describes it in DATA_DIR/store.json (process and port, no
password); others attach. Each holds a shared lock on DATA_DIR/store.users while it uses the store. A store ends when
its last user does, cleanly or not (`keeper.py`); one started by `start_lasting` stays until `stop_running`.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from filelock import FileLock, Timeout
from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

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

USER: Final = "root"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """What DATA_DIR/store.json says of a running store. `lasting` means that it stays when its last user ends."""

    pid: int
    port: int
    lasting: bool


class EmbeddedStore:
    """A running embedded store that this process uses: `target` says how to connect. `stop` when done."""

    def __init__(self, folder: Path, description: StoreDescription, use: int) -> None:
        self.folder = folder
        self.description = description
        self.target = locate(folder, description)
        self._use: int | None = use  # a bare descriptor: the store must not end because this object was forgotten
        self._process = os.getpid()

    @classmethod
    def start(cls, data_dir: Path, options: EngineOptions | None = None) -> Self:
        """Starts the store on a folder. Raises StoreInUse where one runs on it."""
        return cls._start(data_dir, options, lasting=False)

    @classmethod
    def start_lasting(cls, data_dir: Path, options: EngineOptions | None = None) -> Self:
        """Starts the store on a folder, to run until `stop_running`. Raises StoreInUse where one runs on it."""
        return cls._start(data_dir, options, lasting=True)

    @classmethod
    def attach(cls, data_dir: Path) -> Self | None:
        """The store that runs on a folder already, or None."""
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
        """Ends this process's use. Where nobody else uses the store and it isn't lasting, it ends, and this waits."""
        if self._use is None or os.getpid() != self._process:  # the use of a forked copy ends with its process
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
    """The store on a folder: attached where one runs, else started."""
    folder = prepare_folder(data_dir)
    if store := EmbeddedStore.attach(folder):
        return store
    try:
        return EmbeddedStore.start(folder)
    except StoreInUse:
        if store := EmbeddedStore.attach(folder):  # another starter was faster
            return store
        raise


def stop_running(data_dir: Path) -> bool:
    """Ends a lasting store, even while others use it; says whether there was one.

    Raises StoreInUse for a store that ends with its users: they end it.
    """
    folder = data_dir.resolve()
    running = describe_running(folder)
    if running is None:
        return False
    if not running.lasting:
        raise StoreInUse(f"The store in {folder} was not started to last: it ends when the processes that use it end.")
    description_file(folder).unlink(missing_ok=True)
    end_process(running.pid, folder, STOP_SECONDS)
    return True


def launch(folder: Path, options: EngineOptions, *, lasting: bool) -> StoreDescription:
    """Starts an engine, waits until it answers, and describes it for others."""
    command = engine_command(folder, password_file(folder), options)
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
    """How to connect to a running store."""
    return StoreTarget(
        url=f"bolt://127.0.0.1:{description.port}",
        user=USER,
        password=password_file(folder).read_text(encoding="ascii"),
        database=DATABASE,
        engine=Engine.EMBEDDED,
    )


def describe_running(folder: Path) -> StoreDescription | None:
    """What runs on a folder now, by its description, where that process is alive and really ours."""
    description = read_description(folder)
    if description is None or not is_engine(description.pid, folder):
        return None
    return description


def read_description(folder: Path) -> StoreDescription | None:
    """The description as written, or None where there is none that can be read."""
    try:
        facts = json.loads(description_file(folder).read_bytes())
        return StoreDescription(int(facts["pid"]), int(facts["port"]), bool(facts["lasting"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def prepare_folder(data_dir: Path) -> Path:
    """The folder, made private to this user, with a password file in it."""
    folder = data_dir.resolve()
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if not password_file(folder).exists():
            (folder / "config" / "server-users.jsonl").unlink(missing_ok=True)  # the engine's record of a lost password
            write_private(password_file(folder), secrets.token_urlsafe(32))
    except OSError as error:
        raise StoreUnavailable(f"The store's folder {folder} can't be used: {error.strerror}.") from None
    return folder


@contextmanager
def one_starter(folder: Path) -> Iterator[None]:
    """Lets one process at a time start a store on a folder; the system frees the lock should its holder die."""
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
    """Takes the shared lock of the store's users; waits while a keeper that found nobody left ends the store."""
    use = os.open(users_file(folder), os.O_RDWR | os.O_CREAT, 0o600)
    deadline = time.monotonic() + START_SECONDS
    while not try_lock(use, fcntl.LOCK_SH):
        if time.monotonic() > deadline:
            os.close(use)
            raise StoreUnavailable(f"The store in {folder} has been ending for too long; end its processes by hand.")
        time.sleep(0.01)
    return use


def end_use(folder: Path, use: int) -> bool:
    """Frees the shared lock. Returns whether nobody else held it, so that the keeper ends the store now."""
    alone = try_lock(use, fcntl.LOCK_EX)
    os.close(use)
    if alone:
        return True
    probe = os.open(users_file(folder), os.O_RDWR)
    shared = try_lock(probe, fcntl.LOCK_SH)  # refused while a keeper has the exclusive lock
    os.close(probe)
    return not shared


def try_lock(descriptor: int, kind: int) -> bool:
    """Takes or converts a lock if that is possible at once."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def wait_until_ready(target: StoreTarget, engine: EngineProcess) -> None:
    """Returns once the store answers a statement."""
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
                    raise StoreUnavailable(f"The embedded engine did not answer; its log is {engine.log}.") from None
            time.sleep(0.02)


def password_file(folder: Path) -> Path:
    """Where the store's password is; readable by this user alone."""
    return folder / "password"


def users_file(folder: Path) -> Path:
    """What the store's users hold a shared lock on."""
    return folder / "store.users"


def description_file(folder: Path) -> Path:
    """Where the running store is described."""
    return folder / "store.json"


def write_private(path: Path, text: str) -> None:
    """Writes a file that only this user can read, whole or not at all."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
