"""Files of messages, one JSON object per line: plain, gzipped, or standard input.

The ID of a line without a `messageId` is derived from the file's first line, the line's number and its content. It
stays the same when the file is loaded again, renamed, or extended at its end.
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
    """A line that is not blank: its number, counted from 1; its content without surrounding white space; and how many
    bytes of the file (compressed ones, if it is gzipped) had been read by then. `whole` is False if the line is over
    the size limit and therefore cut."""

    number: int
    content: bytes
    position: int
    whole: bool = True


class MessageFile:
    """A file that is read once, from its beginning. Reading blocks, so call it from a thread."""

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
        """Returns the next lines, `most` at most; none at the end of the file. Raises BadInput if it is damaged."""
        lines: list[Line] = []
        try:
            for line in self._cut():
                lines.append(line)
                if len(lines) >= most:
                    break
        except (OSError, EOFError, zlib.error):
            if not lines:
                raise BadInput(
                    f"{self.path} is damaged after line {self._number}; the lines up to there are loaded."
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
        """Returns the ID used if the line's message has none: 32 hexadecimal digits."""
        digest = blake2b(self.head, digest_size=16)
        digest.update(b"\0%d\0" % line.number)
        digest.update(line.content)
        return digest.hexdigest()
