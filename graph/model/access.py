"""Sources, which may send, and clients, which may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, Generic, NamedTuple, TypeVar

from graph.model.time import Millis

T = TypeVar("T")


class Trust(StrEnum):
    """What a source's statements are worth. PUBLIC: a browser, an app, or a relay of what they send; anybody can write.
    SERVER: the company's own back end. RECORD: a system of record, such as a CRM."""

    PUBLIC = "public"
    SERVER = "server"
    RECORD = "record"


ALWAYS: Final = Millis(0)
"""Since when a source checks what it has always checked."""

Verified = Mapping[str, Millis]
"""The kinds of contact data that a source checks (`email`, `phone`): for each, the receipt from which on it did."""


def pair_verified(kinds: Sequence[str] | None, since: Sequence[int] | None) -> dict[str, Millis]:
    """Returns the kinds as they are stored: a kind without an instant has always been checked."""
    instants = dict(enumerate(since or ()))
    return {kind: Millis(instants.get(place, ALWAYS)) for place, kind in enumerate(kinds or ())}


@dataclass(frozen=True, slots=True)
class Source:
    """A system that sends messages. `user_namespace` is the namespace of its user IDs, empty if they mean the same
    people in all such sources. `keys` are the public IDs of its valid write keys.

    `verifies` are the kinds of contact data that it checks, and since when, `jurisdiction` what its records state when
    they state none. `trust_epoch` increases when its trust is lowered; until `settled_epoch` has caught up, what
    rested on it is being derived again. `hash_generation` numbers the key of its user hashes, and `hash_rotated_at` is
    when that generation began. `static_hash` tells whether it takes hashes of the user ID alone, for behaviour.
    """

    name: str
    user_namespace: str = ""
    created_at: Millis = Millis(0)
    keys: tuple[str, ...] = ()
    trust: Trust = Trust.SERVER
    verifies: Verified = field(default_factory=dict)
    jurisdiction: str | None = None
    trust_epoch: int = 0
    settled_epoch: int = 0
    hash_generation: int = 1
    hash_rotated_at: Millis = Millis(0)
    static_hash: bool = False

    @property
    def settled(self) -> bool:
        """Whether everything that rests on its trust has been derived since the trust was last lowered."""
        return self.settled_epoch >= self.trust_epoch


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
