"""Refuses statements that write where a read is expected. One engine ignores the driver's READ mode, so the guard
inspects the statement itself.

The guard errs on the side of refusal: a statement that it can't tokenise counts as writing. Statements are constants,
so each is inspected only once.
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
"""Keywords of clauses that change data, the schema or the server."""

READING_PROCEDURES: Final = frozenset(("db.labels", "db.relationshiptypes", "db.propertykeys", "dbms.components"))
"""The only procedures a read may call: any other could write."""

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
    """Returns the tokens as (kind, text), without white space and comments; None if the statement is malformed."""
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
    """Returns whether the statement could change anything.

    Unicode escapes count as writing: one engine resolves them before it tokenises, so they could end a string.
    """
    if "\\u" in statement.lower():
        return True
    tokens = tokenise(statement)
    if tokens is None:
        return True
    return any(_begins_write(tokens, position) for position in range(len(tokens)))


def refuse_writes(statement: str) -> None:
    """Raises WriteInRead if the statement could write."""
    if may_write(statement):
        raise WriteInRead("This statement writes, or calls a procedure that may; run it through write().")


def _begins_write(tokens: list[Token], position: int) -> bool:
    """Whether this token begins a writing clause or calls a procedure that may write."""
    kind, text = tokens[position]
    if kind != "word" or _is_name(tokens, position):
        return False
    word = text.upper()
    return word in WRITING_WORDS or (word == "CALL" and not _calls_reader(tokens, position))


def _is_name(tokens: list[Token], position: int) -> bool:
    """Whether a word names a property, label, type or map key, rather than being a keyword.

    After a dot, a word is a property only if something that can have properties precedes the dot: `n.set` and
    `f(x).set`, but not `1.set`.
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
    """Whether CALL opens a subquery, whose body is inspected too, or calls a procedure that only reads."""
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
