"""Files of messages, one JSON object per line: plain, gzip, or standard input.

A line without a `messageId` gets one from the file's first line, its own number and its content: the same file loaded
again, under another name or with lines added at its end, gives the same IDs.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import IO, Final

from api.collection.bodies import GZIP_MAGIC, MAX_EVENT
from graph.errors import BadInput, NotFound

STDIN: Final = "-"
_BOM: Final = b"\xef\xbb\xbf"
_SCRAP: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Line:
    """One line that is not blank: its number from 1, its content without the line's end, and the bytes of the file read
    when it was (compressed ones, where it is). `whole` is False where it is over the limit and cut."""

    number: int
    content: bytes
    position: int
    whole: bool = True


class MessageFile:
    """One file, read once from its beginning. Reading blocks: call it from a thread."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size: int | None = None
        self.head = b""
        self._number = 0
        try:
            raw: IO[bytes] = sys.stdin.buffer if path == STDIN else Path(path).open("rb")  # noqa: SIM115 - closed below
            if path != STDIN:
                self.size = Path(path).stat().st_size
        except FileNotFoundError:
            raise NotFound(f"There is no file {path}.") from None
        except OSError as error:
            raise BadInput(f"{path} can't be read: {error.strerror}.") from None
        self._raw = raw
        self._stream: IO[bytes] = raw
        if path != STDIN:
            magic = raw.read(2)
            raw.seek(0)
            if magic == GZIP_MAGIC:
                self._stream = gzip.GzipFile(fileobj=raw)  # type: ignore[assignment]
        elif hasattr(raw, "peek") and raw.peek(2)[:2] == GZIP_MAGIC:
            self._stream = gzip.GzipFile(fileobj=raw)  # type: ignore[assignment]

    def close(self) -> None:
        """Closes the file; standard input stays open."""
        if self.path != STDIN:
            self._raw.close()

    def read_lines(self, most: int) -> list[Line]:
        """The next lines, at most so many; none at the end. Raises BadInput where the file is damaged."""
        lines: list[Line] = []
        try:
            for line in self._cut():
                lines.append(line)
                if len(lines) >= most:
                    break
        except (OSError, EOFError, zlib.error):
            if not lines:
                raise BadInput(
                    f"{self.path} is damaged after line {self._number}; what stood before it is kept."
                ) from None
        return lines

    def _cut(self) -> Iterator[Line]:
        while True:
            text = self._stream.readline(MAX_EVENT + 2)
            if not text:
                return
            self._number += 1
            whole = text.endswith(b"\n") or len(text) <= MAX_EVENT
            if not whole:
                self._skip_rest()
            content = text.strip()
            if self._number == 1:
                content = content.removeprefix(_BOM)
                self.head = content
            if content:
                yield Line(self._number, content, self._position(), whole)

    def _skip_rest(self) -> None:
        while (scrap := self._stream.readline(_SCRAP)) and not scrap.endswith(b"\n"):
            pass

    def _position(self) -> int:
        return self._raw.tell() if self.path != STDIN else 0

    def name_line(self, line: Line) -> str:
        """The ID used when the line's message has none, 32 hex digits."""
        digest = blake2b(self.head, digest_size=16)
        digest.update(b"\0%d\0" % line.number)
        digest.update(line.content)
        return digest.hexdigest()
