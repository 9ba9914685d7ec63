"""One profile query with consents, segments and 20 recommendations, from HTTP to HTTP.

The graph holds MovieLens 100K (943 people, 100,000 ratings), loaded, refreshed and served as users do it. Client,
server and store share the machine's cores. Successive queries are about different people. There are two viewers: an
auditor whose API key may see values (`profile`), and the people themselves with their tokens (`me`). The store's share
comes from the server's `/metrics`: seconds spent in reads divided by seconds spent on requests, over one connection, so
that nothing waits.

    python benchmarks/profile_query.py [--neo4j bolt://127.0.0.1:7687 --user neo4j --password-file FILE]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import orjson  # noqa: E402
import psutil  # noqa: E402
from rich.table import Table  # noqa: E402

from api.demo.datasets import read_movielens  # noqa: E402
from api.demo.lines import item_line, rating_line  # noqa: E402
from benchmarks.report import DATASETS, publish  # noqa: E402
from graph.embedded.store import open_store  # noqa: E402
from graph.model.identity import RecordKind, RecordRef  # noqa: E402

SOURCE: Final = "films"
PURPOSES: Final = ("analytics", "personalisation", "marketing")
FIELDS: Final = """
  id createdAt givenName familyName age gender country
  consents { purpose recipient permitted state effectiveAt }
  segments { segment { key title kind } score since }
  recommendations(first: 20) { item { key title category year } score strategy reasons { text share } }
