"""Where pages end: every node of a label is on exactly one page, and no page is long."""

from __future__ import annotations

import inspect

import pytest

from graph.schema import UNIQUE_KEYS, Label
from graph.store.client import GraphClient
from migrations import pages
from migrations.runner import read_pages

STATEMENTS = {name: text for name, text in inspect.getmembers(pages) if name.isupper() and not name.startswith("_")}
LABELS = {"SOURCES": "Source", "RECORDS": "Record", "USERS": "User", "IDENTIFIERS": "Identifier", "ITEMS": "Item"}


def test_each_statement_reads_the_unique_key_of_its_label() -> None:
    assert STATEMENTS.keys() == LABELS.keys()
    for name, text in STATEMENTS.items():
        key = UNIQUE_KEYS[Label(LABELS[name])]
        assert f"MATCH (n:{LABELS[name]})\nWHERE n.{key} > $after\nWITH n.{key} AS key" in text


@pytest.mark.store
@pytest.mark.parametrize("number", [0, 1, 250, 251, 760])
async def test_every_node_is_on_one_page(store: GraphClient, number: int) -> None:
    create = "UNWIND range(1, $number) AS n CREATE (:User {id: 'u' + toString(n)})"
    if number:
        await store.write(lambda tx: tx.run(create, number=number))
    found = [page async for page in read_pages(store, pages.USERS)]
    ids = sorted(f"u{n}" for n in range(1, number + 1))
    assert [until for _, until in found] == [*ids[249::250], *(ids[-1:] if number % 250 else [])]
    assert [after for after, _ in found] == ["", *(until for _, until in found)][: len(found)]
