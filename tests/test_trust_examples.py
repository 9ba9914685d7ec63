"""The examples of docs/trust.md, executed where their interpreter is installed: they compute the hashes we verify."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from graph.model.access import Source, Trust
from graph.model.identity import Proof
from graph.model.time import DAY, Millis
from resolvers.access.proofs import HashKey, ProofTexts, ProofVerifier, Proven, derive_hash_key
from resolvers.access.tokens import TokenVerifier

PAGE = Path(__file__).parent.parent / "docs" / "trust.md"
SECRET = b"s" * 32
SITE = Source("web", trust=Trust.PUBLIC)
KEY: HashKey = derive_hash_key(SECRET, SITE.name, SITE.hash_generation)
NAMES = [("u17", "5f0c7a52-3b1d-4f0e-9a64-0d6b6f4c2a11"), ("u17", ""), ("Zoë 🎈", "gerät-1"), ("ab", "c"), ("a", "bc")]
CALLS = {
    "python": ([sys.executable, "-c"], "import json, sys\nprint({}(*json.loads(sys.argv[1])))"),
    "js": (["node", "-e"], "console.log({}(...JSON.parse(process.argv[1])));"),
    "php": (["php", "-r"], "echo {}(...json_decode($argv[1])), PHP_EOL;"),
}


def read_example(language: str) -> str:
    codes = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return "\n".join(codes)


def run_example(language: str, function: str, *names: str) -> str:
    command, call = CALLS[language]
    program = shutil.which(command[0])
    if program is None:
        pytest.skip(f"{command[0]} is not installed")
    spelled = re.sub("_h", "H", function) if language == "js" else function
    code = f"{read_example(language)}\n{call.format(spelled)}"
    arguments = [*([] if language != "php" else ["--"]), json.dumps([KEY.text, *names])]
    done = subprocess.run(
        [program, *command[1:], code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def no_client(_: str) -> None:
    return None


@pytest.mark.parametrize("names", NAMES, ids=range(len(NAMES)))
@pytest.mark.parametrize("language", CALLS)
async def test_an_example_computes_the_hash_that_is_verified(language: str, names: tuple[str, str]) -> None:
    found = run_example(language, "user_hash", *names)
    expiry = int(found.split(".")[1])
    assert found == KEY.sign(*names, expiry)
    now = Millis(time.time_ns() // 1_000_000)
    assert abs(expiry * 1000 - now - DAY) < DAY // 24
    verifier = ProofVerifier(SECRET, TokenVerifier([], "consentric"), no_client)
    assert await verifier.verify(SITE, *names, ProofTexts(user_hash=found), now) == Proven(Proof.HASH)


@pytest.mark.parametrize("user_id", ["u17", "Zoë 🎈"])
@pytest.mark.parametrize("language", CALLS)
async def test_an_example_computes_the_static_hash_that_is_verified(language: str, user_id: str) -> None:
    found = run_example(language, "static_hash", user_id)
    verifier, site = ProofVerifier(SECRET, TokenVerifier([], "consentric"), no_client), replace(SITE, static_hash=True)
    now = Millis(time.time_ns() // 1_000_000)
    assert (await verifier.verify(site, user_id, "a1", ProofTexts(user_hash=found), now)).proof is Proof.STATIC


def test_every_example_of_the_page_is_executed() -> None:
    assert set(re.findall(r"^```(\w+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)) == CALLS.keys()
