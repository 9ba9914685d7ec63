"""Secrets of this installation: taken from the settings, or generated once in the data folder.

Processes that start at the same time agree on one file: the first to link it into place wins, and the others read it.
A crash leaves the whole file or none.
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
    """The secrets that every process needs: `secret` is the key of HMACs, `signing_key` signs subject tokens."""

    secret: bytes = field(repr=False)
    signing_key: Ed25519PrivateKey = field(repr=False)


def open_keys(settings: Settings) -> InstallationKeys:
    """Returns the installation's secrets, generating missing ones in `DATA_DIR/keys`.

    Raises SettingsInvalid if a secret is unusable, or missing in production with Neo4j, where several servers must
    share it.
    """
    secret = read_secret(settings, "secret", settings.secret, HMAC_FILE, make_secret)
    if len(secret) < MIN_SECRET_CHARACTERS:
        raise SettingsInvalid(f"{keys_folder(settings) / HMAC_FILE} is damaged: too short for a secret.")
    pem = read_secret(settings, "signing_key", settings.signing_key, SIGNING_FILE, make_signing_key)
    return InstallationKeys(secret=secret, signing_key=parse_signing_key(pem))


def read_secret(settings: Settings, name: str, given: SecretStr | None, file: str, make: Callable[[], bytes]) -> bytes:
    """Returns one secret: from the settings, else from its file, else a new one that is kept in that file."""
    if given is not None:
        return given.get_secret_value().encode()
    if settings.production and not settings.embedded:
        variable = variable_of(name)
        raise SettingsInvalid(f"{variable} or {variable}_FILE must be set in production, the same on every server.")
    return read_or_create_file(keys_folder(settings) / file, make)


def keys_folder(settings: Settings) -> Path:
    """Returns the folder of generated secrets."""
    return settings.data_dir / "keys"


def read_or_create_file(path: Path, make: Callable[[], bytes]) -> bytes:
    """Returns the file's bytes, creating the file first if it is missing, readable by its owner only."""
    try:
        if not path.exists():
            for folder in (path.parent.parent, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            place_once(path, make())
        return path.read_bytes().strip()
    except OSError as error:
        raise SettingsInvalid(f"{path} can't be read or created ({type(error).__name__}): check its owner.") from None


def place_once(path: Path, content: bytes) -> None:
    """Places a complete file, synced to disk, at the path unless a file is already there."""
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
    """Returns 256 random bits in hexadecimal."""
    return secrets.token_hex(32).encode()


def make_signing_key() -> bytes:
    """Returns a new Ed25519 private key in PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def parse_signing_key(pem: bytes) -> Ed25519PrivateKey:
    """Returns the private key of a PEM text. Raises SettingsInvalid if it is encrypted or not Ed25519."""
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsInvalid("CONSENTRIC_SIGNING_KEY: give an unencrypted Ed25519 private key in PEM.") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsInvalid("CONSENTRIC_SIGNING_KEY: the private key must be Ed25519.")
    return key
