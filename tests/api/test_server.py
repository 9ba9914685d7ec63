"""The server: its socket, and its exit when the store dies."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.server import address_of, bind
from graph.errors import SettingsInvalid


def test_a_port_in_use_is_refused_at_binding() -> None:
    with bind("127.0.0.1", 0) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(SettingsInvalid, match="CONSENTRIC_PORT"):
            bind("127.0.0.1", port)


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(SettingsInvalid, match="CONSENTRIC_"):
        bind("192.0.2.1", 0)


def test_a_bound_socket_refuses_connections() -> None:
    with bind("127.0.0.1", 0) as listener, socket.socket() as caller:
        assert caller.connect_ex(listener.getsockname()) != 0


@pytest.mark.parametrize(("host", "shown"), [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1")])
def test_a_wildcard_address_is_announced_as_loopback(host: str, shown: str) -> None:
    with socket.socket() as listener:
        listener.bind((host, 0))
        assert address_of(listener) == f"http://{shown}:{listener.getsockname()[1]}"


def test_a_server_exits_with_an_error_when_its_store_dies(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTRIC_")}
    process = subprocess.Popen(
        [str(Path(sys.executable).parent / "consentric"), "serve", "--port", "0", "--json"],
        env=kept | {"CONSENTRIC_DATA_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline()
    os.kill(json.loads((tmp_path / "store.json").read_text())["pid"], signal.SIGKILL)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 69
    assert json.loads(err.splitlines()[-1])["error"]["code"] == "STORE_UNAVAILABLE"
