"""The exported JSON Schemas are those of the types, and judge as the types do."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from api.collection.schemas import FOLDER, write_schemas

LINE = json.loads(write_schemas()["line.json"])
VALIDATOR = jsonschema.Draft202012Validator(LINE)


@pytest.mark.parametrize("name", ["message.json", "line.json", "batch.json"])
def test_the_files_are_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text(encoding="utf-8") == write_schemas()[name], "run `make schemas`"


def test_each_schema_is_a_schema() -> None:
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
def test_the_schema_judges_as_the_types_do(line: dict[str, Any], good: bool) -> None:
    assert VALIDATOR.is_valid(line) is good
