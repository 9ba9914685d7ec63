"""`consentric store` and `consentric migrate`: the embedded store's process and the graph's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.console import AsJson, print_json, print_table, print_text, say, show_time
from api.cli.running import run_until_done

if TYPE_CHECKING:
    from pathlib import Path

    from api.process.settings import Settings
    from migrations.step import MigrationStatus

app = typer.Typer(help="The embedded store: keep it running for several processes.", no_args_is_help=True)


@app.command("start")
def start(as_json: AsJson = False) -> None:
    """Start the embedded store and leave it running, so that commands need not start one each.

    Every command and `serve` attach to it by themselves. Nothing happens where it runs already.

    Example: consentric store start
    """
    from graph.embedded.store import EmbeddedStore
    from graph.errors import StoreInUse

    folder = embedded_folder()
    try:
        EmbeddedStore.start_lasting(folder).stop()
        started = True
    except StoreInUse:
        if not describe(folder)["running"]:
            raise
        started = False
    found = describe(folder)
    if as_json:
        print_json(found | {"started": started})
    elif started:
        say(f"The store runs on {found['folder']} (process {found['pid']}); end it with `consentric store stop`.")
    elif found["lasting"]:
        say(f"The store runs already (process {found['pid']}).")
    else:
        say(f"A store runs already (process {found['pid']}), but ends with the commands that use it.")


@app.command("stop")
def stop(as_json: AsJson = False) -> None:
    """Stop the store that `consentric store start` left running. What was acknowledged is kept.

    Example: consentric store stop
    """
    from graph.embedded.store import stop_running

    stopped = stop_running(embedded_folder())
    if as_json:
        print_json({"stopped": stopped})
    else:
        say("The store is stopped." if stopped else "No store was running.")


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Say whether the embedded store runs, and where. Starts nothing.

    Example: consentric store status --json
    """
    found = describe(embedded_folder())
    if as_json:
        print_json(found)
    elif found["running"]:
        print_text(f"running: process {found['pid']}, port {found['port']}, folder {found['folder']}")
    else:
        print_text(f"not running: folder {found['folder']}")


def embedded_folder() -> Path:
    """The embedded store's folder. Raises BadInput where the settings name a server instead."""
    from api.process.settings import load_settings
    from graph.errors import BadInput

    settings = load_settings()
    if not settings.embedded:
        raise BadInput("CONSENTRIC_STORE names a server: this command is about the embedded store.")
    return settings.data_dir


def describe(folder: Path) -> dict[str, Any]:
    """What runs on the folder."""
    from graph.embedded.store import describe_running

    found = describe_running(folder.resolve())
    facts: dict[str, Any] = {"running": found is not None, "folder": str(folder.resolve())}
    if found is not None:
        facts |= {"pid": found.pid, "port": found.port, "lasting": found.lasting}
    return facts


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the graph to this version's schema. `serve`, `load` and others do so by themselves when they start.

    Examples:

      consentric migrate --dry-run

      consentric migrate --json
    """
    from api.process.settings import load_settings

    settings = load_settings()
    steps = run_until_done(run_migrations(settings, dry_run=dry_run), settings)
    if as_json:
        print_json(
            [
                {
                    "version": step.version,
                    "name": step.name,
                    "state": step.state.value,
                    "checksum": step.checksum,
                    "applied_at": show_time(step.applied_at),
                }
                for step in steps
            ]
        )
        return
    rows = [(step.version, step.name, step.state.value, show_time(step.applied_at)) for step in steps]
    print_table("Migrations", ("version", "name", "state", "applied"), rows)


async def run_migrations(settings: Settings, *, dry_run: bool) -> list[MigrationStatus]:
    """The migrations on the store of the settings."""
    from api.process.runtime import open_client
    from migrations.runner import migrate as run

    async with open_client(settings) as client:
        return await run(client, dry_run=dry_run)
