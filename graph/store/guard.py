"""Refuses writes in reads: one engine ignores the driver's READ mode, so the statement itself is looked at.

What lives here: a small tokeniser of Cypher and the list of words that write. What does not: running statements
(`client.py`). The guard errs on the side of refusal: whatever it can't tokenise counts as writing. Statements are
constants of this package, so each is looked at once and remembered.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from graph.errors import WriteInRead

WRITING_WORDS: Final = frozenset(
    ("CREATE", "MERGE", "SET", "DELETE", "DETACH", "REMOVE", "DROP", "ALTER", "INSERT", "FOREACH", "LOAD", "GRANT",
     "REVOKE", "DENY", "TERMINATE", "START", "STOP", "RENAME")
)  # fmt: skip
"""Words that begin a clause which changes data, schema or the server, where they stand as a clause may."""

READING_PROCEDURES: Final = frozenset(("db.labels", "db.relationshiptypes", "db.propertykeys", "dbms.components"))
"""The only procedures a read may call; any other could write."""

TOKEN: Final = re.compile(
    r"""(?P<skip>\s+ | //[^\n\r]* | /\*.*?\*/)
      | (?P<string>'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*")
      | (?P<quoted>`(?:[^`]|``)*`)
      | (?P<parameter>\$(?:\w+|`(?:[^`]|``)*`))
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<word>[^\W\d]\w*)
      | (?P<sign>[^\s\w'"`\\])""",
    re.VERBOSE | re.DOTALL,
)

Token = tuple[str, str]


def tokenise(statement: str) -> list[Token] | None:
    """The statement as (kind, text) without space and comments; None where it is no well-formed sequence of tokens."""
    tokens: list[Token] = []
    position = 0
    while position < len(statement):
        if statement.startswith("/*", position) and statement.find("*/", position + 2) < 0:
            return None
        match = TOKEN.match(statement, position)
        if match is None or match.lastgroup is None:
            return None
        if match.lastgroup != "skip":
            tokens.append((match.lastgroup, match.group()))
        position = match.end()
    return tokens


@lru_cache(maxsize=4096)
def may_write(statement: str) -> bool:
    """Whether running the statement could change anything. Unicode escapes count as writing: one engine resolves them
    before it tokenises, so that they could end a string."""
    if "\\u" in statement.lower():
        return True
    tokens = tokenise(statement)
    if tokens is None:
        return True
    return any(_begins_write(tokens, position) for position in range(len(tokens)))


def refuse_writes(statement: str) -> None:
    """Raises WriteInRead for a statement that could write."""
    if may_write(statement):
        raise WriteInRead("This statement writes, or calls a procedure that may; run it through write().")


def _begins_write(tokens: list[Token], position: int) -> bool:
    """Whether a writing clause, or the call of a procedure not known to read, begins at this token."""
    kind, text = tokens[position]
    if kind != "word" or _is_name(tokens, position):
        return False
    word = text.upper()
    return word in WRITING_WORDS or (word == "CALL" and not _calls_reader(tokens, position))


def _is_name(tokens: list[Token], position: int) -> bool:
    """Whether a word is the name of a property, a label, a type or a key of a map, and not a keyword.

    A dot shields only what it can belong to (`n.set`, `f(x).set`), never what follows a number.
    """
    before = tokens[position - 1][1] if position else ""
    after = tokens[position + 1][1] if position + 1 < len(tokens) else ""
    if before == ":" or after == ":":
        return True
    if before != "." or position < 2:
        return False
    kind, owner = tokens[position - 2]
    return kind in ("word", "quoted", "parameter") or owner in (")", "]", "}")


def _calls_reader(tokens: list[Token], position: int) -> bool:
    """Whether CALL opens a subquery (its body is looked at like any other) or a procedure known to read only."""
    following = tokens[position + 1 :]
    if not following or following[0][1] in ("{", "("):
        return True
    name = ""
    for kind, text in following:
        if kind != "word" and text != ".":
            break
        if kind == "word" and name and not name.endswith("."):
            break
        name += text
    return name.lower() in READING_PROCEDURES
