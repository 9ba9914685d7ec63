"""Admission: a write key becomes a source; an API key or a subject token becomes a viewer.

What the store holds about a credential is cached for `CACHE_SECONDS`, counted from before the store is queried. A
revocation therefore holds for every request that starts `CACHE_SECONDS` or more after its commit. Refusals are never
cached, so a new key works at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from graph.access.clients import read_client, read_client_by_key
from graph.access.sources import read_source_by_key
from graph.errors import Forbidden, PurposeRequired, Unauthenticated
from graph.model.access import Client, Source, Trust
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import Role, Viewer
from resolvers.access.keys import KeyHasher, KeyKind, parse_key
from resolvers.access.proofs import ProofVerifier
from resolvers.access.tokens import SubjectClaims, TokenVerifier

T = TypeVar("T")

CACHE_SECONDS: Final = 1.0
CACHE_ENTRIES: Final = 4096
BAD_WRITE_KEY: Final = "The write key is unknown or revoked: check it, or make one with `consentric source create`."
API_KEY_SENT: Final = "This is a client's API key, which is for /graphql: send a source's write key, cwk_… or cpk_…."
WRITE_KEY_SENT: Final = (
    "This is a source's write key, which is for /v1: send a client's API key, cak_…, or a subject token as Bearer."
)
WRITE_PREFIXES: Final = (f"{KeyKind.WRITE}_", f"{KeyKind.PUBLIC}_")
API_PREFIX: Final = f"{KeyKind.API}_"
BAD_CREDENTIAL: Final = "The credential is unknown, revoked or expired: send an API key or a subject token as Bearer."

PURPOSE_BOUND: Final = frozenset({Role.FRONTEND, Role.PARTNER})
"""Roles that see a person under one purpose only. Their requests must name it if the client has several."""

TOKEN_ROLES: Final = frozenset({Role.SUBJECT, Role.FRONTEND})
"""Roles of the clients that a subject token may name."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A viewer, and when the credential expires (None: never)."""

    viewer: Viewer
    expires_at: Millis | None = None


class CredentialCache(Generic[T]):
    """A cache of what the store returned, bounded in age and size. Concurrent requests for one key share one query."""

    def __init__(self, query: Callable[[str], Awaitable[T | None]], monotonic: Callable[[], float]) -> None:
        self._query = query
        self._monotonic = monotonic
        self._entries: dict[str, tuple[float, asyncio.Task[T | None]]] = {}

    async def find(self, key: str) -> T | None:
        """Returns what the store holds under a key, at most `CACHE_SECONDS` old. None if it holds nothing."""
        now = self._monotonic()
        entry = self._entries.get(key)
        if entry is None or now - entry[0] >= CACHE_SECONDS:
            entry = (now, asyncio.ensure_future(self._run_query(key)))
            self._entries.pop(key, None)
            self._entries[key] = entry
            while len(self._entries) > CACHE_ENTRIES:
                self._entries.pop(next(iter(self._entries)))
        try:
            found = entry[1].result() if entry[1].done() else await asyncio.shield(entry[1])
        except Exception:
            self._drop(key, entry)
            raise
        if found is None:
            self._drop(key, entry)
        return found

    async def _run_query(self, key: str) -> T | None:
        return await self._query(key)

    def _drop(self, key: str, entry: tuple[float, asyncio.Task[T | None]]) -> None:
        if self._entries.get(key) is entry:
            del self._entries[key]


