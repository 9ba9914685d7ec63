"""Writes `docs/graph.md`, the reference of everything the graph stores: `python -m api.reference`, or `make graph-doc`.

Its content comes from `graph/schema.py`; a test checks that the file is current.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from graph.schema import (
    DATA_CATEGORIES,
    ERASURES,
    NODES,
    RELATIONSHIPS,
    VALUE_TYPES,
    InteractionType,
    Label,
    NodeType,
    Property,
    RelationshipType,
)

REFERENCE: Final = Path(__file__).parents[1] / "docs" / "graph.md"

INTRODUCTION: Final = """\
# The graph

Everything that Consentric stores: each label and relationship type, and each property with its type, its category of
personal data, the module that writes it, and what erasing a person does with it. The source is
[`graph/schema.py`](../graph/schema.py); `make graph-doc` writes this file, and tests hold both to the statements that
really run. Erasure is declared here and not carried out yet.
"""

HEADINGS: Final = ("property", "type", "meaning", "personal data", "written by", "on erasure")
ITEM_EDGE: Final = "any interaction"
"""The diagram's name for all interaction types, which connect the same labels."""


def write_reference() -> str:
    """Returns the text of the reference."""
    sections = [INTRODUCTION, *_diagram(), *_labels(), *_relationships(), *_terms()]
    return "\n".join(sections)


def _diagram() -> Iterator[str]:
    yield "## Overview\n"
    lines = ["flowchart LR"]
    lines += [f"    {label}" for label in NODES]
    lines += dict.fromkeys(
        f"    {start} -->|{_edge_name(each)}| {end}"
        for each in RELATIONSHIPS.values()
        for start in each.starts
        for end in each.ends
    )
    yield "\n".join(("```mermaid", *lines, "```", ""))
    yield "An interaction without an item goes from its session to the session itself.\n"


def _edge_name(each: RelationshipType) -> str:
    return ITEM_EDGE if isinstance(each.name, InteractionType) else each.name


def _labels() -> Iterator[str]:
    yield "## Labels\n"
    for label, node in NODES.items():
        yield f"### {label}\n"
        yield f"{node.meaning} Identified by `{node.key}`. On erasure: {_code(node.erasure)}.\n"
        yield _table(HEADINGS, _rows(node))


def _relationships() -> Iterator[str]:
    yield "## Relationship types\n"
    yield _table(
        ("type", "from", "to", "meaning", "on erasure"),
        (
            (f"`{name}`", _list(each.starts), _list(each.ends), each.meaning, _code(each.erasure))
            for name, each in RELATIONSHIPS.items()
        ),
    )
    shared = [each for each in RELATIONSHIPS.values() if isinstance(each.name, InteractionType)]
    yield "### Interactions\n"
    yield f"{len(shared)} types, from {_code(shared[0].name)} to {_code(shared[-1].name)}, share these properties.\n"
    yield _table(HEADINGS, _rows(shared[0]))
    for name, each in RELATIONSHIPS.items():
        if each.properties and each not in shared:
            yield f"### {name}\n"
            yield _table(HEADINGS, _rows(each))


def _terms() -> Iterator[str]:
    yield "## Types\n"
    yield _table(("type", "what it holds"), ((_code(type_), text) for type_, text in VALUE_TYPES.items()))
    yield "## Categories of personal data\n"
    yield _table(("category", "what it says"), ((_code(name), text) for name, text in DATA_CATEGORIES.items()))
    yield "## Erasure\n"
    yield _table(("action", "what it does"), ((_code(name), text) for name, text in ERASURES.items()))


def _rows(each: NodeType | RelationshipType) -> Iterator[Sequence[str]]:
    return (_row(one) for one in each.properties)


def _row(one: Property) -> Sequence[str]:
    category = "none" if one.category is None else _code(one.category)
    writers = ", ".join(_code(writer) for writer in one.writers) or "nothing"
    return (_code(one.name), one.type, one.meaning, category, writers, _code(one.erasure))


def _code(text: str) -> str:
    return f"`{text}`"


def _list(labels: Iterable[Label]) -> str:
    return ", ".join(labels)


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [headings, ["---"] * len(headings), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def main() -> None:
    """Writes the file."""
    REFERENCE.write_text(write_reference(), encoding="utf-8")


if __name__ == "__main__":
    main()
