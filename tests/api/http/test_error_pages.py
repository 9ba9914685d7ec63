"""The error pages: a fixed list of files is served, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from api.errors import ERROR_PAGES
from api.http.error_pages import error_page_routes


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=Starlette(routes=list(error_page_routes())))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        yield client


async def test_every_page_is_served_unchanged(http: httpx.AsyncClient) -> None:
    for path in ERROR_PAGES.iterdir():
        for name in (path.stem, path.name):
            response = await http.get(f"/errors/{name}")
            assert (response.status_code, response.content) == (200, path.read_bytes())
            assert response.headers["content-type"] == "text/markdown; charset=utf-8"
            assert response.headers["cache-control"] == "public, max-age=3600"


async def test_the_index_is_the_readme(http: httpx.AsyncClient) -> None:
    assert (await http.get("/errors")).content == (ERROR_PAGES / "README.md").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "NOWHERE", "bad_user_input", "..%2Fglossary.md", "%2e%2e%2fglossary.md", "..%2F..%2Fpyproject.toml",
        "%2Fetc%2Fpasswd", "USAGE.md.md", "USAGE%00", "USAGE/", ".md", "%20",
    ],
)  # fmt: skip
async def test_nothing_else_is_served(http: httpx.AsyncClient, name: str) -> None:
    response = await http.get(f"/errors/{name}", follow_redirects=False)
    assert response.status_code in (307, 404)
    assert "pyproject" not in response.text


async def test_pages_allow_only_reading(http: httpx.AsyncClient) -> None:
    assert (await http.post("/errors/USAGE")).status_code == 405


async def test_pages_are_read_once(tmp_path: Path) -> None:
    (tmp_path / "ONE.md").write_text("one")
    transport = httpx.ASGITransport(app=Starlette(routes=list(error_page_routes(tmp_path))))
    (tmp_path / "ONE.md").unlink()
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        assert (await client.get("/errors/ONE")).text == "one"
        assert (await client.get("/errors")).status_code == 404
