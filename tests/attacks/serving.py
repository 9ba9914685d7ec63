"""A real server for tests of attacks: `consentric serve` as a process of its own, and beside it the command line, which
runs in the process of the tests."""

from __future__ import annotations

import io
import json
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from api.cli.main import run as run_command

CONSENTRIC = str(Path(sys.executable).parent / "consentric")
TEST_STORE = {"": "CONSENTRIC_STORE", "_USER": "CONSENTRIC_STORE_USER", "_PASSWORD": "CONSENTRIC_STORE_PASSWORD"}


@dataclass(frozen=True)
class Served:
    """A running server: its address, its folder and the file of its log."""

    url: str
    folder: Path
    settings: Mapping[str, str]

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def run(self, *arguments: str) -> str:
        """Runs a command on the server's store and returns its standard output. Not within a coroutine."""
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            for name in [*os.environ]:
                if name.startswith("CONSENTRIC_"):
                    patch.delenv(name)
            for name, value in self.settings.items():
                patch.setenv(name, value)
            patch.setattr("api.process.logs.configure_logs", lambda _: None)
            code = run_command(list(arguments))
        assert code == 0, err.getvalue()
        return out.getvalue()

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
    chosen = store | {"CONSENTRIC_DATA_DIR": str(folder), "CONSENTRIC_LOG_LEVEL": "debug"} | chosen
    folder.mkdir(exist_ok=True)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            [CONSENTRIC, "serve", "--port", "0", "--json"], env=kept | chosen, stdout=subprocess.PIPE, stderr=log
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert line, (folder / "server.log").read_text()
            yield Served(json.loads(line)["url"], folder, chosen)
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)
