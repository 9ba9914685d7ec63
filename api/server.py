"""The HTTP server: its socket, startup and graceful shutdown.

The socket is bound first, so that a port in use is reported before a store is started. It listens last, so that no
connection is accepted before everything is ready.
"""

from __future__ import annotations

import asyncio
import gc
import resource
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.http.addresses import Addresses
from api.http.connections import ConnectionLimits, Connections
from api.process.background import background
from api.process.runtime import open_runtime
from api.process.settings import Settings
from graph.embedded.store import describe_running
from graph.errors import SettingsInvalid, StoreUnavailable

DRAIN_SECONDS: Final = 15
WATCH_SECONDS: Final = 1.0
RESERVED_FILES: Final = 128
"""File descriptors for everything but connections of clients: the store, files, the event loop."""

WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class Server(uvicorn.Server):
    """A uvicorn server that announces itself once it listens, ends connections that are overdue, and leaves signals to
    `Shutdown`."""

    def __init__(self, app: ASGIApp, connections: Connections, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=connections,  # type: ignore[arg-type]  # a function that makes protocols serves as well as a class
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        self.connections = connections
        self._announce = announce

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Captures nothing: `Shutdown` handles signals, so that the process exits with code 0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts listening, then announces the server."""
        await super().startup(sockets)
        self._announce()

    async def on_tick(self, counter: int) -> bool:
        """Ten times a second: whether to exit. Once a second, overdue connections are ended."""
        if counter % 10 == 0:
            self.connections.sweep(asyncio.get_running_loop().time())
        return await super().on_tick(counter)


class Shutdown:
    """Handles SIGTERM and Ctrl-C.

    Before the server exists, a signal cancels startup. After that, the first signal shuts the server down gracefully;
    a second one makes it stop waiting for running requests.
    """

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.server: Server | None = None
        self.requested = False
        self._task = task

    def __call__(self) -> None:
        if self.server is None:
            self._task.cancel()
        elif self.requested:
            self.server.force_exit = True
        else:
            self.server.should_exit = True
        self.requested = True


async def serve_until_signal(settings: Settings, announce: Callable[[str], None]) -> None:
    """Opens everything, serves until a signal arrives, and closes everything.

    Calls `announce` with the server's URL once it accepts requests.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    shutdown = Shutdown(task)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, shutdown)
    with bind(settings.host, settings.port) as listener:
        url = address_of(listener)
        try:
            async with open_runtime(settings) as runtime, background(runtime.services):
                tune_garbage_collection()
                app, connections = create_app(runtime, settings), open_connections(settings)
                shutdown.server = Server(app, connections, lambda: announce(url))
                await serve_while_store_runs(shutdown.server, listener, settings)
        except asyncio.CancelledError:
            if not shutdown.requested:
                raise


def open_connections(settings: Settings) -> Connections:
    """Returns the rules for connections. Each needs a file descriptor, so the process asks for as many, and where it
    doesn't get them, fewer connections may be open."""
    most = settings.connections
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = most + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        most = max(1, soft - RESERVED_FILES)
    limits = ConnectionLimits(
        most, min(settings.address_connections, most), settings.head_seconds, settings.body_seconds
    )
    return Connections(limits, Addresses(settings.trusted_proxies))


def tune_garbage_collection() -> None:
    """Exempts everything imported so far from garbage collection and makes collections rarer.

    Writing a group of messages creates tens of thousands of objects that reference counting frees. With the default
    thresholds, a quarter of the server's time under load went into garbage collection (`benchmarks/ingest.py`).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def serve_while_store_runs(server: Server, listener: socket.socket, settings: Settings) -> None:
    """Serves until the server is told to shut down.

    Raises StoreUnavailable if the embedded store ends first: a new store would listen on another port, so the server
    ends too and its supervisor restarts it.
    """

    async def watch() -> None:
        while describe_running(settings.data_dir.resolve()) is not None:  # noqa: ASYNC110 - another process, no event
            await asyncio.sleep(WATCH_SECONDS)
        server.should_exit = True

    watcher = asyncio.create_task(watch()) if settings.embedded else None
    await server.serve(sockets=[listener])
    if watcher is not None and not watcher.cancel():  # only a watcher that saw the store end can't be cancelled
        raise StoreUnavailable("The embedded store was stopped or crashed; start the server again.")


def bind(host: str, port: int) -> socket.socket:
    """Returns a socket bound to the address, not yet listening. Raises SettingsInvalid if it can't be bound."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsInvalid(f"CONSENTRIC_HOST: not an address of this machine ({error.strerror}).") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise SettingsInvalid(
            f"CONSENTRIC_PORT: port {port} can't be used ({error.strerror}); choose another, or 0 for any free port."
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """Returns the URL at which this machine reaches the socket."""
    host, port = listener.getsockname()[:2]
    host = WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
