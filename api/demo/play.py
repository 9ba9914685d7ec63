"""The demonstration, step by step: loads real data as any source would, and shows what Consentric derives and reveals.

It also fills the summary of `consentric demo --json FILE`.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx

from algorithms.segments.rfm import RfmConfig
from api.app import create_app
from api.collection.files.load import load_files
from api.demo.cast import (
    OTHER_PARTNER,
    PARTNER,
    SOURCES,
    STATED_AT,
    SYSTEMS,
    WEB,
    Cast,
    CompanySystem,
    Member,
    assemble_cast,
)
from api.demo.datasets import group_duplicates, read_febrl, read_movielens
from api.demo.evaluation import evaluate_linkage, evaluate_recommendations
from api.demo.lines import row_address, write_files
from api.demo.questions import PERSON, RECOMMENDATIONS, WITHDRAWAL, ApiClient, titles_of
from api.demo.show import Show
from api.demo.stranger import Audience, impersonate
from api.process.background import background
from api.process.keystore import open_keys
from api.process.runtime import Runtime, open_runtime, own_issuer
from api.process.settings import Settings
from api.server import Server, address_of, bind, open_connections
from graph.embedded.store import describe_running
from graph.errors import Conflict, StoreInUse
from graph.model.consent import ConsentState
from graph.model.identity import RecordRef
from graph.model.time import Millis
from graph.store.system import read_counts
from resolvers.access.registration import issue_token, register_client, register_source
from resolvers.context import Services
from resolvers.identity.batch import LinkageReport, resolve_all
from resolvers.identity.candidates import advise_proof
from resolvers.refresh import RefreshConfig, RefreshReport, refresh_all

FOLDER: Final = "demo"
MARK: Final = "made-by-consentric-demo"


@dataclass(slots=True)
class Demonstration:
    """What the steps share. `keys` holds write keys and API keys by a description of their owner."""

    settings: Settings
    runtime: Runtime
    show: Show
    cast: Cast
    summary: dict[str, Any]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        """The services of the runtime."""
        return self.runtime.services


async def play(
    settings: Settings, show: Show, datasets: Path, *, serve: bool, publish: Callable[[dict[str, Any]], None]
) -> None:
    """Runs all steps and publishes the summary. With `serve`, it then serves until it is cancelled.

    The embedded store uses a separate folder, which is emptied first. A Neo4j server must have an empty graph: raises
    Conflict otherwise. If it is to serve, raises SettingsInvalid before the first step if the address can't be used.
    """
    summary: dict[str, Any] = {"seconds": {}}
    began = time.perf_counter()
    if serve:
        bind(settings.host, settings.port).close()
    settings = empty_folder(settings)
    with timed(summary, "fetch"):
        show.act("Downloading MovieLens 100K and FEBRL from the package registry")
        cast = await asyncio.to_thread(read_cast, datasets)
    show.act("Starting the store")
    async with open_runtime(settings) as runtime:
        summary["seconds"]["start"] = round(time.perf_counter() - began - summary["seconds"]["fetch"], 2)
        await require_empty_graph(runtime.services, settings)
        demo = Demonstration(settings, runtime, show, cast, summary)
        await load_systems(demo)
        await derive(demo)
        async with serving(demo, settings.port if serve else 0) as (url, ended):
            await compare_viewers(demo, url)
            summary["seconds"]["total"] = round(time.perf_counter() - began, 2)
            show.seconds(summary["seconds"])
            publish(summary)
            if serve:
                example = PERSON, choose_examples(cast)[0].records[0][0]
                show.invite(url, demo.keys, example, settings.data_dir)
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(ended)


@contextmanager
def timed(summary: dict[str, Any], step: str) -> Iterator[None]:
    """Records the duration of a step in the summary, in seconds."""
    began = time.perf_counter()
    yield
    summary["seconds"][step] = round(time.perf_counter() - began, 2)


def empty_folder(settings: Settings) -> Settings:
    """Returns settings whose data folder is the demonstration's own, marked as such.

    With the embedded store, the folder is emptied first. Raises Conflict if the demonstration did not create it,
    StoreInUse if one is running there.
    """
    folder = settings.data_dir / FOLDER
    if settings.embedded:
        if folder.exists() and not (folder / MARK).exists():
            raise Conflict(
                f"{folder} was not created by the demonstration and is left unchanged: choose another data folder."
            )
        if describe_running(folder.resolve()):
            raise StoreInUse(f"A demonstration is running in {folder}: stop it first, with Ctrl-C in its terminal.")
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / MARK).touch()
    return settings.model_copy(update={"data_dir": folder})


def read_cast(datasets: Path) -> Cast:
    """Returns the cast, assembled from the public data sets."""
    return assemble_cast(read_movielens(datasets), group_duplicates(read_febrl(datasets)))


async def require_empty_graph(services: Services, settings: Settings) -> None:
    """Raises Conflict if the graph holds records."""
    counts = await read_counts(services.client)
    if counts.records:
        raise Conflict(f"The graph at {settings.store} holds records: the demonstration needs an empty graph.")


async def load_systems(demo: Demonstration) -> None:
    """Registers the company's systems as what they are, and loads what each exports."""
    with timed(demo.summary, "write"):
        folder = demo.settings.data_dir / "exports"
        files = await asyncio.to_thread(write_files, demo.cast, folder)
    totals = {"accepted": 0, "duplicate": 0}
    rejected: dict[str, int] = {}
    with timed(demo.summary, "load"):
        for system in SOURCES:
            await register_system(demo, system)
            demo.show.act(f"Loading {files[system.name].name}")
            report = await load_files(demo.runtime, [files[system.name]], system.name)
            totals["accepted"] += report.accepted
            totals["duplicate"] += report.duplicate
            for reason, count in report.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + count
    counts = await read_counts(demo.services.client)
    demo.summary["counts"] = {
        "records": counts.records,
        "devices": counts.records - len(demo.cast.truth()),
        "people": counts.users - counts.records + len(demo.cast.truth()),
        "items": counts.items,
        "interactions": counts.interactions,
        "consents": counts.consents,
        "duplicates": totals["duplicate"],
        "rejected": sum(rejected.values()),
    }
    demo.summary["load"] = totals | {"rejected": rejected}
    demo.show.counts(demo.summary)


