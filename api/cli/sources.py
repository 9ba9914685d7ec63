"""`consentric source`: systems that send messages, what they are trusted with, and their keys."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Final

import typer

from api.cli.console import (
    AsJson,
    print_json,
    print_table,
    print_text,
    read_instant_option,
    say,
    show_progress,
    show_time,
)
from api.cli.running import run_with_services

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from graph.model.access import Source
    from graph.model.time import Millis
    from resolvers.access.registration import RegisteredSource
    from resolvers.access.sources import ChangedSource, SourceChange
    from resolvers.context import Services

NONE: Final = "none"
"""What `source set` takes to remove a value."""

EVER: Final = "always"
"""What `source set --verified-since` takes if the source has always checked the kinds."""

app = typer.Typer(help="Register, change, list and revoke systems that send messages.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(metavar="NAME", help="The source's name, such as shop or crm.")]

Trusts = Annotated[
    str, typer.Option("--trust", metavar="TRUST", help="Required. What it is: public, server or record.")
]
NewTrust = Annotated[str, typer.Option("--trust", metavar="TRUST", help="What it is: public, server or record.")]
Kinds = Annotated[
    list[str] | None,
    typer.Option("--verifies", metavar="KIND", help="Contact data that a server checks: email, phone. Repeatable."),
]
Since = Annotated[
    str | None,
    typer.Option(
        "--verified-since",
        metavar="DATE",
        help="With --verifies: since when it has checked them, or `always`. Otherwise new kinds count from now on.",
    ),
]
Place = Annotated[
    str | None,
    typer.Option("--jurisdiction", metavar="PLACE", help="Jurisdiction of records that state none: DE, US-CA."),
]
StaticHash = Annotated[
    bool | None,
    typer.Option(
        "--static-hash/--no-static-hash",
        show_default=False,
        help="Whether a public source takes hashes of the user ID alone, which never expire. They prove behaviour "
        "only. Default: no.",
    ),
]
Namespace = Annotated[
    str,
    typer.Option(
        "--namespace",
        metavar="NAME",
        help="Namespace of its user IDs. In sources of one namespace, the same userId is the same person. Without it, "
        "they share the common one.",
    ),
]


@app.command("create")
def create(
    name: Name,
    *,
    trust: Trusts = "",
    verifies: Kinds = None,
    namespace: Namespace = "",
    jurisdiction: Place = None,
    static_hash: StaticHash = None,
    as_json: AsJson = False,
) -> None:
    """Register a source and print its write key. The key is shown only once.

    public: a browser, an app, or a relay of what they send. Anyone can write with its key, so what it states about
    people is a claim, unless a user hash proves it; the key of these hashes is printed, too.

    server: your own back end. Its user IDs are proven; its e-mail addresses and phone numbers only if it checks them
    (--verifies).

    record: a system of record, such as a CRM. Everything it states is proven.

    Segment's libraries send the key as the user name of HTTP Basic authentication, and so should other senders. After a
    key is revoked, the same command with the same options creates a new one.

    Examples:

      consentric source create site --trust public

      consentric source create shop --trust server --verifies email --jurisdiction DE

      consentric source create crm --trust record --namespace crm --json
    """
    from resolvers.access.registration import register_source
    from resolvers.access.sources import parse_trust

    known = parse_trust(trust)
    made = run_with_services(
        lambda services: register_source(
            services,
            name,
            known,
            verifies=verifies or (),
            user_namespace=namespace,
            jurisdiction=jurisdiction,
            static_hash=bool(static_hash),
        )
    )
    if as_json:
        print_json({"source": made.source.name, "trust": made.source.trust, **list_keys(made)})
        return
    print_keys(made)
    say(f"Source {name} is registered. Store the write key above: it is not shown again.")


def list_keys(made: RegisteredSource | None) -> dict[str, str]:
    """Returns the new keys of a source by their names in JSON."""
    if made is None:
        return {}
    return {"write_key": made.write_key} | ({"hash_key": made.hash_key} if made.hash_key else {})


def print_keys(made: RegisteredSource) -> None:
    """Prints the new keys of a source, one a line."""
    print_text(made.write_key)
    if made.hash_key:
        print_text(made.hash_key)
        say("The second line is the hash key, with which your server proves users (context.userHash): keep it secret.")


@app.command("set")
def set_(
    name: Name,
    *,
    trust: NewTrust = "",
    verifies: Kinds = None,
    verified_since: Since = None,
    jurisdiction: Place = None,
    static_hash: StaticHash = None,
    as_json: AsJson = False,
) -> None:
    """Change what a source is trusted with, and derive again what rests on it.

    What is left out stays as it is; `none` removes kinds or the jurisdiction. If the source may no longer do what it
    did, what rested on it does not count until everything is derived again; if that is interrupted, the same command
    continues. The namespace can't change: it is part of what is written. A change between public and any other trust
    revokes the write key and prints a new one.

    --verifies names all kinds that the source checks. What it stated of a new kind before this command stays unproven,
    unless --verified-since says that it was checked then, too.

    Examples:

      consentric source set shop --verifies email

      consentric source set shop --verifies email --verified-since 2026-01-31

      consentric source set site --trust public

      consentric source set site --static-hash

      consentric source set shop --jurisdiction none --json
    """
    from resolvers.access.sources import SourceChange, parse_trust

    change = SourceChange(
        parse_trust(trust) if trust else None,
        None if verifies is None else tuple(kind for kind in verifies if kind != NONE),
        "" if jurisdiction == NONE else jurisdiction,
        read_since(verified_since),
        static_hash,
    )

    def show_change(changed: ChangedSource) -> None:
        """Shows new keys before anything else, since it can be interrupted."""
        if as_json:
            return
        if changed.made is not None:
            print_keys(changed.made)
            say("The old write key is revoked. Store the new one above: it is not shown again.")
        say(describe_change(changed.before, changed.after))
        if changed.after.trust_epoch > changed.before.trust_epoch:
            say("Deriving again what rests on it: this waits half a minute for what was begun under the earlier trust.")

    with show_progress("records", hidden=as_json) as advance:
        made, source = run_with_services(lambda services: change_with(services, name, change, show_change, advance))
    if as_json:
        print_json(show_source(source) | list_keys(made))
    else:
        say(f"What rests on source {name} is derived again.")


def describe_change(before: Source, after: Source) -> str:
    """Returns what a source is trusted with after a change, and which kinds it no longer verifies, as a sentence."""
    facts = [str(after.trust)]
    if after.verifies:
        facts.append(f"verifies {', '.join(after.verifies)}")
    if dropped := [kind for kind in before.verifies if kind not in after.verifies]:
        facts.append(f"no longer verifies {', '.join(dropped)}")
    if after.jurisdiction:
        facts.append(f"jurisdiction {after.jurisdiction}")
    if before.static_hash or after.static_hash:
        facts.append("takes static hashes" if after.static_hash else "no longer takes static hashes")
    same = after == replace(before, trust_epoch=after.trust_epoch)
    return f"Source {after.name} is {'as before' if same else 'changed'}: {'; '.join(facts)}."


def read_since(text: str | None) -> Millis | None:
    """Returns since when a source has checked kinds; None if it isn't stated. Raises BadInput."""
    from graph.model.access import ALWAYS

    return ALWAYS if text == EVER else read_instant_option("--verified-since", text)


