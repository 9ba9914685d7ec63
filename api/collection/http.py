"""Segment's HTTP tracking API: `POST /v1/batch` and one endpoint for each message type.

Statuses: 200 once everything acceptable is on disk, even if some messages of a batch are rejected (the response counts
them); 400 for a body or a single message that can never be accepted; 401 and 413; 429 and 503, with Retry-After, for
transient faults: the same request can then be sent again safely, since every message counts once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response

from api.auth import NO_WRITE_KEY, admit_sender, is_import, refuse_browser
from api.collection.bodies import GZIP_MAGIC, MAX_BATCH, MAX_EVENT, Entry, decompress, read_batch, read_single
from api.collection.intake import Receipt, RejectedEntry, read_entries, submit, write_letter
from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment.times import read_time
from api.errors import MAPPINGS, documentation_of
from api.http.body import read_limited
from api.http.throttle import Throttle, visit_of
from api.process.runtime import Runtime
from graph.errors import BadInput, Forbidden, Unauthenticated
from graph.model.access import Source, Trust

SINGLES: Final = ("identify", "track", "page", "screen", "group", "alias")
MOST_LISTED: Final = 100
"""Rejected entries that a response lists at most; all are counted."""

NO_PUBLIC_IMPORT: Final = "A public write key can't import: only a server or a system of record states receipt times."

Handler = Callable[[Request], Awaitable[Response]]


def collection_routes(runtime: Runtime, throttle: Throttle) -> list[Route]:
    """Returns the routes of collection, served from an open runtime within the limits."""
    handlers = {"batch": _handle_batch(runtime)} | {kind: _handle_single(runtime, kind) for kind in SINGLES}
    return [
        Route(f"/v1/{name}", throttle.guard(request_response(handler)), methods=["POST"])
        for name, handler in handlers.items()
    ]


def _handle_batch(runtime: Runtime) -> Handler:
    async def handle(request: Request) -> Response:
        source = await _admit_by_header(request, runtime)
        body = await read_limited(request, MAX_BATCH)
        try:
            batch = read_batch(decompress(body, MAX_BATCH), salvage=source is not None)
        except Rejected as error:
            return await _refuse(request, runtime, await _admit(request, source, None, runtime), body, error)
        if batch is None:
            raise Unauthenticated(NO_WRITE_KEY)
        source = await _admit(request, source, batch.head.get("writeKey"), runtime)
        sent_at = batch.head.get("sentAt")
        context = batch.head.get("context")
        try:
            origin = _origin(request, source, runtime, sent_at)
        except Rejected as error:
            return await _refuse(request, runtime, source, body, error)
        submission = await read_entries(
            batch.entries,
            origin,
            sized=len(body) <= MAX_EVENT and not body.startswith(GZIP_MAGIC),
            context=context if isinstance(context, dict) else None,
        )
        return _respond(await submit(runtime.ingestor, submission, _name_sender(request, source)))

    return handle


def _handle_single(runtime: Runtime, kind: str) -> Handler:
    async def handle(request: Request) -> Response:
        source = await _admit_by_header(request, runtime)
        body = await read_limited(request, MAX_EVENT)
        try:
            value = read_single(decompress(body, MAX_EVENT))
        except Rejected as error:
            return await _refuse(request, runtime, await _admit(request, source, None, runtime), body, error)
        write_key = value.get("writeKey") if isinstance(value, dict) else None
        source = await _admit(request, source, write_key, runtime)
        entries = [Entry(_set_type(value, kind))]
        submission = await read_entries(entries, _origin(request, source, runtime), sized=True)
        receipt = await submit(runtime.ingestor, submission, _name_sender(request, source))
        return _respond_rejected(receipt.rejections[0]) if receipt.rejections else _respond(receipt)

    return handle


def _name_sender(request: Request, source: Source) -> str:
    """Returns who waits in turn with others: a source at an address, because all browsers of a site share its key."""
    return f"{source.name} {visit_of(request).address}"


def _set_type(value: Any, kind: str) -> Any:
    """Returns the message with the type of its endpoint."""
    return {**value, "type": kind} if isinstance(value, dict) else value


async def _admit_by_header(request: Request, runtime: Runtime) -> Source | None:
    """Returns the sender by the Authorization header, or None if there is none. Raises Unauthenticated for a wrong key
    and Forbidden for a secret key in a browser, before any of the body is read."""
    if "authorization" not in request.headers:
        return None
    source = await visit_of(request).watch(admit_sender(request, runtime.authority))
    refuse_browser(request, source)
    return source


async def _admit(request: Request, source: Source | None, write_key: Any, runtime: Runtime) -> Source:
    """Returns the sender: the one from the header, otherwise the one whose write key is in the body. From now on the
    request counts against it. Raises Unauthenticated if there is neither, Forbidden if a browser sends a secret key,
    and RateLimited."""
    visit = visit_of(request)
    if source is None:
        source = await visit.watch(_admit_by_body(write_key, runtime))
        refuse_browser(request, source)
    visit.enter_client(f"source {source.name}")
    return source


async def _admit_by_body(write_key: Any, runtime: Runtime) -> Source:
    if not isinstance(write_key, str):
        raise Unauthenticated(NO_WRITE_KEY)
    return await runtime.authority.admit_source(write_key)


def _origin(request: Request, source: Source, runtime: Runtime, sent_at: Any = None) -> Origin:
    """Returns where a request's messages come from. Raises Rejected if `sent_at` is not a time, Forbidden if a public
    source imports."""
    imported = is_import(request)
    if imported and source.trust is Trust.PUBLIC:
        raise Forbidden(NO_PUBLIC_IMPORT)
    if isinstance(sent_at, bool) or not isinstance(sent_at, str | int | float | None):
        raise Rejected(RejectionReason.BAD_TIMESTAMP, "sentAt is not an ISO 8601 date and time.", "sentAt")
    return Origin(
        source,
        runtime.services.clock(),
        runtime.services.policy,
        read_time(sent_at, "sentAt"),
        received_earlier=imported,
        imported=imported,
        proofs=runtime.authority.proofs,
    )


async def _refuse(request: Request, runtime: Runtime, source: Source, body: bytes, error: Rejected) -> Response:
    """Stores a body that can't be read at all as one dead letter, and returns the response to it."""
    text = body.decode("utf-8", "replace").replace("\0", "\ufffd")
    letter = write_letter(text, error, Origin(source, runtime.services.clock(), runtime.services.policy))
    await runtime.ingestor.submit([], [letter], _name_sender(request, source))
    return _respond_rejected(RejectedEntry(0, error.reason, error.message, error.field))


def _respond(receipt: Receipt) -> Response:
    listed = [_show(rejection) for rejection in receipt.rejections[:MOST_LISTED]]
    return _json(
        200,
        {
            "success": True,
            "accepted": receipt.accepted,
            "duplicate": receipt.duplicate,
            "rejected": receipt.rejected,
            "errors": listed,
        },
    )


def _respond_rejected(rejection: RejectedEntry) -> Response:
    error = {"code": BadInput.code, **_show(rejection, placed=False)}
    error["documentation"] = documentation_of(f"rejections#{rejection.reason}")
    return _json(MAPPINGS[BadInput].status, {"success": False, "error": error})


def _show(rejection: RejectedEntry, *, placed: bool = True) -> dict[str, Any]:
    shown: dict[str, Any] = {"index": rejection.index} if placed else {}
    shown |= {"reason": str(rejection.reason), "message": rejection.message}
    return shown | {"field": rejection.field} if rejection.field else shown


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json")
