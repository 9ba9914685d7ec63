"""Changing what a registered source is trusted with, and its user hashes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from algorithms.identity.blocking import EMAIL, PHONE, USER_ID
from algorithms.identity.grades import grade_identifier
from algorithms.identity.normalise import normalise_id
from graph.access.sources import lock_source, read_source, revoke_source_keys, write_hash_generation, write_trust
from graph.errors import BadInput
from graph.model.access import ALWAYS, Source, Trust
from graph.model.identity import Grade
from graph.model.time import DAY, Millis
from graph.store.client import Writer
from resolvers.access.credentials import kind_of_write_key
from resolvers.access.keys import Key, make_key
from resolvers.access.proofs import MOST_DAYS, derive_hash_key
from resolvers.access.registration import (
    RegisteredSource,
    check_source,
    complete_source,
    no_source,
    quote_name,
    write_key,
)
from resolvers.context import Services

GRADED: Final = (USER_ID, EMAIL, PHONE)
"""Kinds whose grades depend on a source's trust in different ways; those of all others are that of a user ID."""


@dataclass(frozen=True, slots=True)
class SourceChange:
    """What to change about a source; None leaves it as it is. An empty `jurisdiction` removes it.

    `verifies` are the kinds of contact data that it checks, `verified_since` the receipt from which on it did. If that
    isn't stated, kinds that are new to the source are checked from now on: what people typed in earlier stays unproven.
    `static_hash`: whether it takes static hashes from now on.
    """

    trust: Trust | None = None
    verifies: tuple[str, ...] | None = None
    jurisdiction: str | None = None
    verified_since: Millis | None = None
    static_hash: bool | None = None

    def apply(self, source: Source, now: Millis) -> Source:
        """Returns the changed source. One that is no server verifies no kinds. Raises BadInput."""
        if self.verified_since is not None and not self.verifies:
            raise BadInput("Name the kinds of contact data that the source checks: --verifies email, --verifies phone.")
        if self.verified_since is not None and self.verified_since > now:
            raise BadInput("--verified-since is in the future: give a time until now, or leave it out.")
        trust = self.trust or source.trust
        verifies = source.verifies if trust is Trust.SERVER else {}
        if self.verifies is not None:
            verifies = {
                kind: source.verifies.get(kind, now) if self.verified_since is None else self.verified_since
                for kind in self.verifies
            }
        return check_source(
            replace(
                source,
                trust=trust,
                verifies=verifies,
                jurisdiction=source.jurisdiction if self.jurisdiction is None else self.jurisdiction,
                static_hash=source.static_hash if self.static_hash is None else self.static_hash,
            )
        )


@dataclass(frozen=True, slots=True)
class ChangedSource:
    """A source before and after a change. `made` has its new keys if they had to be replaced."""

    before: Source
    after: Source
    made: RegisteredSource | None = field(default=None, repr=False)


async def change_source(services: Services, name: str, change: SourceChange) -> ChangedSource:
    """Changes a source. If it may no longer do what it did, its trust epoch is raised in the same transaction, so that
    what rested on it does not count until it is derived again (`resolvers/identity/rederive.py`).

    A change between public and not public revokes its write keys and makes a new one. Raises NotFound if there is no
    such source, BadInput if the values don't fit together or a public source is to be trusted: what strangers have
    claimed would become proof.
    """
    now = services.clock()

    async def work(tx: Writer) -> tuple[Source, Source, Key | None]:
        before = await lock_source(tx, name)
        if before is None:
            raise no_source(name)
        after = change.apply(before, now)
        if before.trust is Trust.PUBLIC and after.trust is not Trust.PUBLIC:
            raise BadInput(
                f"Source {name} is public, so anybody may have written what it holds, and it stays public. Register a "
                "source of its own for the system that you trust."
            )
        if weakens(before, after):
            after = replace(after, trust_epoch=before.trust_epoch + 1)
        await write_trust(tx, after)
        if kind_of_write_key(before.trust) is kind_of_write_key(after.trust):
            return before, after, None
        await revoke_source_keys(tx, name, now)
        key = make_key(kind_of_write_key(after.trust))
        await write_key(services, tx, after, key, now)
        return before, after, key

    before, after, key = await services.client.write(work)
    return ChangedSource(before, after, None if key is None else complete_source(services, after, key))


def weakens(before: Source, after: Source) -> bool:
    """Whether some of what rests on the source may no longer hold: an identifier has a lower grade, whenever it was
    received, or its silent records belong to another jurisdiction."""
    # A grade changes only at these receipts, so a lower one shows at one of them.
    instants = {ALWAYS, *before.verifies.values()}
    lower = any(_grade(kind, after, at).rank < _grade(kind, before, at).rank for kind in GRADED for at in instants)
    return lower or before.jurisdiction != after.jurisdiction


def _grade(kind: str, source: Source, received: Millis) -> Grade:
    return grade_identifier(kind, source.trust, source.verifies, received)


async def rotate_hash_key(services: Services, name: str) -> str:
    """Gives the user hashes of a public source a new key and returns it. Hashes of the previous key stay valid for 30
    days, unless the key is rotated again. Raises NotFound or BadInput."""
    await _find_public(services, name)
    now = services.clock()
    source = await services.client.write(lambda tx: write_hash_generation(tx, name, now))
    if source is None:
        raise no_source(name)
    return derive_hash_key(services.secret, name, source.hash_generation).text


async def make_user_hash(services: Services, name: str, user_id: str, anonymous_id: str = "", days: int = 1) -> str:
    """Returns a user hash of a public source, valid for some days. Raises NotFound, or BadInput if it can't be made."""
    source = await _find_public(services, name)
    if not 1 <= days <= MOST_DAYS:
        raise BadInput(f"A user hash is valid for 1 to {MOST_DAYS} days.")
    if not user_id:
        raise BadInput("Give the person's user ID: it is empty.")
    expiry = (services.clock() + days * DAY) // 1000
    return derive_hash_key(services.secret, name, source.hash_generation).sign(user_id, anonymous_id, expiry)


async def make_static_hash(services: Services, name: str, user_id: str) -> str:
    """Returns the static hash of a user ID for a public source that takes such hashes. Raises NotFound or BadInput."""
    source = await _find_public(services, name)
    if not source.static_hash:
        raise BadInput(
            f"Source {name} takes no static hashes: allow them with `consentric source set {name} --static-hash`."
        )
    if normalise_id(user_id).value != user_id:
        raise BadInput(
            "Give the user ID as messages must have it: 1 to 512 characters, none of them control characters."
        )
    return derive_hash_key(services.secret, name, source.hash_generation).sign_static(user_id)


async def _find_public(services: Services, name: str) -> Source:
    source = await read_source(services.client, name)
    if source is None:
        raise no_source(name)
    if source.trust is not Trust.PUBLIC:
        raise BadInput(f"Source {name} is not a public source: it needs no user hashes.")
    return source


def parse_trust(text: str) -> Trust:
    """Returns a trust by its name. Raises BadInput, explaining all of them, if there is none of this name."""
    try:
        return Trust(text)
    except ValueError:
        unknown = f"There is no trust {quote_name(text)}. " if text else ""
        raise BadInput(unknown + TRUSTS) from None


TRUSTS: Final = (
    "Choose the source's trust with --trust. public: a browser, an app, or a relay of what they send; anybody can "
    "write with its key, so what it states about people is a claim. server: your own back end; its user IDs are "
    "proven, its e-mail addresses and phone numbers only if it checks them (--verifies). record: a system of record, "
    "such as a CRM; everything it states is proven."
)
