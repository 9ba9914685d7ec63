"""`consentric doctor`: checks whether Consentric can run on this machine, with advice for each problem."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

import typer

from api.cli.console import AsJson, count_of, print_json, print_table, show_time
from api.cli.running import run_until_done

if TYPE_CHECKING:
    from api.process.settings import Settings
    from graph.store.client import GraphClient
    from privacy.policy import Policy

MIN_FREE_BYTES: Final = 1 << 30
MAX_SKEW_MILLIS: Final = 5_000
TOO_NEW: Final = (3, 15)
FAILED_EXIT: Final = 78
MOST_PEOPLE: Final = 50_000
"""Number of people whose permits are checked at most, which takes about 10 seconds."""

MOST_IDENTIFIERS: Final = 100_000
"""Number of identifiers that are examined at most."""


class State(StrEnum):
    """The outcome of a check."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """The finding of one check, with advice if there is a problem."""

    check: str
    state: State
    found: str
    advice: str = ""


def doctor(as_json: AsJson = False) -> None:
    """Check Python, settings, data folder, keys, Java, port, store, clock, migrations, permits, sources, candidates
    and model.

    Without --json, lists every setting too. Starts the embedded store for the check if it is not running. The exit code
    is 0 if nothing failed; warnings are not failures.

    Example: consentric doctor --json
    """
    findings = list(examine())
    if as_json:
        print_json([{"check": f.check, "state": f.state.value, "found": f.found, "advice": f.advice} for f in findings])
    else:
        rows = [(finding.state.value, finding.check, finding.found, finding.advice) for finding in findings]
        print_table("Consentric on this machine", ("", "check", "found", "what to do"), rows)
        print_table("Settings", ("variable", "in force", "meaning"), list_settings())
    if any(finding.state is State.FAILED for finding in findings):
        raise typer.Exit(FAILED_EXIT)


def list_settings() -> list[tuple[str, str, str]]:
    """Returns the variable, value and meaning of every setting; of a secret, only whether it is given. Empty if the
    settings can't be read."""
    from api.process.settings import FILE_FIELDS, Settings, load_settings, variable_of
    from graph.errors import SettingsInvalid

    try:
        settings = load_settings()
    except SettingsInvalid:
        return []
    rows = []
    for name, field in Settings.model_fields.items():
        value = getattr(settings, name)
        given = "given" if value else "not given"
        shown = given if name in FILE_FIELDS else "" if value in (None, ()) else str(value)
        rows.append((variable_of(name), shown, field.description or ""))
    return rows


def examine() -> Iterator[Finding]:
    """Yields the findings of all checks. Checks that depend on a failed one are left out."""
    from api.process.settings import load_settings, unknown_variables
    from graph.errors import SettingsInvalid

    yield check_python()
    try:
        settings = load_settings()
    except SettingsInvalid as error:
        yield Finding("settings", State.FAILED, str(error), "Correct the variable in the environment.")
        return
    unknown = [name for name in unknown_variables(os.environ) if not name.startswith("CONSENTRIC_TEST_")]
    if unknown:
        yield Finding("settings", State.WARNING, f"unknown: {', '.join(unknown)}", "Check the spelling.")
    else:
        yield Finding("settings", State.OK, f"{settings.env} mode, store {settings.store}")
    yield check_folder(settings.data_dir)
    keys = check_keys(settings)
    yield keys
    yield check_policy(settings)
    yield check_port(settings)
    if settings.embedded:
        yield check_java()
    if keys.state is not State.FAILED:
        yield from run_until_done(open_and_examine(settings), settings)