async def register_system(demo: Demonstration, system: CompanySystem) -> None:
    """Registers a system as a source, as `consentric source create` does."""
    registered = await register_source(
        demo.services, system.name, system.trust, verifies=system.verifies, user_namespace=system.namespace
    )
    demo.keys[write_key_of(system)] = registered.write_key


def write_key_of(system: CompanySystem) -> str:
    """Returns the description under which a system's write key is kept."""
    return f"write key of {system.name}"


async def derive(demo: Demonstration) -> None:
    """Resolves people, evaluates linkage, and computes what is derived from behaviour."""
    with timed(demo.summary, "resolve"):
        demo.show.act("Resolving people in a batch (records were linked when they were loaded; nothing should change)")
        report = await resolve_all(demo.services.client, demo.services.policy, demo.services.clock)
    score = await evaluate_linkage(demo.services.client, demo.cast)
    demo.summary["linkage"] = {
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
        "true_pairs": score.true_pairs,
        "found_pairs": score.found_pairs,
        "people": report.users - report.records + len(demo.cast.truth()),
        "changed_by_batch": report.opened + report.ended,
    } | summarise_linkage(report)
    demo.show.linkage(demo.summary["linkage"])
    with timed(demo.summary, "refresh"):
        demo.show.act("Fitting the graph walk, RFM and communities on the people who permit it")
        derived = await refresh_all(demo.services, refresh_config())
        await demo.services.recommender.load(demo.services.client, catalogue=True)
    demo.summary |= summarise_derived(derived)
    demo.show.derived(demo.summary)


def summarise_linkage(report: LinkageReport) -> dict[str, Any]:
    """Returns the summary of what is not linked: refused links, candidates with what would prove them, and devices by
    the grade at which they count for an account."""
    return {
        "refused": dict(report.refused),
        "candidates": dict(report.candidates.pairs),
        "advice": advise_proof(report.candidates),
        "devices": dict(report.devices),
    }


def refresh_config() -> RefreshConfig:
    """Returns a configuration with RFM on ratings instead of purchases, over the last year of the data.

    The model holds nothing back, because the demonstration evaluates it on its own held-back ratings.
    """
    config = RefreshConfig(rfm=RfmConfig(types=("RATED",), refunds=()), as_of=Millis(STATED_AT))
    return config.model_copy(update={"model": config.model.model_copy(update={"held_back": 0.0})})


def summarise_derived(report: RefreshReport) -> dict[str, Any]:
    """Returns the summary of the model, RFM and communities."""
    found = report.communities
    groups = [{"key": one.key, "title": one.title, "size": one.size} for one in found.communities]
    return {
        "model": {"people": report.walk.people, "interactions": report.walk.interactions},
        "communities": {"count": len(groups), "modularity": round(found.modularity, 4), "groups": groups},
        "rfm": {"people": report.rfm.people, "high_value_buyers": report.rfm.high_value, "grid": report.rfm.grid},
    }


