"""Changing a source: what raises its trust epoch, what happens to its keys, and its user hashes."""

from __future__ import annotations

import itertools

import pytest

from graph.access.sources import read_source
from graph.errors import BadInput, Conflict, NotFound, Unauthenticated
from graph.model.access import ALWAYS, Source, Trust, Verified
from graph.model.identity import Proof
from graph.model.time import Millis
from graph.store.client import GraphClient
from resolvers.access.credentials import Authority
from resolvers.access.proofs import ProofTexts
from resolvers.access.registration import register_source, revoke_source
from resolvers.access.sources import (
    SourceChange,
    change_source,
    make_static_hash,
    make_user_hash,
    parse_trust,
    rotate_hash_key,
    weakens,
)
from resolvers.access.tokens import TokenVerifier
from resolvers.context import Services
from resolvers.identity.rederive import rederive_source
from tests.context import services_of
from tests.sources import register

NOW = Millis(1_790_000_000_000)


@pytest.fixture
def services(store: GraphClient) -> Services:
    return services_of(store, lambda: NOW)


def authority_of(services: Services) -> Authority:
    ticks = itertools.count(0, 10)
    return Authority(
        services.client, services.secret, TokenVerifier([], "consentric"), lambda: NOW, lambda: next(ticks)
    )


def source(trust: Trust, *verifies: str, jurisdiction: str | None = None, **since: int) -> Source:
    return Source(
        "x",
        trust=trust,
        verifies={**dict.fromkeys(verifies, ALWAYS), **{kind: Millis(at) for kind, at in since.items()}},
        jurisdiction=jurisdiction,
    )


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (source(Trust.RECORD), source(Trust.SERVER), True),
        (source(Trust.RECORD), source(Trust.SERVER, "email", "phone"), False),
        (source(Trust.SERVER), source(Trust.PUBLIC), True),
        (source(Trust.SERVER, "email"), source(Trust.SERVER), True),
        (source(Trust.SERVER, "email"), source(Trust.SERVER, "phone"), True),
        (source(Trust.SERVER), source(Trust.SERVER, "email"), False),
        (source(Trust.PUBLIC), source(Trust.SERVER), False),
        (source(Trust.SERVER), source(Trust.RECORD), False),
        (source(Trust.SERVER), source(Trust.SERVER, jurisdiction="DE"), True),
        (source(Trust.SERVER), source(Trust.SERVER), False),
        (source(Trust.SERVER, email=9), source(Trust.SERVER, email=5), False),
        (source(Trust.SERVER, email=5), source(Trust.SERVER, email=9), True),
        (source(Trust.RECORD), source(Trust.SERVER, email=9, phone=0), True),
    ],
)
def test_a_source_is_weakened_by_any_lower_grade_and_by_another_jurisdiction(
    before: Source, after: Source, expected: bool
) -> None:
    assert weakens(before, after) is expected


@pytest.mark.store
async def test_a_lowered_trust_raises_the_epoch_until_everything_is_derived(services: Services) -> None:
    await register(services.client, Source("crm", trust=Trust.RECORD))
    raised = await change_source(services, "crm", SourceChange(trust=Trust.RECORD))
    assert raised.after.settled
    changed = await change_source(services, "crm", SourceChange(trust=Trust.SERVER, verifies=("email",)))
    assert (changed.after.trust_epoch, changed.after.settled, changed.made) == (1, False, None)
    assert await read_source(services.client, "crm") == changed.after
    seen: list[int] = []
    await rederive_source(services, "crm", seen.append, fence=0)
    stored = await read_source(services.client, "crm")
    assert stored is not None
    assert (stored.settled, stored.settled_epoch) == (True, 1)


@pytest.mark.store
async def test_what_is_left_out_stays_as_it_is(services: Services) -> None:
    await register(services.client, Source("shop", verifies={"email": ALWAYS}, jurisdiction="DE"))
    kept = (await change_source(services, "shop", SourceChange())).after
    assert (kept.trust, kept.verifies, kept.jurisdiction) == (Trust.SERVER, {"email": ALWAYS}, "DE")
    cleared = (await change_source(services, "shop", SourceChange(verifies=(), jurisdiction=""))).after
    assert (cleared.verifies, cleared.jurisdiction) == ({}, None)
    named = (await change_source(services, "shop", SourceChange(verifies=("phone",), jurisdiction="us_ca"))).after
    assert named.jurisdiction == "US-CA"
    assert (await change_source(services, "shop", SourceChange(trust=Trust.RECORD))).after.verifies == {}


@pytest.mark.store
async def test_a_kind_is_checked_from_now_on_unless_it_is_said_since_when(services: Services) -> None:
    await register(services.client, Source("shop", verifies={"email": ALWAYS}))

    async def change(*kinds: str, since: int | None = None) -> Verified:
        stated = None if since is None else Millis(since)
        return (
            await change_source(services, "shop", SourceChange(verifies=kinds, verified_since=stated))
        ).after.verifies

    assert await change("phone", "email") == {"email": ALWAYS, "phone": NOW}
    assert await change("phone", since=5) == {"phone": 5}
    assert await change("phone", "email", since=ALWAYS) == {"email": ALWAYS, "phone": ALWAYS}
    stored = await read_source(services.client, "shop")
    assert stored is not None
    assert stored.verifies == {"email": ALWAYS, "phone": ALWAYS}


