"""The middleware: request IDs, limits, metrics, headers, and errors that reveal nothing internal."""

from __future__ import annotations

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from api.errors import INTERNAL_MESSAGE
from api.http.envelope import MAX_BODY, Envelope, handle_error, handle_http_error
from api.http.metrics import Metrics
from api.process.logs import LineFormatter
from graph.errors import ConsentricError, RateLimited, StoreUnavailable, Unauthenticated

CANARY = "ada.lovelace@example.com"


async def echo(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def fail(request: Request) -> Response:
    kinds = {"busy": RateLimited, "gone": StoreUnavailable, "who": Unauthenticated}
    kind = kinds.get(request.query_params["how"], KeyError)
    raise kind(CANARY if kind is KeyError else "a message that may be shown")


async def fail_midway(_: Request) -> Response:
    async def parts() -> AsyncIterator[bytes]:
        yield b"half"
        raise KeyError(CANARY)

    return StreamingResponse(parts())


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def http(metrics: Metrics) -> AsyncIterator[httpx.AsyncClient]:
    routes = [Route("/echo", echo, methods=["POST"]), Route("/fail", fail), Route("/break", fail_midway)]
    app = Starlette(
        routes=routes,
        middleware=[Middleware(Envelope, metrics=metrics, paths=["/echo", "/fail", "/break", "/"])],
        exception_handlers={ConsentricError: handle_error, HTTPException: handle_http_error},
    )
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The text of the log as it is written."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.getLogger("consentric")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield stream
    logger.removeHandler(handler)
    logger.setLevel(level)


async def test_every_response_has_the_security_headers(http: httpx.AsyncClient) -> None:
    for path in ("/echo", "/nowhere", "/fail?how=x"):
        headers = (await http.post(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["x-request-id"]


@pytest.mark.parametrize(("given", "kept"), [("0af7651916cd43dd8448eb211c80319c", True), (CANARY, False), ("", False)])
async def test_only_an_acceptable_request_id_is_kept(http: httpx.AsyncClient, given: str, kept: bool) -> None:
    echoed = (await http.post("/echo", headers={"X-Request-Id": given})).headers["x-request-id"]
    assert (echoed == given) is kept


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [("busy", 429, "RATE_LIMITED"), ("gone", 503, "STORE_UNAVAILABLE"), ("who", 401, "UNAUTHENTICATED")],
)
async def test_our_own_errors_show_code_and_message(http: httpx.AsyncClient, how: str, status: int, code: str) -> None:
    response = await http.get("/fail", params={"how": how})
    assert response.status_code == status
    assert response.json() == {
        "error": {"code": code, "message": "a message that may be shown", "documentation": f"/errors/{code}"}
    }
    assert ("retry-after" in response.headers) is (status in {429, 503})


async def test_an_internal_error_shows_nothing_but_its_code(http: httpx.AsyncClient, lines: io.StringIO) -> None:
    response = await http.get("/fail", params={"how": "fault"})
    assert response.status_code == 500
    assert response.json() == {
        "error": {
            "code": "INTERNAL_SERVER_ERROR",
            "message": INTERNAL_MESSAGE,
            "documentation": "/errors/INTERNAL_SERVER_ERROR",
        }
    }
    written = lines.getvalue()
    assert "KeyError < " in written
    assert CANARY not in written + response.text


async def test_a_response_that_fails_midway_is_logged_without_its_text(
    http: httpx.AsyncClient, lines: io.StringIO, metrics: Metrics
) -> None:
    await http.get("/break")
    assert CANARY not in lines.getvalue()
    assert metrics.registry.get_sample_value("consentric_requests_in_flight") == 0


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/echo", 405)])
async def test_unknown_paths_and_methods_return_json(
    http: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    response = await http.request(method, path)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"code", "message", "documentation"}


async def test_a_body_over_the_limit_is_refused(http: httpx.AsyncClient) -> None:
    assert (await http.post("/echo", content=b"x" * MAX_BODY)).text == str(MAX_BODY)
    response = await http.post("/echo", content=b"x" * (MAX_BODY + 1))
    assert response.status_code == 413
    assert response.json()["error"]["code"] == "PAYLOAD_TOO_LARGE"


@pytest.mark.parametrize(
    ("headers", "read"),
    [({"Connection": "close"}, 20), ({"Connection": "keep-alive"}, 5), ({"Connection": "close", "Expect": "x"}, 5)],
)
async def test_a_refused_body_is_drained_if_the_connection_closes(
    http: httpx.AsyncClient, headers: dict[str, str], read: int
) -> None:
    sent = 0

    async def body() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(20):
            sent += 1
            yield b"x" * (MAX_BODY // 4)

    response = await http.post("/echo", content=body(), headers=headers)
    assert response.status_code == 413
    assert sent == read


async def test_draining_a_refused_body_is_limited_in_time(
    http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.http.envelope.DISCARD_SECONDS", 0.05)
    waiting = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield b"x" * (MAX_BODY + 1)
        await waiting.wait()

    response = await http.post("/echo", content=body(), headers={"Connection": "close"})
    assert response.status_code == 413


async def test_metrics_and_logs_hold_nothing_that_a_client_sent(
    http: httpx.AsyncClient, metrics: Metrics, lines: io.StringIO
) -> None:
    await http.get(f"/{CANARY}", params={"email": CANARY})
    await http.request(CANARY.upper().partition("@")[0], "/echo")
    await http.post("/echo/deeper")
    assert metrics.registry.get_sample_value(
        "consentric_requests_total", {"method": "GET", "route": "other", "status": "404"}
    )
    assert metrics.registry.get_sample_value("consentric_request_seconds_count", {"route": "/echo"}) == 2
    text = (await metrics.serve(Request({"type": "http"}))).body.decode()
    assert "ADA" not in text.upper().replace("METADATA", "")
    assert CANARY not in lines.getvalue()


async def test_a_log_line_is_json(http: httpx.AsyncClient, lines: io.StringIO) -> None:
    await http.get("/nowhere", headers={"X-Request-Id": "0af7651916cd43dd"})
    line = json.loads(lines.getvalue().splitlines()[-1])
    assert line["level"] == "info"
    assert (line["route"], line["status"], line["request_id"]) == ("other", 404, "0af7651916cd43dd")


def test_a_terminal_gets_short_lines() -> None:
    record = logging.LogRecord("consentric.x", logging.INFO, "f", 1, "started", None, None)
    record.fields = {"ms": 3}
    line = LineFormatter(for_people=True).format(record)
    assert line.endswith("INFO    started ms=3")
