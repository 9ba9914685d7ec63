"""Secrets of this installation: given by settings, or made once into the data folder.

What lives here: the two secrets every process needs (`InstallationKeys`), and the race-safe creation of a file that
only its owner may read. What does not: what the secrets are used for (`resolvers/access/keys.py`,
`resolvers/access/tokens.py`). Two processes that start at the same time agree on one file: whoever links it into place
first wins, the other reads it. A crash leaves the whole file or none.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from pydantic import SecretStr

from api.process.settings import MIN_SECRET_CHARACTERS, Settings, variable_of
from graph.errors import SettingsInvalid

HMAC_FILE: Final = "hmac.key"
SIGNING_FILE: Final = "signing.pem"


@dataclass(frozen=True, slots=True)
class InstallationKeys:
    """`secret` keys HMACs; `signing_key` signs subject tokens."""

    secret: bytes = field(repr=False)
    signing_key: Ed25519PrivateKey = field(repr=False)


def open_keys(settings: Settings) -> InstallationKeys:
    """The installation's secrets. Missing ones are made in `DATA_DIR/keys`, but never for Neo4j in production, where
    several servers must share them."""
    secret = obtain(settings, "secret", settings.secret, HMAC_FILE, make_secret)
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise SettingsInvalid(f"{keys_folder(settings) / HMAC_FILE} is damaged: too short for a secret.")
    pem = obtain(settings, "signing_key", settings.signing_key, SIGNING_FILE, make_signing_key)
    return InstallationKeys(secret=secret, signing_key=parse_signing_key(pem))


def obtain(settings: Settings, name: str, given: SecretStr | None, file: str, make: Callable[[], bytes]) -> bytes:
    """One secret: as given, else from its file, else made and kept."""
    if given is not None:
        return given.get_secret_value().encode()
    if settings.production and not settings.embedded:
        variable = variable_of(name)
        raise SettingsInvalid(f"{variable} or {variable}_FILE must be given in production, the same on every server.")
    return read_or_make(keys_folder(settings) / file, make)


def keys_folder(settings: Settings) -> Path:
    """Where generated secrets lie."""
    return settings.data_dir / "keys"


def read_or_make(path: Path, make: Callable[[], bytes]) -> bytes:
    """The file's bytes; when there is no file, it is made first, readable by its owner only."""
    try:
        if not path.exists():
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place_once(path, make())
        return path.read_bytes().strip()
    except OSError as error:
        raise SettingsInvalid(f"{path} can't be read or made ({type(error).__name__}): check its owner.") from None


def place_once(path: Path, content: bytes) -> None:
    """Puts a whole, synced file at the path unless one is there already."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        draft.unlink(missing_ok=True)


def make_secret() -> bytes:
    """256 random bits as hex text."""
    return secrets.token_hex(32).encode()


def make_signing_key() -> bytes:
    """A new Ed25519 private key as PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_signing_key(pem: bytes) -> Ed25519PrivateKey:
    """The private key of a PEM text. A key of another kind, or an encrypted one, is `SettingsInvalid`."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsInvalid("CONSENTRIC_SIGNING_KEY: give an unencrypted Ed25519 private key in PEM.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsInvalid("CONSENTRIC_SIGNING_KEY: give an Ed25519 private key, not one of another kind.")
    return key
