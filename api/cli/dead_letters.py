"""`consentric dead-letters`: lists and replays rejected messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.console import AsJson, print_json, print_table, say, show_time
from api.cli.running import run_with_runtime, run_with_services

if TYPE_CHECKING:
    from api.process.runtime import Runtime
    from graph.collection.dead_letters import DeadLetter
    from resolvers.collection.dead_letters import ReplayReport
    from resolvers.context import Services

app = typer.Typer(help="List and replay rejected messages.", no_args_is_help=True)
OfSource = Annotated[str | None, typer.Option("--source", metavar="NAME", help="Only letters of this source.")]
OfReason = Annotated[str | None, typer.Option("--reason", metavar="R", help="Only letters with this reason.")]


@app.command("list")
def list_(
    *,
    source: OfSource = None,
    reason: OfReason = None,
    payload: Annotated[
        bool,
        typer.Option("--payload", help="Show the text of each message, which contains personal data."),
    ] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Number of letters listed at most.")] = 100,
    as_json: AsJson = False,
) -> None:
    """List rejected messages, each with the reason; --json shows the field at fault too.

    Examples:

      consentric dead-letters list

      consentric dead-letters list --source shop --reason bad_timestamp --payload --json
    """
    letters, number = run_with_services(lambda services: read(services, source, reason, limit))
    if len(letters) < number:
        say(f"{len(letters):,} of {number:,} dead letters; see --limit, --source, --reason, --payload.")
    if as_json:
        print_json([show_letter(letter, payload=payload) for letter in letters])
        return
    columns = ["source", "reason", "message", "times", "received", *(["payload"] if payload else [])]
    rows = [
        (letter.source, letter.reason, letter.message, letter.times, show_time(letter.received_at))
        + ((letter.payload,) if payload else ())
        for letter in letters
    ]
    print_table("Dead letters", columns, rows)


@app.command("replay")
def replay(*, source: OfSource = None, reason: OfReason = None, as_json: AsJson = False) -> None:
    """Replay rejected messages after a change of policy or version. Those that are accepted leave the list.

    Examples:

      consentric dead-letters replay

      consentric dead-letters replay --reason store_refused --json
    """
    report = run_with_runtime(lambda runtime: replay_with(runtime, source, reason))
    if as_json:
        print_json({"accepted": report.accepted, "duplicate": report.duplicate, "kept": len(report.kept)})
        return
    rows = [("accepted now", report.accepted), ("accepted before", report.duplicate), ("kept", len(report.kept))]
    print_table("Replayed", ("messages", "number"), rows)


async def read(services: Services, source: str | None, reason: str | None, limit: int) -> tuple[list[DeadLetter], int]:
    """Returns the letters, up to `limit`, and the number of all. Raises NotFound or BadInput if there can't be any."""
    from api.collection.reasons import parse_reason
    from resolvers.collection.dead_letters import find_letters, list_letters

    known = parse_reason(reason) if reason else None
    number = await find_letters(services.client, source, known)
    return await list_letters(services.client, limit, source=source, reason=known), number


async def replay_with(runtime: Runtime, source: str | None, reason: str | None) -> ReplayReport:
    """Replays the letters. Raises NotFound or BadInput if there can't be any."""
    from api.collection.reasons import parse_reason
    from api.collection.replay import replay as run
    from resolvers.collection.dead_letters import find_letters

    known = parse_reason(reason) if reason else None
    await find_letters(runtime.services.client, source, known)
    return await run(runtime, source=source, reason=known)


def show_letter(letter: DeadLetter, *, payload: bool) -> dict[str, object]:
    """Returns a letter as the JSON output shows it."""
    shown: dict[str, object] = {
        "id": letter.id,
        "source": letter.source,
        "reason": letter.reason,
        "message": letter.message,
        "field": letter.field,
        "times": letter.times,
        "received_at": show_time(letter.received_at),
    }
    return shown | {"payload": letter.payload, "truncated": letter.truncated} if payload else shown
