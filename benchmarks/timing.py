"""Whether a partner can tell, by the time of a response, a person who is withheld from one who doesn't exist.

The real server runs on the embedded engine. People with 5, 150 and 10,000 events each consent to everything but sharing
with the partner who asks. For each kind of key (record, identifier, pseudonym), requests come in pairs, in random
order: one for a withheld person, one for a key of the same form that leads to nobody; both get the same bytes. The
result is the area under the ROC curve (AUC) of telling the two by time: 0.5 is a guess, 1.0 certainty. A pair of two
absent keys, measured in the same way, shows what chance gives.

    python benchmarks/timing.py [--pairs 1000] [--seed 7]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import orjson  # noqa: E402
from rich.table import Table  # noqa: E402

from benchmarks.profile_query import Connection, Program  # noqa: E402
from benchmarks.report import publish  # noqa: E402
from graph.embedded.store import open_store  # noqa: E402

SOURCE: Final = "shop"
SIZES: Final = (5, 150, 10_000)
WARM_UP: Final = 50
PEOPLE: Final = 3
"""How many people of each size there are, and as many absent keys of each form: requests take turns with them."""

FIELDS: Final = """
  id email givenName attributes consents { purpose } segments { segment { key } } rfm { cell }
  interactions(first: 50) { nodes { id } } sessions(first: 50) { nodes { id } }
  recommendations(first: 10) { score }
"""
QUERY: Final = f"query Profile($key: ProfileKey!) {{ profile(by: $key) {{ {FIELDS} }} }}"
EMPTY: Final = b'{"data":{"profile":null}}'
LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True)
class Pair:
    """The keys of withheld people and of nobody, of one kind."""

    kind: str
    events: int
    withheld: tuple[bytes, ...]
    absent: tuple[bytes, ...]


def name_people(rng: random.Random) -> dict[int, list[str]]:
    """Names of people by their number of events; 0: of nobody. All have the same form."""
    return {size: ["".join(rng.choices(LETTERS, k=12)) for _ in range(PEOPLE)] for size in (*SIZES, 0)}


def write_lines(path: Path, people: dict[int, list[str]], state: str, number: int) -> None:
    """Writes one statement about sharing per person; with `number` 0 also who they are and what they did."""
    with path.open("wb") as file:

        def put(line: dict[str, Any]) -> None:
            file.write(orjson.dumps(line) + b"\n")

        for size in SIZES:
            for person in people[size]:
                if number == 0:
                    traits = {"firstName": "Given", "email": f"{person}@example.com"}
                    put({"type": "identify", "userId": person, "messageId": f"who-{person}", "traits": traits})
                    for event in range(size):
                        item = {"product_id": f"item-{event % 500}"}
                        line = {"type": "track", "userId": person, "event": "Product Viewed", "properties": item}
                        put(line | {"messageId": f"{person}-{event}"})
                    for purpose in ("analytics", "personalisation", "marketing"):
                        consent = {"type": "consent", "userId": person, "purpose": purpose, "state": "given"}
                        put(consent | {"messageId": f"said-{person}-{purpose}"})
                consent = {"type": "consent", "userId": person, "purpose": "partner_sharing", "recipient": "acme"}
                put(consent | {"state": state, "messageId": f"share-{person}-{number}"})


def body_of(key: dict[str, Any]) -> bytes:
    """Returns the request for a key."""
    return orjson.dumps({"query": QUERY, "variables": {"key": key}})


def by_record(person: str) -> bytes:
    return body_of({"record": {"source": SOURCE, "key": person}})


def by_identifier(person: str) -> bytes:
    return body_of({"identifier": {"kind": "email", "value": f"{person}@example.com"}})


async def read_pseudonyms(url: str, key: str, people: Sequence[str]) -> list[str]:
    """Returns the partner's pseudonyms of people who share with it."""
    connection = Connection(url)
    await connection.open()
    contents = [await connection.post(by_record(person), key) for person in people]
    connection.writer.close()
    return [orjson.loads(content)["data"]["profile"]["id"] for content in contents]


def list_pairs(people: dict[int, list[str]], pseudonyms: dict[int, list[str]], unknown: list[str]) -> list[Pair]:
    """Returns the pairs to compare; those with 0 events compare nobody with nobody."""
    found = []
    for size in (*SIZES, 0):
        for kind, make in (("record", by_record), ("identifier", by_identifier)):
            half = [name[::-1] for name in people[0]] if size == 0 else people[size]
            found.append(Pair(kind, size, tuple(map(make, half)), tuple(map(make, people[0]))))
        ids = pseudonyms[size] if size else unknown[PEOPLE:]
        bodies = [tuple(body_of({"id": id_}) for id_ in some) for some in (ids, unknown[:PEOPLE])]
        found.append(Pair("pseudonym", size, bodies[0], bodies[1]))
    return found


