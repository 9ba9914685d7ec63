"""The guard of reads, without a store."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graph.errors import WriteInRead
from graph.store.guard import WRITING_WORDS, may_write, refuse_writes, tokenise

CLAUSES = sorted(WRITING_WORDS)

READS = [
    "MATCH (n:Record {id: $id}) RETURN n.id AS id",
    "MATCH (n) WHERE n.note = 'CREATE (x) SET y' RETURN n",
    'MATCH (n) WHERE n.note = "it\\"s MERGE" RETURN n',
    "MATCH (n) // DELETE n\nRETURN n",
    "MATCH (n) /* SET n.x = 1 \n DROP */ RETURN n",
    "MATCH (n:Set)-[:CREATE]->(m) RETURN n.set, m.delete, n.load",
    "RETURN {set: 1, merge: 2} AS m",
    "MATCH (n:`DELETE`) RETURN n.`set`",
    "RETURN $set AS a, $delete AS b",
    "MATCH (n) CALL { WITH n RETURN 1 AS one } RETURN one",
    "MATCH (n) CALL (n) { RETURN 1 AS one } RETURN one",
    "CALL db.labels() YIELD label RETURN label",
    "CALL db . labels()",
    "RETURN exists { MATCH (a)-->(b) } AS e, [x IN range(1, 3) | x * 1.5e3] AS l",
    "RETURN 'ünï' AS a, reduce(s = 0, x IN [1..2] | s + x) AS b",
    "MATCH (created), (settings), (merged) RETURN created.offset AS deleted",
]

WRITES = [
    "CREATE (n)",
    "create (n)",
    "MATCH (n) SET n.x = 1",
    "MATCH (n)SET n.x=1",
    "MATCH (n) DETACH DELETE n",
    "MATCH (n) DELETE n",
    "MATCH (n) REMOVE n.x",
    "MERGE (n:A {x: 1}) RETURN n",
    "MATCH (n) WITH n, 1.SET n.x = 1",
    "MATCH (n) WITH n, 1. SET n.x = 1",
    "RETURN 'a'/**/SET",
    "MATCH (n) /* a */ SET /* b */ n.x = 1",
    "MATCH (n) // c\nSET n.x = 1",
    "MATCH (n) CALL { WITH n SET n.x = 1 }",
    "FOREACH (x IN [1] | CREATE (n))",
    "LOAD CSV FROM 'file:///x' AS l RETURN l",
    "CALL apoc.create.node([], {})",
    "CALL db.labels.more()",
    "CALL `db`.labels()",
    "DROP INDEX x",
    "CREATE CONSTRAINT x IF NOT EXISTS FOR (n:A) REQUIRE n.id IS UNIQUE",
    "MATCH (n) WHERE n.x = '\\u0027 SET n.x = 1 //' RETURN n",
    "MATCH (n) RETURN n /* open",
    "RETURN 'open",
    "RETURN `open",
    "RETURN \\",
    "MATCH (n) WITH n AS `a` SET n.x = 1",
    "MATCH (n) WITH n, 'a' AS s SET n.x = s",
    "MATCH (n) WITH n, $p SET n.x = 1",
]


@pytest.mark.parametrize("statement", READS)
def test_a_read_passes(statement: str) -> None:
    refuse_writes(statement)


@pytest.mark.parametrize("statement", WRITES)
def test_a_write_is_refused(statement: str) -> None:
    with pytest.raises(WriteInRead):
        refuse_writes(statement)


PIECES = [
    "MATCH (n)",
    "'a '' b'",
    '"SET"',
    "/* SET */",
    "// x\n",
    "`SET`",
    "$set",
    "{set: 1}",
    ":Set",
    "1.5",
    "1.",
    "n.x",
]
PIECES += ["RETURN 1", "(", ")", "[", "]", "..", "|", "\n", "ü", "-->", "<>", "=~"]
noise = st.lists(st.sampled_from(PIECES)).map(" ".join)


@given(
    before=noise, after=noise, word=st.sampled_from(CLAUSES), space=st.sampled_from([" ", "\n", "\t", "/**/", "//\n"])
)
def test_no_context_hides_a_writing_clause(before: str, after: str, word: str, space: str) -> None:
    # What stands directly before must be complete, as any clause is before the next one.
    assert may_write(f"{before} RETURN x{space}{word}{space}(n) {after}")


@given(text=st.text())
def test_a_quoted_text_is_one_token(text: str) -> None:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    assert tokenise(f"RETURN '{escaped}' AS x") is not None
    if "\\u" not in escaped.lower():
        assert not may_write(f"RETURN '{escaped}' AS x")


@given(text=st.text())
def test_tokens_omit_only_white_space_and_comments(text: str) -> None:
    tokens = tokenise(text)
    if tokens is not None and "/" not in text:
        assert "".join(part for _, part in tokens) == "".join(
            part for part in _outside_space(text, [token for _, token in tokens])
        )


def _outside_space(text: str, tokens: list[str]) -> list[str]:
    """The tokens as found in the text, in order, with nothing but space between them."""
    found, position = [], 0
    for token in tokens:
        start = text.index(token, position)
        assert not text[position:start].strip()
        found.append(token)
        position = start + len(token)
    assert not text[position:].strip()
    return found
