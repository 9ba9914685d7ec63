"""Settings: `CONSENTRIC_*` variables and their `_FILE` variants, read once into one frozen, validated value.

Layers below `api` never see settings. An unusable setting raises SettingsInvalid with a message that names the
variable, never its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from limits import parse_many
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from graph.errors import SettingsInvalid
from resolvers.access.tokens import LONGEST_TOKEN_SECONDS

PREFIX: Final = "CONSENTRIC_"
EMBEDDED: Final = "embedded"
STORE_SCHEMES: Final = frozenset({"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"})
FILE_FIELDS: Final = ("store_password", "secret", "signing_key", "trusted_issuers", "metrics_token")
ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
PLAIN: Final = r"^\S+$"
MIN_SECRET_CHARACTERS: Final = 32
MAX_FILE_BYTES: Final = 1 << 20

Network = IPv4Network | IPv6Network


class Environment(StrEnum):
    """Where the process runs. In production, introspection and GraphiQL are off, and Neo4j requires given secrets."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class FileValues(PydanticBaseSettingsSource):
    """Reads secrets and other long values from the files that `CONSENTRIC_<NAME>_FILE` variables name."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """Returns the named file's text without trailing line breaks, or None if no file is named."""
        if field_name not in FILE_FIELDS:
            return None, field_name, False
        variable = variable_of(field_name)
        path = os.environ.get(f"{variable}_FILE", "")
        if not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise SettingsInvalid(f"{variable} and {variable}_FILE are both set: keep one.")
        return read_value(f"{variable}_FILE", Path(path)), field_name, False

    def __call__(self) -> dict[str, Any]:
        """Returns all values that come from files."""
        found = {name: self.get_field_value(None, name)[0] for name in FILE_FIELDS}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Every setting with its default. `consentric doctor` checks them on a given machine."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    store: str = Field(EMBEDDED, description="`embedded`, or the bolt:// or neo4j:// URL of a Neo4j server")
    store_user: str = Field("neo4j", description="user name on the Neo4j server")
    store_password: SecretStr | None = Field(None, description="password on the Neo4j server")
    store_database: str = Field("neo4j", description="database on the Neo4j server")
    data_dir: Path = Field(Path(".consentric"), description="folder of the embedded store and of generated keys")
    host: str = Field("127.0.0.1", description="address that `serve` listens on")
    port: int = Field(8000, ge=0, le=65535, description="port that `serve` listens on; 0 chooses a free one")
    env: Environment = Field(Environment.DEVELOPMENT, description="`production` or `development`")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of web pages that may call the API from a browser, separated by commas"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="lowest level that is logged")
    secret: SecretStr | None = Field(None, description="HMAC key for hashes of API keys and signatures of cursors")
    signing_key: SecretStr | None = Field(None, description="Ed25519 private key (PEM) that signs subject tokens")
    issuer: str = Field("consentric", pattern=PLAIN, description="`iss` of the tokens that this installation signs")
    audience: str = Field("consentric", pattern=PLAIN, description="`aud` that every token must carry")
    trusted_issuers: str | None = Field(
        None, description='JSON list of other token issuers: [{"issuer", "public_key_file" or "jwks_file", …}]'
    )
    token_seconds: int = Field(
        LONGEST_TOKEN_SECONDS, ge=60, le=30 * 86_400, description="longest lifetime of a token, also of trusted issuers"
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token for /metrics; without one, production does not serve /metrics"
    )
    policy: Path | None = Field(
        None, description="JSON or TOML file with the consent policy; the default policy if unset"
    )
    client_rate: str = Field("60000/10 seconds", description="requests that one credential may make")
    client_concurrency: int = Field(256, ge=1, description="requests of one credential in progress at once")
    address_rate: str = Field("30000/10 seconds", description="requests that one address may make")
    address_concurrency: int = Field(128, ge=1, description="requests of one address in progress at once")
    stranger_rate: str = Field("600/minute", description="requests without a valid credential from one address")
    connections: int = Field(2000, ge=1, description="connections that may be open at once")
    address_connections: int = Field(256, ge=1, description="connections of one address that may be open at once")
    head_seconds: float = Field(10, gt=0, description="time within which the head of a request must arrive")
    body_seconds: float = Field(
        30, gt=0, description="time within which a request's body must arrive, plus 1 s for every 16 KiB received"
    )
    trusted_proxies: Annotated[tuple[Network, ...], NoDecode] = Field(
        (), description="addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas"
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Returns the sources by precedence: the caller's values, the environment, the files it names."""
        return init_settings, env_settings, FileValues(settings_cls)

    @field_validator("store")
    @classmethod
    def check_store(cls, value: str) -> str:
        """Accepts `embedded`, or a URL with a Neo4j scheme and a host but without credentials."""
        if value == EMBEDDED:
            return value
        try:
            url = urlsplit(value)
            valid = url.scheme in STORE_SCHEMES and url.hostname and url.port != 0
        except ValueError:
            valid = False
        if not valid:
            raise ValueError("give `embedded` or a URL such as neo4j://host:7687 (or bolt://, each with +s or +ssc)")
        if url.username or url.password:
            raise ValueError("give user and password in CONSENTRIC_STORE_USER and _PASSWORD, not in the URL")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def check_origins(cls, value: object) -> object:
        """Accepts origins separated by commas; no wildcards."""
        origins = tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        if isinstance(origins, tuple) and not all(ORIGIN.fullmatch(str(origin)) for origin in origins):
            raise ValueError("give origins such as https://shop.example, separated by commas")
        return origins

    @field_validator("client_rate", "address_rate", "stranger_rate")
    @classmethod
    def check_rate(cls, value: str) -> str:
        """Accepts a number of requests per time, such as `600/minute` or `30000/10 seconds`."""
        try:
            rates = parse_many(value)
        except ValueError:
            rates = []
        if len(rates) != 1 or rates[0].amount < 1 or rates[0].get_expiry() < 1:
            raise ValueError("give a number of requests per time, such as 600/minute or 30000/10 seconds")
        return value

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def check_proxies(cls, value: object) -> object:
        """Accepts addresses and networks separated by commas."""
        if not isinstance(value, str):
            return value
        try:
            return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())
        except ValueError:
            raise ValueError("give addresses or networks such as 10.0.0.0/8, separated by commas") from None

    @field_validator("secret", "metrics_token")
    @classmethod
    def check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        """Checks that the secret is too long to be guessed."""
        if value is not None and len(value.get_secret_value()) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"give at least {MIN_SECRET_CHARACTERS} random characters")
        return value

    @property
    def embedded(self) -> bool:
        """Whether the store is the embedded one, a process of this installation."""
        return self.store == EMBEDDED

    @property
    def production(self) -> bool:
        """Whether this is a production process."""
        return self.env is Environment.PRODUCTION


