"""Who is at the door: a write key becomes a source, an API key or a subject's token becomes a viewer.

What lives here: admission, and the memory that saves asking the store on every request. What does not: the form of keys
(`resolvers/access/keys.py`) and tokens (`resolvers/access/tokens.py`), reading HTTP headers (`api/auth.py`), what a
viewer may see (`privacy/gate.py`).

What the store says of a credential is remembered for `MEMORY_SECONDS`, counted from before it was asked. So a
revocation holds for every request that starts `MEMORY_SECONDS` after its commit, or later: a set clock asserts it in
`tests/resolvers/access/test_credentials.py`. Refusals are never remembered: a new key works at once.
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
from graph.model.access import Client, Source
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.gate import Role, Viewer
from resolvers.access.keys import KeyHasher, KeyKind, parse_key
from resolvers.access.tokens import SubjectClaims, TokenVerifier

T = TypeVar("T")

MEMORY_SECONDS: Final = 1.0
MEMORY_ENTRIES: Final = 4096
BAD_WRITE_KEY: Final = "The write key is unknown or revoked: check it, or make one with `consentric source create`."
BAD_CREDENTIAL: Final = "The credential is unknown, revoked or expired: send an API key or a subject token as Bearer."

PURPOSE_BOUND: Final = frozenset({Role.FRONTEND, Role.PARTNER})
"""Roles that see a person only under one purpose, so that a request must say which."""

TOKEN_ROLES: Final = frozenset({Role.SUBJECT, Role.FRONTEND})
"""Roles of clients that a subject's token may come through."""


@dataclass(frozen=True, slots=True)
class Admission:
    """A viewer, and when the credential ends by itself (None: it does not)."""

    viewer: Viewer
    expires_at: Millis | None = None


class ShortMemory(Generic[T]):
    """What the store answered a moment ago, bounded in time and number. Requests for the same thing at the same time
    share one question."""

    def __init__(self, ask: Callable[[str], Awaitable[T | None]], monotonic: Callable[[], float]) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._asked: dict[str, tuple[float, asyncio.Task[T | None]]] = {}

    async def recall(self, key: str) -> T | None:
        """The answer, asked for at most `MEMORY_SECONDS` ago."""
        now = self._monotonic()
        known = self._asked.get(key)
        if known is None or now - known[0] >= MEMORY_SECONDS:
            known = (now, asyncio.ensure_future(self._question(key)))
            self._asked.pop(key, None)
            self._asked[key] = known
            while len(self._asked) > MEMORY_ENTRIES:
                self._asked.pop(next(iter(self._asked)))
        try:
            answer = known[1].result() if known[1].done() else await asyncio.shield(known[1])
        except Exception:
            self._forget(key, known)
            raise
        if answer is None:
            self._forget(key, known)
        return answer

    async def _question(self, key: str) -> T | None:
        return await self._ask(key)

    def _forget(self, key: str, known: tuple[float, asyncio.Task[T | None]]) -> None:
        if self._asked.get(key) is known:
            del self._asked[key]


class Authority:
    """Admits sources and viewers. Every refusal of a kind has one text, whatever the reason."""

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
        self._sources = ShortMemory(lambda key_id: read_source_by_key(client, key_id), monotonic)
        self._clients = ShortMemory(lambda key_id: read_client_by_key(client, key_id), monotonic)
        self._names = ShortMemory(lambda name: read_client(client, name), monotonic)

    async def admit_source(self, write_key: str) -> Source:
        """The source that a write key opens. Raises Unauthenticated."""
        key = parse_key(write_key, KeyKind.WRITE)
        found = await self._sources.recall(key.id) if key else None
        if key is None or found is None or not self._hasher.matches(key, found[0]):
            raise Unauthenticated(BAD_WRITE_KEY)
        return found[1]

    async def admit_viewer(self, credential: str, purpose: str | None = None) -> Admission:
        """The viewer that an API key or a subject's token stands for. `purpose` is the one the request picks.

        Raises Unauthenticated; PurposeRequired or Forbidden for the purpose.
        """
        if credential.startswith(f"{KeyKind.API}_"):
            return Admission(view_client(await self._admit_client(credential), purpose))
        claims = self._verifier.verify(credential, self._clock())
        client = await self._names.recall(claims.client)
        if client is None or client.revoked_at is not None or client.role not in TOKEN_ROLES:
            raise Unauthenticated(BAD_CREDENTIAL)
        return Admission(view_subject(client, claims, purpose), claims.expires_at)

    async def _admit_client(self, api_key: str) -> Client:
        key = parse_key(api_key, KeyKind.API)
        found = await self._clients.recall(key.id) if key else None
        if key is None or found is None or not self._hasher.matches(key, found[0]):
            raise Unauthenticated(BAD_CREDENTIAL)
        return found[1]


def view_client(client: Client, purpose: str | None) -> Viewer:
    """A client as a viewer of its own, by its API key."""
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
    """A person who comes through a client: always with the role of a subject, never with the client's own scopes."""
    return Viewer(
        client=client.name,
        role=Role.SUBJECT,
        purpose=choose_purpose(Role.SUBJECT, client.purposes, purpose),
        recipient=None,
        subject=claims.subject,
        scopes=frozenset(),
    )


def choose_purpose(role: Role, registered: tuple[str, ...], asked: str | None) -> str | None:
    """The one purpose of a request: as asked for, if it is registered; else the only one there is. Roles that are not
    bound to a purpose may go without."""
    if asked:
        if asked not in registered:
            raise Forbidden("The purpose in Consentric-Purpose is not registered for this client.")
        return asked
    if len(registered) == 1:
        return registered[0]
    if role in PURPOSE_BOUND:
        raise PurposeRequired(
            "The client has several purposes: pick one with the header Consentric-Purpose "
            f"({', '.join(registered) or 'none is registered'})."
        )
    return None
