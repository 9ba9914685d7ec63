"""`consentric serve`: the HTTP server."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

import typer

from api.cli.console import print_json, say

LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def serve(
    host: Annotated[
        str | None, typer.Option("--host", help="Address to listen on [CONSENTRIC_HOST, 127.0.0.1].")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--port", min=0, max=65535, help="Port; 0 for any free one [CONSENTRIC_PORT, 8000].")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help='Print the line {"url", "graphql"} on standard output once it is ready.')
    ] = False,
) -> None:
    """Serve GraphQL at /graphql and collection at /v1/batch, /v1/track and so on.

    Starts the embedded store if it is not running. SIGTERM or Ctrl-C shuts the server down with exit code 0: it accepts
    no new requests, finishes running ones, writes what it has accepted, and then releases the store.

    Examples:

      consentric serve

      consentric serve --port 0 --json

      CONSENTRIC_ENV=production consentric serve --host 0.0.0.0
    """
    from api.process.logs import configure_logs
    from api.process.settings import load_settings

    settings = load_settings(host=host, port=port)
    configure_logs(settings.log_level)
    if settings.host not in LOOPBACK and not settings.production:
        say(
            "Warning: other machines can reach this server in development mode (introspection, GraphiQL); "
            "set CONSENTRIC_ENV=production."
        )

    def announce(url: str) -> None:
        graphql = f"{url}/graphql"
        if as_json:
            print_json({"url": url, "graphql": graphql})
        else:
            say(f"Serving {graphql} (collection at {url}/v1/batch). Press Ctrl-C to stop.")

    from api.server import serve_until_signal

    with asyncio.Runner(loop_factory=choose_loop()) as runner:
        runner.run(serve_until_signal(settings, announce))


def choose_loop() -> type[asyncio.AbstractEventLoop] | None:
    """Returns uvloop's event loop if it is installed, or None for the default one."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
