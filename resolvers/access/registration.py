"""Registering, listing and revoking sources and clients. A key is shown only once, when it is made."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from algorithms.identity.grades import CONTACT_KINDS
from graph.access.clients import claim_client_name, read_client, read_clients, write_client, write_client_revocation
from graph.access.sources import (
    read_source,
    read_source_keys,
    read_sources,
    revoke_source_keys,
    write_source,
    write_source_key,
)
from graph.errors import BadInput, Conflict, NotFound
from graph.model.access import ALWAYS, Client, Source, Trust
from graph.model.identity import RecordRef
from graph.model.time import Millis
from graph.store.client import Writer
from privacy.gate import VALUES_SCOPE, Role
from privacy.policy import Policy
from privacy.purposes import spell_recipient
from resolvers.access.credentials import PURPOSE_BOUND, TOKEN_ROLES, kind_of_write_key
from resolvers.access.keys import Key, KeyHasher, KeyKind, make_key
from resolvers.access.proofs import derive_hash_key
from resolvers.access.tokens import LONGEST_TOKEN_SECONDS, TokenIssuer
from resolvers.context import Services

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
JURISDICTION: Final = re.compile(r"[A-Z]{2}(-[A-Z0-9]{1,3})?", re.ASCII)
SCOPES: Final = frozenset({VALUES_SCOPE})


@dataclass(frozen=True, slots=True)
class RegisteredSource:
    """A source with its new write key, which is shown only once, and the key of its user hashes if it is public."""

    source: Source
    write_key: str = field(repr=False)
    hash_key: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client with its new API key, which is shown only once."""

    client: Client
    key: str = field(repr=False)


async def register_source(
    services: Services,
    name: str,
    trust: Trust,
    *,
    verifies: Sequence[str] = (),
    user_namespace: str = "",
    jurisdiction: str | None = None,
    static_hash: bool = False,
) -> RegisteredSource:
    """Registers a source, or makes a new key for one whose key is revoked. It has always checked what it `verifies`:
    nothing was received before.

    Raises BadInput if a value is unusable, Conflict if the source has a valid key or is registered otherwise.
    """
    check_name("source", name)
    if user_namespace:
        check_name("namespace", user_namespace)
    now = services.clock()
    wanted = check_source(
        Source(
            name,
            user_namespace,
            now,
            trust=trust,
            verifies=dict.fromkeys(verifies, ALWAYS),
            jurisdiction=jurisdiction,
            static_hash=static_hash,
        )
    )
    key = make_key(kind_of_write_key(trust))

    async def work(tx: Writer) -> Source:
        stored = await write_source(tx, wanted)
        if stored.user_namespace != user_namespace:
            namespace = stored.user_namespace
            advice = f"add --namespace {namespace}" if namespace else "leave out --namespace"
            raise Conflict(f"The user IDs of source {name} have another namespace, which can't change: {advice}.")
        known = (stored.trust, stored.verifies.keys(), stored.jurisdiction, stored.static_hash)
        if known != (trust, wanted.verifies.keys(), wanted.jurisdiction, static_hash):
            raise Conflict(f"Source {name} is registered otherwise: change it with `consentric source set {name}`.")
        if await read_source_keys(tx, name):
            raise Conflict(f"Source {name} has a write key: revoke it first (`consentric source revoke {name}`).")
        await write_key(services, tx, stored, key, now)
        return stored

    return complete_source(services, await services.client.write(work), key)


async def write_key(services: Services, tx: Writer, source: Source, key: Key, now: Millis) -> None:
    """Stores a new write key of a source."""
    await write_source_key(tx, source.name, key.id, KeyHasher(services.secret).hash(key), now)


def complete_source(services: Services, source: Source, key: Key) -> RegisteredSource:
    """Returns a source with its new write key and, if it is public, the current key of its user hashes."""
    public = source.trust is Trust.PUBLIC
    hash_key = derive_hash_key(services.secret, source.name, source.hash_generation).text if public else None
    return RegisteredSource(replace(source, keys=(key.id,)), key.text, hash_key)


def check_source(source: Source) -> Source:
    """Returns the source with its texts in canonical form. Raises BadInput if its trust and what else is stated about
    it don't fit together."""
    verifies = dict(sorted(source.verifies.items()))
    if any(kind not in CONTACT_KINDS for kind in verifies):
        raise BadInput("A source can verify email and phone.")
    if verifies and source.trust is not Trust.SERVER:
        raise BadInput("Only a server verifies kinds: a public source can't, and a system of record verifies all.")
    if source.static_hash and source.trust is not Trust.PUBLIC:
        raise BadInput("Only a public source takes static hashes: the user IDs of others need no proof.")
    jurisdiction = (source.jurisdiction or "").strip().upper().replace("_", "-") or None
    if jurisdiction is not None and not JURISDICTION.fullmatch(jurisdiction):
        raise BadInput("The jurisdiction must be a country, or a country and a region, such as DE or US-CA.")
    return replace(source, verifies=verifies, jurisdiction=jurisdiction)


async def list_sources(services: Services) -> list[Source]:
    """Returns all sources, including those without a valid key."""
    return await read_sources(services.client)


async def revoke_source(services: Services, name: str) -> list[str]:
    """Revokes a source's write keys and returns their IDs. What the source has sent is kept. Raises NotFound if there
    is no such source."""
    now = services.clock()
    revoked = await services.client.write(lambda tx: revoke_source_keys(tx, name, now))
    if not revoked and await read_source(services.client, name) is None:
        raise no_source(name)
    return revoked


