"""The page for browsers: GraphiQL, served from the package, with nothing from outside.

What lives here: the page, its policy for the browser, and the files it loads. What does not: when it is shown
(`api/graphql/endpoint.py`; never in production). The files under `api/static/graphiql/` are third parties' builds,
unchanged; their licences and versions stand beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

FOLDER: Final = Path(__file__).parent / "static" / "graphiql"
MOUNT: Final = "/graphiql"
"""Where `api/app.py` mounts `page_files()`; the page names its files by it."""

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


def serve_page() -> Response:
    """GraphiQL's page."""
    return Response((FOLDER / "page.html").read_bytes(), media_type="text/html", headers=PAGE_HEADERS)


def page_files() -> StaticFiles:
    """The page's scripts and styles."""
    return StaticFiles(directory=FOLDER)
