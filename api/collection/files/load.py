"""Loading files, as `consentric load` does: the next lines are read while the store commits the previous ones.

A load can be killed at any time and run again: every message counts once. A checkpoint records how far the last run
got, so that the next one can skip those lines without asking the store about each. It is trusted only if the store
knows the message that it names, and it is removed when the file is complete.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final

import orjson

from api.collection.bodies import MAX_EVENT, read_text
from api.collection.files.ndjson import STDIN, Line, MessageFile
from api.collection.intake import Receipt, Submission, submit, write_letter
from api.collection.origin import Origin
from api.collection.payloads import write_payload
from api.collection.proofs import remove_proof, verify_proof
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.mapping import read_message
from api.process.runtime import Runtime
from graph.access.sources import read_source
from graph.collection.messages import is_claimed
from graph.errors import NotFound, RateLimited, StoreTimeout, StoreUnavailable
from graph.model.access import Source
from resolvers.access.proofs import ProofTexts

CHUNK: Final = 250
AHEAD: Final = 4
"""Chunks that are written at the same time, while the next one is read."""

TRIES: Final = 8
"""Attempts to write a chunk if faults are transient, with pauses of 0.25 to 16 seconds."""


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of the lines. `duplicate` includes those that an earlier run has written."""

    accepted: int = 0
    duplicate: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a load has come: the bytes written of the current file, its size (None: not known), and the lines of all
    files so far."""

    path: str
    position: int
    size: int | None
    lines: int


OnProgress = Callable[[Progress], None]


@dataclass(slots=True)
class Tally:
    """The running counts of a load."""

    accepted: int = 0
    duplicate: int = 0
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, receipt: Receipt) -> None:
        """Adds the counts of a chunk."""
        self.accepted += receipt.accepted
        self.duplicate += receipt.duplicate
        self.rejected.update(receipt.rejected)

    @property
    def lines(self) -> int:
        """Number of lines so far."""
        return self.accepted + self.duplicate + self.rejected.total()


async def load_files(
    runtime: Runtime,
    paths: Sequence[str | Path],
    source: str,
    *,
    on_progress: OnProgress | None = None,
    checkpoints: Path | None = None,
) -> LoadReport:
    """Loads files of one source, in the given order; `-` is standard input. `checkpoints` is the folder of checkpoints;
    without it, none are kept.

    Raises NotFound for an unknown source or file, BadInput for a damaged file, and StoreUnavailable if the store stays
    unavailable. What is written until then remains, and the same call continues from there.
    """
    known = await read_source(runtime.services.client, source)
    if known is None:
        raise NotFound(f"There is no source {source!r}: create it with `consentric source create`.")
    tally = Tally()
    for path in paths:
        checkpoint = Checkpoint.of(checkpoints, str(path), source)
        await _Load(runtime, known, tally, on_progress, checkpoint).run(str(path))
    return LoadReport(tally.accepted, tally.duplicate, dict(tally.rejected))


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a file is written: the last line and its last message, and the counts up to there."""

    line: int
    message: str
    written: int
    rejected: dict[str, int]
    head: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The file that stores a mark. Without a path, as for standard input, nothing is stored."""

    path: Path | None

    @classmethod
    def of(cls, folder: Path | None, path: str, source: str) -> Checkpoint:
        """Returns the checkpoint of a file of a source."""
        if folder is None or path == STDIN:
            return cls(None)
        name = blake2b(f"{source}\0{Path(path).resolve()}".encode("utf-8", "surrogateescape"), digest_size=12)
        return cls(folder / f"{name.hexdigest()}.json")

    def read(self) -> Mark | None:
        """Returns the mark, or None if there is none or it is damaged."""
        if self.path is None or not self.path.exists():
            return None
        try:
            return Mark(**orjson.loads(self.path.read_bytes()))
        except (orjson.JSONDecodeError, TypeError):
            return None

    def write(self, mark: Mark) -> None:
        """Stores a mark atomically."""
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.path.with_suffix(".part")
        partial.write_bytes(orjson.dumps(mark))
        partial.replace(self.path)

    def clear(self) -> None:
        """Removes the file."""
        if self.path is not None:
            self.path.unlink(missing_ok=True)


@dataclass(slots=True)
class _Chunk:
    """Lines that are being written."""

    lines: list[Line]
    last_message: str | None
    receipt: asyncio.Task[Receipt]


@dataclass(slots=True)
class _Load:
    """The load of one file."""

    runtime: Runtime
    source: Source
    tally: Tally
    on_progress: OnProgress | None
    checkpoint: Checkpoint
    own: Tally = field(default_factory=Tally)
    under_way: deque[_Chunk] = field(default_factory=deque)
    broken: bool = False
    """A chunk may not have been written. Later chunks are still written, but the mark stays before it."""

    async def run(self, path: str) -> None:
        """Reads the file to its end and writes everything."""
        file = MessageFile(path)
        try:
            try:
                await self._read(file)
            finally:
                await self._drain(file)
        finally:
            file.close()
        self.checkpoint.clear()

    async def _read(self, file: MessageFile) -> None:
        """Reads each chunk while earlier ones are written."""
        lines = await self._resume(file, await asyncio.to_thread(file.read_lines, CHUNK))
        while lines:
            await self._send(file, lines)
            reading = asyncio.ensure_future(asyncio.to_thread(file.read_lines, CHUNK))
            try:
                if len(self.under_way) >= AHEAD:
                    await self._finish_first(file)
            finally:
                lines = await reading

    async def _drain(self, file: MessageFile) -> None:
        try:
            while self.under_way:
                await self._finish_first(file)
        finally:
            for chunk in self.under_way:
                chunk.receipt.cancel()

    async def _resume(self, file: MessageFile, lines: list[Line]) -> list[Line]:
        """Returns the first lines to load: those after the mark, if the store knows the message that it names."""
        mark = self.checkpoint.read()
        if (
            mark is None
            or mark.head != _digest(file.head)
            or not await is_claimed(self.runtime.services.client, mark.message)
        ):
            return lines
        while lines and lines[-1].number <= mark.line:
            lines = await asyncio.to_thread(file.read_lines, CHUNK)
        for tally in (self.tally, self.own):
            tally.duplicate += mark.written
            tally.rejected.update(mark.rejected)
        return [line for line in lines if line.number > mark.line]

    async def _send(self, file: MessageFile, lines: list[Line]) -> None:
        services = self.runtime.services
        origin = Origin(
            self.source,
            services.clock(),
            services.policy,
            own_types=True,
            received_earlier=True,
            imported=True,
            proofs=self.runtime.authority.proofs,
        )
        submission = await read_messages(file, lines, origin)
        last = next((message.id for message in reversed(submission.messages.values())), None)
        self.under_way.append(_Chunk(lines, last, asyncio.create_task(self._write(submission))))

    async def _write(self, submission: Submission) -> Receipt:
        """Writes a chunk and retries after transient faults. Nothing is written twice."""
        pause = 0.25
        for left in reversed(range(TRIES)):
            try:
                return await submit(self.runtime.ingestor, submission)
            except (StoreUnavailable, StoreTimeout, RateLimited):
                if not left:
                    raise
                await asyncio.sleep(pause)
                pause *= 2
        raise AssertionError("the last try returns or raises")

    async def _finish_first(self, file: MessageFile) -> None:
        chunk = self.under_way.popleft()
        try:
            receipt = await chunk.receipt
        except BaseException:
            self.broken = True
            raise
        self.tally.add(receipt)
        self.own.add(receipt)
        last = chunk.lines[-1]
        if chunk.last_message is not None and not self.broken:
            written = self.own.accepted + self.own.duplicate
            head = _digest(file.head)
            self.checkpoint.write(Mark(last.number, chunk.last_message, written, dict(self.own.rejected), head))
        if self.on_progress is not None:
            self.on_progress(Progress(file.path, last.position, file.size, self.tally.lines))


async def read_messages(file: MessageFile, lines: Sequence[Line], origin: Origin) -> Submission:
    """Reads each line on its own."""
    submission = Submission()
    for index, line in enumerate(lines):
        text, own = "", origin
        try:
            value, given = remove_proof(_parse(line))
            text = write_payload(value) if given != ProofTexts() else ""
            own = await verify_proof(value, given, origin)
            submission.messages[index] = read_message(value, own, _own_id(file, line, value))
        except Rejected as error:
            text = text or line.content.decode("utf-8", "replace")
            submission.reject(index, error, write_letter(text, error, own, from_file=True))
    return submission


def _parse(line: Line) -> Any:
    if not line.whole:
        raise Rejected(RejectionReason.TOO_LARGE, f"A message has at most {MAX_EVENT} bytes.")
    try:
        return orjson.loads(line.content)
    except orjson.JSONDecodeError:
        return read_text(line.content.decode("utf-8", "surrogateescape"))


def _own_id(file: MessageFile, line: Line, value: Any) -> str | None:
    """Returns the ID for a message that has none, otherwise None."""
    given = value.get("messageId") if isinstance(value, dict) else None
    return file.name_line(line) if given is None or given == "" else None


def _digest(head: bytes) -> str:
    return blake2b(head, digest_size=12).hexdigest()
