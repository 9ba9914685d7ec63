"""The command line: assembles the commands of `consentric` and turns errors into exit codes.

Commands import what they need when they run, so that `--help` is fast.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated, Final

import typer
from typer.exceptions import Abort, TyperException

from api.cli import clients, dead_letters, demo, derive, doctor, load, serve, sources, stores, tokens
from api.cli.console import print_failure, print_text
from api.errors import (
    INTERRUPT_EXIT,
    INTERRUPTED,
    MAPPINGS,
    USAGE,
    USAGE_EXIT,
    classify,
    is_internal,
    message_of,
)

EPILOG: Final = "\n\n".join(
    (
        "**Start**: consentric demo, or: consentric source create shop --trust server · "
        "consentric load FILE --source shop · consentric resolve · consentric refresh · consentric serve",
        "**Settings** are environment variables: CONSENTRIC_STORE, CONSENTRIC_DATA_DIR, CONSENTRIC_HOST, "
        "CONSENTRIC_PORT, CONSENTRIC_ENV, CONSENTRIC_POLICY and others. For secrets, a variable that ends in _FILE can "
        "name a file. `consentric doctor` checks them.",
        "**Exit codes**: 0 success · 64 usage or purpose · 65 bad or too large input · 66 not found · "
        "69 store unavailable · 70 internal error · 73 conflict · 75 busy, try again · 77 not allowed · "
        "78 settings or migrations · 130 interrupted",
    )
)


def show_version(wanted: bool) -> None:
    """Prints the version and ends the command if it is wanted."""
    if wanted:
        print_text(f"consentric {version('consentric')}")
        raise typer.Exit


app = typer.Typer(
    name="consentric",
    help="The consent-aware customer graph: collects, links, recommends, and reveals only what consent permits.",
    epilog=EPILOG,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
)


@app.callback()
def consentric(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=show_version)
    ] = False,
) -> None:
    """Takes the options that come before a command."""


app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.add_typer(stores.app, name="store")
app.command("migrate")(stores.migrate)
app.command("load")(load.load)
app.command("resolve")(derive.resolve)
app.command("refresh")(derive.refresh)
app.add_typer(sources.app, name="source")
app.add_typer(clients.app, name="client")
app.command("token")(tokens.token)
app.add_typer(dead_letters.app, name="dead-letters")
app.command("doctor")(doctor.doctor)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs one command and exits with its code. The console script."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(given))


def run(arguments: list[str]) -> int:
    """Runs one command and returns its exit code. An error is one line on standard error, without a traceback."""
    as_json = "--json" in arguments
    try:
        result = typer.main.get_command(app).main(arguments, prog_name="consentric", standalone_mode=False)
        if result == INTERRUPT_EXIT:  # typer returns this instead of raising KeyboardInterrupt
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except TyperException as error:
        if error.format_message():  # empty if typer has shown the help of a group called without a command
            print_failure(USAGE, f"{error.format_message()} (see --help)", as_json=as_json)
        return USAGE_EXIT
    except (KeyboardInterrupt, Abort):
        print_failure(INTERRUPTED, "Interrupted; everything acknowledged is stored.", as_json=as_json)
        return INTERRUPT_EXIT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        error_class = classify(error)
        where = locate_failure(error) if is_internal(error_class) else None
        print_failure(error_class.code, message_of(error), as_json=as_json, where=where)
        return MAPPINGS[error_class].exit_code


def locate_failure(error: Exception) -> str:
    """Returns the class and code locations of an internal error, never its text, which may be personal."""
    from api.process.logs import describe_exception

    return describe_exception(error, frames=4)


if __name__ == "__main__":
    main()
