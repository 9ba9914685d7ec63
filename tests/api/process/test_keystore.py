"""Installation keys: generated once even in a race, private, and never generated where servers must share them."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from api.process.keystore import keys_folder, make_signing_key, open_keys, read_or_create_file
from api.process.settings import Settings, load_settings
from graph.errors import SettingsInvalid

NEO4J = {"store": "neo4j://localhost", "store_password": "x"}


def settings_of(folder: Path, **given: object) -> Settings:
    return load_settings(data_dir=folder / "data", **given)


def test_missing_secrets_are_generated_once(tmp_path: Path) -> None:
    first, second = open_keys(settings_of(tmp_path)), open_keys(settings_of(tmp_path))
    assert first.secret == second.secret
    assert len(first.secret) == 64
    assert first.signing_key.public_key() == second.signing_key.public_key()


def test_generated_secrets_are_private_to_their_owner(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    open_keys(settings)
    folder = keys_folder(settings)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {path.name for path in folder.iterdir()} == {"hmac.key", "signing.pem"}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in folder.iterdir())


def test_concurrent_processes_agree_on_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "secret"
    made = iter(range(1000))

    def make() -> bytes:
        return f"key {next(made)}".encode()

    with ThreadPoolExecutor(16) as pool:
        found = list(pool.map(lambda _: read_or_create_file(path, make), range(64)))
    assert len(set(found)) == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["secret"]


def test_no_file_is_written_if_secrets_are_given(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, secret="s" * 40, signing_key=make_signing_key().decode())
    assert open_keys(settings).secret == b"s" * 40
    assert not keys_folder(settings).exists()


@pytest.mark.parametrize("missing", ["secret", "signing_key"])
def test_production_with_neo4j_requires_given_secrets(missing: str, tmp_path: Path) -> None:
    given = {"secret": "s" * 40, "signing_key": make_signing_key().decode()} | {missing: None}
    settings = settings_of(tmp_path, env="production", **NEO4J, **given)
    with pytest.raises(SettingsInvalid, match=f"CONSENTRIC_{missing.upper()}_FILE"):
        open_keys(settings)
    assert not (tmp_path / "data").exists()


def test_development_with_neo4j_generates_secrets(tmp_path: Path) -> None:
    assert open_keys(settings_of(tmp_path, **NEO4J)).secret


def test_a_signing_key_must_be_ed25519(tmp_path: Path) -> None:
    other = rsa.generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = load_pem_private_key(make_signing_key(), None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
    )
    for pem in (other, locked, b"canary"):
        with pytest.raises(SettingsInvalid, match="CONSENTRIC_SIGNING_KEY") as caught:
            open_keys(settings_of(tmp_path, secret="s" * 40, signing_key=pem.decode()))
        assert "canary" not in str(caught.value)


def test_a_damaged_secret_is_refused(tmp_path: Path) -> None:
    settings = settings_of(tmp_path)
    keys_folder(settings).mkdir(parents=True)
    (keys_folder(settings) / "hmac.key").write_bytes(b"")
    with pytest.raises(SettingsInvalid, match="damaged"):
        open_keys(settings)
