"""Collection: events per second from HTTP to durable commit, alongside an UNWIND of the same rows by the raw driver.

The workload, a lean HTTP client and the measurement; `report.py` prints and stores the results.

Client, server and store share the machine's cores. Rounds alternate: batches of 100 over 8 connections, then the same
facts as rows (record, session, item and interaction by MERGE, 500 rows per transaction, one writer) through the raw
driver. People are known and the store is warm before the rounds begin; a freshly started store is measured separately.
`visible` is the time from sending one event until a profile query returns it. The response is sent after the commit, so
one query is enough; the benchmark fails if the event is missing from it.

    python benchmarks/ingest.py [--neo4j bolt://127.0.0.1:7687 --user neo4j --password-file FILE] [--rounds 5]
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import orjson  # noqa: E402
from neo4j import AsyncGraphDatabase  # noqa: E402
from rich.table import Table  # noqa: E402

from benchmarks.report import RESULTS, publish  # noqa: E402
from graph.embedded.store import open_store  # noqa: E402
from graph.model.identity import RecordKind, RecordRef  # noqa: E402
from graph.store.client import Engine, GraphClient, StoreTarget  # noqa: E402

PEOPLE: Final = 4_000
ITEMS: Final = 3_000
BATCH: Final = 100
WARM: Final = 100_000
"""Events sent before the rounds: on two cores, the store's virtual machine needs that many to finish compiling."""
EVENTS: Final = (("Product Viewed", 70), ("Product Clicked", 15), ("Product Added", 10), ("Order Completed", 5))

RAW_ROWS: Final = """
UNWIND $rows AS row
MERGE (r:Record {id: row[0]})
MERGE (s:Session {id: row[1]})
MERGE (i:Item {key: row[2]})
MERGE (r)-[:HAD]->(s)
MERGE (s)-[e:VIEWED {message_id: row[3]}]->(i)
ON CREATE SET e.at = row[4], e.weight = row[5], e.value = row[6]
"""

READ_PROFILE: Final = """
MATCH (r:Record {id: $id})-[x:RESOLVES_TO]->(u:User) WHERE x.to IS NULL
MATCH (r)-[:HAD]->(s:Session)-[e]->(i:Item) WHERE e.message_id = $message
RETURN u.id AS user, count(e) AS seen
"""


def describe(item: int) -> dict[str, Any]:
    """Returns the properties of an item in an event."""
    return {"product_id": f"sku-{item}", "name": f"Article {item}", "price": 5 + item % 90, "category": f"c{item % 12}"}


