"""`consentric store` and `consentric migrate`: the process of the embedded store, and the schema of the graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.console import AsJson, print_json, print_table, print_text, say, show_progress, show_time
from api.cli.running import run_until_done

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from api.process.settings import Settings
    from migrations.step import MigrationStatus

app = typer.Typer(help="Start and stop an embedded store that keeps running between commands.", no_args_is_help=True)


@app.command("start")
def start(as_json: AsJson = False) -> None:
    """Start the embedded store and leave it running, so that commands don't each start their own.

    All commands, including `serve`, attach to it automatically. If a store is already running, nothing changes.

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
        say(f"The store is running on {found['folder']} (process {found['pid']}). Stop it: `consentric store stop`.")
    elif found["lasting"]:
        say(f"The store is already running (process {found['pid']}).")
    else:
        say(f"A store is already running (process {found['pid']}), but it ends with the processes that use it.")


@app.command("stop")
def stop(as_json: AsJson = False) -> None:
    """Stop the store that `consentric store start` started. Everything acknowledged is stored.

    Example: consentric store stop
    """
    from graph.embedded.store import stop_running

    stopped = stop_running(embedded_folder())
    if as_json:
        print_json({"stopped": stopped})
    else:
        say("The store has stopped." if stopped else "No store was running.")


@app.command("status")
def status(as_json: AsJson = False) -> None:
    """Show whether the embedded store is running, and where, without starting it.

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
    """Returns the folder of the embedded store. Raises BadInput if the settings name a server instead."""
    from api.process.settings import load_settings
    from graph.errors import BadInput

    settings = load_settings()
    if not settings.embedded:
        raise BadInput("CONSENTRIC_STORE names a server: this command is for the embedded store only.")
    return settings.data_dir


def describe(folder: Path) -> dict[str, Any]:
    """Returns the state of the store in the folder: `running`, `folder`, and if running `pid`, `port`, `lasting`."""
    from graph.embedded.store import describe_running

    found = describe_running(folder.resolve())
    facts: dict[str, Any] = {"running": found is not None, "folder": str(folder.resolve())}
    if found is not None:
        facts |= {"pid": found.pid, "port": found.port, "lasting": found.lasting}
    return facts


def migrate(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")] = False,
    as_json: AsJson = False,
) -> None:
    """Migrate the graph to the schema of this version. `serve`, `load` and others do so when they start.

    What rests on the trust of sources is derived again where that is due, with progress; `serve` does it beside its
    requests. Stop servers of earlier versions first. If it is interrupted, run it again.

    Examples:

      consentric migrate --dry-run

      consentric migrate --json
    """
    from api.process.settings import load_settings

    settings = load_settings()
    with show_progress("records", hidden=as_json) as advance:
        steps = run_until_done(run_migrations(settings, dry_run=dry_run, progress=advance), settings)
    if as_json:
        print_json(
            [
                {
                    "version": step.version,
                    "name": step.name,
                    "state": step.state.value,
                    "checksum": step.checksum,
                    "applied_at": show_time(step.applied_at),
                    "changed": step.changed,
                }
                for step in steps
            ]
        )
        return
    rows = [(step.version, step.name, step.state.value, show_time(step.applied_at), step.changed) for step in steps]
    print_table("Migrations", ("version", "name", "state", "applied", "changed now"), rows)


async def run_migrations(
    settings: Settings, *, dry_run: bool, progress: Callable[[int], None] | None = None
) -> list[MigrationStatus]:
    """Runs the migrations on the store of the settings, settles sources, and returns the state of each migration."""
    from api.process.runtime import open_client, read_policy, settle_now
    from migrations.runner import migrate as run

    policy = read_policy(settings.policy)
    async with open_client(settings) as client:
        steps = await run(client, dry_run=dry_run)
        if not dry_run:
            await settle_now(client, policy, say, progress)
        return steps
