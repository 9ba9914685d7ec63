"""GraphiQL, the page for browsers, with all its files: it loads nothing from other hosts and is off in production.

The files in `static/graphiql/` are unmodified third-party builds; their licences and versions are beside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.responses import Response
from starlette.staticfiles import StaticFiles

FOLDER: Final = Path(__file__).parent / "static" / "graphiql"
MOUNT: Final = "/graphiql"
"""The path at which `api/app.py` mounts `page_files()`; the page refers to its files by this path."""

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
    """Serves the page."""
    return Response((FOLDER / "page.html").read_bytes(), media_type="text/html", headers=PAGE_HEADERS)


def page_files() -> StaticFiles:
    """Returns an ASGI application that serves the page's scripts and styles."""
    return StaticFiles(directory=FOLDER)