class Authority:
    """Admits sources and viewers; `proofs` verifies what messages carry. The text of a refusal reveals no more than the
    kind of the key, which its prefix shows."""

    def __init__(
        self,
        client: GraphClient,
        secret: bytes,
        verifier: TokenVerifier,
        clock: Callable[[], Millis],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hasher = KeyHasher(secret)
        self._verifier = verifier
        self._clock = clock
        self._sources = CredentialCache(lambda key_id: read_source_by_key(client, key_id), monotonic)
        self._clients = CredentialCache(lambda key_id: read_client_by_key(client, key_id), monotonic)
        self._names = CredentialCache(lambda name: read_client(client, name), monotonic)
        self.proofs: Final = ProofVerifier(secret, verifier, self._find_token_client)

    async def admit_source(self, write_key: str) -> Source:
        """Returns the source that a write key belongs to. Raises Unauthenticated if the key is unknown or revoked, or
        is not of the kind that the source's trust requires."""
        if write_key.startswith(API_PREFIX):
            raise Unauthenticated(API_KEY_SENT)
        key = parse_key(write_key, KeyKind.PUBLIC) or parse_key(write_key, KeyKind.WRITE)
        found = await self._sources.find(key.id) if key else None
        if key is None or found is None or not self._hasher.matches(key, found.hash):
            raise Unauthenticated(BAD_WRITE_KEY)
        if key.kind is not kind_of_write_key(found.owner.trust):
            raise Unauthenticated(BAD_WRITE_KEY)
        return found.owner

    async def admit_viewer(self, credential: str, purpose: str | None = None) -> Admission:
        """Returns the viewer behind an API key or a subject token. `purpose` is the one that the request names, if any.

        Raises Unauthenticated if the credential is invalid, PurposeRequired or Forbidden if the purpose is.
        """
        if credential.startswith(WRITE_PREFIXES):
            raise Unauthenticated(WRITE_KEY_SENT)
        if credential.startswith(API_PREFIX):
            return Admission(view_client(await self._admit_client(credential), purpose))
        claims = self._verifier.verify(credential, self._clock())
        client = await self._find_token_client(claims.client)
        if client is None:
            raise Unauthenticated(BAD_CREDENTIAL)
        return Admission(view_subject(client, claims, purpose), claims.expires_at)

    async def _find_token_client(self, name: str) -> Client | None:
        """Returns the client that a token names. None if it is unknown or revoked, or tokens may not name it."""
        client = await self._names.find(name)
        valid = client is not None and client.revoked_at is None and client.role in TOKEN_ROLES
        return client if valid else None

    async def _admit_client(self, api_key: str) -> Client:
        key = parse_key(api_key, KeyKind.API)
        found = await self._clients.find(key.id) if key else None
        if key is None or found is None or not self._hasher.matches(key, found.hash):
            raise Unauthenticated(BAD_CREDENTIAL)
        return found.owner


def kind_of_write_key(trust: Trust) -> KeyKind:
    """Returns the kind of a source's write keys. Public keys can be told apart, because everybody may see them."""
    return KeyKind.PUBLIC if trust is Trust.PUBLIC else KeyKind.WRITE


def view_client(client: Client, purpose: str | None) -> Viewer:
    """Returns the viewer for a client that uses its own API key."""
    role = Role(client.role)
    return Viewer(
        client=client.name,
        role=role,
        purpose=choose_purpose(role, client.purposes, purpose),
        recipient=client.recipient,
        subject=None,
        scopes=frozenset(client.scopes),
    )


def view_subject(client: Client, claims: SubjectClaims, purpose: str | None) -> Viewer:
    """Returns the viewer for a person who uses a client: a subject, without the client's own scopes."""
    return Viewer(
        client=client.name,
        role=Role.SUBJECT,
        purpose=choose_purpose(Role.SUBJECT, client.purposes, purpose),
        recipient=None,
        subject=claims.subject,
        scopes=frozenset(),
        sources=claims.sources,
    )


def choose_purpose(role: Role, registered: tuple[str, ...], asked: str | None) -> str | None:
    """Returns the purpose of a request: the one it names, if registered, or else the client's only one.

    Returns None for roles that need no purpose. Raises Forbidden if the purpose is not registered, PurposeRequired if
    the request must name one.
    """
    if asked:
        if asked not in registered:
            raise Forbidden("The purpose in Consentric-Purpose is not registered for this client.")
        return asked
    if len(registered) == 1:
        return registered[0]
    if role in PURPOSE_BOUND:
        raise PurposeRequired(
            "Pick one of the client's purposes with the header Consentric-Purpose "
            f"({', '.join(registered) or 'none is registered'})."
        )
    return None
