"""The HTTP server: its socket, its start, and its orderly end.

What lives here: uvicorn with our own handling of signals. What does not: what is served (`api/app.py`), the command
(`api/cli/serve.py`). The socket is bound first, so that a taken port is known before a store is started, and listens
last, so that nobody is let in before everything stands.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from api.app import create_app
from api.process.background import background
from api.process.runtime import open_runtime
from api.process.settings import Settings
from graph.embedded.store import describe_running
from graph.errors import SettingsInvalid, StoreUnavailable

DRAIN_SECONDS: Final = 15
WATCH_SECONDS: Final = 1.0
WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared with, not bound to


class Server(uvicorn.Server):
    """Uvicorn, which here announces itself once and leaves signals to `Ending`."""

    def __init__(self, app: ASGIApp, announce: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_graceful_shutdown=DRAIN_SECONDS,
            )
        )
        self._announce = announce

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Nothing: signals are handled outside, so that the process ends with code 0."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Starts to listen; then announces."""
        await super().startup(sockets)
        self._announce()


class Ending:
    """What SIGTERM and Ctrl-C do. Before the server stands they cancel its start; then they ask it to end; asked twice,
    it no longer waits for running requests."""

    def __init__(self, task: asyncio.Task[None]) -> None:
        self.server: Server | None = None
        self.asked = False
        self._task = task

    def __call__(self) -> None:
        if self.server is None:
            self._task.cancel()
        elif self.asked:
            self.server.force_exit = True
        else:
            self.server.should_exit = True
        self.asked = True


async def serve_until_signal(settings: Settings, announce: Callable[[str], None]) -> None:
    """Opens everything, serves until a signal, closes everything. `announce` is told the address once it serves."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in a task
    ending = Ending(task)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ending)
    with bind(settings.host, settings.port) as listener:
        url = address_of(listener)
        try:
            async with open_runtime(settings) as runtime, background(runtime.services):
                settle_memory()
                ending.server = Server(create_app(runtime, settings), lambda: announce(url))
                await serve_while_stored(ending.server, listener, settings)
        except asyncio.CancelledError:
            if not ending.asked:
                raise


def settle_memory() -> None:
    """Tells the garbage collector that what was imported stays, and to look less often: a group of arrivals makes tens
    of thousands of objects that reference counts free. With the defaults a quarter of a collecting server's time went
    there (`benchmarks/ingest.py`)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


async def serve_while_stored(server: Server, listener: socket.socket, settings: Settings) -> None:
    """Serves until the server is asked to end. Raises StoreUnavailable where the embedded store ended under it: another
    one would have another port, so whoever supervises this process starts it again."""

    async def watch() -> None:
        while describe_running(settings.data_dir.resolve()) is not None:  # noqa: ASYNC110 - another process, no event
            await asyncio.sleep(WATCH_SECONDS)
        server.should_exit = True

    watching = asyncio.create_task(watch()) if settings.embedded else None
    await server.serve(sockets=[listener])
    if watching is not None and not watching.cancel():
        raise StoreUnavailable("The embedded store was stopped or ended by itself; start the server again.")


def bind(host: str, port: int) -> socket.socket:
    """A socket on the address, bound, not yet listening. Raises SettingsInvalid where that can't be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise SettingsInvalid(f"CONSENTRIC_HOST: no such address here ({error.strerror}).") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except OSError as error:
        listener.close()
        raise SettingsInvalid(
            f"CONSENTRIC_PORT: port {port} can't be used ({error.strerror}); choose another one, or 0."
        ) from None
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL under which the socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    host = WILDCARDS.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