class Workload:
    """Events of a shop. The same seed gives the same events; no two events are equal."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.number = 0
        self.run = f"{seed:x}-{os.getpid():x}"

    def event(self, person: int | None = None) -> dict[str, Any]:
        """Returns an event as a browser library sends it, about 600 bytes."""
        rng = self.rng
        self.number += 1
        person = rng.randrange(PEOPLE) if person is None else person
        item = min(int(rng.paretovariate(0.8)), ITEMS)
        name = rng.choices([e[0] for e in EVENTS], [e[1] for e in EVENTS])[0]
        product = describe(item)
        properties: dict[str, Any] = product
        if name == "Order Completed":
            other = describe(item % ITEMS + 1)
            products = [product | {"quantity": 1}, other | {"quantity": 2}]
            properties = {"order_id": f"o-{self.number}", "revenue": 42.5, "currency": "EUR", "products": products}
        return {
            "type": "track",
            "messageId": f"ajs-next-{self.run}-{self.number:012d}",
            "userId": f"user-{person}",
            "anonymousId": f"9f0c4c3e-0000-4000-8000-{person:012d}",
            "event": name,
            "properties": properties,
            "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "context": {
                "ip": "203.0.113.7",
                "library": {"name": "analytics.js", "version": "next-1.70.0"},
                "locale": "en-GB",
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
                "page": {
                    "path": f"/p/sku-{item}",
                    "url": f"https://shop.example/p/sku-{item}",
                    "title": f"Article {item}",
                },
                "timezone": "Europe/Vienna",
            },
        }

    def batches(self, number: int) -> list[bytes]:
        """Returns bodies for `/v1/batch`."""
        return [orjson.dumps({"batch": [self.event() for _ in range(BATCH)]}) for _ in range(number)]

    def introductions(self) -> list[bytes]:
        """Returns bodies in which each person appears once."""
        events = [self.event(person) for person in range(PEOPLE)]
        return [orjson.dumps({"batch": events[start : start + BATCH]}) for start in range(0, PEOPLE, BATCH)]

    def rows(self, number: int) -> list[list[Any]]:
        """Returns the facts of this many events as rows for the raw driver."""
        rows = []
        for _ in range(number):
            event = self.event()
            product = event["properties"].get("products", [event["properties"]])[0]
            user = event["userId"]
            rows.append(
                [
                    user,
                    f"{user}-session",
                    product["product_id"],
                    event["messageId"],
                    int(time.time() * 1000),
                    1.0,
                    product["price"],
                ]
            )
        return rows


class Connection:
    """A minimal keep-alive HTTP/1.1 connection, so that the client leaves most of the machine to the server."""

    def __init__(self, host: str, port: int, path: str, key: str) -> None:
        self.address = (host, port)
        basic = base64.b64encode(f"{key}:".encode()).decode()
        self.head = (
            f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Basic {basic}\r\n"
            "Content-Type: application/json\r\nContent-Length: "
        ).encode()

    async def __aenter__(self) -> Self:
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()
        await self.writer.wait_closed()

    async def post(self, body: bytes) -> dict[str, Any]:
        """Sends one body and returns the response. Raises on any status except 200."""
        self.writer.write(b"%s%d\r\n\r\n%s" % (self.head, len(body), body))
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
        response = await self.reader.readexactly(length)
        if not head.startswith(b"HTTP/1.1 200"):
            raise RuntimeError(f"{head[:30]!r} {response[:300]!r}")
        return dict(orjson.loads(response))


class Door:
    """The running service."""

    def __init__(self, url: str, key: str) -> None:
        host, _, port = url.removeprefix("http://").rstrip("/").partition(":")
        self.place = (host, int(port), key)

    async def send(
        self, bodies: Sequence[bytes], connections: int, path: str = "/v1/batch"
    ) -> tuple[float, list[float]]:
        """Returns the total seconds and the seconds of each request. Raises unless every event is accepted."""
        waiting = iter(bodies)
        latencies: list[float] = []
        accepted = 0

        async def pump() -> None:
            nonlocal accepted
            async with Connection(self.place[0], self.place[1], path, self.place[2]) as connection:
                for body in waiting:
                    start = time.perf_counter()
                    response = await connection.post(body)
                    accepted += response["accepted"]
                    latencies.append(time.perf_counter() - start)

        start = time.perf_counter()
        await asyncio.gather(*(pump() for _ in range(connections)))
        seconds = time.perf_counter() - start
        expected = len(bodies) * (BATCH if path == "/v1/batch" else 1)
        if accepted != expected:
            raise RuntimeError(f"{accepted} accepted of {expected}")
        return seconds, latencies


async def write_raw(target: StoreTarget, rows: Sequence[list[Any]]) -> float:
    """Returns the seconds that the raw driver takes to write the rows, 500 per transaction."""
    async with (
        AsyncGraphDatabase.driver(target.url, auth=(target.user, target.password)) as driver,
        driver.session(database=target.database) as session,
    ):
        start = time.perf_counter()
        for first in range(0, len(rows), 500):

            async def work(tx: Any, chunk: Sequence[list[Any]] = rows[first : first + 500]) -> None:
                await (await tx.run(RAW_ROWS, rows=chunk)).consume()

            await session.execute_write(work)
        return time.perf_counter() - start


async def measure_visible(door: Door, target: StoreTarget, work: Workload, times: int) -> list[float]:
    """Returns the seconds from sending an event until a profile query returns it, for several events."""
    seconds = []
    async with (
        await GraphClient.connect(target) as client,
        Connection(door.place[0], door.place[1], "/v1/track", door.place[2]) as http,
    ):
        for _ in range(times):
            event = work.event() | {"event": "Product Viewed", "properties": {"product_id": "sku-1"}}
            record = RecordRef("bench", RecordKind.USER, event["userId"]).id
            body = orjson.dumps(event)
            start = time.perf_counter()
            await http.post(body)
            rows = await client.read(READ_PROFILE, id=record, message=f"bench|{event['messageId']}")
            seconds.append(time.perf_counter() - start)
            if not rows or rows[0]["seen"] != 1:
                raise RuntimeError("an acknowledged event was not visible")
    return seconds


def percentile(values: Sequence[float], share: float) -> float:
    """Returns a percentile of seconds, in milliseconds."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] * 1000


