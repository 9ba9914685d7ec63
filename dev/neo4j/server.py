"""Runs a real Neo4j on loopback for development and tests, from its jars. Needs Java 17 or 21 and Maven, but no Docker.

    python dev/neo4j/server.py start              start it in the background, unless it runs, and print how to connect
    python dev/neo4j/server.py stop               stop it
    python dev/neo4j/server.py run -- COMMAND…    start a fresh one, run COMMAND against it, stop it

Only for development: nothing here runs in production. All files are under .cache/neo4j. `start` keeps its data there
and listens on NEO4J_PORT (default 7688); `run` uses a free port and a temporary folder, so it never touches that data.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NoReturn

from neo4j import GraphDatabase
from neo4j.exceptions import DriverError, Neo4jError

ROOT = Path(__file__).resolve().parents[2]
POM = Path(__file__).with_name("pom.xml")
CACHE = ROOT / ".cache" / "neo4j"
HOME = CACHE / "home"
JAVA_VERSIONS = (17, 21)
PR_SET_PDEATHSIG = 1
START_SECONDS = 90.0
STOP_SECONDS = 30.0
INSTALL = (
    "Install a Java runtime 17 or 21 and Maven (Debian, Ubuntu: apt install openjdk-17-jre-headless maven; "
    "macOS: brew install openjdk@21 maven), or use Docker: docker compose up -d neo4j."
)

logging.getLogger("neo4j").setLevel(logging.CRITICAL)  # refused connections are expected while it starts


def fail(message: str) -> NoReturn:
    """Prints a message and exits with code 1."""
    sys.exit(f"neo4j: {message}")


def say(line: str) -> None:
    """Prints one line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def find_java() -> str:
    """Returns the Java to run: from JAVA_HOME, otherwise from PATH."""
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        fail(f"no Java found. {INSTALL}")
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    version = re.search(r'version "(\d+)', output)
    if version is None or int(version.group(1)) not in JAVA_VERSIONS:
        fail(f"Java {version.group(1) if version else '?'} found, but Neo4j 5.26 needs 17 or 21. {INSTALL}")
    return java


