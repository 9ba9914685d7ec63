"""The allow-list of token issuers: parses `CONSENTRIC_TRUSTED_ISSUERS` and the key files that it names.

An entry is `{"issuer": NAME, "public_key_file": PEM or "jwks_file": JSON, "clients": [NAME…], "sources": [NAME…]}`. If
`clients` or `sources` is given, the issuer's tokens may name no others. Key sets are read from files, never fetched.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from api.process.settings import read_value
from graph.errors import SettingsInvalid
from resolvers.access.tokens import PublicKey, TrustedIssuer, list_algorithms

VARIABLE: Final = "CONSENTRIC_TRUSTED_ISSUERS"


class IssuerEntry(BaseModel):
    """One entry of the list."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    issuer: str = Field(min_length=1)
    public_key_file: Path | None = None
    jwks_file: Path | None = None
    clients: frozenset[str] | None = None
    sources: frozenset[str] | None = None

    @model_validator(mode="after")
    def check_keys(self) -> IssuerEntry:
        """Checks that exactly one key file is given."""
        if (self.public_key_file is None) == (self.jwks_file is None):
            raise ValueError("give either public_key_file or jwks_file")
        return self


ENTRIES: Final = TypeAdapter(list[IssuerEntry])


def parse_issuers(text: str | None, own_name: str) -> list[TrustedIssuer]:
    """Returns the issuers of the list; none if `text` is None.

    Raises SettingsInvalid if an entry is malformed, or if names are repeated or equal to `own_name`.
    """
    if text is None:
        return []
    try:
        entries = ENTRIES.validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"]) or "list"
        raise SettingsInvalid(f"{VARIABLE}: {where}: {first['msg'].removeprefix('Value error, ')}.") from None
    names = [entry.issuer for entry in entries]
    if len(set(names)) < len(names) or own_name in names:
        raise SettingsInvalid(f"{VARIABLE}: issuers must have distinct names, other than CONSENTRIC_ISSUER.")
    return [TrustedIssuer(entry.issuer, read_keys(entry), entry.clients, entry.sources) for entry in entries]


def read_keys(entry: IssuerEntry) -> dict[str, PublicKey]:
    """Returns an issuer's public keys by key ID. A single key has the ID "", which serves tokens without one."""
    if entry.jwks_file is not None:
        return parse_key_set(read_value(VARIABLE, entry.jwks_file))
    assert entry.public_key_file is not None  # noqa: S101 - the entry has been checked
    try:
        key = load_pem_public_key(read_value(VARIABLE, entry.public_key_file).encode())
    except (ValueError, UnsupportedAlgorithm):
        raise SettingsInvalid(f"{VARIABLE}: a public_key_file does not hold a public key in PEM.") from None
    return {"": accept_key(key)}


def parse_key_set(text: str) -> dict[str, PublicKey]:
    """Returns the signing keys of a JSON Web Key Set, by key ID. Raises SettingsInvalid."""
    try:
        found = [jwt.PyJWK(entry) for entry in json.loads(text)["keys"] if entry.get("use", "sig") == "sig"]
    except (jwt.PyJWTError, ValueError, KeyError, TypeError, AttributeError):
        raise SettingsInvalid(f"{VARIABLE}: a jwks_file does not hold a JSON Web Key Set.") from None
    keys = {str(entry.key_id or ""): accept_key(entry.key) for entry in found}
    if not keys or len(keys) < len(found):
        raise SettingsInvalid(f"{VARIABLE}: a jwks_file needs at least one key, and each key a distinct `kid`.")
    return keys


def accept_key(key: Any) -> PublicKey:
    """Returns the key if it is public and Ed25519, P-256, P-384, or RSA with 2048 bits or more; raises SettingsInvalid
    otherwise."""
    if not isinstance(key, Ed25519PublicKey | EllipticCurvePublicKey | RSAPublicKey) or not list_algorithms(key):
        raise SettingsInvalid(f"{VARIABLE}: use public keys: Ed25519, P-256, P-384, or RSA with at least 2048 bits.")
    return key
