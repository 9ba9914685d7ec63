"""Metrics tell how busy a service is and when people are read: in production, only whoever has the token gets them."""

from __future__ import annotations

from pathlib import Path

import httpx

from tests.attacks.serving import serve

TOKEN = "metrics-" + "t" * 32


def test_production_serves_metrics_only_with_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(TOKEN + "\n")
    with serve(tmp_path / "with", env="production", metrics_token_file=str(file)) as served:
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            response = httpx.get(f"{served.url}/metrics", headers=headers)
            assert (response.status_code, response.json()["error"]["code"]) == (401, "UNAUTHENTICATED")
        response = httpx.get(f"{served.url}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
        assert "consentric_requests_total" in response.text
        assert TOKEN not in served.log.read_text()


def test_production_without_a_token_serves_no_metrics(tmp_path: Path) -> None:
    with serve(tmp_path / "without", env="production") as served:
        assert httpx.get(f"{served.url}/metrics").status_code == 404
