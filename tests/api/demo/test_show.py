"""How the demonstration looks: what it invites the user to try works as printed."""

from __future__ import annotations

import io
import json
from pathlib import Path

from rich.console import Console

from api.demo.questions import PERSON
from api.demo.show import Show
from graph.model.identity import RecordKind, RecordRef

KEYS = {"write key of web": "cpk_1", "frontend web": "cak_1"}


def test_the_invitation_can_be_pasted() -> None:
    out = io.StringIO()
    example = PERSON, RecordRef("shop", RecordKind.USER, "shop-0001")
    Show(Console(file=out)).invite("http://127.0.0.1:8000", KEYS, example, Path(".consentric/demo"))
    lines = out.getvalue().splitlines()
    given = {name: rest for name, _, rest in (line.partition(": ") for line in lines)}
    pasted = {name: json.loads(given[name]) for name in ("variables", "headers")}
    assert pasted == {
        "variables": {"source": "shop", "key": "shop-0001"},
        "headers": {"Authorization": "Bearer cak_1"},
    }
    assert ". .venv/bin/activate; export CONSENTRIC_DATA_DIR=.consentric/demo" in lines
