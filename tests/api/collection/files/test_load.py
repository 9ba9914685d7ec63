"""Loading files: streaming, resuming, reporting."""

from __future__ import annotations

import asyncio
import gzip
import io
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from api.collection.bodies import MAX_EVENT
from api.collection.files.load import CHUNK, LoadReport, Progress, load_files
from api.collection.files.ndjson import MessageFile
from api.process.runtime import Runtime
from graph.access.sources import write_source
from graph.errors import BadInput, NotFound, StoreTimeout, StoreUnavailable
from graph.model.access import Source
from graph.model.message import Message
from graph.model.time import Millis
from graph.store.client import GraphClient
from privacy.policy import Policy
from resolvers.access.credentials import Authority
from resolvers.access.tokens import TokenVerifier
from resolvers.collection.ingestor import Ingestor
from resolvers.collection.transaction import MessageOutcome
from resolvers.context import Services
from resolvers.recommendation.serve import WalkRecommender

pytestmark = pytest.mark.store

NOW = Millis(1_790_000_000_000)
EVENTS = "MATCH (:Session)-[e]->() RETURN count(e) AS n"


WRITE_FORGETTING = "MATCH (n) WHERE n:Message OR n:Session WITH n LIMIT 500 DETACH DELETE n RETURN 1 AS n"


@pytest.fixture
async def runtime(store: GraphClient) -> AsyncIterator[Runtime]:
    await store.write(lambda tx: write_source(tx, Source("shop", created_at=NOW)))
    policy = Policy.default()
    async with Ingestor(store, policy, lambda: NOW) as ingestor:
        services = Services(store, policy, WalkRecommender(), b"", clock=lambda: NOW)
        yield Runtime(services, ingestor, Authority(store, services.secret, TokenVerifier([], "c"), lambda: NOW))


def track(number: int, **rest: Any) -> dict[str, Any]:
    line = {"type": "track", "messageId": f"m{number}", "userId": f"u{number % 7}", "event": "Clicked"}
    return line | {"timestamp": NOW - 10**7 + number} | rest


def write(path: Path, lines: Sequence[Any]) -> Path:
    content = b"\n".join(line if isinstance(line, bytes) else orjson.dumps(line) for line in lines) + b"\n"
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


async def count(runtime: Runtime, statement: str) -> int:
    return int((await runtime.services.client.read(statement))[0]["n"])


@pytest.mark.parametrize("name", ["events.ndjson", "events.ndjson.gz"])
async def test_loading_a_file_again_writes_nothing_twice(runtime: Runtime, tmp_path: Path, name: str) -> None:
    number = 2 * CHUNK + 17
    path = write(tmp_path / name, [track(n) for n in range(number)])
    seen: list[Progress] = []
    assert await load_files(runtime, [path], "shop", on_progress=seen.append) == LoadReport(number, 0, {})
    assert [progress.lines for progress in seen] == [CHUNK, 2 * CHUNK, number]
    assert seen[-1].size == path.stat().st_size >= seen[-1].position > 0
    assert await load_files(runtime, [path], "shop") == LoadReport(0, number, {})
    assert await count(runtime, EVENTS) == number


async def test_a_line_that_was_received_before_is_corrected_by_its_own_times(runtime: Runtime, tmp_path: Path) -> None:
    sent = {"timestamp": NOW - 5_000_000, "sentAt": NOW - 4_000_000, "receivedAt": NOW - 3_000_000}
    corrected = track(2, **sent, originalTimestamp=NOW - 9_000_000)
    await load_files(runtime, [write(tmp_path / "a.ndjson", [track(1, **sent), corrected])], "shop")
    rows = await runtime.services.client.read("MATCH (:Session)-[e]->() RETURN e.at AS at ORDER BY at")
    assert [row["at"] for row in rows] == [NOW - 5_000_000, NOW - 4_000_000]


async def test_lines_are_accepted_or_rejected_one_by_one(runtime: Runtime, tmp_path: Path) -> None:
    lines = [
        b"\xef\xbb\xbf" + orjson.dumps(track(0)), b"", b"   ",
        {"type": "item", "itemId": "p", "title": "Lamp"},
        {"type": "consent", "userId": "u0", "purpose": "analytics", "state": "given"},
        b"nonsense", {"type": "consent", "userId": "u0", "purpose": "fun", "state": "given"}, b"\xff", b"null",
        b'{"type":"identify","userId":"u1","traits":{"t":"\\ud83d"}}',
        orjson.dumps(track(1, properties={"x": "y" * MAX_EVENT})), b"[" * 3000, track(2, userId=None), track(0),
    ]  # fmt: skip
    report = await load_files(runtime, [write(tmp_path / "all.ndjson", lines)], "shop")
    assert report == LoadReport(
        4, 1,
        {"malformed_json": 1, "bad_value": 1, "bad_unicode": 1, "not_an_object": 1, "too_large": 1, "too_deep": 1,
         "missing_id": 1},
    )  # fmt: skip
    assert await count(runtime, "MATCH (d:DeadLetter) RETURN count(d) AS n") == 7
    assert await count(runtime, "MATCH (i:Item {title: 'Lamp'}) RETURN count(i) AS n") == 1


async def test_lines_without_an_id_are_identified_by_position_and_content(runtime: Runtime, tmp_path: Path) -> None:
    lines = [track(0, messageId=None, timestamp="2024-01-01")] * 3
    path = write(tmp_path / "a.ndjson", lines)
    assert await load_files(runtime, [path], "shop") == LoadReport(3, 0, {})
    renamed = write(tmp_path / "b.ndjson.gz", [*lines, lines[0]])
    assert await load_files(runtime, [renamed], "shop") == LoadReport(1, 3, {})


