"""The environment, read once: `CONSENTRIC_*` variables as one frozen, validated value.

What lives here: names, types, defaults and checks of settings, and the `_FILE` variants of secrets. What does not:
making secrets that are missing (`api/process/keystore.py`) and anything built from settings (`api/process/runtime.py`).
Lower layers never see settings. A setting that can't be used is `SettingsInvalid`: the message names the variable,
never its value.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from graph.errors import SettingsInvalid

PREFIX: Final = "CONSENTRIC_"
EMBEDDED: Final = "embedded"
STORE_SCHEMES: Final = frozenset({"bolt", "bolt+s", "bolt+ssc", "neo4j", "neo4j+s", "neo4j+ssc"})
FILE_FIELDS: Final = ("store_password", "secret", "signing_key", "trusted_issuers")
ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)
PLAIN: Final = r"^\S+$"
MIN_SECRET_CHARACTERS: Final = 32
MAX_FILE_BYTES: Final = 1 << 20


class Environment(StrEnum):
    """Where the process runs. In production GraphQL introspection and the IDE are off and secrets must be given."""

    PRODUCTION = "production"
    DEVELOPMENT = "development"


class FileValues(PydanticBaseSettingsSource):
    """Secrets and other long values, read from the files that `CONSENTRIC_<NAME>_FILE` variables name."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:
        """The text of the named file without its last line breaks, or None when no file is named."""
        if field_name not in FILE_FIELDS:
            return None, field_name, False
        variable = variable_of(field_name)
        path = os.environ.get(f"{variable}_FILE", "")
        if not path:
            return None, field_name, False
        if os.environ.get(variable):
            raise SettingsInvalid(f"{variable} and {variable}_FILE are both set: keep one of them.")
        return read_value(f"{variable}_FILE", Path(path)), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values that come from files."""
        found = {name: self.get_field_value(None, name)[0] for name in FILE_FIELDS}
        return {name: value for name, value in found.items() if value is not None}


class Settings(BaseSettings):
    """Every setting, with its default. See `consentric doctor` for what a running machine makes of them."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    store: str = Field(EMBEDDED, description="`embedded`, or the bolt:// or neo4j:// URL of a Neo4j server")
    store_user: str = Field("neo4j", description="user name at the Neo4j server")
    store_password: SecretStr | None = Field(None, description="password at the Neo4j server")
    store_database: str = Field("neo4j", description="database at the Neo4j server")
    data_dir: Path = Field(Path(".consentric"), description="folder of the embedded store and of generated keys")
    host: str = Field("127.0.0.1", description="address that `serve` listens on")
    port: int = Field(8000, ge=0, le=65535, description="port that `serve` listens on; 0 takes a free one")
    env: Environment = Field(Environment.DEVELOPMENT, description="`production` or `development`")
    cors_origins: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="origins of web pages that may call the API from a browser, with commas between"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="least level that is logged")
    secret: SecretStr | None = Field(None, description="keys the hashes of API keys and the signatures of cursors")
    signing_key: SecretStr | None = Field(None, description="Ed25519 private key (PEM) that signs subject tokens")
    issuer: str = Field("consentric", pattern=PLAIN, description="`iss` of the tokens signed here")
    audience: str = Field("consentric", pattern=PLAIN, description="`aud` that a token must carry")
    trusted_issuers: str | None = Field(
        None, description='JSON list of other token issuers: [{"issuer", "public_key_file" or "jwks_file", …}]'
    )
    policy: Path | None = Field(None, description="JSON or TOML file of the consent policy; absent: the default policy")

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What the caller gives, then the environment, then the files it names; nothing else."""
        return init_settings, env_settings, FileValues(settings_cls)

    @field_validator("store")
    @classmethod
    def check_store(cls, value: str) -> str:
        """`embedded`, or a URL with a scheme of Neo4j's and a host, without credentials inside."""
        if value == EMBEDDED:
            return value
        try:
            url = urlsplit(value)
            good = url.scheme in STORE_SCHEMES and url.hostname and url.port != 0
        except ValueError:
            good = False
        if not good:
            raise ValueError("give `embedded` or a URL such as neo4j://host:7687 (also bolt://, +s, +ssc)")
        if url.username or url.password:
            raise ValueError("leave user and password out of the URL: CONSENTRIC_STORE_USER, CONSENTRIC_STORE_PASSWORD")
        return value

    @field_validator("cors_origins", mode="before")
    @classmethod
    def check_origins(cls, value: object) -> object:
        """Whole origins, never a wildcard."""
        origins = tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
        if isinstance(origins, tuple) and not all(ORIGIN.fullmatch(str(origin)) for origin in origins):
            raise ValueError("give origins such as https://shop.example, with commas between")
        return origins

    @field_validator("secret")
    @classmethod
    def check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        """Long enough to key an HMAC."""
        if value is not None and len(value.get_secret_value()) < MIN_SECRET_CHARACTERS:
            raise ValueError(f"give at least {MIN_SECRET_CHARACTERS} random characters")
        return value

    @property
    def embedded(self) -> bool:
        """Whether the store is our own child process."""
        return self.store == EMBEDDED

    @property
    def production(self) -> bool:
        """Whether this is a production process."""
        return self.env is Environment.PRODUCTION


def variable_of(field_name: str) -> str:
    """The environment variable of a setting."""
    return f"{PREFIX}{field_name.upper()}"


def read_value(variable: str, path: Path) -> str:
    """A value from a file, without trailing line breaks."""
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
    """The settings of this process. `given` (from command line options) outranks the environment; None is not given."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        raise SettingsInvalid("; ".join(describe_mistake(mistake) for mistake in error.errors())) from None


def describe_mistake(mistake: Mapping[str, Any]) -> str:
    """One mistake as `VARIABLE: what is expected`, without the value."""
    name = str(mistake["loc"][0]) if mistake["loc"] else "settings"
    text = str(mistake["msg"]).removeprefix("Value error, ")
    return f"{variable_of(name)}: {text}."


def unknown_variables(environ: Mapping[str, str]) -> list[str]:
    """Variables that look like settings and are none, for instance because of a typing error."""
    known = {variable_of(name) for name in Settings.model_fields} | {f"{variable_of(n)}_FILE" for n in FILE_FIELDS}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)