async def measure(door: Door, target: StoreTarget, rounds: int, batches: int) -> dict[str, Any]:
    """Returns the results of one run."""
    work = Workload(int(time.time()))
    first = work.introductions()
    first_seconds, _ = await door.send(first, 8)
    cold_seconds, _ = await door.send(work.batches(batches), 8)
    for _ in range(WARM // (batches * BATCH)):
        await door.send(work.batches(batches), 8)
    await write_raw(target, work.rows(2 * batches * BATCH))
    batch_rates, raw_rates, ratios, batch_latencies = [], [], [], []
    single_rates, single_latencies = [], []
    for _ in range(rounds):
        bodies = work.batches(batches)
        seconds, latencies = await door.send(bodies, 8)
        raw_seconds = await write_raw(target, work.rows(batches * BATCH))
        batch_rates.append(batches * BATCH / seconds)
        raw_rates.append(batches * BATCH / raw_seconds)
        ratios.append(raw_seconds / seconds)
        batch_latencies += latencies
        singles = [orjson.dumps(work.event()) for _ in range(2_000)]
        seconds, latencies = await door.send(singles, 16, "/v1/track")
        single_rates.append(len(singles) / seconds)
        single_latencies += latencies
    visible = await measure_visible(door, target, work, 300)
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "rounds": rounds,
        "events_a_round": batches * BATCH,
        "first_sight_events_a_second": round(PEOPLE / first_seconds),
        "cold_events_a_second": round(batches * BATCH / cold_seconds),
        "warm_up_events": WARM,
        "batch": {
            "events_a_second": round(statistics.median(batch_rates)),
            "rounds": [round(rate) for rate in batch_rates],
            "p50_ms": round(percentile(batch_latencies, 0.5), 2),
            "p99_ms": round(percentile(batch_latencies, 0.99), 2),
        },
        "raw_unwind": {
            "rows_a_second": round(statistics.median(raw_rates)),
            "rounds": [round(rate) for rate in raw_rates],
        },
        "ratio": round(statistics.median(ratios), 3),
        "single": {
            "events_a_second": round(statistics.median(single_rates)),
            "rounds": [round(rate) for rate in single_rates],
            "p50_ms": round(percentile(single_latencies, 0.5), 2),
            "p99_ms": round(percentile(single_latencies, 0.99), 2),
        },
        "visible": {"p50_ms": round(percentile(visible, 0.5), 2), "p99_ms": round(percentile(visible, 0.99), 2)},
    }