async def test_several_files_and_standard_input_are_loaded(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [write(tmp_path / f"{n}.ndjson", [track(n), track(100 + n)]) for n in range(3)]
    piped = gzip.compress(orjson.dumps(track(200)) + b"\n" + orjson.dumps(track(0)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(piped))))  # type: ignore[arg-type]
    assert await load_files(runtime, [*paths, "-"], "shop") == LoadReport(7, 1, {})


class Dying(Ingestor):
    """An ingestor that is killed after some chunks; what it is writing then is not written."""

    left = 3

    async def submit(self, messages: Sequence[Message], *rest: Any, **more: Any) -> list[MessageOutcome]:
        if self.left == 0:
            raise asyncio.CancelledError
        self.left -= 1
        return await super().submit(messages, *rest, **more)


async def test_a_killed_load_resumes_where_it_stopped(runtime: Runtime, tmp_path: Path) -> None:
    number = 10 * CHUNK
    lines: list[Any] = [track(n) for n in range(number)]
    lines[5] = b"broken"
    path = write(tmp_path / "a.ndjson", lines)
    checkpoints = tmp_path / "checkpoints"
    async with Dying(runtime.services.client, runtime.services.policy, runtime.services.clock) as dying:
        cut = replace(runtime, ingestor=dying)
        with pytest.raises(asyncio.CancelledError):
            await load_files(cut, [path], "shop", checkpoints=checkpoints)
    assert len(list(checkpoints.iterdir())) == 1
    half = await count(runtime, EVENTS)
    assert 0 < half < number
    report = await load_files(runtime, [path], "shop", checkpoints=checkpoints)
    assert report == LoadReport(number - 1 - half, half, {"malformed_json": 1})
    assert await count(runtime, EVENTS) == number - 1
    assert not list(checkpoints.iterdir())


@pytest.mark.parametrize("how", [StoreTimeout("too slow"), asyncio.CancelledError()])
async def test_the_mark_stays_before_a_chunk_that_was_not_written(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: BaseException
) -> None:
    monkeypatch.setattr("api.collection.files.load.TRIES", 1)
    number = 6 * CHUNK
    path = write(tmp_path / "a.ndjson", [track(n) for n in range(number)])
    checkpoints = tmp_path / "checkpoints"

    class Gapped(Ingestor):
        async def submit(self, messages: Sequence[Message], *rest: Any, **more: Any) -> list[MessageOutcome]:
            if any(message.id.endswith(f"m{CHUNK}") for message in messages):
                raise how
            return await super().submit(messages, *rest, **more)

    async with Gapped(runtime.services.client, runtime.services.policy, runtime.services.clock) as gapped:
        cut = replace(runtime, ingestor=gapped)
        with pytest.raises(type(how)):
            await load_files(cut, [path], "shop", checkpoints=checkpoints)
    written = await count(runtime, EVENTS)
    assert CHUNK < written <= number - CHUNK
    report = await load_files(runtime, [path], "shop", checkpoints=checkpoints)
    assert report == LoadReport(number - written, written, {})
    assert await count(runtime, EVENTS) == number


async def test_a_checkpoint_of_another_store_is_not_trusted(runtime: Runtime, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [track(n) for n in range(10 * CHUNK)])
    checkpoints = tmp_path / "checkpoints"
    async with Dying(runtime.services.client, runtime.services.policy, runtime.services.clock) as dying:
        cut = replace(runtime, ingestor=dying)
        with pytest.raises(asyncio.CancelledError):
            await load_files(cut, [path], "shop", checkpoints=checkpoints)
    while await runtime.services.client.write(
        lambda tx: tx.run(
            "MATCH (n) WHERE NOT n:Source AND NOT n:Migration WITH n LIMIT 500 DETACH DELETE n RETURN 1 AS n"
        )
    ):
        pass
    assert (await load_files(runtime, [path], "shop", checkpoints=checkpoints)).accepted == 10 * CHUNK


async def test_transient_faults_are_retried(runtime: Runtime, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [track(0)])
    failures = [StoreUnavailable("away"), StoreUnavailable("away")]

    class Flaky(Ingestor):
        async def submit(self, *given: Any, **more: Any) -> list[MessageOutcome]:
            if failures:
                raise failures.pop()
            return await super().submit(*given, **more)

    async with Flaky(runtime.services.client, runtime.services.policy, runtime.services.clock) as flaky:
        slow = replace(runtime, ingestor=flaky)
        assert await load_files(slow, [path], "shop") == LoadReport(1, 0, {})


async def test_unknown_sources_and_unreadable_files_are_refused(runtime: Runtime, tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [track(0)])
    with pytest.raises(NotFound):
        await load_files(runtime, [path], "unheard")
    with pytest.raises(NotFound):
        await load_files(runtime, [tmp_path / "absent"], "shop")
    with pytest.raises(BadInput):
        await load_files(runtime, [tmp_path], "shop")
    damaged = tmp_path / "b.gz"
    damaged.write_bytes(gzip.compress(b"\n".join(orjson.dumps(track(n)) for n in range(5000)))[:-2000])
    with pytest.raises(BadInput, match="damaged after line"):
        await load_files(runtime, [damaged], "shop")
    assert await count(runtime, EVENTS) > 0


def test_a_line_over_the_limit_is_cut_and_the_next_is_whole(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", [b"x" * (5 << 20), b"next", b"y" * MAX_EVENT])
    file = MessageFile(str(path))
    lines = file.read_lines(10)
    file.close()
    assert [(line.number, len(line.content), line.whole) for line in lines] == [
        (1, MAX_EVENT + 2, False), (2, 4, True), (3, MAX_EVENT, True),
    ]  # fmt: skip
