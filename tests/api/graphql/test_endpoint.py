"""GraphQL over HTTP: methods, media types, statuses, forged requests, limits of a request, disconnecting clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import httpx
import orjson
import pytest
from graphql import GraphQLField, GraphQLInt, GraphQLNonNull, GraphQLObjectType, GraphQLSchema, GraphQLString
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Mount, Route

from api.graphql.answers import GRAPHQL_JSON, JSON
from api.graphql.endpoint import GraphQLEndpoint
from api.graphql.graphiql import CONTENT_POLICY, FOLDER, MOUNT, page_files
from api.graphql.limits import Limits
from api.graphql.requests import MAX_BODY
from graph.errors import BadInput, Forbidden, RateLimited
from resolvers.collection.ingestor import Ingestor
from resolvers.context import RequestContext

URL = "/graphql"
NO_INGESTOR = cast(Ingestor, None)
"""These tests send no mutation."""


async def admit_anonymous(_: Request) -> RequestContext | None:
    return None


def serve(endpoint: GraphQLEndpoint) -> httpx.AsyncClient:
    app = Starlette(routes=[Route(URL, endpoint), Mount(MOUNT, page_files())])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://door")


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with serve(GraphQLEndpoint(admit_anonymous, NO_INGESTOR)) as client:
        yield client


async def post(http: httpx.AsyncClient, body: Any, **headers: str) -> httpx.Response:
    head = {"content-type": JSON} | {name.replace("_", "-"): value for name, value in headers.items()}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await http.post(URL, content=content, headers=head)


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", JSON),
        ("*/*", JSON),
        (JSON, JSON),
        ("application/*", JSON),
        (GRAPHQL_JSON, GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}, {JSON}", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON};q=0.5, {JSON}", JSON),
        (f"{GRAPHQL_JSON}; charset=utf-8, {JSON};q=0.9", GRAPHQL_JSON),
        (f"{GRAPHQL_JSON}; charset=iso-8859-1, {JSON}", JSON),
        ("text/html, */*;q=0.1", JSON),
    ],
)
async def test_the_media_type_is_negotiated(http: httpx.AsyncClient, accept: str, expected: str) -> None:
    response = await post(http, {"query": "{ __typename }"}, accept=accept)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"{expected}; charset=utf-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.json() == {"data": {"__typename": "Query"}}


async def test_an_unsupported_media_type_is_not_acceptable(http: httpx.AsyncClient) -> None:
    assert (await post(http, {"query": "{ __typename }"}, accept="text/plain")).status_code == 406
    assert (await post(http, {"query": "{ __typename }"}, accept=f"{JSON};q=0")).status_code == 406


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
    ],
)
async def test_content_types_that_need_no_preflight_are_refused(http: httpx.AsyncClient, content_type: str) -> None:
    response = await post(http, {"query": "{ __typename }"}, content_type=content_type)
    assert response.status_code == 415
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_other_methods_are_not_allowed(http: httpx.AsyncClient) -> None:
    for method in ("PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"):
        response = await http.request(method, URL)
        assert response.status_code == 405
        assert response.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"\xff\xfe", b"null", b'"text"', b"[]", [{"query": "{ __typename }"}], {}, {"query": ""},
        {"query": None}, {"query": 1}, {"query": ["{ __typename }"]}, {"query": "{ __typename }", "variables": []},
        {"query": "{ __typename }", "variables": "{}"}, {"query": "{ __typename }", "operationName": 1},
        {"query": "{ __typename }", "extensions": "x"}, b'{"query": "{ __typename }", "variables": NaN}',
    ],
)  # fmt: skip
async def test_malformed_requests_are_refused(http: httpx.AsyncClient, body: Any) -> None:
    for accept in (JSON, GRAPHQL_JSON):
        response = await post(http, body, accept=accept)
        assert response.status_code == 400
        assert set(response.json()) == {"errors"}


@pytest.mark.parametrize(
    "body",
    [
        {"query": "{"},
        {"query": "{ nonsense }"},
        {"query": "query($id: ID!) { node(id: $id) { id } }", "variables": {"id": None}},
        {"query": "query A { __typename } query B { __typename }"},
        {"query": "query A { __typename }", "operationName": "B"},
        {"query": "{ " + " ".join(f"a{n}: __typename" for n in range(101)) + " }"},
    ],
)
async def test_unexecutable_documents_are_refused(http: httpx.AsyncClient, body: Any) -> None:
    plain, precise = await post(http, body, accept=JSON), await post(http, body, accept=GRAPHQL_JSON)
    assert precise.json() == plain.json()
    assert set(plain.json()) == {"errors"}
    if plain.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED":
        assert plain.status_code == precise.status_code == 401
    else:
        assert (plain.status_code, precise.status_code) == (200, 400)


async def test_a_body_over_the_limit_is_not_read_further(http: httpx.AsyncClient) -> None:
    large = orjson.dumps({"query": "{ __typename }", "variables": {"x": "x" * MAX_BODY}})
    response = await post(http, large)
    assert response.status_code == 413
    assert response.json()["errors"][0]["extensions"]["code"] == "PAYLOAD_TOO_LARGE"

    sent = 0

    async def stream() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 65_536

    response = await http.post(URL, content=stream(), headers={"content-type": JSON})
    assert response.status_code == 413
    assert sent <= MAX_BODY / 65_536 + 2


async def test_get_runs_queries_but_no_mutations_or_forged_requests(http: httpx.AsyncClient) -> None:
    query = {"query": "query T($n: String!) { __type(name: $n) { name } }", "variables": '{"n": "Profile"}'}
    response = await http.get(URL, params=query, headers={"accept": JSON})
    assert response.json() == {"data": {"__type": {"name": "Profile"}}}
    assert (await http.get(URL, params=query, headers={"graphql-preflight": "1"})).status_code == 200
    assert (await http.get(URL, params=query, headers={"sec-fetch-mode": "cors"})).status_code == 200
    forged = await http.get(URL, params=query, headers={"sec-fetch-mode": "no-cors"})
    assert forged.status_code == 400
    assert (await http.get(URL, params=query)).status_code == 400
    mutation = await http.get(URL, params={"query": "mutation { __typename }"}, headers={"accept": GRAPHQL_JSON})
    assert mutation.status_code == 405
    assert mutation.headers["allow"] == "POST"
    broken = await http.get(URL, params={"query": "{ __typename }", "variables": "{"}, headers={"accept": JSON})
    assert broken.status_code == 400


async def test_only_introspection_needs_no_credential(http: httpx.AsyncClient) -> None:
    response = await post(http, {"query": "{ __typename purposes { key } }"})
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert (await post(http, {"query": "{ ...f } fragment f on Query { purposes { key } }"})).status_code == 401
    assert (await post(http, {"query": "{ __schema { queryType { name } } }"})).status_code == 200


async def test_strangers_do_not_fill_the_memory() -> None:
    """Before documents were kept only for admitted requests, 120 requests without a credential took 1 GB."""
    endpoint = GraphQLEndpoint(admit_anonymous, NO_INGESTOR)
    async with serve(endpoint) as http:
        for number in range(20):
            assert (await post(http, {"query": f'{{ __type(name: "{number}") {{ name }} }}'})).status_code == 200
            long = f'{{ __type(name: "{number}{"x" * 20_000}") {{ name }} }}'
            assert (await post(http, {"query": long})).status_code == 401
    assert (len(endpoint.documents), endpoint.documents.cached_bytes) == (0, 0)


async def test_production_has_neither_graphiql_nor_introspection() -> None:
    async with serve(GraphQLEndpoint(admit_anonymous, NO_INGESTOR, production=True)) as http:
        assert (await http.get(URL, headers={"accept": "text/html"})).status_code == 406
        response = await post(http, {"query": "{ __schema { queryType { name } } }"}, accept=GRAPHQL_JSON)
        assert response.status_code == 400
        named = [
            await post(http, {"query": f'{{ __type(name: "{name}") {{ name }} }}'}) for name in ("Profile", "Nonsense")
        ]
        assert named[0].content == named[1].content
        assert named[0].json() == {"data": {"__type": None}}
        response = await post(http, {"query": "{ profil { id } }"})
        assert "Did you mean" not in response.text
        response = await post(http, {"query": "query($s: Strategy) { __typename }", "variables": {"s": "AUTOO"}})
        assert "Did you mean" not in response.text


async def test_graphiql_loads_nothing_from_other_hosts(http: httpx.AsyncClient) -> None:
    page = await http.get(URL, headers={"accept": "text/html,*/*;q=0.8"})
    assert page.status_code == 200
    assert page.headers["content-security-policy"] == CONTENT_POLICY
    assert "http:" not in page.text
    assert "https:" not in page.text
    for name in (
        "graphiql.min.js",
        "graphiql.min.css",
        "react.production.min.js",
        "react-dom.production.min.js",
        "start.js",
    ):
        assert f'"{MOUNT}/{name}"' in page.text
        assert (await http.get(f"{MOUNT}/{name}")).status_code == 200
    assert {file.name for file in FOLDER.glob("LICENSE*")} == {"LICENSE.graphiql", "LICENSE.react"}


def schema_of(**fields: Any) -> GraphQLSchema:
    def field(resolve: Any) -> GraphQLField:
        return GraphQLField(GraphQLString, resolve=resolve)

    return GraphQLSchema(GraphQLObjectType("Query", {name: field(resolve) for name, resolve in fields.items()}))


async def admit_viewer(_: Request) -> RequestContext | None:
    return object()  # type: ignore[return-value]


def fail(error: Exception) -> Any:
    def resolve(*_: object) -> str:
        raise error

    return resolve


async def test_our_errors_are_shown_and_others_masked() -> None:
    schema = schema_of(
        bad=fail(BadInput("first: too many")), forbidden=fail(Forbidden("not you")), busy=fail(RateLimited("later")),
        broken=fail(KeyError("canary@example.com")),
    )  # fmt: skip
    async with serve(GraphQLEndpoint(admit_viewer, NO_INGESTOR, schema=schema)) as http:
        response = (await post(http, {"query": "{ bad forbidden busy broken }"})).json()
        shown = {error["path"][0]: (error["extensions"]["code"], error["message"]) for error in response["errors"]}
        assert shown["bad"] == ("BAD_USER_INPUT", "first: too many")
        assert shown["forbidden"] == ("FORBIDDEN", "not you")
        assert shown["busy"] == ("RATE_LIMITED", "later")
        assert shown["broken"][0] == "INTERNAL_SERVER_ERROR"
        assert "canary" not in json.dumps(response)


async def test_values_of_the_wrong_type_are_not_quoted() -> None:
    number = GraphQLField(GraphQLNonNull(GraphQLInt), resolve=lambda *_: "canary")
    schema = GraphQLSchema(GraphQLObjectType("Query", {"number": number}))
    async with serve(GraphQLEndpoint(admit_viewer, NO_INGESTOR, schema=schema)) as http:
        response = await post(http, {"query": "{ number }"}, accept=GRAPHQL_JSON)
        assert response.status_code == 500
        assert response.json()["data"] is None
        assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL_SERVER_ERROR"
        assert "canary" not in response.text


async def test_the_number_of_errors_is_capped() -> None:
    schema = schema_of(**{f"f{n}": fail(BadInput("no")) for n in range(18)})
    async with serve(GraphQLEndpoint(admit_viewer, NO_INGESTOR, schema=schema, limits=Limits(errors=5))) as http:
        query = "{ " + " ".join(f"f{n}" for n in range(18)) + " }"
        assert len((await post(http, {"query": query})).json()["errors"]) == 5
        unknown = "{ " + " ".join(f"g{n}" for n in range(18)) + " }"
        assert len((await post(http, {"query": unknown})).json()["errors"]) == 5


async def test_an_operation_over_the_time_limit_is_cancelled() -> None:
    stopped = asyncio.Event()

    async def wait(*_: object) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return ""

    async with serve(GraphQLEndpoint(admit_viewer, NO_INGESTOR, schema=schema_of(wait=wait), seconds=0.05)) as http:
        response = await post(http, {"query": "{ wait }"})
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["errors"][0]["extensions"]["code"] == "TIMEOUT"
        assert stopped.is_set()


async def test_a_disconnecting_client_cancels_its_query() -> None:
    started, stopped = asyncio.Event(), asyncio.Event()

    async def wait(*_: object) -> str:
        started.set()
        try:
            await asyncio.sleep(60)
        finally:
            stopped.set()
        return ""

    endpoint = GraphQLEndpoint(admit_viewer, NO_INGESTOR, schema=schema_of(wait=wait))
    messages = [{"type": "http.request", "body": b'{"query": "{ wait }"}', "more_body": False}]
    sent: list[Any] = []

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await started.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "POST", "path": URL, "query_string": b"",
        "headers": [(b"content-type", JSON.encode())],
    }  # fmt: skip
    await asyncio.wait_for(endpoint(scope, receive, send), 5)
    assert stopped.is_set()
    assert sent == []


async def test_lone_surrogates_are_returned() -> None:
    schema = schema_of(odd=lambda *_: "\ud800 and 😀")
    async with serve(GraphQLEndpoint(admit_viewer, NO_INGESTOR, schema=schema)) as http:
        response = await post(http, {"query": "{ odd }"})
        assert json.loads(response.content)["data"]["odd"] == "\ud800 and 😀"