@contextmanager
def serve(environment: dict[str, str]) -> Iterator[Door]:
    """Runs the service as users start it. Yields it with a write key of its own."""
    command = [str(Path(sys.executable).parent / "consentric")]
    made = subprocess.run(
        [*command, "source", "create", "bench", "--trust", "record", "--json"],
        env=environment,
        capture_output=True,
        check=True,
    )
    key = json.loads(made.stdout)["write_key"]
    process = subprocess.Popen([*command, "serve", "--port", "0", "--json"], env=environment, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        yield Door(json.loads(process.stdout.readline())["url"], key)
    finally:
        process.terminate()
        process.wait(30)


def run_embedded(rounds: int, batches: int) -> dict[str, Any]:
    """Measures on a fresh embedded store."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(Path(folder))
        try:
            with serve(os.environ | {"CONSENTRIC_STORE": "embedded", "CONSENTRIC_DATA_DIR": folder}) as door:
                return asyncio.run(measure(door, store.target, rounds, batches))
        finally:
            store.stop()


def run_neo4j(url: str, user: str, password: str, rounds: int, batches: int) -> dict[str, Any]:
    """Measures on a Neo4j server. Fills its database."""
    target = StoreTarget(url, user, password, "neo4j", Engine.NEO4J)
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "CONSENTRIC_STORE": url,
            "CONSENTRIC_STORE_USER": user,
            "CONSENTRIC_STORE_PASSWORD": password,
            "CONSENTRIC_DATA_DIR": folder,
        }
        with serve(environment) as door:
            return asyncio.run(measure(door, target, rounds, batches))


def show(results: dict[str, dict[str, Any]]) -> Table:
    """Returns the results as a table."""
    table = Table(title="Collection: HTTP to durable commit, medians", title_justify="left")
    table.add_column("")
    for name in results:
        table.add_column(name, justify="right")
    lines = (
        ("batches of 100, 8 connections: events/s", lambda r: f"{r['batch']['events_a_second']:,}"),
        ("  latency of a batch p50 / p99, ms", lambda r: f"{r['batch']['p50_ms']} / {r['batch']['p99_ms']}"),
        ("raw driver, UNWIND of the same rows: rows/s", lambda r: f"{r['raw_unwind']['rows_a_second']:,}"),
        ("  ratio", lambda r: f"{r['ratio']:.2f}"),
        ("just started, known people: events/s", lambda r: f"{r['cold_events_a_second']:,}"),
        ("just started, every person new: events/s", lambda r: f"{r['first_sight_events_a_second']:,}"),
        ("single events, 16 connections: events/s", lambda r: f"{r['single']['events_a_second']:,}"),
        ("  latency p50 / p99, ms", lambda r: f"{r['single']['p50_ms']} / {r['single']['p99_ms']}"),
        (
            "sent to visible in a profile query p50 / p99, ms",
            lambda r: f"{r['visible']['p50_ms']} / {r['visible']['p99_ms']}",
        ),
    )
    for label, read in lines:
        table.add_row(label, *(read(result) for result in results.values()))
    return table


def read_others(measured: dict[str, Any]) -> dict[str, Any]:
    """Returns the published results of the engines that were not measured this time."""
    path = RESULTS / "ingest.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return {name: known[name] for name in ("embedded", "neo4j") if name in known and name not in measured}


def main() -> None:
    """Measures, and publishes the results."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=200, help="batches of 100 per round")
    parser.add_argument("--neo4j", help="also measure on this server (Bolt address); fills its database")
    parser.add_argument("--user", default="neo4j")
    parser.add_argument("--password-file", type=Path)
    parser.add_argument("--skip-embedded", action="store_true")
    options = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    if not options.skip_embedded:
        results["embedded"] = run_embedded(options.rounds, options.batches)
    if options.neo4j:
        password = options.password_file.read_text().strip() if options.password_file else ""
        results["neo4j"] = run_neo4j(options.neo4j, options.user, password, options.rounds, options.batches)
    results = read_others(results) | results
    publish("ingest", results, show(results), packages=("neo4j", "arcadedb-embedded", "starlette", "uvicorn", "orjson"))


if __name__ == "__main__":
    main()