@asynccontextmanager
async def serving(demo: Demonstration, port: int) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serves the API while the block runs. Yields its URL and a task that ends with the server."""
    app = create_app(demo.runtime, demo.settings)
    ready = asyncio.Event()
    with bind(demo.settings.host, port) as listener:
        server = Server(app, open_connections(demo.settings), ready.set)
        async with background(demo.services):
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await ready.wait()
                yield address_of(listener), running
            finally:
                server.should_exit = True
                await running


async def compare_viewers(demo: Demonstration, url: str) -> None:
    """Queries the served API: recommendations for everyone, a person as three viewers and around the claims of
    a stranger, and another person around a withdrawal."""
    web, acme, globex = await register_viewers(demo)
    example, other = choose_examples(demo.cast)
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        with timed(demo.summary, "evaluate"):
            demo.show.act("Querying everyone's recommendations to evaluate them on the held-back ratings")
            quality = await evaluate_recommendations(ApiClient(http, web), demo.cast)
        demo.summary["recommendation"] = quality
        demo.show.recommendation(quality)
        record = example.records[0][0]
        demo.summary["viewers"] = {
            "frontend": await ApiClient(http, web).ask_profile(PERSON, record),
            "partner_with_consent": await ApiClient(http, acme).ask_profile(PERSON, record),
            "partner_without_consent": await ApiClient(http, globex).ask_profile(PERSON, record),
        }
        demo.show.viewers(demo.summary["viewers"])
        person = await issue_own_token(demo, record)
        audience = Audience(
            {"frontend": ApiClient(http, web), PARTNER: ApiClient(http, acme), OTHER_PARTNER: ApiClient(http, globex)},
            ApiClient(http, person),
        )
        demo.summary["stranger"] = await impersonate(http, demo.keys[write_key_of(WEB)], example, audience)
        demo.show.stranger(demo.summary["stranger"])
        demo.summary["withdrawal"] = await withdraw(demo, http, web, other)
        demo.show.withdrawal(demo.summary["withdrawal"])


async def register_viewers(demo: Demonstration) -> tuple[str, str, str]:
    """Registers the clients and returns the keys of three: a front-end, a partner that some people share data with,
    and a partner that no one shares data with. An operator and an auditor are for the user to try."""
    keys = []
    for name, role, purposes, recipient in (
        ("web", "frontend", ["personalisation"], None),
        (PARTNER, "partner", ["partner_sharing"], PARTNER),
        (OTHER_PARTNER, "partner", ["partner_sharing"], OTHER_PARTNER),
        ("operator", "operator", ["service"], None),
        ("auditor", "auditor", [], None),
    ):
        registered = await register_client(demo.services, name, role, purposes, recipient=recipient)
        demo.keys[f"{role} {name}"] = registered.key
        keys.append(registered.key)
    return keys[0], keys[1], keys[2]


async def issue_own_token(demo: Demonstration, record: RecordRef) -> str:
    """Returns a token with which a person reaches their own data through the web front-end."""
    issuer = own_issuer(demo.settings, open_keys(demo.settings))
    return await issue_token(demo.services, issuer, "web", record, 600)


async def withdraw(demo: Demonstration, http: httpx.AsyncClient, web: str, member: Member) -> dict[str, Any]:
    """Withdraws personalisation with a person's own token. Returns what the front-end gets before and after."""
    record = member.records[0][0]
    token = await issue_own_token(demo, record)
    before = await ApiClient(http, web).ask_profile(RECOMMENDATIONS, record)
    began = time.perf_counter()
    await ApiClient(http, token).ask(WITHDRAWAL, purpose="personalisation")
    after = await ApiClient(http, web).ask_profile(RECOMMENDATIONS, record)
    milliseconds = (time.perf_counter() - began) * 1000
    return {
        "before": titles_of(before["recommendations"]) if before else None,
        "after": titles_of(after["recommendations"]) if after else None,
        "milliseconds": round(milliseconds, 1),
    }


def choose_examples(cast: Cast) -> tuple[Member, Member]:
    """Returns the two suitable people with the most ratings."""
    counts: dict[str, int] = {}
    for _, rating in cast.ratings:
        counts[rating.person] = counts.get(rating.person, 0) + 1
    suitable = [member for member in cast.members if is_example(member)]
    first, second, *_ = sorted(suitable, key=lambda member: -counts[member.movie_person.id])
    return first, second


def is_example(member: Member) -> bool:
    """Returns whether the person permits everything, shares data with the partner, has a name and an address in every
    record, and is known to all three systems under the same number."""
    states = {statement.state for statement in member.statements}
    shares = any(statement.recipient == PARTNER for statement in member.statements)
    numbers = {row.soc_sec_id for _, row in member.records}
    named = all(row_address(row) for _, row in member.records)
    return (
        states == {ConsentState.GIVEN}
        and shares
        and len(member.records) == len(SYSTEMS)
        and len(numbers) == 1
        and named
    )
