"""The reference of the graph is the schema's."""

from __future__ import annotations

import re

from api.reference import REFERENCE, write_reference
from graph.schema import NODES, RELATIONSHIPS, DataCategory, Erasure, InteractionType, ValueType


def test_the_file_is_up_to_date() -> None:
    assert REFERENCE.read_text(encoding="utf-8") == write_reference(), "run `make graph-doc` and commit docs/graph.md"


def test_everything_is_in_it() -> None:
    text = write_reference()
    for node in NODES.values():
        assert f"\n### {node.label}\n" in text
    for each in RELATIONSHIPS.values():
        assert f"\n| `{each.name}` | " in text
        assert (f"\n### {each.name}\n" in text) == bool(each.properties and each.name not in list(InteractionType))
    for term in (*ValueType, *DataCategory, *Erasure):
        assert f"\n| `{term}` | " in text


def test_the_diagram_holds_plain_lines_only() -> None:
    """Each line is a label or a named arrow between two labels: the simplest syntax that Mermaid has."""
    first, *lines = re.findall(r"```mermaid\n(.*?)\n```", write_reference(), re.DOTALL)[0].split("\n")
    assert first == "flowchart LR"
    arrows = [
        re.fullmatch(r"    (\w+)(?: -->\|[A-Z_]+\| (\w+)| -->\|any interaction\| (\w+))?", line) for line in lines
    ]
    assert all(arrows)
    assert {name for arrow in arrows if arrow for name in arrow.groups() if name} == {label.value for label in NODES}


def test_tables_are_not_broken_by_their_cells() -> None:
    tables = [line for line in write_reference().split("\n") if line.startswith("|")]
    assert {line.count("|") for line in tables} == {3, 6, 7}
