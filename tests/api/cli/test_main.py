"""The command line as scripts use it: JSON on standard output, failures in one line, documented exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from functools import partial
from pathlib import Path

import httpx
import pytest

from api.cli.main import run as run_command
from api.cli.sources import describe_change
from graph.model.access import ALWAYS, Source, Trust
from resolvers.access.proofs import HashKey

RunHere = Callable[..., subprocess.CompletedProcess[str]]
CONSENTRIC = str(Path(sys.executable).parent / "consentric")
ROOT = Path(__file__).parents[3]
LINES = [
    {"type": "item", "itemId": "lamp", "title": "Lamp", "category": "home", "price": 30},
    {
        "type": "identify",
        "messageId": "m1",
        "userId": "ada",
        "traits": {"email": "ada@example.com", "firstName": "Ada"},
    },
    {"type": "consent", "messageId": "m2", "userId": "ada", "purpose": "personalisation", "state": "given"},
    {
        "type": "track",
        "messageId": "m3",
        "userId": "ada",
        "event": "Product Viewed",
        "properties": {"product_id": "lamp"},
    },
    {
        "type": "track",
        "messageId": "m3",
        "userId": "ada",
        "event": "Product Viewed",
        "properties": {"product_id": "lamp"},
    },
    {"type": "teleport", "userId": "ada"},
]


def environment(folder: Path, **settings: str) -> dict[str, str]:
    """Returns this process's environment with only the given settings."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CONSENTRIC_")}
    return kept | {"CONSENTRIC_DATA_DIR": str(folder), "COLUMNS": "200"} | settings


