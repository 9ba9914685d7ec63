"""The credentials of the embedded engine's only user: how they are made, stored for this user's processes, and told
to the engine.

The user name is as random as the password. The engine refuses a user for half a minute
after five wrong passwords, so a name that others could guess would let any local process lock us out.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

from graph.errors import StoreUnavailable

ITERATIONS: Final = 65_536
"""Rounds of PBKDF2, the engine's own number. The password has 256 random bits; the engine caches the hash."""


@dataclass(frozen=True, slots=True)
class StoreCredentials:
    """A user name and a password."""

    user: str = field(repr=False)
    password: str = field(repr=False)

    def describe_user(self) -> dict[str, object]:
        """Returns the entry of the engine's list of users: everything is allowed, the password is hashed."""
        salt = base64.b64encode(secrets.token_bytes(32)).decode()
        digest = hashlib.pbkdf2_hmac("sha256", self.password.encode(), salt.encode(), ITERATIONS)
        hashed = f"PBKDF2WithHmacSHA256${ITERATIONS}${salt}${base64.b64encode(digest).decode()}"
        return {"name": self.user, "databases": {"*": ["admin"]}, "password": hashed}


def read_credentials(folder: Path) -> StoreCredentials:
    """Returns the credentials of the engine that runs on a folder. Raises StoreUnavailable if they are lost."""
    try:
        facts = json.loads(credentials_file(folder).read_bytes())
        return StoreCredentials(str(facts["user"]), str(facts["password"]))
    except (OSError, ValueError, KeyError, TypeError):
        raise StoreUnavailable(
            f"The credentials of the store in {folder} are lost: end the processes that use it, then try again."
        ) from None


def prepare_credentials(folder: Path) -> None:
    """Makes the credentials of a folder unless it has them: for this user's processes, and hashed for the engine, which
    then has no other user. Call it before the engine starts; its former users are removed."""
    try:
        known = read_credentials(folder)
        if json.loads(engine_users_file(folder).read_bytes())["name"] == known.user:
            return
    except (StoreUnavailable, OSError, ValueError, KeyError, TypeError):
        pass
    made = StoreCredentials(f"u{secrets.token_hex(16)}", secrets.token_urlsafe(32))
    engine_users_file(folder).parent.mkdir(exist_ok=True, mode=0o700)
    write_private(engine_users_file(folder), json.dumps(made.describe_user()) + "\n")
    write_private(credentials_file(folder), json.dumps(asdict(made)))


def credentials_file(folder: Path) -> Path:
    """Returns the path of the credentials, which only this user can read."""
    return folder / "credentials.json"


def engine_users_file(folder: Path) -> Path:
    """Returns the path of the engine's list of users."""
    return folder / "config" / "server-users.jsonl"


def write_private(path: Path, text: str) -> None:
    """Writes a file atomically, readable by this user only."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