async def change_with(
    services: Services,
    name: str,
    change: SourceChange,
    on_change: Callable[[ChangedSource], None],
    advance: Callable[[int], None],
) -> tuple[RegisteredSource | None, Source]:
    """Changes a source and derives again what rests on it. Calls `advance` with the number of records done. Returns the
    new keys, if any, and the source."""
    from resolvers.access.registration import list_sources
    from resolvers.access.sources import change_source
    from resolvers.identity.rederive import rederive_source

    changed = await change_source(services, name, change)
    on_change(changed)
    await rederive_source(services, name, advance)
    return changed.made, next(one for one in await list_sources(services) if one.name == name)


@app.command("list")
def list_(as_json: AsJson = False) -> None:
    """List sources with what they are trusted with and the IDs of their valid keys, without the keys.

    A source whose trust was lowered is `deriving` until what rests on it is derived again; `consentric source set NAME`
    continues that.

    Example: consentric source list --json
    """
    from resolvers.access.registration import list_sources

    sources = run_with_services(list_sources)
    if as_json:
        print_json([show_source(source) for source in sources])
        return
    columns = ("name", "trust", "verifies", "namespace", "jurisdiction", "created", "valid keys", "state")
    rows = [
        (
            source.name,
            f"{source.trust}, static hash" if source.static_hash else source.trust,
            ", ".join(f"{kind} since {since}" if since else kind for kind, since in show_verified(source).items()),
            source.user_namespace or "(shared)",
            source.jurisdiction,
            show_time(source.created_at),
            "\n".join(source.keys) or "none",
            show_state(source),
        )
        for source in sources
    ]
    print_table("Sources", columns, rows, whole=("trust", "valid keys", "state"))


