"""How commands print: results on standard output; progress, notices and failures on standard error.

With `--json`, standard output is a single line with one JSON document.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated

import typer

from graph.model.time import Millis

AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one line of JSON.")]


def print_json(document: object) -> None:
    """Prints maps, lists, dataclasses or named tuples as one line of JSON on standard output."""
    import orjson

    sys.stdout.write(orjson.dumps(document, default=_list_named_tuple).decode() + "\n")
    sys.stdout.flush()


def _list_named_tuple(value: object) -> list[object]:
    """Returns a named tuple as a list, which orjson leaves to its caller. Raises TypeError for any other value."""
    if isinstance(value, tuple):
        return list(value)
    raise TypeError(f"{type(value).__qualname__} is not JSON")


@contextmanager
def show_progress(unit: str, total: int | None = None, *, hidden: bool = False) -> Iterator[Callable[[int], None]]:
    """Shows a progress bar on standard error if that is a terminal. Yields a function that takes the number done."""
    if hidden or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(unit, total=total)
        yield lambda done: bar.update(task, completed=done)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, whole: Collection[str] = ()
) -> None:
    """Prints a table on standard output. Cells are plain text, never markup. Lines of the columns `whole` are never
    broken."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        table.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    Console().print(table)


def print_text(text: str) -> None:
    """Prints a line of a result on standard output, unwrapped, so that it can be copied."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """Prints a notice for the user on standard error."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def print_failure(code: str, message: str, *, as_json: bool, where: str | None = None) -> None:
    """Prints why a command failed as one line on standard error. `where` locates the code of an internal error."""
    import orjson

    line = " ".join(message.split())
    if as_json:
        error = {"code": code, "message": line} | ({"where": where} if where else {})
        error["documentation"] = f"docs/errors/{code}.md"
        say(orjson.dumps({"error": error}).decode())
    else:
        say(f"Error: {line}" + (f" ({where})" if where else ""))


def count_of(number: int, one: str, many: str) -> str:
    """Returns a number with what it counts, such as `1 pair` or `2 pairs`."""
    return f"{number:,} {one if number == 1 else many}"


def show_time(at: Millis | None) -> str | None:
    """Returns an instant in ISO 8601, in UTC and whole seconds; None for None."""
    return None if at is None else datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant_option(option: str, text: str | None) -> Millis | None:
    """Returns the date or instant (UTC unless it has an offset) of an option in epoch milliseconds; None for None.
    Raises BadInput."""
    from graph.errors import BadInput
    from graph.model.time import Millis

    if text is None:
        return None
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput(f"{option}: give a date such as 1998-04-23, or an ISO 8601 instant.") from None
    return Millis(int((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000))
