"""`consentric client`: programs that read or manage the graph, and their API keys."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.console import AsJson, print_json, print_table, print_text, say, show_time
from api.cli.running import run_with_services

app = typer.Typer(help="Register, list and revoke programs that read or manage the graph.", no_args_is_help=True)
Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The client's name, such as web or acme. A name is never reused.")
]


@app.command("create")
def create(
    name: Name,
    *,
    role: Annotated[
        str, typer.Option("--role", metavar="ROLE", help="subject, frontend, partner, auditor or operator.")
    ],
    purpose: Annotated[
        list[str] | None,
        typer.Option("--purpose", metavar="P", help="A purpose of the policy, such as personalisation. Repeatable."),
    ] = None,
    recipient: Annotated[
        str | None,
        typer.Option("--recipient", metavar="R", help="For partners: the recipient that people consent to share with."),
    ] = None,
    scope: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", metavar="S", help="`values` lets an auditor with a purpose see the values of fields. Repeatable."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register a client and print its API key. The key is shown only once.

    Requests send the key in the header `Authorization: Bearer KEY`. If a client has several purposes, each request
    chooses one with the header `Consentric-Purpose`. Partners are registered for sharing with their recipient. For
    people in a browser or an app, use `consentric token`.

    Names are never reused, not even after `client revoke`: if a key is lost, register the program under another name.

    Examples:

      consentric client create web --role frontend --purpose personalisation --purpose service

      consentric client create acme --role partner --recipient acme --json

      consentric client create audit --role auditor
    """
    from resolvers.access.registration import register_client

    made = run_with_services(
        lambda services: register_client(services, name, role, purpose or (), recipient=recipient, scopes=scope or ())
    )
    if as_json:
        print_json({"client": made.client.name, "key": made.key})
        return
    print_text(made.key)
    purposes = f", for {', '.join(made.client.purposes)}" if made.client.purposes else ""
    say(f"Client {name} is registered with the role {role}{purposes}.")
    say("Store the API key above: it is not shown again.")


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List clients, including revoked ones, without their keys.

    Example: consentric client list --json
    """
    from resolvers.access.registration import list_clients

    clients = run_with_services(list_clients)
    if as_json:
        print_json(
            [
                {
                    "client": client.name,
                    "role": client.role,
                    "purposes": list(client.purposes),
                    "recipient": client.recipient,
                    "scopes": list(client.scopes),
                    "created_at": show_time(client.created_at),
                    "revoked_at": show_time(client.revoked_at),
                }
                for client in clients
            ]
        )
        return
    rows = [
        (
            client.name,
            client.role,
            ", ".join(client.purposes),
            client.recipient,
            ", ".join(client.scopes),
            show_time(client.created_at),
            show_time(client.revoked_at),
        )
        for client in clients
    ]
    print_table("Clients", ("name", "role", "purposes", "recipient", "scopes", "created", "revoked"), rows)


@app.command("revoke")
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Revoke a client's API key and every token that names the client. Running servers refuse them within a second.

    Example: consentric client revoke acme
    """
    from resolvers.access.registration import revoke_client

    revoked = run_with_services(lambda services: revoke_client(services, name))
    if as_json:
        print_json({"client": name, "revoked": revoked})
    else:
        say(f"Client {name} is revoked." if revoked else f"Client {name} was already revoked.")
