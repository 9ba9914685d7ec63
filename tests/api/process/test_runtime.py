"""From settings to services: what is refused, and that closing writes every accepted message."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.process.runtime import locate_server, open_runtime, read_policy
from api.process.settings import load_settings
from graph.embedded.store import EmbeddedStore
from graph.errors import SettingsInvalid
from graph.model.access import Trust
from graph.model.identity import RecordKind, RecordRef
from graph.model.message import Message
from graph.model.time import Millis
from resolvers.access.registration import list_sources, register_source


def test_without_a_file_the_default_policy_applies() -> None:
    assert "personalisation" in read_policy(None).purposes


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy.json", '{"segment_categories": {"Ads": "marketing"}}'),
        ("policy.toml", '[segment_categories]\nAds = "marketing"\n'),
    ],
)
def test_a_policy_may_be_json_or_toml(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    assert read_policy(tmp_path / name).purpose_of_category("Ads") == "marketing"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("policy.json", "canary"),
        ("policy.json", '["canary"]'),
        ("policy.toml", "canary"),
        ("policy.json", '{"canary": 1}'),
        ("policy.json", '{"segment_categories": {"Ads": "no_such_purpose"}}'),
    ],
)
def test_a_bad_policy_is_refused(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_POLICY"):
        read_policy(tmp_path / name)
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_POLICY"):
        read_policy(tmp_path / "missing.json")


def test_neo4j_needs_a_password() -> None:
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_STORE_PASSWORD"):
        locate_server(load_settings(store="neo4j://localhost"))
    target = locate_server(load_settings(store="neo4j://localhost", store_password="pass-canary"))
    assert (target.user, target.database) == ("neo4j", "neo4j")
    assert "canary" not in repr(target)


async def test_bad_settings_are_refused_before_the_store_starts(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", trusted_issuers="canary")
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_TRUSTED_ISSUERS"):
        async with open_runtime(settings):
            pass
    assert not (tmp_path / "data" / "store.json").exists()


async def test_closing_writes_accepted_messages_and_releases_the_store(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path)
    message = Message("shop|1", "shop", RecordRef("shop", RecordKind.USER, "ada"), Millis(1), Millis(1))
    async with open_runtime(settings) as runtime:
        await register_source(runtime.services, "shop", Trust.SERVER)
        first = await runtime.ingestor.submit([message])
    assert EmbeddedStore.attach(tmp_path) is None
    async with open_runtime(settings) as runtime:
        assert [source.name for source in await list_sources(runtime.services)] == ["shop"]
        second = await runtime.ingestor.submit([message])
    assert (first, second) == (["accepted"], ["duplicate"])
