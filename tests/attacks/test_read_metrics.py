"""Metrics tell how busy a service is and when people are read: in production, only whoever has the token gets them."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from api.process.keystore import make_signing_key
from graph.store.client import GraphClient
from tests.world import open_world

TOKEN = "metrics-" + "t" * 32
PRODUCTION = {"env": "production", "secret": "s" * 32, "signing_key": make_signing_key().decode()}
pytestmark = pytest.mark.store


async def test_production_serves_metrics_only_with_the_token(
    store: GraphClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    monkeypatch.setenv("CONSENTRIC_METRICS_TOKEN_FILE", str(file))
    caplog.set_level(logging.DEBUG)
    async with open_world(store, tmp_path, **PRODUCTION) as world:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            response = await world.http.get("/metrics", headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        response = await world.http.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "consentric_requests_total" in response.text
    assert "/metrics" in caplog.text
    assert TOKEN not in caplog.text


async def test_production_without_a_token_serves_no_metrics(store: GraphClient, tmp_path: Path) -> None:
    async with open_world(store, tmp_path, **PRODUCTION) as world:
        assert (await world.http.get("/metrics")).status_code == 404