def run(folder: Path, *arguments: str, stdin: str | None = None, **settings: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in a process of its own, for what only a process shows."""
    return subprocess.run(
        [CONSENTRIC, *arguments],
        env=environment(folder, **settings),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def run_within(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Like `run`, but in this process, which saves starting another one."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr("api.process.logs.configure_logs", lambda _: None)
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        code = run_command(list(arguments))
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


@pytest.fixture
def run_here(served: Served) -> RunHere:
    """Runs commands on the served folder, in this process."""
    return partial(run_within, served.folder)


def document(done: subprocess.CompletedProcess[str]) -> dict[str, object]:
    """Returns the line of JSON that a command printed."""
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    return json.loads(done.stdout)


def failure(done: subprocess.CompletedProcess[str], exit_code: int) -> dict[str, str]:
    """Returns the error that a failed command printed as a line of JSON on standard error."""
    assert (done.returncode, done.stdout) == (exit_code, ""), done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    return json.loads(done.stderr)["error"]


class Served:
    """A running `consentric serve --port 0 --json`."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [CONSENTRIC, "serve", "--port", "0", "--json"],
            env=environment(folder, **settings),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        assert self.line, self.process.communicate(timeout=30)[1]
        self.address = json.loads(self.line)

    def end(self) -> tuple[int, str, str]:
        """Sends SIGTERM. Returns the exit code and the rest of both outputs."""
        self.process.send_signal(signal.SIGTERM)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server shared by the commands of this module, which attach to its store."""
    server = Served(tmp_path_factory.mktemp("served"))
    yield server
    if server.process.poll() is None:
        server.end()


@pytest.fixture(scope="module")
def write_key(served: Served) -> str:
    made = document(run_within(served.folder, "source", "create", "shop", "--trust", "server", "--json"))
    assert set(made) == {"source", "trust", "write_key"}
    assert made["source"] == "shop"
    return str(made["write_key"])


@pytest.fixture(scope="module")
def api_key(served: Served) -> str:
    options = ("--role", "frontend", "--purpose", "personalisation", "--purpose", "service")
    made = document(run_within(served.folder, "client", "create", "web", *options, "--json"))
    assert set(made) == {"client", "key"}
    return str(made["key"])


@pytest.fixture(scope="module")
def loaded(served: Served, write_key: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    file = tmp_path_factory.mktemp("files") / "events.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in LINES))
    return document(run_within(served.folder, "load", str(file), "--source", "shop", "--json"))


def ask(served: Served, credential: str, query: str, **headers: str) -> dict[str, object]:
    response = httpx.post(
        served.address["graphql"],
        json={"query": query},
        headers={"Authorization": f"Bearer {credential}"} | headers,
        timeout=20,
    )
    return response.json()


def test_the_server_announces_its_address_in_one_line(served: Served) -> None:
    assert set(served.address) == {"url", "graphql"}
    assert served.address["graphql"] == served.address["url"] + "/graphql"
    assert httpx.get(served.address["url"] + "/readyz").json()["status"] == "ready"
    assert httpx.get(served.address["url"] + "/healthz").status_code == 200


def test_loading_counts_the_outcome_of_each_line(loaded: dict[str, object]) -> None:
    assert loaded == {"accepted": 4, "duplicate": 1, "rejected": {"unknown_type": 1}}


def test_loading_from_standard_input(served: Served, loaded: dict[str, object]) -> None:
    again = "".join(json.dumps(line) + "\n" for line in LINES[1:4])
    done = run(served.folder, "load", "-", "--source", "shop", "--json", stdin=again)
    assert document(done) == {"accepted": 0, "duplicate": 3, "rejected": {}}


def test_unknown_sources_and_missing_files_are_refused(run_here: RunHere, write_key: str, tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    file.write_text("")
    assert failure(run_here("load", str(file), "--source", "nobody", "--json"), 66)["code"] == "NOT_FOUND"
    missing = failure(run_here("load", str(tmp_path / "no"), "--source", "shop", "--json"), 66)
    assert missing["code"] == "NOT_FOUND"


def test_loaded_lines_show_in_a_profile(served: Served, api_key: str, loaded: dict[str, object]) -> None:
    query = """{ profile(by: {record: {source: "shop", key: "ada"}}) {
        givenName email interactions(first: 5) { edges { node { item { key } } } } } }"""
    seen = ask(served, api_key, query, **{"Consentric-Purpose": "personalisation"})
    profile = seen["data"]["profile"]
    assert (profile["givenName"], profile["email"]) == ("Ada", None)
    assert [edge["node"]["item"]["key"] for edge in profile["interactions"]["edges"]] == ["lamp"]
    seen = ask(served, api_key, query, **{"Consentric-Purpose": "service"})
    assert seen["data"]["profile"]["email"] == "ada@example.com"
    assert seen["data"]["profile"]["interactions"] is None


def test_a_client_with_several_purposes_must_choose_one(served: Served, api_key: str) -> None:
    seen = ask(served, api_key, "{ purposes { key } }")
    assert seen["errors"][0]["extensions"]["code"] == "PURPOSE_REQUIRED"


def test_a_batch_is_accepted_with_a_valid_write_key_only(served: Served, write_key: str, api_key: str) -> None:
    batch = {"batch": [{"type": "identify", "messageId": "h1", "userId": "bob", "traits": {"firstName": "Bob"}}]}
    response = httpx.post(served.address["url"] + "/v1/batch", json=batch, auth=(write_key, ""), timeout=20)
    assert response.status_code == 200, response.text
    query = '{ profile(by: {record: {source: "shop", key: "bob"}}) { givenName } }'
    seen = ask(served, api_key, query, **{"Consentric-Purpose": "service"})
    assert seen["data"]["profile"] == {"givenName": "Bob"}
    wrong = write_key[:-1] + ("0" if write_key[-1] != "0" else "1")
    assert httpx.post(served.address["url"] + "/v1/batch", json=batch, auth=(wrong, "")).status_code == 401


def test_a_token_reaches_its_person(served: Served, api_key: str, loaded: dict[str, object]) -> None:
    subject = ("--source", "shop", "--user-id", "ada")
    made = document(run_within(served.folder, "token", "--client", "web", *subject, "--json"))
    assert set(made) == {"token"}
    seen = ask(served, str(made["token"]), "{ me { givenName email } }")
    assert seen["data"]["me"] == {"givenName": "Ada", "email": "ada@example.com"}


def test_resolve_and_refresh_report_what_they_did(run_here: RunHere, loaded: dict[str, object]) -> None:
    linkage = document(run_here("resolve", "--json"))
    assert linkage["records"] >= 1
    report = document(run_here("refresh", "--as-of", "2026-11-01", "--json"))
    assert set(report) >= {"walk", "rfm", "communities", "seconds"}


def test_dead_letters_are_listed_and_replayed(run_here: RunHere, loaded: dict[str, object]) -> None:
    letters = json.loads(run_here("dead-letters", "list", "--json").stdout)
    assert [letter["reason"] for letter in letters] == ["unknown_type"]
    assert "payload" not in letters[0]
    assert "teleport" in run_here("dead-letters", "list", "--payload").stdout
    assert run_here("dead-letters", "list").stderr == ""
    for command in ("list", "replay"):
        assert failure(run_here("dead-letters", command, "--source", "nope", "--json"), 66)["code"] == "NOT_FOUND"
        unknown = failure(run_here("dead-letters", command, "--reason", "foo", "--json"), 65)
        assert "unknown_type" in unknown["message"]
    replayed = document(run_here("dead-letters", "replay", "--json"))
    assert replayed == {"accepted": 0, "duplicate": 0, "kept": 1}


def test_lists_show_no_keys(run_here: RunHere, write_key: str, api_key: str) -> None:
    for group, key in (("source", write_key), ("client", api_key)):
        done = run_here(group, "list", "--json")
        names = [entry[group] for entry in json.loads(done.stdout)]
        assert {"shop", "web"} & set(names)
        shown = run_here(group, "list").stdout + done.stdout
        assert key.split("_")[2] not in shown


def test_a_source_without_a_trust_is_explained(run_here: RunHere) -> None:
    error = failure(run_here("source", "create", "site", "--json"), 65)
    assert error["code"] == "BAD_USER_INPUT"
    assert all(f"{trust}: " in error["message"] for trust in ("public", "server", "record"))
    assert (
        "no trust serverr"
        in failure(run_here("source", "create", "site", "--trust", "serverr", "--json"), 65)["message"]
    )


def test_the_version_is_printed(run_here: RunHere) -> None:
    assert run_here("--version").stdout.startswith("consentric ")


def test_a_source_without_a_key_is_told_its_namespace(run_here: RunHere) -> None:
    document(run_here("source", "create", "booth", "--trust", "public", "--namespace", "eu", "--json"))
    document(run_here("source", "revoke", "booth", "--json"))
    error = failure(run_here("source", "create", "booth", "--trust", "public", "--json"), 73)
    assert error["message"].endswith("add --namespace eu.")


def test_a_source_is_changed_and_shown(run_here: RunHere) -> None:
    made = document(run_here("source", "create", "till", "--trust", "server", "--jurisdiction", "de", "--json"))
    assert str(made["write_key"]).startswith("cwk_")
    changed = document(run_here("source", "set", "till", "--verifies", "email", "--json"))
    assert "write_key" not in changed
    (listed,) = [one for one in json.loads(run_here("source", "list", "--json").stdout) if one["source"] == "till"]
    assert listed == changed
    assert (listed["trust"], listed["verifies"], listed["jurisdiction"]) == ("server", ["email"], "DE")
    assert listed["state"] == "settled"
    assert str(listed["verified_since"]["email"]).endswith("Z")  # from now on
    since = ("source", "set", "till", "--verifies", "email", "--verified-since")
    assert document(run_here(*since, "2026-01-31", "--json"))["verified_since"] == {"email": "2026-01-31T00:00:00Z"}
    assert "email since" in run_here("source", "list").stdout
    assert document(run_here(*since, "always", "--json"))["verified_since"] == {"email": None}
    assert "email since" not in run_here("source", "list").stdout
    error = failure(run_here("source", "set", "till", "--verified-since", "always", "--json"), 65)
    assert "--verifies email" in str(error["message"])
    assert "in the future" in str(failure(run_here(*since, "2999-01-01", "--json"), 65)["message"])


def test_a_changed_source_is_described(run_here: RunHere) -> None:
    document(run_here("source", "create", "kiosk", "--trust", "server", "--jurisdiction", "de", "--json"))
    said = run_here("source", "set", "kiosk", "--verifies", "phone").stderr
    assert "Source kiosk is changed: server; verifies phone; jurisdiction DE." in said
    assert (
        "Source kiosk is as before: server; verifies phone; jurisdiction DE."
        in run_here("source", "set", "kiosk").stderr
    )


def test_what_a_source_no_longer_verifies_is_said() -> None:
    before = Source("kiosk", trust=Trust.SERVER, verifies={"email": ALWAYS})
    after = replace(before, verifies={"phone": ALWAYS}, trust_epoch=1)
    assert describe_change(before, after) == (
        "Source kiosk is changed: server; verifies phone; no longer verifies email."
    )


def test_the_demonstration_needs_the_folder_of_its_summary(run_here: RunHere) -> None:
    error = failure(run_here("demo", "--json", "/nonexistent/summary.json"), 65)
    assert "/nonexistent" in str(error["message"])


def test_a_public_source_proves_users_with_its_hash_key(run_here: RunHere) -> None:
    made = document(run_here("source", "create", "site", "--trust", "public", "--json"))
    assert str(made["write_key"]).startswith("cpk_")
    given = document(run_here("source", "user-hash", "site", "u17", "--anonymous-id", "a1", "--days", "7", "--json"))
    expiry = str(given["user_hash"]).split(".")[1]
    assert given["user_hash"] == HashKey(str(made["hash_key"])).sign("u17", "a1", int(expiry))
    rotated = document(run_here("source", "rotate-hash-key", "site", "--json"))
    assert rotated["hash_key"] != made["hash_key"]
    assert run_here("source", "user-hash", "site", "u17").stdout.startswith("v1.")


def test_a_public_source_takes_static_hashes_if_it_is_told_to(run_here: RunHere) -> None:
    made = document(run_here("source", "create", "blog", "--trust", "public", "--static-hash", "--json"))
    given = document(run_here("source", "user-hash", "blog", "u17", "--static", "--json"))
    assert given["user_hash"] == HashKey(str(made["hash_key"])).sign_static("u17")
    both = failure(run_here("source", "user-hash", "blog", "u17", "--static", "--anonymous-id", "a1", "--json"), 65)
    assert "--anonymous-id" in str(both["message"])
    (listed,) = [one for one in json.loads(run_here("source", "list", "--json").stdout) if one["source"] == "blog"]
    assert listed["static_hash"] is True
    assert "static" in run_here("source", "list").stdout
    assert "as before: public; takes static hashes." in run_here("source", "set", "blog", "--static-hash").stderr
    assert "changed: public; no longer takes" in run_here("source", "set", "blog", "--no-static-hash").stderr
    assert document(run_here("source", "set", "blog", "--no-static-hash", "--json"))["static_hash"] is False
    refused = failure(run_here("source", "create", "desk", "--trust", "record", "--static-hash", "--json"), 65)
    assert "Only a public source" in str(refused["message"])


def test_a_running_server_refuses_a_revoked_key(served: Served, run_here: RunHere) -> None:
    made = document(run_here("client", "create", "gone", "--role", "auditor", "--json"))
    assert "errors" not in ask(served, str(made["key"]), "{ purposes { key } }")
    assert document(run_here("client", "revoke", "gone", "--json")) == {"client": "gone", "revoked": True}
    time.sleep(1.05)
    assert ask(served, str(made["key"]), "{ purposes { key } }")["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("arguments", "exit_code", "code"),
    [
        (("source", "create", "a b", "--trust", "server"), 65, "BAD_USER_INPUT"),
        (("source", "revoke", "nobody"), 66, "NOT_FOUND"),
        (("client", "create", "x", "--role", "king"), 65, "BAD_USER_INPUT"),
        (("client", "create", "x", "--role", "frontend"), 65, "BAD_USER_INPUT"),
        (("token", "--client", "x", "--source", "shop"), 65, "BAD_USER_INPUT"),
        (("token", "--client", "nobody", "--source", "shop", "--user-id", "u"), 66, "NOT_FOUND"),
        (("frobnicate",), 64, "USAGE"),
        (("serve", "--port", "many"), 64, "USAGE"),
    ],
)
def test_a_failure_is_one_line_with_code_and_documentation(
    run_here: RunHere, arguments: tuple[str, ...], exit_code: int, code: str
) -> None:
    error = failure(run_here(*arguments, "--json"), exit_code)
    assert (error["code"], error["documentation"]) == (code, f"docs/errors/{code}.md")


def test_a_store_in_use_is_not_stopped(served: Served, run_here: RunHere) -> None:
    assert failure(run_here("store", "stop", "--json"), 75)["code"] == "STORE_IN_USE"
    assert document(run_here("store", "status", "--json"))["running"] is True


def test_a_second_registration_is_a_conflict(run_here: RunHere, write_key: str) -> None:
    assert failure(run_here("source", "create", "shop", "--trust", "server", "--json"), 73)["code"] == "CONFLICT"
    done = run_here("source", "create", "shop", "--trust", "server")
    assert done.stderr.startswith("Error: Source shop has a write key")
    assert done.stderr.count("\n") == 1


def test_sigterm_stops_the_server_with_exit_code_0(served: Served) -> None:
    """The last test with this server: it prints nothing more, and its store ends with it."""
    engine = json.loads((served.folder / "store.json").read_text())["pid"]
    code, out, err = served.end()
    assert (code, out) == (0, ""), err
    assert "Traceback" not in err
    assert (
        not Path(f"/proc/{engine}/cmdline").exists() or b"arcadedb" not in Path(f"/proc/{engine}/cmdline").read_bytes()
    )
    assert json.loads(run_within(served.folder, "store", "status", "--json").stdout)["running"] is False


def test_sigterm_during_startup_exits_with_code_0(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [CONSENTRIC, "serve", "--port", "0", "--json"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "store.log").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (0, "", "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_command_reports_it(tmp_path: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [CONSENTRIC, "migrate", "--json"],
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / "store.log").exists():
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out) == (130, "")
    assert json.loads(err)["error"]["code"] == "INTERRUPTED"


def test_a_bad_setting_is_named_without_its_value(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--json", CONSENTRIC_SECRET="canary-short")
    error = failure(done, 78)
    assert error["code"] == "SETTINGS_INVALID"
    assert "CONSENTRIC_SECRET" in error["message"]
    assert "canary" not in done.stderr


def test_a_started_store_runs_until_it_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSENTRIC_PORT", "0")
    run_here: RunHere = partial(run_within, tmp_path)
    try:
        started = document(run(tmp_path, "store", "start", "--json"))
        assert (started["running"], started["started"], started["lasting"]) == (True, True, True)
        assert document(run_here("store", "start", "--json"))["started"] is False
        steps = json.loads(run_here("migrate", "--dry-run", "--json").stdout)
        assert {step["state"] for step in steps} == {"pending"}
        steps = json.loads(run_here("migrate", "--json").stdout)
        assert {step["state"] for step in steps} == {"applied"}
        findings = json.loads(run_here("doctor", "--json").stdout)
        assert [finding for finding in findings if finding["state"] == "failed"] == []
        assert {"python", "keys", "store", "migrations", "permits", "clock"} <= {
            finding["check"] for finding in findings
        }
    finally:
        stopped = document(run_here("store", "stop", "--json"))
    assert stopped == {"stopped": True}
    assert document(run_here("store", "stop", "--json")) == {"stopped": False}


COMMANDS = [
    (), ("demo",), ("serve",), ("store", "start"), ("store", "stop"), ("store", "status"), ("migrate",), ("load",),
    ("resolve",), ("refresh",), ("source", "create"), ("source", "list"), ("source", "revoke"), ("client", "create"),
    ("client", "list"), ("client", "revoke"), ("token",), ("doctor",), ("dead-letters", "list"),
    ("dead-letters", "replay"),
]  # fmt: skip


def test_every_help_has_an_example(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    for command in COMMANDS:
        assert run_command([*command, "--help"]) == 0
        text = capsys.readouterr().out
        assert f"consentric {' '.join(command)}".strip() in text.replace("Usage: consentric", "", 1), command
        assert "Example" in text or not command


def test_help_imports_no_heavy_packages() -> None:
    heavy = "{'neo4j', 'scipy', 'numpy', 'strawberry', 'starlette', 'uvicorn', 'pydantic_settings'}"
    code = f"import sys, api.cli.main; sys.exit(', '.join({heavy} & set(sys.modules)) or 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
