"""Settings: defaults, files, and refusals that name the variable but never the value."""

from __future__ import annotations

from pathlib import Path

import pytest

from api.process.settings import FILE_FIELDS, Environment, Settings, load_settings, unknown_variables, variable_of
from graph.errors import SettingsInvalid

CANARY = "canary-7f3a"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("CONSENTRIC_"):
            monkeypatch.delenv(name)


def test_every_setting_has_a_default() -> None:
    settings = load_settings()
    assert settings.embedded
    assert not settings.production
    assert (settings.host, settings.port, settings.data_dir) == ("127.0.0.1", 8000, Path(".consentric"))
    assert settings.secret is None


def test_options_override_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_PORT", "9000")
    assert load_settings().port == 9000
    assert load_settings(port=0, host=None).port == 0


def test_an_empty_variable_counts_as_unset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_PORT", "")
    monkeypatch.setenv("CONSENTRIC_SECRET", "")
    assert load_settings().port == 8000
    assert load_settings().secret is None


@pytest.mark.parametrize("name", FILE_FIELDS)
def test_a_secret_can_be_read_from_a_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "secret"
    file.write_text("x" * 40 + "\n")
    monkeypatch.setenv(f"{variable_of(name)}_FILE", str(file))
    value = getattr(load_settings(), name)
    assert (value if isinstance(value, str) else value.get_secret_value()) == "x" * 40


@pytest.mark.parametrize("name", FILE_FIELDS)
def test_a_variable_and_its_file_together_are_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text(CANARY * 10)
    monkeypatch.setenv(f"{variable_of(name)}_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv(variable_of(name), CANARY * 10)
    with pytest.raises(SettingsInvalid, match=f"{variable_of(name)}_FILE") as caught:
        load_settings()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize("content", [None, b"", b"\n", b"\xff\xfe", b"x" * (1 << 20) + b"y"])
def test_an_unusable_file_is_refused(content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / CANARY
    if content is not None:
        file.write_bytes(content)
    monkeypatch.setenv("CONSENTRIC_SECRET_FILE", str(file))
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_SECRET_FILE") as caught:
        load_settings()
    assert CANARY not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CONSENTRIC_PORT", CANARY),
        ("CONSENTRIC_PORT", "65536"),
        ("CONSENTRIC_PORT", "-1"),
        ("CONSENTRIC_ENV", CANARY),
        ("CONSENTRIC_LOG_LEVEL", CANARY),
        ("CONSENTRIC_SECRET", CANARY),
        ("CONSENTRIC_STORE", CANARY),
        ("CONSENTRIC_STORE", f"http://{CANARY}:7687"),
        ("CONSENTRIC_STORE", f"bolt://user:{CANARY}@localhost"),
        ("CONSENTRIC_STORE", "bolt://"),
        ("CONSENTRIC_STORE", f"bolt://localhost:{CANARY}"),
        ("CONSENTRIC_STORE", f"bolt://[{CANARY}"),
        ("CONSENTRIC_CORS_ORIGINS", "*"),
        ("CONSENTRIC_CORS_ORIGINS", f"https://a.example,{CANARY}"),
        ("CONSENTRIC_ISSUER", " "),
    ],
)
def test_the_refusal_of_a_bad_value_names_the_variable_only(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SettingsInvalid, match=variable) as caught:
        load_settings()
    assert CANARY not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("scheme", ["bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"])
def test_every_neo4j_scheme_is_accepted(scheme: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_STORE", f"{scheme}://db.example:7687")
    assert not load_settings().embedded


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    assert load_settings().cors_origins == ("https://a.example", "http://localhost:3000")


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET", "SIGNING_KEY", "STORE_PASSWORD"):
        monkeypatch.setenv(f"CONSENTRIC_{name}", CANARY * 10)
    settings = load_settings(env=Environment.PRODUCTION)
    assert settings.production
    assert CANARY not in repr(settings) + str(settings) + settings.model_dump_json()


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().port = 1


def test_misspelt_variables_are_found() -> None:
    assert unknown_variables({"CONSENTRIC_SECERT": "x", "CONSENTRIC_PORT": "1", "HOME": "/"}) == ["CONSENTRIC_SECERT"]
    assert unknown_variables({"CONSENTRIC_SECRET_FILE": "x"}) == []


def test_every_setting_has_a_description() -> None:
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("rate", ["", "many", "600", "0/minute", "10/fortnight", "10/minute; 5/second"])
def test_a_rate_is_a_number_of_requests_per_time(rate: str) -> None:
    with pytest.raises(SettingsInvalid, match=r"^CONSENTRIC_CLIENT_RATE: give a number of requests per time"):
        load_settings(client_rate=rate)


def test_trusted_proxies_are_addresses_or_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_TRUSTED_PROXIES", "10.0.0.0/8, 192.0.2.7")
    assert [str(network) for network in load_settings().trusted_proxies] == ["10.0.0.0/8", "192.0.2.7/32"]
    for wrong in ("proxy.example", "10.0.0.1/8", "*"):
        monkeypatch.setenv("CONSENTRIC_TRUSTED_PROXIES", wrong)
        with pytest.raises(SettingsInvalid, match=r"^CONSENTRIC_TRUSTED_PROXIES: give addresses or networks"):
            load_settings()