def check_python() -> Finding:
    """Checks the version of Python."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    if sys.version_info >= TOO_NEW:
        return Finding("python", State.WARNING, version, "Not tested: use Python 3.11 to 3.14.")
    return Finding("python", State.OK, version)


def check_folder(data_dir: Path) -> Finding:
    """Checks that the data folder is private, writable and has space."""
    folder = data_dir.resolve()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not os.access(existing, os.W_OK | os.X_OK):
        return Finding("data folder", State.FAILED, f"{folder} can't be written", "Set CONSENTRIC_DATA_DIR.")
    if shutil.disk_usage(existing).free < MIN_FREE_BYTES:
        return Finding("data folder", State.WARNING, f"{folder}: less than 1 GB free", "Free disk space.")
    if existing == folder and folder.stat().st_mode & 0o077:
        return Finding("data folder", State.WARNING, f"{folder} is open to others", f"Run: chmod 700 {folder}")
    return Finding("data folder", State.OK, str(folder))


def check_keys(settings: Settings) -> Finding:
    """Checks that the secrets exist and that others can't read them."""
    from api.process.keystore import keys_folder, open_keys
    from graph.errors import SettingsInvalid

    try:
        open_keys(settings)
    except SettingsInvalid as error:
        return Finding("keys", State.FAILED, str(error), "Set the secret, or name a file that holds it (…_FILE).")
    folder = keys_folder(settings)
    if settings.secret and settings.signing_key:
        return Finding("keys", State.OK, "given by settings")
    if any(path.stat().st_mode & 0o077 for path in (folder, *folder.glob("*"))):
        return Finding("keys", State.WARNING, f"{folder} is open to others", f"Run: chmod -R go-rwx {folder}")
    return Finding("keys", State.OK, f"{folder}: keep it with your backups")


def check_policy(settings: Settings) -> Finding:
    """Checks the consent policy and the list of token issuers."""
    from api.process.issuers import parse_issuers
    from api.process.runtime import read_policy
    from graph.errors import SettingsInvalid

    try:
        policy = read_policy(settings.policy)
        issuers = parse_issuers(settings.trusted_issuers, settings.issuer)
    except SettingsInvalid as error:
        return Finding("policy", State.FAILED, str(error), "Correct the file.")
    kind = "default" if settings.policy is None else "own"
    return Finding("policy", State.OK, f"{kind} policy {policy.version}, {len(issuers)} other token issuers")


def check_port(settings: Settings) -> Finding:
    """Checks that the port of `serve` is free."""
    from api.server import bind
    from graph.errors import SettingsInvalid

    try:
        with closing(bind(settings.host, settings.port)) as listener:
            port = listener.getsockname()[1]
    except SettingsInvalid as error:
        return Finding("port", State.WARNING, str(error), "Unless Consentric itself uses it, set CONSENTRIC_PORT.")
    free = "free" if settings.port else f"free one found ({port})"
    return Finding("port", State.OK, f"{settings.host}:{settings.port} {free}")


def check_java() -> Finding:
    """Checks the Java that the embedded engine brings."""
    from graph.embedded.process import find_engine
    from graph.errors import StoreUnavailable

    try:
        java = find_engine() / "jre" / "bin" / "java"
    except StoreUnavailable as error:
        return Finding("engine", State.FAILED, str(error), "Run: make setup")
    if not os.access(java, os.X_OK):
        return Finding("engine", State.FAILED, f"{java} can't be run", "Run: make clean setup")
    return Finding("engine", State.OK, "the embedded engine and its Java are installed")


async def open_and_examine(settings: Settings) -> list[Finding]:
    """Returns the findings of the checks that need the store."""
    from api.process.runtime import open_client, read_policy
    from graph.errors import ConsentricError, SettingsInvalid

    try:
        policy = read_policy(settings.policy)
    except SettingsInvalid:
        policy = None
    try:
        async with open_client(settings) as client:
            return [finding async for finding in examine_store(client, policy)]
    except ConsentricError as error:
        advice = "See store.log in the data folder." if settings.embedded else "Check CONSENTRIC_STORE and its user."
        return [Finding("store", State.FAILED, str(error), advice)]


