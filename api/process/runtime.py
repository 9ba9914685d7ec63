"""The composition root: builds the services of a process from its settings, and closes them in reverse order.

On closing, accepted messages are written to the store, then the client closes, then the embedded store is released. It
stops if no other process uses it.
"""

from __future__ import annotations

import asyncio
import json
import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from api.process.issuers import parse_issuers
from api.process.keystore import InstallationKeys, open_keys
from api.process.settings import Settings, read_value
from graph.access.terms import read_unsettled_sources
from graph.embedded.store import open_store
from graph.errors import BadInput, SettingsInvalid
from graph.model.time import system_clock
from graph.store.client import Engine, GraphClient, StoreTarget
from migrations.runner import migrate
from privacy.policy import Policy
from resolvers.access.credentials import Authority
from resolvers.access.tokens import TokenIssuer, TokenVerifier
from resolvers.collection.ingestor import Ingestor
from resolvers.consent.permits import apply_policy
from resolvers.context import Services
from resolvers.identity.rederive import RederiveReport, settle_sources
from resolvers.recommendation.serve import WalkRecommender

NEO4J_LANES: Final = 4
"""How many groups of messages are written to a Neo4j server at once; the embedded engine's writers take turns."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """An open process: the services of all use cases, the ingestor that writes messages, and the authority that admits
    callers."""

    services: Services
    ingestor: Ingestor
    authority: Authority


@asynccontextmanager
async def open_client(settings: Settings) -> AsyncIterator[GraphClient]:
    """Opens a client of the store that the settings name; attaches to the embedded store, starting it if needed."""
    if not settings.embedded:
        async with await GraphClient.connect(locate_server(settings)) as client:
            yield client
        return
    store = await asyncio.to_thread(open_store, settings.data_dir)
    try:
        async with await GraphClient.connect(store.target) as client:
            yield client
    finally:
        await asyncio.to_thread(store.stop)


def locate_server(settings: Settings) -> StoreTarget:
    """Returns the Neo4j server of the settings. Raises SettingsInvalid if they have no password."""
    if settings.store_password is None:
        raise SettingsInvalid("CONSENTRIC_STORE_PASSWORD or CONSENTRIC_STORE_PASSWORD_FILE must be set for Neo4j.")
    return StoreTarget(
        url=settings.store,
        user=settings.store_user,
        password=settings.store_password.get_secret_value(),
        database=settings.store_database,
        engine=Engine.NEO4J,
    )


@asynccontextmanager
async def open_runtime(settings: Settings, tell: Callable[[str], None] | None = None) -> AsyncIterator[Runtime]:
    """Opens everything that a process needs, on a migrated store. The recommender has no model yet.

    Settings are checked before the store is opened, as far as they can be without it. Unsettled sources, such as those
    of a graph from an earlier version, are settled first, and `tell` gets what changed; without `tell`, that is left to
    `api.process.background`, because a server must not wait for it.
    """
    policy = read_policy(settings.policy)
    keys = open_keys(settings)
    own = own_issuer(settings, keys)
    issuers = [own.trusted(), *parse_issuers(settings.trusted_issuers, own.name)]
    verifier = TokenVerifier(issuers, own.audience, settings.token_seconds)
    async with open_client(settings) as client:
        await migrate(client)
        if tell is not None:
            await settle_now(client, policy, tell)
        await apply_policy(client, policy, system_clock())
        lanes = 1 if settings.embedded else NEO4J_LANES
        services = Services(client, policy, WalkRecommender(), keys.secret, system_clock)
        async with Ingestor(client, policy, system_clock, lanes=lanes) as ingestor:
            yield Runtime(services, ingestor, Authority(client, keys.secret, verifier, system_clock))


async def settle_now(
    client: GraphClient,
    policy: Policy,
    tell: Callable[[str], None],
    progress: Callable[[int], None] | None = None,
) -> None:
    """Derives again what rests on unsettled sources, and tells what changed."""
    if names := await read_unsettled_sources(client):
        tell(
            f"What rests on the trust of {len(names)} sources is derived again; don't interrupt it, or it starts over."
        )
        report = await settle_sources(client, policy, system_clock, progress)
        tell(describe_settling(report))


def describe_settling(report: RederiveReport) -> str:
    """Returns in a sentence what deriving again has changed."""
    return (
        f"Settled {report.sources} sources: {report.records} records examined, {report.regraded} identifiers regraded, "
        f"{report.separated} devices separated from people, {report.merged} people merged, {report.split} people split."
    )


def own_issuer(settings: Settings, keys: InstallationKeys) -> TokenIssuer:
    """Returns the issuer of the tokens that this installation signs."""
    return TokenIssuer(settings.issuer, settings.audience, keys.signing_key)


def read_policy(path: Path | None) -> Policy:
    """Returns the policy from a JSON or TOML file, or the default policy if `path` is None. Raises SettingsInvalid."""
    if path is None:
        return Policy.default()
    text = read_value("CONSENTRIC_POLICY", path)
    try:
        changes: Any = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except ValueError:
        raise SettingsInvalid("CONSENTRIC_POLICY: the file is not valid JSON (or TOML, if named .toml).") from None
    if not isinstance(changes, dict):
        raise SettingsInvalid("CONSENTRIC_POLICY: the file must hold a single object.")
    try:
        return Policy.parse(changes)
    except BadInput as error:
        raise SettingsInvalid(f"CONSENTRIC_POLICY: {error}") from None