def variable_of(field_name: str) -> str:
    """Returns the name of a setting's environment variable."""
    return f"{PREFIX}{field_name.upper()}"


def read_value(variable: str, path: Path) -> str:
    """Returns a file's text without trailing line breaks. Raises SettingsInvalid, which names the variable."""
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SettingsInvalid(f"{variable} names a file that is too large.")
        text = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        raise SettingsInvalid(f"{variable} names a file that can't be read ({type(error).__name__}).") from None
    if not text:
        raise SettingsInvalid(f"{variable} names an empty file.")
    return text


def load_settings(**given: Any) -> Settings:
    """Returns the settings of this process. Raises SettingsInvalid.

    `given` holds values of command-line options, which override the environment; None stands for an absent option.
    """
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingsInvalid("; ".join(describe_error(found) for found in error.errors())) from None


def describe_error(error: Mapping[str, Any]) -> str:
    """Returns a validation error as `VARIABLE: what is expected`, without the value."""
    name = str(error["loc"][0]) if error["loc"] else "settings"
    text = str(error["msg"]).removeprefix("Value error, ")
    return f"{variable_of(name)}: {text}."


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Returns variables with our prefix that are not settings, for instance because of a typo."""
    known = {variable_of(name) for name in Settings.model_fields} | {f"{variable_of(n)}_FILE" for n in FILE_FIELDS}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
