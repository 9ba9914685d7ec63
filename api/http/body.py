"""The body of a request, read up to a limit."""

from __future__ import annotations

from starlette.requests import Request

from graph.errors import PayloadTooLarge


async def read_limited(request: Request, limit: int) -> bytes:
    """Returns the body. Raises PayloadTooLarge beyond the limit, without reading further; if the length is declared,
    without reading at all."""
    message = f"The body is over {limit} bytes: send less at once."
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise PayloadTooLarge(message)
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(message)
        chunks.append(chunk)
    return b"".join(chunks)