async def examine_store(client: GraphClient, policy: Policy | None) -> AsyncIterator[Finding]:
    """Checks store, clock, migrations, permits (if there is a policy), sources, candidates and
    model. Yields their findings."""
    from graph.errors import MigrationRefused
    from graph.model.time import system_clock
    from graph.store.system import read_store_time
    from migrations.runner import migrate
    from migrations.step import MigrationState

    store_time = await read_store_time(client)
    yield Finding("store", State.OK, f"{client.engine} responds")
    skew = abs(system_clock() - store_time)
    if skew > MAX_SKEW_MILLIS:
        yield Finding("clock", State.WARNING, f"{skew / 1000:.0f} s off the store's", "Synchronise the clocks.")
    else:
        yield Finding("clock", State.OK, "agrees with the store's")
    try:
        steps = await migrate(client, dry_run=True)
    except MigrationRefused as error:
        yield Finding("migrations", State.FAILED, str(error), "Run the version of Consentric that wrote this graph.")
        return
    pending = [step for step in steps if step.state is MigrationState.PENDING]
    if pending:
        yield Finding(
            "migrations", State.WARNING, f"{len(pending)} pending", "Run: consentric migrate (serve and load do it too)"
        )
        return
    yield Finding("migrations", State.OK, f"all {len(steps)} applied")
    if policy is not None:
        yield await check_stored_permits(client, policy)
    yield await check_sources(client)
    yield await check_candidates(client)
    yield await check_model(client)


async def check_stored_permits(client: GraphClient, policy: Policy) -> Finding:
    """Compares stored permits with the consent logs."""
    from graph.consent.policy_version import read_policy_version
    from graph.model.time import system_clock
    from resolvers.consent.permits import check_permits

    version = await read_policy_version(client)
    if version not in (None, policy.version):
        found = f"computed under policy {version}, not {policy.version}"
        return Finding("permits", State.WARNING, found, "Start serve: it recomputes them.")
    check = await check_permits(client, policy, system_clock, MOST_PEOPLE)
    people = f"{check.checked:,} people" if check.complete else f"the first {check.checked:,} people"
    if not check.differences:
        return Finding("permits", State.OK, f"agree with the consent logs of {people}")
    some = ", ".join(one.user for one in check.differences[:3])
    return Finding(
        "permits",
        State.FAILED,
        f"{len(check.differences):,} of {people} differ from their consent logs, such as {some}",
        "Find what else writes to the store. Then start serve under another CONSENTRIC_POLICY and again under yours: "
        "each start recomputes all permits.",
    )


async def check_sources(client: GraphClient) -> Finding:
    """Checks that no source is being derived again, and that namespaces keep user IDs apart as intended."""
    from graph.access.sources import read_sources
    from graph.identity.identifiers import count_shared_user_ids

    sources = await read_sources(client)
    unsettled = ", ".join(source.name for source in sources if not source.settled)
    if unsettled:
        advice = "People with a record of these are absent for partners. Run `consentric source set NAME` again."
        return Finding("sources", State.WARNING, f"being derived again: {unsettled}", advice)
    shared = await count_shared_user_ids(client, MOST_IDENTIFIERS)
    if shared:
        advice = "If these are the same people, the sources belong in one namespace; if not, nothing is wrong."
        return Finding("sources", State.OK, f"{len(sources)}; {shared:,} user IDs are in two namespaces", advice)
    return Finding("sources", State.OK, f"{len(sources)}; no user ID is in two namespaces")


async def check_candidates(client: GraphClient) -> Finding:
    """Counts the people who may be the same, and says what would prove it."""
    from resolvers.identity.candidates import advise_proof, count_candidates

    report = await count_candidates(client, MOST_IDENTIFIERS)
    of = "" if report.complete else f" among the first {MOST_IDENTIFIERS:,} identifiers"
    return Finding(
        "candidates",
        State.OK,
        f"{count_of(report.total, 'pair', 'pairs')} may be one person{of}",
        " ".join(advise_proof(report)),
    )


async def check_model(client: GraphClient) -> Finding:
    """Checks that a recommendation model is fitted."""
    from graph.recommendation.runs import read_current_run
    from resolvers.recommendation.serve import WALK

    run = await read_current_run(client, WALK)
    if run is None:
        return Finding("model", State.WARNING, "none fitted: only popular items", "Run: consentric refresh")
    return Finding(
        "model", State.OK, f"fitted {show_time(run.finished_at)} from {count_of(run.people, 'person', 'people')}"
    )
