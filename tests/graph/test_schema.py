"""Labels and relationship types in statements are those of the schema, and the schema names no others."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from graph.schema import InteractionType, Label, Rel

GRAPH = Path(__file__).parents[2] / "graph"
MIGRATIONS = GRAPH.parent / "migrations"
NODE = re.compile(r"\(\w*:(\w+)|WHEN \w+:(\w+)")
EDGE = re.compile(r"\[\w*:(\w+)")
TEMPLATE = "INTERACTION"
"""What stands for every interaction type where a statement is made for each (`graph/activity/sessions.py`)."""


def statements() -> str:
    """Every text of the modules that may hold Cypher, if it speaks of matching or writing."""
    found = []
    paths = [*GRAPH.rglob("*.py"), *MIGRATIONS.rglob("*.py")]
    assert len(paths) >= 37, "statements of every module are looked at"
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        found += [
            node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)
        ]
    return "\n".join(text for text in found if re.search(r"\b(MATCH|MERGE|CREATE)\b", text))


def names(pattern: re.Pattern[str]) -> set[str]:
    return {
        name
        for match in pattern.findall(statements())
        for name in ([match] if isinstance(match, str) else match)
        if name
    }


def test_labels_of_statements_and_of_the_schema_are_the_same() -> None:
    assert names(NODE) == {label.value for label in Label}


def test_relationship_types_of_statements_and_of_the_schema_are_the_same() -> None:
    known = {rel.value for rel in Rel} | {type_.value for type_ in InteractionType}
    assert names(EDGE) - {TEMPLATE} == known


def test_a_label_and_a_relationship_type_never_share_a_name() -> None:
    types = {rel.value for rel in Rel} | {type_.value for type_ in InteractionType}
    assert not {label.value.upper() for label in Label} & types