def show_source(source: Source) -> dict[str, object]:
    """Returns a source as JSON, without its keys."""
    return {
        "source": source.name,
        "trust": source.trust,
        "verifies": list(source.verifies),
        "verified_since": show_verified(source),
        "namespace": source.user_namespace,
        "jurisdiction": source.jurisdiction,
        "static_hash": source.static_hash,
        "created_at": show_time(source.created_at),
        "key_ids": list(source.keys),
        "state": show_state(source),
    }


def show_verified(source: Source) -> dict[str, str | None]:
    """Returns the kinds that a source checks, and since when; None: always."""
    return {kind: show_time(since) if since else None for kind, since in source.verifies.items()}


def show_state(source: Source) -> str:
    """Returns whether what rests on the source's trust is derived."""
    return "settled" if source.settled else "deriving"


@app.command("user-hash")
def user_hash(
    name: Name,
    user_id: Annotated[str, typer.Argument(metavar="USER_ID", help="The user ID that the hash proves.")],
    *,
    anonymous_id: Annotated[
        str, typer.Option("--anonymous-id", metavar="ID", help="The anonymousId of the messages, if they have one.")
    ] = "",
    days: Annotated[int, typer.Option("--days", metavar="N", help="How many days it is valid, 1 to 30.")] = 1,
    static: Annotated[
        bool, typer.Option("--static", help="Print the hash of the user ID alone, if the source takes such hashes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Print a user hash: it proves that messages of a public source are this user's (`context.userHash`).

    Your server computes such hashes with the hash key; this command helps to compare. Anyone with a hash can send in
    the user's name until it expires. A static hash never expires, knows no device, and proves behaviour only.

    Examples:

      consentric source user-hash site u17 --anonymous-id 7b0d1f9e-3c1c-4b55-9f0e-2f4f5c0a8d11

      consentric source user-hash site u17 --days 7 --json

      consentric source user-hash site u17 --static
    """
    from graph.errors import BadInput
    from resolvers.access.sources import make_static_hash, make_user_hash

    if static and anonymous_id:
        raise BadInput("A static hash is of the user ID alone: leave out --anonymous-id.")

    def make(services: Services) -> Awaitable[str]:
        if static:
            return make_static_hash(services, name, user_id)
        return make_user_hash(services, name, user_id, anonymous_id, days)

    made = run_with_services(make)
    if as_json:
        print_json({"source": name, "user_hash": made})
    else:
        print_text(made)


@app.command("rotate-hash-key")
def rotate(name: Name, as_json: AsJson = False) -> None:
    """Give the user hashes of a public source a new key and print it.

    Hashes of the previous key stay valid for 30 days, so that servers can change over. If a key has leaked, rotate
    twice: only the last two are ever valid.

    Example: consentric source rotate-hash-key site
    """
    from resolvers.access.sources import rotate_hash_key

    key = run_with_services(lambda services: rotate_hash_key(services, name))
    if as_json:
        print_json({"source": name, "hash_key": key})
        return
    print_text(key)
    say("This is the new hash key: keep it secret. Hashes of the previous key stay valid for 30 days.")


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