async def register_client(
    services: Services,
    name: str,
    role: str,
    purposes: Sequence[str] = (),
    *,
    recipient: str | None = None,
    scopes: Sequence[str] = (),
) -> RegisteredClient:
    """Registers a client for a role and purposes. Raises BadInput if they don't fit together, Conflict if the name has
    been used before."""
    check_name("client", name)
    now = services.clock()
    recipient = None if recipient is None else spell_recipient(recipient)
    known = check_role(role)
    client = Client(
        name=name,
        role=known.value,
        purposes=check_purposes(services.policy, known, purposes, recipient),
        recipient=recipient,
        scopes=check_scopes(scopes, purposes),
        created_at=now,
    )
    key: Key = make_key(KeyKind.API)
    key_hash = KeyHasher(services.secret).hash(key)

    async def work(tx: Writer) -> None:
        if not await claim_client_name(tx, name):
            raise Conflict(f"A client {name} was registered before, and names are never reused: choose another.")
        await write_client(tx, client, key.id, key_hash)

    await services.client.write(work)
    return RegisteredClient(client, key.text)


async def list_clients(services: Services) -> list[Client]:
    """Returns all clients, including revoked ones."""
    return await read_clients(services.client)


async def revoke_client(services: Services, name: str) -> bool:
    """Revokes a client, its keys and every token that names it. Returns False if it was revoked already.

    Raises NotFound if there is no such client.
    """
    now = services.clock()
    if await services.client.write(lambda tx: write_client_revocation(tx, name, now)):
        return True
    if await read_client(services.client, name) is None:
        raise NotFound(f"There is no client {quote_name(name)}: `consentric client list` shows all clients.")
    return False


async def issue_token(
    services: Services,
    issuer: TokenIssuer,
    client_name: str,
    subject: RecordRef,
    seconds: int,
    *,
    longest: int = LONGEST_TOKEN_SECONDS,
) -> str:
    """Signs a subject token for a client with the role subject or frontend, valid for `seconds`, at most `longest`.

    Raises NotFound if there is no such client or source, BadInput if the token can't be issued as requested.
    """
    if not 1 <= seconds <= longest:
        raise BadInput(f"A token's lifetime must be 1 to {longest} seconds.")
    if not subject.key:
        raise BadInput("Give the person's user ID or anonymous ID: it is empty.")
    client = await read_client(services.client, client_name)
    if client is None or client.revoked_at is not None:
        raise NotFound(f"There is no client {quote_name(client_name)} in use: see `consentric client list`.")
    if client.role not in TOKEN_ROLES:
        raise BadInput(f"Client {client_name} has role {client.role}; tokens are for roles subject and frontend.")
    if await read_source(services.client, subject.source) is None:
        raise NotFound(f"There is no source {quote_name(subject.source)}: see `consentric source list`.")
    return issuer.sign(client_name, subject, services.clock(), seconds)


def check_name(what: str, name: str) -> None:
    """Raises BadInput unless a name is short and plain: it appears in IDs, in headers and on command lines."""
    if not NAME.fullmatch(name):
        raise BadInput(
            f"The {what}'s name must be 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or digit."
        )


def quote_name(name: str) -> str:
    """Returns a name for use in a message. An invalid name isn't repeated."""
    return name if NAME.fullmatch(name) else "of that name"


def no_source(name: str) -> NotFound:
    """Returns the error for a source that is not registered."""
    return NotFound(f"There is no source {quote_name(name)}: `consentric source list` shows all sources.")


def check_role(role: str) -> Role:
    """Returns the role. Raises BadInput if it is unknown."""
    if role not in set(Role):
        raise BadInput(f"The role must be {one_of(Role)}.")
    return Role(role)


def check_purposes(policy: Policy, role: Role, purposes: Sequence[str], recipient: str | None) -> tuple[str, ...]:
    """Returns the purposes to register a client for, each once. Raises BadInput if they don't fit its role.

    Partners are registered for purposes with a recipient, all other clients for purposes without one. Front-ends and
    partners need at least one purpose.
    """
    known = {key: purpose.per_recipient for key, purpose in policy.purposes.items()}
    partner = role is Role.PARTNER
    if partner and recipient is None:
        raise BadInput("A partner needs a recipient: the name that people give their consent for (--recipient NAME).")
    if not partner and recipient is not None:
        raise BadInput("Only a partner has a recipient.")
    fitting = [key for key, per_recipient in known.items() if per_recipient is partner]
    chosen = tuple(dict.fromkeys(purposes)) or (tuple(fitting) if partner and len(fitting) == 1 else ())
    if any(purpose not in fitting for purpose in chosen):
        raise BadInput(f"A purpose of a client of role {role} must be {one_of(fitting)}.")
    if not chosen and role in PURPOSE_BOUND:
        raise BadInput(f"A client of role {role} needs a purpose (--purpose): {one_of(fitting)}.")
    for purpose in chosen:
        policy.permit(purpose, recipient)
    return chosen


def one_of(names: Iterable[str]) -> str:
    """Returns the choice between names, as a message states it."""
    known = list(names)
    return known[0] if len(known) == 1 else f"one of {', '.join(known)}"


def check_scopes(scopes: Sequence[str], purposes: Sequence[str]) -> tuple[str, ...]:
    """Returns the scopes, each once. Raises BadInput if one is unknown, or if there is no purpose to see values for."""
    if any(scope not in SCOPES for scope in scopes):
        raise BadInput(f"A scope must be {one_of(sorted(SCOPES))}.")
    if scopes and not purposes:
        raise BadInput(f"The scope {VALUES_SCOPE} shows what a purpose may see: name one (--purpose).")
    return tuple(dict.fromkeys(scopes))
