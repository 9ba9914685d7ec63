"""JSON Schemas of what collection accepts, exported from the types that validate it.

`python -m api.collection.schemas` writes `docs/schemas/`; a test checks that the files are current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter

from api.collection.segment.messages import Batch
from api.collection.segment.validation import LINES, MESSAGES

FOLDER: Final = Path(__file__).resolve().parent.parent.parent / "docs" / "schemas"
DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def write_schemas() -> dict[str, str]:
    """Returns the text of each file, by file name."""
    shapes: dict[str, tuple[str, TypeAdapter[Any]]] = {
        "message.json": (
            "A message of Segment's tracking format: the body of a single endpoint, with its type",
            MESSAGES,
        ),
        "line.json": ("A line of a file: a message, an item or a consent statement", LINES),
        "batch.json": ("The body of /v1/batch; each of its messages is validated on its own", TypeAdapter(Batch)),
    }
    return {name: _write(title, adapter) for name, (title, adapter) in shapes.items()}


def _write(title: str, adapter: TypeAdapter[Any]) -> str:
    schema = adapter.json_schema(ref_template="#/$defs/{model}")
    return json.dumps({"$schema": DIALECT} | schema | {"title": title}, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    """Writes the files."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in write_schemas().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
