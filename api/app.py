"""The ASGI application: routes, middleware and error handlers, assembled."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from api.auth import PURPOSE_HEADER, admit_request
from api.collection.http import collection_routes
from api.consent.links import link_routes
from api.graphql.answers import show_refusal
from api.graphql.endpoint import GraphQLEndpoint
from api.graphql.graphiql import MOUNT, page_files
from api.http.envelope import Envelope, handle_error, handle_http_error
from api.http.error_pages import error_page_routes
from api.http.health import Readiness, report_alive
from api.http.metrics import Metrics
from api.http.throttle import open_throttle, visit_of
from api.process.runtime import Runtime
from api.process.settings import Settings
from graph.errors import ConsentricError
from resolvers.context import RequestContext

GRAPHQL: Final = "/graphql"
COLLECTION: Final = "/v1/"
COLLECTION_HEADERS: Final = ["Authorization", "Content-Type"]
CORS_SECONDS: Final = 600
"""How long a browser remembers what CORS permits."""

PAGE: Final = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Consentric</title></head><body>
<h1>Consentric</h1>
<p>The consent-aware customer graph.</p>
<ul>
<li><a href="/graphql">/graphql</a>: the API (in development, a browser gets GraphiQL)</li>
<li>/v1/batch and /v1/track, identify, page, screen, group, alias: collection, in Segment's format</li>
<li><a href="/healthz">/healthz</a>, <a href="/readyz">/readyz</a>, <a href="/metrics">/metrics</a></li>
<li><a href="/errors">/errors</a>: what each error means and what to do about it</li>
</ul></body></html>
"""


def create_app(runtime: Runtime, settings: Settings) -> Starlette:
    """Returns the application for an open runtime, which the caller closes."""
    token = settings.metrics_token
    metrics = Metrics(token.get_secret_value() if token else None)
    metrics.watch(runtime)
    routes = list_routes(runtime, settings, metrics)
    paths = [route.path for route in routes if isinstance(route, Route | Mount)]
    middleware = [Middleware(Envelope, metrics=metrics, paths=paths), Middleware(CrossOrigin, settings=settings)]
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers={ConsentricError: handle_error, HTTPException: handle_http_error},
    )


class CrossOrigin:
    """CORS. Any page may send to the collection endpoints: public keys are made for that, and the key of a server is
    refused there. Other paths are open to the pages that the settings name."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._collection = CORSMiddleware(
            app, allow_origins=["*"], allow_methods=["POST"], allow_headers=COLLECTION_HEADERS, max_age=CORS_SECONDS
        )
        self._rest = app
        if settings.cors_origins:
            self._rest = CORSMiddleware(
                app,
                allow_origins=list(settings.cors_origins),
                allow_methods=["GET", "POST"],
                allow_headers=[*COLLECTION_HEADERS, PURPOSE_HEADER],
                max_age=CORS_SECONDS,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        collecting = scope["type"] == "http" and scope["path"].startswith(COLLECTION)
        await (self._collection if collecting else self._rest)(scope, receive, send)


def list_routes(runtime: Runtime, settings: Settings, metrics: Metrics) -> list[BaseRoute]:
    """Returns all routes. In production, GraphiQL's files aren't served, and metrics only with a token."""
    throttle = open_throttle(settings)

    async def admit(request: Request) -> RequestContext | None:
        visit = visit_of(request)
        if "authorization" not in request.headers:
            visit.count_stranger()
            return None
        context = await visit.watch(admit_request(request, runtime))
        credential = context.viewer.credential
        visit.enter_client(credential)
        return replace(context, services=context.services.on_behalf_of(credential))

    graphql = GraphQLEndpoint(admit, runtime.ingestor, production=settings.production)
    routes: list[BaseRoute] = [
        Route("/", serve_home),
        Route(GRAPHQL, throttle.guard(graphql, refuse=show_refusal)),
        *collection_routes(runtime, throttle),
        *link_routes(runtime, throttle),
        Route("/healthz", report_alive),
        Route("/readyz", Readiness(runtime.services.client).report_ready),
        *error_page_routes(),
    ]
    if settings.metrics_token is not None or not settings.production:
        routes.append(Route("/metrics", metrics.serve))
    if not settings.production:
        routes.append(Mount(MOUNT, page_files()))
    return routes


async def serve_home(_: Request) -> Response:
    """Serves a page of links at the root, for people who open the printed address in a browser."""
    return HTMLResponse(PAGE)
