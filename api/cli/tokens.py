"""`consentric token`: a subject token (a JWT) for one person, as the shop's own sign-in would issue it."""

from __future__ import annotations

from typing import Annotated

import typer

from api.cli.console import AsJson, print_json, print_text
from api.cli.running import run_with_services


def token(
    *,
    client: Annotated[str, typer.Option("--client", metavar="NAME", help="A client of role subject or frontend.")],
    source: Annotated[str, typer.Option("--source", metavar="S", help="The source that knows the person.")],
    user_id: Annotated[str | None, typer.Option("--user-id", metavar="U", help="The person's userId …")] = None,
    anonymous_id: Annotated[str | None, typer.Option("--anonymous-id", metavar="A", help="… or anonymousId.")] = None,
    ttl: Annotated[
        int,
        typer.Option("--ttl", metavar="SECONDS", help="Lifetime of the token, up to CONSENTRIC_TOKEN_SECONDS."),
    ] = 3600,
    as_json: AsJson = False,
) -> None:
    """Sign a token that lets one person query `me`. Requests send it as `Authorization: Bearer TOKEN`.

    For testing, and for front-ends whose server calls this command. If a front-end has an identity provider, list that
    in CONSENTRIC_TRUSTED_ISSUERS instead; its tokens have the claims iss, aud, exp, client, source, and userId or
    anonymousId.

    Examples:

      consentric token --client web --source shop --user-id u-17

      consentric token --client web --source shop --anonymous-id 5b9c --ttl 600 --json
    """
    from api.process.keystore import open_keys
    from api.process.runtime import own_issuer
    from api.process.settings import load_settings
    from graph.errors import BadInput
    from graph.model.identity import RecordKind, RecordRef
    from resolvers.access.registration import issue_token

    if user_id is not None and anonymous_id is None:
        subject = RecordRef(source, RecordKind.USER, user_id)
    elif anonymous_id is not None and user_id is None:
        subject = RecordRef(source, RecordKind.ANONYMOUS, anonymous_id)
    else:
        raise BadInput("Give either --user-id or --anonymous-id.")
    settings = load_settings()
    issuer = own_issuer(settings, open_keys(settings))
    signed = run_with_services(
        lambda services: issue_token(services, issuer, client, subject, ttl, longest=settings.token_seconds)
    )
    if as_json:
        print_json({"token": signed})
    else:
        print_text(signed)
