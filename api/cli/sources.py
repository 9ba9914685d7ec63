"""`consentric source`: systems that send messages, and their write keys."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.console import AsJson, print_json, print_table, print_text, say, show_time
from api.cli.running import run_with_services

app = typer.Typer(help="Register, list and revoke systems that send messages.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The source's name, such as shop or crm.")]


@app.command("create")
def create(
    name: Name,
    user_namespace: Annotated[
        str,
        typer.Option(
            "--user-namespace",
            metavar="NAME",
            help="Namespace for the user IDs of this source. Without it, the same userId in two sources is the same "
            "person.",
        ),
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Register a source and print its write key. The key is shown only once.

    Segment's libraries send the key as the user name of HTTP Basic authentication, and so should other senders. After a
    key is revoked, the same command creates a new one.

    Examples:

      consentric source create shop

      consentric source create crm --user-namespace crm --json
    """
    from resolvers.access.registration import register_source

    made = run_with_services(lambda services: register_source(services, name, user_namespace))
    if as_json:
        print_json({"source": made.source.name, "write_key": made.write_key})
        return
    print_text(made.write_key)
    say(f"Source {name} is registered. Store the write key above: it is not shown again.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List sources with the IDs of their valid keys, without the keys.

    Example: consentric source list --json
    """
    from resolvers.access.registration import list_sources

    sources = run_with_services(list_sources)
    if as_json:
        print_json(
            [
                {
                    "source": source.name,
                    "user_namespace": source.user_namespace,
                    "created_at": show_time(source.created_at),
                    "key_ids": list(source.keys),
                }
                for source in sources
            ]
        )
        return
    rows = [
        (
            source.name,
            source.user_namespace or "(shared)",
            show_time(source.created_at),
            ", ".join(source.keys) or "none",
        )
        for source in sources
    ]
    print_table("Sources", ("name", "user namespace", "created", "valid keys"), rows)


@app.command("revoke")
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Revoke a source's write key. Its data stays; running servers refuse the key within a second.

    Example: consentric source revoke shop
    """
    from resolvers.access.registration import revoke_source

    revoked = run_with_services(lambda services: revoke_source(services, name))
    if as_json:
        print_json({"source": name, "revoked_key_ids": revoked})
    else:
        say(f"The write key of source {name} is revoked." if revoked else f"Source {name} had no valid key.")