def fetch_jars() -> Path:
    """Returns the folder with the server's jars, which Maven fetches once per version."""
    found = re.search(r"<neo4j.version>([\d.]+)<", POM.read_text(encoding="utf-8"))
    jars = CACHE / f"lib-{found.group(1) if found else 'unknown'}"
    if jars.exists():
        return jars
    maven = shutil.which("mvn")
    if maven is None:
        fail(f"no Maven found. {INSTALL}")
    say("neo4j: fetching the server's jars (about 125 MB, once) …")
    CACHE.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix="lib.", dir=CACHE))
    command = [maven, "-q", "-B", "-f", str(POM), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    result = subprocess.run([*command, f"-DoutputDirectory={draft}"], check=False)
    if result.returncode != 0:
        shutil.rmtree(draft)
        fail("Maven could not fetch the jars; its message is above.")
    if jars.exists():  # another process has fetched them in the meantime
        shutil.rmtree(draft)
    else:
        draft.rename(jars)
    return jars


def configure(home: Path, port: int) -> None:
    """Writes the server's configuration: loopback only, little memory, no usage reports."""
    settings = {
        "server.default_listen_address": "127.0.0.1",
        "server.bolt.listen_address": f"127.0.0.1:{port}",
        "server.bolt.advertised_address": f"127.0.0.1:{port}",
        "server.http.enabled": "false",
        "server.https.enabled": "false",
        "dbms.usage_report.enabled": "false",
        "server.memory.pagecache.size": "64m",
        "server.directories.data": str(home / "data"),
        "server.directories.logs": str(home / "logs"),
    }
    (home / "conf").mkdir(parents=True, exist_ok=True)
    lines = (f"{name}={value}\n" for name, value in settings.items())
    (home / "conf" / "neo4j.conf").write_text("".join(lines), encoding="utf-8")


def set_password(java: str, jars: Path, home: Path) -> str:
    """Returns the password of user `neo4j`, which is set before the first start and kept in a private file."""
    file = home / "password"
    if file.exists():
        return file.read_text(encoding="ascii")
    password = secrets.token_hex(16)  # never starts with a dash, so it is not mistaken for an option
    command = [java, "-XX:TieredStopAtLevel=1", "-cp", f"{jars}/*", "org.neo4j.server.startup.Neo4jAdminCommand"]
    result = subprocess.run(
        [*command, "dbms", "set-initial-password", password],
        env={**os.environ, "NEO4J_HOME": str(home), "NEO4J_CONF": str(home / "conf")},
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        fail(f"the password can't be set: {result.stderr.strip()}")
    with open(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as output:
        output.write(password)
    return password


def launch(java: str, jars: Path, home: Path, *, tied: bool) -> subprocess.Popen[bytes]:
    """Starts the server on a folder. If `tied`, it ends with this process (on Linux, even if that is killed)."""
    command = [java, "-Xmx512m", "-XX:+UseSerialGC", "-cp", f"{jars}/*", "org.neo4j.server.CommunityEntryPoint"]
    command += [f"--home-dir={home}", f"--config-dir={home / 'conf'}"]
    with (home / "server.log").open("wb") as log:
        return subprocess.Popen(
            command,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=end_with_parent if tied else None,  # noqa: PLW1509 - this process has no other thread
        )


def end_with_parent() -> None:
    """Runs in the child before it becomes the server: the kernel then kills it when its parent ends (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


def wait_until_ready(server: subprocess.Popen[bytes], url: str, password: str, home: Path) -> None:
    """Returns once the server can run a statement. Exits if it does not start in time."""
    deadline = time.monotonic() + START_SECONDS
    with GraphDatabase.driver(url, auth=("neo4j", password), telemetry_disabled=True) as driver:
        while time.monotonic() < deadline:
            try:
                driver.execute_query("RETURN 1", database_="neo4j")
                return
            except (DriverError, Neo4jError):
                if server.poll() is not None:
                    break
            time.sleep(0.2)
    end(server)
    fail(f"the server did not start; see {home / 'server.log'} and {home / 'logs'}.")


def end(server: subprocess.Popen[bytes]) -> None:
    """Stops a server started by this process."""
    server.terminate()
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def environment(url: str, password: str) -> dict[str, str]:
    """Returns the variables that make Consentric and its tests use this server."""
    return {
        "CONSENTRIC_STORE": url,
        "CONSENTRIC_STORE_USER": "neo4j",
        "CONSENTRIC_STORE_PASSWORD": password,
        "CONSENTRIC_STORE_DATABASE": "neo4j",
        "CONSENTRIC_TEST_NEO4J": url,
        "CONSENTRIC_TEST_NEO4J_USER": "neo4j",
        "CONSENTRIC_TEST_NEO4J_PASSWORD": password,
    }


def read_running() -> tuple[int, str] | None:
    """Returns the process ID and address of the server in the background, or None if it is not running."""
    try:
        facts = json.loads((HOME / "server.json").read_bytes())
        pid, url = int(facts["pid"]), str(facts["url"])
    except (OSError, ValueError, KeyError):
        return None
    return (pid, url) if f"--home-dir={HOME}" in read_arguments(pid) else None


def read_arguments(pid: int) -> str:
    """Returns a process's command line; empty if it has ended."""
    if Path("/proc/self").exists():
        file = Path(f"/proc/{pid}/cmdline")
        return file.read_bytes().decode(errors="replace").replace("\0", " ") if file.exists() else ""
    listing = subprocess.run(["ps", "-ww", "-o", "args=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout


def show(url: str, password: str) -> None:
    """Prints how to connect."""
    for name, value in environment(url, password).items():
        say(f"export {name}={value}")
    say(f"neo4j: ready at {url} (user neo4j); `make neo4j-stop` stops it.")


def start() -> int:
    """Starts the server in the background, unless it is running."""
    running = read_running()
    if running:
        say(f"neo4j: already running, as process {running[0]}.")
        show(running[1], (HOME / "password").read_text(encoding="ascii"))
        return 0
    java, jars = find_java(), fetch_jars()
    port = int(os.environ.get("NEO4J_PORT", "7688"))
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            fail(f"port {port} is in use by another program; choose one with NEO4J_PORT=….")
    configure(HOME, port)
    password = set_password(java, jars, HOME)
    server = launch(java, jars, HOME, tied=False)
    url = f"bolt://127.0.0.1:{port}"
    wait_until_ready(server, url, password, HOME)
    (HOME / "server.json").write_text(json.dumps({"pid": server.pid, "url": url}), encoding="utf-8")
    server.returncode = 0  # it outlives this process, which must not wait for it
    show(url, password)
    return 0


def stop() -> int:
    """Stops the server in the background."""
    running = read_running()
    if running is None:
        say("neo4j: not running.")
        return 0
    deadline = time.monotonic() + STOP_SECONDS
    os.kill(running[0], signal.SIGTERM)
    while read_running() and time.monotonic() < deadline:
        time.sleep(0.1)
    if read_running():
        os.kill(running[0], signal.SIGKILL)
    (HOME / "server.json").unlink(missing_ok=True)
    say("neo4j: stopped; its data remains in .cache/neo4j/home.")
    return 0


def run(command: list[str]) -> int:
    """Runs a command against a fresh server, stops the server, and returns the command's exit code."""
    if not command:
        fail("run needs a command: run -- COMMAND…")
    java, jars = find_java(), fetch_jars()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    home = Path(tempfile.mkdtemp(prefix="run.", dir=CACHE))
    try:
        configure(home, port)
        password = set_password(java, jars, home)
        server = launch(java, jars, home, tied=True)
        try:
            url = f"bolt://127.0.0.1:{port}"
            wait_until_ready(server, url, password, home)
            return subprocess.run(command, env={**os.environ, **environment(url, password)}, check=False).returncode
        finally:
            end(server)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main(arguments: list[str]) -> int:
    """Runs the action named by the first argument."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # an exception, so that `run` stops its server
    match arguments:
        case ["start"]:
            return start()
        case ["stop"]:
            return stop()
        case ["run", "--", *command]:
            return run(command)
    fail("usage: server.py start | stop | run -- COMMAND…")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