"""
PROFILE: Final = f"query Profile($key: ProfileKey!) {{ profile(by: $key) {{ {FIELDS} }} }}"
ME: Final = f"query Me {{ me {{ {FIELDS} }} }}"


@dataclass(frozen=True)
class Served:
    """A running server with its credentials."""

    url: str
    pid: int
    key: str
    tokens: dict[str, str]


class Program:
    """The command line, on one store."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment
        self.command = str(Path(sys.executable).parent / "consentric")

    def run(self, *arguments: str) -> Any:
        """Runs a command with --json. Returns its parsed output."""
        done = subprocess.run(
            [self.command, *arguments, "--json"], env=self.environment, stdout=subprocess.PIPE, check=True
        )
        return json.loads(done.stdout)

    @contextmanager
    def serve(self) -> Iterator[tuple[str, int]]:
        """Runs the server. Yields its address and process ID."""
        command = [self.command, "serve", "--port", "0", "--json"]
        process = subprocess.Popen(command, env=self.environment, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["url"], process.pid
        finally:
            process.terminate()
            process.wait(30)


def write_lines(path: Path) -> list[str]:
    """Writes the data as a file of messages. Returns the user IDs. Everyone permits every first-party purpose."""
    data = read_movielens(DATASETS)
    titles = {movie.id: movie.title for movie in data.movies}
    with path.open("wb") as file:
        for movie in data.movies:
            file.write(orjson.dumps(item_line(movie)) + b"\n")
        for person in data.people:
            traits = {"firstName": f"Given{person.id}", "lastName": f"Family{person.id}", "age": person.age}
            identify = {"type": "identify", "userId": person.id, "messageId": f"who-{person.id}", "traits": traits}
            file.write(orjson.dumps(identify) + b"\n")
            for purpose in PURPOSES:
                consent = {"type": "consent", "userId": person.id, "purpose": purpose, "state": "given"}
                file.write(orjson.dumps(consent | {"messageId": f"said-{person.id}-{purpose}"}) + b"\n")
        for rating in data.ratings:
            ref = RecordRef(SOURCE, RecordKind.USER, rating.person)
            file.write(orjson.dumps(rating_line(ref, rating, titles[rating.item])) + b"\n")
    return [person.id for person in data.people]


@contextmanager
def prepare(environment: dict[str, str], folder: Path, with_tokens: int) -> Iterator[Served]:
    """Loads, refreshes and serves a graph. Yields the server."""
    program = Program(environment)
    people = write_lines(folder / "films.ndjson")
    program.run("source", "create", SOURCE, "--trust", "record")
    program.run("load", str(folder / "films.ndjson"), "--source", SOURCE)
    program.run("refresh", "--as-of", "1998-04-24")
    scope = ("--role", "auditor", "--purpose", "personalisation", "--scope", "values")
    key = program.run("client", "create", "audit", *scope)["key"]
    program.run("client", "create", "web", "--role", "frontend", "--purpose", "personalisation")
    chosen = people[:: max(1, len(people) // with_tokens)][:with_tokens]
    name = ("token", "--client", "web", "--source", SOURCE, "--user-id")
    tokens = {person: program.run(*name, person)["token"] for person in chosen}
    with program.serve() as (url, pid):
        yield Served(url, pid, key, tokens)


class Connection:
    """A minimal keep-alive HTTP/1.1 connection, so that the client leaves most of the machine to the server."""

    def __init__(self, url: str) -> None:
        self.host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self.port = int(port)

    async def open(self) -> None:
        self.reader, self.writer = await asyncio.open_connection(self.host, self.port)

    async def post(self, body: bytes, credential: str) -> bytes:
        """Returns the response to one query. Raises on any status except 200."""
        head = f"POST /graphql HTTP/1.1\r\nHost: {self.host}\r\nAuthorization: Bearer {credential}\r\n"
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        response = await self.reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: (\d+)", response)
        content = await self.reader.readexactly(int(found[1]) if found else 0)
        if not response.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{response[:40]!r} {content[:300]!r}")
        return content


Query = tuple[bytes, str]


def list_queries(served: Served, viewer: str, number: int) -> list[Query]:
    """This many queries, each about the next person."""
    if viewer == "me":
        body = orjson.dumps({"query": ME})
        tokens = list(served.tokens.values())
        return [(body, tokens[index % len(tokens)]) for index in range(number)]
    bodies = [
        orjson.dumps({"query": PROFILE, "variables": {"key": {"record": {"source": SOURCE, "key": str(person)}}}})
        for person in range(1, 944)
    ]
    return [(bodies[index * 7 % len(bodies)], served.key) for index in range(number)]


def check(content: bytes) -> None:
    """Raises unless the response contains what is measured."""
    data = orjson.loads(content)
    assert "errors" not in data, data["errors"]
    (profile,) = data["data"].values()
    assert len(profile["recommendations"]) == 20
    assert len(profile["consents"]) >= 5
    assert profile["segments"]


async def send(served: Served, queries: Sequence[Query], connections: int) -> tuple[float, list[float]]:
    """Returns the total seconds and the seconds of each request."""
    waiting, latencies = iter(queries), []
    opened = [Connection(served.url) for _ in range(connections)]
    for connection in opened:
        await connection.open()

    async def pump(connection: Connection) -> None:
        for body, credential in waiting:
            start = time.perf_counter()
            content = await connection.post(body, credential)
            latencies.append(time.perf_counter() - start)
            if len(latencies) % 500 == 1:
                check(content)

    start = time.perf_counter()
    await asyncio.gather(*(pump(connection) for connection in opened))
    seconds = time.perf_counter() - start
    for connection in opened:
        connection.writer.close()
    return seconds, latencies


def read_clock(served: Served) -> dict[str, float]:
    """Seconds so far: in reads of the store, in GraphQL requests, and of processor time of the server."""
    with urlopen(f"{served.url.rstrip('/')}/metrics") as response:
        text = response.read().decode()
    reads = sum(float(v) for v in re.findall(r'^consentric_store_seconds_sum\{kind="read".*\} (\S+)$', text, re.M))
    asked = sum(float(v) for v in re.findall(r'^consentric_request_seconds_sum\{route="/graphql"\} (\S+)$', text, re.M))
    used = psutil.Process(served.pid).cpu_times()
    return {"reads": reads, "requests": asked, "processor": used.user + used.system}


def percentile(values: Sequence[float], share: float) -> float:
    """Returns a percentile of seconds, in milliseconds."""
    return round(sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000, 2)


async def measure_viewer(served: Served, viewer: str, number: int) -> dict[str, Any]:
    """Returns the results for one viewer: over one connection, then over 16."""
    await send(served, list_queries(served, viewer, 500), 4)
    before = read_clock(served)
    _, alone = await send(served, list_queries(served, viewer, number // 3), 1)
    after = read_clock(served)
    spent = {name: after[name] - before[name] for name in after}
    rates, together = [], []
    for _ in range(3):
        seconds, latencies = await send(served, list_queries(served, viewer, number), 16)
        rates.append(number / seconds)
        together += latencies
    return {
        "one_connection": {
            "p50_ms": percentile(alone, 0.5),
            "p99_ms": percentile(alone, 0.99),
            "requests_a_second": round(len(alone) / sum(alone)),
            "server_processor_ms": round(spent["processor"] / len(alone) * 1000, 2),
            "store_ms": round(spent["reads"] / len(alone) * 1000, 2),
            "store_share": round(spent["reads"] / spent["requests"], 3),
        },
        "sixteen_connections": {
            "p50_ms": percentile(together, 0.5),
            "p99_ms": percentile(together, 0.99),
            "requests_a_second": round(statistics.median(rates)),
        },
    }


def measure(environment: dict[str, str], folder: Path, number: int) -> dict[str, Any]:
    """Returns the results for both viewers on one store."""
    with prepare(environment, folder, with_tokens=20) as served:
        content = asyncio.run(one_answer(served))
        return {
            "answer_bytes": len(content),
            **{viewer: asyncio.run(measure_viewer(served, viewer, number)) for viewer in ("profile", "me")},
        }


async def one_answer(served: Served) -> bytes:
    """Returns one response, checked."""
    connection = Connection(served.url)
    await connection.open()
    content = await connection.post(*list_queries(served, "profile", 1)[0])
    check(content)
    connection.writer.close()
    return content


def show(results: dict[str, dict[str, Any]]) -> Table:
    """Returns the results as a table."""
    table = Table(title="Profile query: consents, segments, 20 recommendations", title_justify="left")
    for column in ("engine", "viewer", "connections", "p50 ms", "p99 ms", "requests/s", "server CPU ms", "store ms"):
        table.add_column(column, justify="left" if column in ("engine", "viewer") else "right")
    for engine, result in results.items():
        for viewer in ("profile", "me"):
            one, many = result[viewer]["one_connection"], result[viewer]["sixteen_connections"]
            share = f"{one['store_ms']} ({one['store_share']:.0%})"
            numbers = [str(one[name]) for name in ("p50_ms", "p99_ms", "requests_a_second", "server_processor_ms")]
            table.add_row(engine, viewer, "1", *numbers, share)
            table.add_row(
                "", "", "16", *(str(many[name]) for name in ("p50_ms", "p99_ms", "requests_a_second")), "", ""
            )
    return table


def main() -> None:
    """Measures, and publishes the results."""
    parser = argparse.ArgumentParser(description="One profile query, from HTTP to HTTP.")
    parser.add_argument("--neo4j", help="Bolt address of a Neo4j server; fills its database")
    parser.add_argument("--user", default="neo4j")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--queries", type=int, default=3_000)
    options = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.neo4j:
            password = options.password_file.read_text(encoding="utf-8").strip() if options.password_file else ""
            target = {"CONSENTRIC_STORE": options.neo4j, "CONSENTRIC_STORE_USER": options.user}
            given = {"CONSENTRIC_STORE_PASSWORD": password or os.environ.get("CONSENTRIC_STORE_PASSWORD", "")}
            environment = os.environ | target | given | {"CONSENTRIC_DATA_DIR": str(folder / "data")}
            results["neo4j"] = measure(environment, folder, options.queries)
        else:
            environment = os.environ | {"CONSENTRIC_STORE": "embedded", "CONSENTRIC_DATA_DIR": str(folder / "data")}
            store = open_store(folder / "data")
            try:
                results["embedded"] = measure(environment, folder, options.queries)
            finally:
                store.stop()
    name = "profile_query_neo4j" if options.neo4j else "profile_query"
    publish(
        name, {"queries": options.queries, "results": results}, show(results), ("strawberry-graphql", "graphql-core")
    )


if __name__ == "__main__":
    main()
