"""`consentric resolve` and `consentric refresh`: recompute what is derived from the whole graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from api.cli.console import AsJson, count_of, print_json, print_table, read_instant_option, say, show_progress
from api.cli.running import run_with_services

if TYPE_CHECKING:
    from collections.abc import Callable

    from resolvers.context import Services
    from resolvers.identity.batch import LinkageReport
    from resolvers.refresh import RefreshReport


def resolve(as_json: AsJson = False) -> None:
    """Recompute linkage over all records. Messages are linked as they arrive; run this after the rules have changed.

    The result is the same as that of linking on arrival, whatever the order. It can run alongside a server.

    Example: consentric resolve --json
    """
    from resolvers.identity.candidates import advise_proof

    with show_progress("records", hidden=as_json) as advance:
        report = run_with_services(lambda services: resolve_with(services, advance))
    if as_json:
        print_json(report)
        return
    rows = [
        ("source records", report.records),
        ("people", report.users),
        ("links in force", report.links),
        *((f"devices that count for an account: {grade}", number) for grade, number in report.devices.items()),
        *((f"candidates by {kind}", number) for kind, number in report.candidates.pairs.items()),
        *((f"refused: {reason}", number) for reason, number in report.refused.items()),
        ("links opened now", report.opened),
        ("links ended now", report.ended),
        ("people merged now", report.merged),
        ("people split now", report.split),
        ("skipped, neighbourhood too large", report.deferred),
    ]
    print_table("Linkage", ("", "number"), rows)
    for advice in advise_proof(report.candidates):
        say(advice)


def refresh(
    *,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="End of the RFM window, such as 1998-04-23 [now].")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Recompute recommendations, RFM, high-value buyers and communities from the data of people who permit it.

    Running servers load the new model within seconds.

    Examples:

      consentric refresh

      consentric refresh --as-of 1998-04-23 --json
    """
    from resolvers.refresh import RefreshConfig, refresh_all

    config = RefreshConfig(as_of=read_instant_option("--as-of", as_of))
    report = run_with_services(lambda services: refresh_all(services, config))
    if as_json:
        print_json(report)
    else:
        print_report(report)


async def resolve_with(services: Services, advance: Callable[[int], None]) -> LinkageReport:
    """Resolves all records. Calls `advance` with the number of records done."""
    from resolvers.identity.batch import resolve_all

    return await resolve_all(services.client, services.policy, services.clock, progress=advance)


def print_report(report: RefreshReport) -> None:
    """Prints the report as a table."""
    walk, rfm, found = report.walk, report.rfm, report.communities
    rows = [
        (
            "recommendations",
            walk.people,
            f"{count_of(walk.items, 'item', 'items')}, {count_of(walk.interactions, 'interaction', 'interactions')}",
            report.seconds["walk"],
        ),
        (
            "RFM",
            rfm.people,
            count_of(rfm.high_value, "high-value buyer", "high-value buyers"),
            report.seconds["rfm"],
        ),
        (
            "communities",
            found.people,
            f"{count_of(len(found.communities), 'community', 'communities')}, modularity {found.modularity:.2f}",
            report.seconds["communities"],
        ),
    ]
    print_table("Refreshed", ("what", "people", "came to", "seconds"), rows)
