"""Manifests: whose data a computation used, in a form that can be kept and asked without listing the people.

Membership is kept in a Bloom filter: Bloom 1970, "Space/Time Trade-offs in Hash Coding with Allowable Errors", Comm.
ACM 13(7). It takes three bytes a person, never misses one, and wrongly includes one in 100,000 others; the ID of the
run is its salt, so that each run includes different ones. Somebody wrongly included costs a computation, and many who
were never used may refuse each minute.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b, sha256
from typing import Final

import numpy as np

from algorithms.arrays import Ints
from graph.model.identity import UserId
from graph.model.recommendation import RunId

BITS_PER_PERSON: Final = 24
HASHES: Final = 16


@dataclass(frozen=True, slots=True)
class Manifest:
    """Whose data a run used: how many people, the highest consent epoch among them, the SHA-256 of their IDs, and the
    filter that tells whether somebody may be among them, as Base64."""

    people: int
    epoch: int
    people_sha256: str
    members: str


def make_manifest(run: RunId, people: Collection[UserId], epochs: Mapping[UserId, int]) -> Manifest:
    """Makes the manifest of a run. The hash is over the IDs, sorted, one per line. O(people)."""
    digest = sha256("".join(f"{user}\n" for user in sorted(people)).encode()).hexdigest()
    epoch = max((epochs[user] for user in people), default=0)
    bits = np.zeros(8 * max(1, -(-BITS_PER_PERSON * len(people) // 8)), dtype=np.bool_)
    for user in people:
        bits[_places(run, user, len(bits))] = True
    return Manifest(len(people), epoch, digest, b64encode(np.packbits(bits).tobytes()).decode())


def find_members(members: str, run: RunId, users: Iterable[UserId]) -> set[UserId]:
    """Returns which of these people a run may have used: all that it used, and one in 100,000 others."""
    bits = np.unpackbits(np.frombuffer(b64decode(members), dtype=np.uint8))
    return {user for user in users if len(bits) and bits[_places(run, user, len(bits))].all()}


def _places(run: RunId, user: UserId, size: int) -> Ints:
    digest = blake2b(f"{run}\0{user}".encode(), digest_size=4 * HASHES).digest()
    return np.frombuffer(digest, dtype=np.uint32).astype(np.int64) % size
