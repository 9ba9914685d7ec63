"""Sources, which may send, and clients, which may read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

from graph.model.time import Millis

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Source:
    """A system that sends messages. `user_namespace` is the namespace of its user IDs, empty if they mean the same
    people in all such sources. `keys` are the public IDs of its valid write keys."""

    name: str
    user_namespace: str = ""
    created_at: Millis = Millis(0)
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Client:
    """A registered program that reads or manages the graph, with what it is registered for. A revoked client is kept,
    so that its name, which signed tokens may still carry, is never given to another client."""

    name: str
    role: str
    purposes: tuple[str, ...] = ()
    recipient: str | None = None
    scopes: tuple[str, ...] = ()
    created_at: Millis = Millis(0)
    revoked_at: Millis | None = None


class StoredKey(NamedTuple, Generic[T]):
    """What the store holds of a valid key: its hash, and the source or client it belongs to."""

    hash: str
    owner: T