async def time_pair(connection: Connection, key: str, pair: Pair, pairs: int, rng: random.Random) -> dict[str, float]:
    """Returns the AUC of one pair and the median milliseconds of either side. Both of a pair are requested one after
    the other, in random order."""
    seconds: dict[str, list[float]] = {"withheld": [], "absent": []}
    for number in range(WARM_UP + pairs):
        order = ["withheld", "absent"]
        rng.shuffle(order)
        for name in order:
            bodies = pair.withheld if name == "withheld" else pair.absent
            start = time.perf_counter()
            content = await connection.post(bodies[number % len(bodies)], key)
            spent = time.perf_counter() - start
            if content != EMPTY:
                raise RuntimeError(f"{pair.kind}: {content[:200]!r}")
            if number >= WARM_UP:
                seconds[name].append(spent)
    medians = {f"{name}_ms": round(statistics.median(spent) * 1000, 3) for name, spent in seconds.items()}
    return {"auc": measure_auc(seconds["withheld"], seconds["absent"]), **medians}


def measure_auc(withheld: Sequence[float], absent: Sequence[float]) -> float:
    """Returns the probability that a withheld request takes longer than an absent one (Mann–Whitney U over the number
    of pairs), or its complement if that is larger."""
    ordered = np.sort(np.asarray(absent))
    times = np.asarray(withheld)
    below = np.searchsorted(ordered, times, side="left")
    ties = np.searchsorted(ordered, times, side="right") - below
    share = float((below + ties / 2).mean() / len(ordered))
    return round(max(share, 1 - share), 3)


@contextmanager
def prepare(environment: dict[str, str], folder: Path, rng: random.Random) -> Iterator[tuple[str, str, list[Pair]]]:
    """Loads and serves the graph. Yields the server's address, the partner's key and the pairs."""
    program, people = Program(environment), name_people(rng)
    program.run("source", "create", SOURCE, "--trust", "server", "--verifies", "email")
    options = ("--role", "partner", "--purpose", "partner_sharing", "--recipient", "acme")
    key = program.run("client", "create", "acme", *options)["key"]
    file = folder / "people.ndjson"
    write_lines(file, people, "given", 0)
    program.run("load", str(file), "--source", SOURCE)
    with program.serve() as (url, _):
        pseudonyms = {size: asyncio.run(read_pseudonyms(url, key, people[size])) for size in SIZES}
    write_lines(file, people, "withdrawn", 1)
    program.run("load", str(file), "--source", SOURCE)
    unknown = [make_unknown(pseudonyms[5][0], rng) for _ in range(2 * PEOPLE)]
    with program.serve() as (url, _):
        yield url, key, list_pairs(people, pseudonyms, unknown)


def make_unknown(pseudonym: str, rng: random.Random) -> str:
    """Returns a text of the form of a pseudonym that is none: another one with a part of its letters drawn anew."""
    text = b64decode(pseudonym).decode()
    name, _, own = text.partition(":")
    fresh = "".join(rng.choices(LETTERS, k=len(own) - 1)) + "A"
    return b64encode(f"{name}:{fresh}".encode()).decode()


async def measure(url: str, key: str, pairs: Sequence[Pair], number: int, rng: random.Random) -> list[dict[str, Any]]:
    """Returns the AUC of every pair."""
    connection = Connection(url)
    await connection.open()
    found = []
    for pair in pairs:
        found.append({"key": pair.kind, "events": pair.events, **await time_pair(connection, key, pair, number, rng)})
    connection.writer.close()
    return found


def show(results: Sequence[dict[str, Any]], number: int) -> Table:
    """Returns the results as a table."""
    title = f"Telling withheld people from absent ones by time: AUC of {number} pairs (0.5: a guess)"
    table = Table(title=title, title_justify="left")
    for column in ("key", "events of the withheld", "withheld ms", "absent ms", "AUC"):
        table.add_column(column, justify="left" if column == "key" else "right")
    for one in results:
        medians = (f"{one['withheld_ms']:.2f}", f"{one['absent_ms']:.2f}")
        table.add_row(one["key"], str(one["events"] or "nobody (control)"), *medians, f"{one['auc']:.3f}")
    return table


def main() -> None:
    """Measures, and publishes the results."""
    parser = argparse.ArgumentParser(description="Absent against withheld, by time.")
    parser.add_argument("--pairs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = os.environ | {"CONSENTRIC_STORE": "embedded", "CONSENTRIC_DATA_DIR": str(folder / "data")}
        store = open_store(folder / "data")
        try:
            with prepare(environment, folder, rng) as (url, key, pairs):
                results = asyncio.run(measure(url, key, pairs, options.pairs, rng))
        finally:
            store.stop()
    document = {
        "seed": options.seed,
        "pairs": options.pairs,
        "people_of_each_size": PEOPLE,
        "load_average": round(os.getloadavg()[1], 1),  # noise hides differences: judge results by it
        "results": results,
    }
    publish("timing", document, show(results, options.pairs), ("neo4j", "arcadedb-embedded"))


if __name__ == "__main__":
    main()
