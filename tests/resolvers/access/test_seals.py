from __future__ import annotations

import pytest

from resolvers.access.seals import Sealer

SEALER = Sealer(bytes(range(64)))
SEALED = SEALER.seal(b"ada", b"cursor", b"shop")


def test_a_sealed_text_opens_in_its_context_only() -> None:
    assert SEALER.open(SEALED, b"cursor", b"shop") == b"ada"
    for context in ((), (b"cursor",), (b"shop", b"cursor"), (b"cursorshop",)):
        assert SEALER.open(SEALED, *context) is None


def test_another_key_opens_nothing() -> None:
    assert Sealer(bytes(64)).open(SEALED, b"cursor", b"shop") is None


def test_the_same_content_gives_the_same_text_and_doesnt_show_in_it() -> None:
    assert SEALER.seal(b"ada", b"cursor", b"shop") == SEALED
    assert SEALED.isascii()
    assert "ada" not in SEALED
    assert not SEALED.endswith("=")


@pytest.mark.parametrize(
    "text",
    ["", "A", SEALED[:-1], SEALED + "A", SEALED + "=", SEALED + "\n", f" {SEALED}", "é" * 8, "\ud800" * 8, "-" * 40],
)
def test_any_other_text_is_refused(text: str) -> None:
    assert SEALER.open(text, b"cursor", b"shop") is None


def test_a_text_has_no_second_spelling() -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    opened = [last for last in alphabet if SEALER.open(SEALED[:-1] + last, b"cursor", b"shop") is not None]
    assert opened == [SEALED[-1]]
