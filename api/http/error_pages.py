"""The pages of `docs/errors/`, served without a credential at `/errors/CODE`, where an error's `documentation` points.

They are read once, at startup, and looked up by name, so no request reaches the file system.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.errors import ERROR_PAGES, ERROR_PAGES_PATH

INDEX: Final = "README"
HEADERS: Final = {"Cache-Control": "public, max-age=3600"}


def error_page_routes(folder: Path = ERROR_PAGES) -> list[Route]:
    """Returns the routes of the index and the pages. Links between pages use file names, so `CODE.md` works as well."""
    pages = {path.stem: path.read_bytes() for path in folder.glob("*.md")}

    async def serve_page(request: Request) -> Response:
        name = request.path_params.get("name", INDEX).removesuffix(".md")
        if name not in pages:
            raise HTTPException(404)
        return Response(pages[name], media_type="text/markdown", headers=HEADERS)

    return [Route(ERROR_PAGES_PATH, serve_page), Route(f"{ERROR_PAGES_PATH}/{{name}}", serve_page)]