@pytest.mark.store
async def test_a_change_that_makes_no_sense_changes_nothing(services: Services) -> None:
    await register(services.client, Source("shop", verifies={"email": ALWAYS}))
    for change in (
        SourceChange(verifies=("shoe_size",)),
        SourceChange(trust=Trust.PUBLIC, verifies=("email",)),
        SourceChange(jurisdiction="everywhere"),
        SourceChange(verified_since=NOW),
        SourceChange(verifies=(), verified_since=NOW),
    ):
        with pytest.raises(BadInput):
            await change_source(services, "shop", change)
    assert await read_source(services.client, "shop") == Source("shop", verifies={"email": ALWAYS})
    with pytest.raises(NotFound, match="no source nobody"):
        await change_source(services, "nobody", SourceChange())


@pytest.mark.store
async def test_a_source_that_becomes_public_gets_a_public_key(services: Services) -> None:
    authority = authority_of(services)
    made = await register_source(services, "shop", Trust.SERVER)
    assert made.write_key.startswith("cwk_")
    assert made.hash_key is None
    changed = await change_source(services, "shop", SourceChange(trust=Trust.PUBLIC))
    assert changed.made is not None
    assert changed.made.write_key.startswith("cpk_")
    assert (changed.made.hash_key or "").startswith("chk_")
    with pytest.raises(Unauthenticated):
        await authority.admit_source(made.write_key)
    assert (await authority.admit_source(changed.made.write_key)).trust is Trust.PUBLIC
    assert (await change_source(services, "shop", SourceChange(trust=Trust.PUBLIC))).made is None
    assert changed.made.write_key not in repr(changed)


@pytest.mark.store
async def test_a_key_of_the_wrong_kind_opens_nothing(services: Services) -> None:
    made = await register_source(services, "shop", Trust.SERVER)
    await services.client.write(lambda tx: tx.run("MATCH (s:Source {name: 'shop'}) SET s.trust = 'public'"))
    with pytest.raises(Unauthenticated):
        await authority_of(services).admit_source(made.write_key)


@pytest.mark.store
async def test_user_hashes_are_accepted_until_their_key_is_rotated_twice(services: Services) -> None:
    made = await register_source(services, "site", Trust.PUBLIC)
    proofs = authority_of(services).proofs
    given = ProofTexts(user_hash=await make_user_hash(services, "site", "u17", "a1", days=30))
    for _ in range(2):
        site = await read_source(services.client, "site")
        assert site is not None
        assert (await proofs.verify(site, "u17", "a1", given, NOW)).proof is Proof.HASH
        assert await rotate_hash_key(services, "site") != made.hash_key
    site = await read_source(services.client, "site")
    assert site is not None
    with pytest.raises(BadInput, match="does not prove"):
        await proofs.verify(site, "u17", "a1", given, NOW)


@pytest.mark.store
async def test_user_hashes_are_for_public_sources(services: Services) -> None:
    await register(services.client, Source("shop"), Source("site", trust=Trust.PUBLIC))
    for name, error in (("shop", BadInput), ("nobody", NotFound)):
        with pytest.raises(error):
            await make_user_hash(services, name, "u17")
        with pytest.raises(error):
            await rotate_hash_key(services, name)
    for user, days in (("u17", 0), ("u17", 31), ("", 1)):
        with pytest.raises(BadInput):
            await make_user_hash(services, "site", user, days=days)


@pytest.mark.store
async def test_static_hashes_are_for_public_sources_that_take_them(services: Services) -> None:
    await register(services.client, Source("shop"), Source("site", trust=Trust.PUBLIC))
    with pytest.raises(BadInput, match="Only a public source takes static hashes"):
        await register_source(services, "till", Trust.SERVER, static_hash=True)
    with pytest.raises(BadInput, match="Only a public source takes static hashes"):
        await change_source(services, "shop", SourceChange(static_hash=True))
    with pytest.raises(BadInput, match="source set site --static-hash"):
        await make_static_hash(services, "site", "u17")
    changed = await change_source(services, "site", SourceChange(static_hash=True))
    assert (changed.after.static_hash, changed.after.settled, changed.made) == (True, True, None)
    assert (await change_source(services, "site", SourceChange(jurisdiction="DE"))).after.static_hash
    site = await read_source(services.client, "site")
    assert site is not None
    given = ProofTexts(user_hash=await make_static_hash(services, "site", "u17"))
    assert (await authority_of(services).proofs.verify(site, "u17", "a1", given, NOW)).proof is Proof.STATIC
    for user in ("", " u17", "\0\0\0\x03u17"):
        with pytest.raises(BadInput, match="control characters"):
            await make_static_hash(services, "site", user)
    for name, error in (("shop", BadInput), ("nobody", NotFound)):
        with pytest.raises(error):
            await make_static_hash(services, name, "u17")
    assert not (await change_source(services, "site", SourceChange(static_hash=False))).after.static_hash


@pytest.mark.store
async def test_a_source_is_registered_again_as_it_was(services: Services) -> None:
    await register_source(services, "site", Trust.PUBLIC, static_hash=True)
    await revoke_source(services, "site")
    with pytest.raises(Conflict, match="registered otherwise"):
        await register_source(services, "site", Trust.PUBLIC)
    assert (await register_source(services, "site", Trust.PUBLIC, static_hash=True)).source.static_hash


@pytest.mark.parametrize("text", ["", "Public", "trusted"])
def test_a_missing_trust_is_explained(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_trust(text)
    assert all(f"{trust}: " in str(caught.value) for trust in Trust)
    assert parse_trust("record") is Trust.RECORD
