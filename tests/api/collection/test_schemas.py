"""The exported JSON Schemas match the types and accept the same lines."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from api.collection.schemas import FOLDER, write_schemas

LINE = json.loads(write_schemas()["line.json"])
VALIDATOR = jsonschema.Draft202012Validator(LINE)


@pytest.mark.parametrize("name", ["message.json", "line.json", "batch.json"])
def test_the_committed_files_are_current(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == write_schemas()[name], "run `make schemas`"


def test_each_schema_is_valid_json_schema() -> None:
    for text in write_schemas().values():
        jsonschema.Draft202012Validator.check_schema(json.loads(text))


@pytest.mark.parametrize(
    ("line", "good"),
    [
        ({"type": "track", "event": "x", "userId": "u", "extra": 1}, True),
        ({"type": "track", "userId": "u"}, False),
        ({"type": "identify", "traits": {"a": None}}, True),
        ({"type": "identify", "traits": []}, False),
        ({"type": "item", "itemId": "a", "topics": ["x", {"key": "y", "weight": 1}]}, True),
        ({"type": "item", "itemId": "a", "misspelt": 1}, False),
        ({"type": "consent", "purpose": "analytics", "state": "given", "userId": 7}, True),
        ({"type": "consent", "purpose": "analytics", "state": "perhaps"}, False),
        ({"type": "nothing"}, False),
    ],
)
def test_the_schema_accepts_what_the_types_accept(line: dict[str, Any], good: bool) -> None:
    assert VALIDATOR.is_valid(line) is good
