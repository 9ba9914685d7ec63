"""The right to read people for a computation."""

from __future__ import annotations

from dataclasses import InitVar, dataclass
from typing import Final

from graph.model.time import Millis

SCOPE_MINT: Final = object()
"""The token needed to make a `PermittedScope`. Only `privacy/gate.py` may name it; a test searches the code for
others."""


@dataclass(frozen=True, slots=True)
class PermittedScope:
    """The right to read, for a computation, the people who permit one purpose at one instant. Only the gate mints it.

    A statement that takes a scope reads people for whom `graph.consent.permits.IN_FORCE` holds: `permit` is among the
    permits and not past its end. For a purpose with recipients, `permits` of a person who permits every recipient but
    this one hold `blanket` and `barred` but not `permit`; a person with `blanket` alone permits it, too. For other
    purposes, both are empty and match nothing.
    """

    permit: str
    purpose: str
    now: Millis
    recipient: str | None = None
    blanket: str = ""
    barred: str = ""
    mint: InitVar[object] = None

    def __post_init__(self, mint: object) -> None:
        if mint is not SCOPE_MINT:
            raise TypeError("a PermittedScope is minted by privacy.gate.mint_scope only")
