"""A real server for tests of attacks: `consentric serve` as a process of its own, and the command line beside it."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CONSENTRIC = str(Path(sys.executable).parent / "consentric")
TEST_STORE = {"": "CONSENTRIC_STORE", "_USER": "CONSENTRIC_STORE_USER", "_PASSWORD": "CONSENTRIC_STORE_PASSWORD"}


@dataclass(frozen=True)
class Served:
    """A running server: its address, its folder and the file of its log."""

    url: str
    folder: Path
    environment: Mapping[str, str]

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def run(self, *arguments: str, text: str | None = None) -> str:
        """Runs a command on the server's store and returns its standard output."""
        done = subprocess.run(
            [CONSENTRIC, *arguments], env=self.environment, input=text, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run_json(self, *arguments: str) -> Any:
        """Runs a command with `--json` and returns what it prints."""
        return json.loads(self.run(*arguments, "--json"))

    def make_source(self, trust: str = "server") -> tuple[str, str]:
        """Registers a source and returns its name and its write key."""
        name = f"shop-{secrets.token_hex(4)}"
        return name, self.run_json("source", "create", name, "--trust", trust)["write_key"]

    def make_client(self, role: str, *options: str) -> tuple[str, str]:
        """Registers a client and returns its name and its API key."""
        name = f"{role}-{secrets.token_hex(4)}"
        return name, self.run_json("client", "create", name, "--role", role, *options)["key"]


@contextmanager
def serve(folder: Path, **settings: str) -> Iterator[Served]:
    """Serves a store of its own, or the Neo4j server under test. `settings` are variables without their prefix."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTRIC_")}
    given = {name: os.environ.get(f"CONSENTRIC_TEST_NEO4J{end}") for end, name in TEST_STORE.items()}
    store = {name: value for name, value in given.items() if value}
    chosen = {f"CONSENTRIC_{name.upper()}": value for name, value in settings.items()}
    environment = kept | store | {"CONSENTRIC_DATA_DIR": str(folder), "CONSENTRIC_LOG_LEVEL": "debug"} | chosen
    folder.mkdir(exist_ok=True)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [CONSENTRIC, "serve", "--port", "0", "--json"], env=environment, stdout=subprocess.PIPE, stderr=log
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "server.log").read_text()
            yield Served(json.loads(line)["url"], folder, environment)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
