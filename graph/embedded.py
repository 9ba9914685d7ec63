"""The embedded store: one engine on one folder, ours or shared with the processes beside us.

What lives here: who may start it and who attaches, its password file and its description (`store.json`). What does
not: the engine's process (`process.py`), statements (`client.py`).

The starter describes the running store in DATA_DIR/store.json (process and port, no password); others with access to
the folder read that and attach. A store started by `start` ends with its starter; one by `start_detached` stays until
`stop_running`.
"""

from __future__ import annotations

import atexit
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

from graph.client import Engine, StoreLimits, StoreTarget
from graph.errors import StoreInUse, StoreUnavailable
from graph.process import DATABASE, EngineProcess, end_process, engine_command, in_use, is_engine

USER: Final = "root"
START_SECONDS: Final = 60.0
STOP_SECONDS: Final = 20.0


@dataclass(frozen=True, slots=True)
class StoreDescription:
    """What DATA_DIR/store.json says of a running store. `starter` is None for one that runs on its own."""

    pid: int
    port: int
    starter: int | None


class EmbeddedStore:
    """A running embedded store: `target` says how to connect. Stop it where you started it."""

    def __init__(self, folder: Path, description: StoreDescription, engine: EngineProcess | None) -> None:
        self.folder = folder
        self.description = description
        self.target = StoreTarget(
            url=f"bolt://127.0.0.1:{description.port}",
            user=USER,
            password=password_file(folder).read_text(encoding="ascii"),
            database=DATABASE,
            engine=Engine.EMBEDDED,
        )
        self._engine = engine
        self._starter = os.getpid()

    @classmethod
    def start(cls, data_dir: Path, *, heap: str = "512m") -> Self:
        """Starts the store on a folder, to end with this process. Raises StoreInUse where one runs."""
        folder = prepare_folder(data_dir)
        with starting(folder):
            if running := describe_running(folder):
                raise in_use(folder, running.starter or running.pid)
            return cls._launch(folder, heap, tied=True)

    @classmethod
    def start_detached(cls, data_dir: Path, *, heap: str = "512m") -> Self:
        """Starts the store on a folder, to run on after this process. Raises StoreInUse where one runs."""
        folder = prepare_folder(data_dir)
        with starting(folder):
            if running := describe_running(folder):
                raise in_use(folder, running.starter or running.pid)
            return cls._launch(folder, heap, tied=False)

    @classmethod
    def attach(cls, data_dir: Path) -> Self | None:
        """The store that runs on a folder already, or None."""
        folder = data_dir.resolve()
        running = describe_running(folder)
        return cls(folder, running, None) if running else None

    @classmethod
    def _launch(cls, folder: Path, heap: str, *, tied: bool) -> Self:
        command = engine_command(folder, password_file(folder), StoreLimits().statement, heap)
        engine = EngineProcess(command, folder, folder / "store.log", tied=tied)
        try:
            port = engine.wait_for_port(START_SECONDS)
            description = StoreDescription(engine.pid, port, os.getpid() if tied else None)
            store = cls(folder, description, engine if tied else None)
            wait_until_ready(store.target, engine)
            write_private(description_file(folder), json.dumps(asdict(description)))
        except BaseException:
            engine.stop(STOP_SECONDS)
            raise
        if tied:
            atexit.register(store.stop)
        return store

    def stop(self) -> None:
        """Ends the store if this process started it to end with it; leaves an attached or detached one running."""
        if self._engine is None or os.getpid() != self._starter:  # a forked copy of the starter is not the starter
            return
        atexit.unregister(self.stop)
        if read_description(self.folder) == self.description:
            description_file(self.folder).unlink(missing_ok=True)
        self._engine.stop(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def open_store(data_dir: Path) -> EmbeddedStore:
    """The store on a folder: attached where one runs, else started to end with this process."""
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
    """Ends the store that runs on its own on a folder; says whether there was one.

    Raises StoreInUse for a store that belongs to a running process: that process ends it.
    """
    folder = data_dir.resolve()
    running = describe_running(folder)
    if running is None:
        return False
    if running.starter is not None and running.starter != os.getpid():
        raise StoreInUse(f"The store in {folder} belongs to process {running.starter} and ends with it; end that one.")
    description_file(folder).unlink(missing_ok=True)
    end_process(running.pid, folder, STOP_SECONDS)
    return True


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
        return StoreDescription(int(facts["pid"]), int(facts["port"]), facts["starter"])
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
def starting(folder: Path) -> Iterator[None]:
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
