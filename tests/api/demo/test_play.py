"""The demonstration from start to end, as the command runs it without a terminal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from api.demo.play import empty_folder, play
from api.demo.show import Show
from api.process.settings import Settings
from api.server import bind
from graph.embedded.store import EmbeddedStore
from graph.errors import SettingsInvalid, StoreInUse

pytestmark = pytest.mark.demo
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The summary and the output of one complete run in a temporary data folder."""
    folder = tmp_path_factory.mktemp("demo")
    file = folder / "summary.json"
    done = subprocess.run(
        [Path(sys.executable).parent / "consentric", "demo", "--json", file],
        cwd=ROOT,
        env=os.environ | {"CONSENTRIC_DATA_DIR": str(folder / "data")},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found: dict[str, Any] = json.loads(file.read_text())
    return found | {"printed": done.stdout}


async def test_a_port_in_use_is_refused_before_the_first_step(tmp_path: Path) -> None:
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        settings = Settings(data_dir=tmp_path / "data", port=taken.getsockname()[1])
        with pytest.raises(SettingsInvalid, match="CONSENTRIC_PORT"):
            await play(settings, Show(), tmp_path, serve=True, publish=lambda _: None)
    assert not (tmp_path / "data").exists()


async def test_a_demonstration_that_runs_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path)
    folder = empty_folder(settings).data_dir
    with EmbeddedStore.start(folder), pytest.raises(StoreInUse, match="Ctrl-C"):
        empty_folder(settings)
    assert empty_folder(settings).data_dir == folder


@pytest.mark.timeout(600)
def test_everything_is_loaded_once(summary: dict[str, Any]) -> None:
    counts = summary["counts"]
    assert counts["items"] == 1682
    assert 2500 <= counts["records"] <= 2700
    assert 700 <= counts["devices"] <= 900
    assert 943 <= counts["people"] < counts["records"] - counts["devices"]
    assert counts["interactions"] == 100_000 - 20_085
    assert counts["consents"] > 3000
    assert counts["duplicates"] > 1500
    assert counts["rejected"] == 8 * 4
    assert summary["load"]["rejected"].keys() >= {"malformed_json", "unknown_type", "missing_id", "unproven_user"}


def test_linkage_is_precise_and_the_batch_changes_nothing(summary: dict[str, Any]) -> None:
    assert summary["linkage"]["precision"] >= 0.999
    assert summary["linkage"]["recall"] >= 0.8
    assert 0 < summary["linkage"]["f1"] <= 1
    assert summary["linkage"]["changed_by_batch"] == 0


def test_candidates_are_counted_with_what_would_prove_them(summary: dict[str, Any]) -> None:
    linkage = summary["linkage"]
    assert linkage["candidates"]["email"] > 0
    assert [advice for advice in linkage["advice"] if "consentric source set app --verifies email" in advice]
    assert "consentric source set app --verifies email" in summary["printed"]


def test_devices_count_for_accounts_by_grade(summary: dict[str, Any]) -> None:
    devices = summary["linkage"]["devices"]
    assert devices.keys() == {"claimed", "proven"}
    assert 0.9 * summary["counts"]["devices"] < sum(devices.values()) <= summary["counts"]["devices"]


def test_the_graph_walk_beats_popularity(summary: dict[str, Any]) -> None:
    quality = summary["recommendation"]
    assert quality["people"] > 500
    assert quality["ndcg10"] > 1.5 * quality["popular_ndcg10"] > 0
    assert quality["ndcg10"] > 0.28


def test_rfm_and_communities_are_found(summary: dict[str, Any]) -> None:
    assert summary["communities"]["count"] >= 2
    assert 0 < summary["communities"]["modularity"] <= 1
    assert sum(map(sum, summary["rfm"]["grid"])) == summary["rfm"]["people"]
    assert 0 < summary["rfm"]["high_value_buyers"] < summary["rfm"]["people"]


def test_viewers_see_what_consent_permits(summary: dict[str, Any]) -> None:
    viewers = summary["viewers"]
    assert viewers["frontend"]["givenName"]
    assert len(viewers["frontend"]["recommendations"]) == 3
    assert all(entry["reasons"] for entry in viewers["frontend"]["recommendations"])
    partner = viewers["partner_with_consent"]
    assert partner["age"] == viewers["frontend"]["age"]
    assert partner["givenName"] is None
    assert partner["recommendations"] is None
    assert viewers["partner_without_consent"] is None


def test_a_stranger_who_claims_an_address_and_grants_everything_opens_nothing(summary: dict[str, Any]) -> None:
    scene = summary["stranger"]
    assert scene["accepted"] == 2
    assert scene["before"] == scene["after"]
    assert scene["unchanged"] is True
    assert scene["before"]["frontend"]["givenName"]
    assert scene["before"]["acme-media"]["age"]
    assert scene["before"]["globex-ads"] is None
    assert "partner_sharing@acme-media" in scene["before"]["permitted"]
    assert not [permit for permit in scene["after"]["permitted"] if permit.endswith("globex-ads")]
    assert scene["stranger"]["givenName"] == "mallory"
    assert scene["stranger"]["rfm"] is None
    assert "Nothing has changed" in summary["printed"]


def test_a_withdrawal_changes_the_next_response(summary: dict[str, Any]) -> None:
    assert len(summary["withdrawal"]["before"]) == 3
    assert summary["withdrawal"]["after"] is None
    assert summary["withdrawal"]["milliseconds"] > 0


def test_the_duration_of_each_step_is_reported(summary: dict[str, Any]) -> None:
    assert summary["seconds"].keys() >= {"fetch", "start", "load", "resolve", "refresh", "evaluate", "total"}


def test_output_without_a_terminal_is_plain_text(summary: dict[str, Any]) -> None:
    assert "\x1b" not in summary["printed"]
    assert "as three viewers" in summary["printed"]
