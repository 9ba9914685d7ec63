"""`consentric load`: loads files of messages into the graph."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.console import AsJson, print_json, print_table
from api.cli.running import run_with_runtime

if TYPE_CHECKING:
    from api.collection.files.load import LoadReport, Progress
    from api.process.runtime import Runtime


def load(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="NDJSON, plain or gzipped; - is standard input.")
    ],
    *,
    source: Annotated[str, typer.Option("--source", metavar="NAME", help="Source of the messages.")],
    as_json: AsJson = False,
) -> None:
    """Load messages from files with one JSON object per line: Segment's format, and lines of type item and consent.

    Every message counts once by its messageId, or if it has none, by its place in an unchanged file. So an interrupted
    load can simply be run again. Rejected lines do not affect others; they are counted by reason and kept
    (`consentric dead-letters list`).

    Examples:

      consentric load events.ndjson --source shop

      consentric load 2026-*.ndjson.gz --source crm --json

      zcat events.gz | consentric load - --source shop
    """
    from api.process.settings import load_settings

    checkpoints = load_settings().data_dir / "checkpoints"
    with show_load(hidden=as_json) as on_progress:
        report = run_with_runtime(lambda runtime: load_with(runtime, files, source, checkpoints, on_progress))
    if as_json:
        print_json({"accepted": report.accepted, "duplicate": report.duplicate, "rejected": report.rejected})
        return
    rows = [("accepted", report.accepted), ("duplicate", report.duplicate)]
    rows += [(f"rejected: {reason}", number) for reason, number in sorted(report.rejected.items())]
    print_table(f"Loaded from {source}", ("lines", "number"), rows)


async def load_with(
    runtime: Runtime, files: list[str], source: str, checkpoints: Path, on_progress: Callable[[Progress], None]
) -> LoadReport:
    """Loads the files and reports progress."""
    from api.collection.files.load import load_files

    return await load_files(runtime, files, source, on_progress=on_progress, checkpoints=checkpoints)


@contextmanager
def show_load(*, hidden: bool) -> Iterator[Callable[[Progress], None]]:
    """Shows a progress bar on standard error if that is a terminal: how much of the current file is written, and the
    number of lines so far. Yields the function that updates it."""
    if hidden or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[lines]:,} lines"),
        TimeElapsedColumn(),
    )
    with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
        task = bars.add_task("starting", total=None, lines=0)

        def show(at: Progress) -> None:
            name = escape(Path(at.path).name)
            bars.update(task, description=name, total=at.size, completed=at.position, lines=at.lines)

        yield show
