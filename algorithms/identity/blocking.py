"""Blocked values (what systems write in place of an identifier) and how many records one identifier may link.

The placeholders, test addresses, role addresses and frequency caps are data that a company can change. Values are
checked after normalisation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

EMAIL: Final = "email"
PHONE: Final = "phone"
USER_ID: Final = "user_id"
ANONYMOUS_ID: Final = "anonymous_id"


class BlockReason(StrEnum):
    """Why a well-formed value identifies no one."""

    ZEROS = "zeros"
    PLACEHOLDER = "placeholder"
    TEMPLATE = "template"
    TEST_ADDRESS = "test_address"
    ROLE_ADDRESS = "role_address"
    REPEATED_DIGIT = "repeated_digit"


class BlockingRules(BaseModel):
    """Values that never link, compared after normalisation and case folding, and the caps on frequent identifiers.

    `role_locals` and `test_locals` are local parts of addresses (before the @), in any domain, with or without a
    `+tag`. An identifier on more than `frequency_cap` records (or the cap that `frequency_caps` sets for its kind)
    stops linking: it is a kiosk, a call centre, or a placeholder that is not listed yet.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    zeros: str = r"^[0-]*$"
    template: str = r"^(\{\{.*\}\}|\$\{.*\}|\{.*\}|%.*%|<.*>|\[.*\])$"
    placeholders: frozenset[str] = frozenset(
        {
            "", "null", "(null)", "none", "nil", "nan", "undefined", "anonymous", "anon", "unknown", "n/a", "n.a.",
            "not set", "(not set)", "not available", "guest", "default", "empty", "invalid", "missing", "-1",
            "true", "false", "user_id", "userid", "anonymous_id", "anonymousid", "[object object]",
        }
    )  # fmt: skip
    role_locals: frozenset[str] = frozenset(
        {
            "noreply", "no-reply", "no_reply", "no.reply", "donotreply", "do-not-reply", "do_not_reply",
            "mailer-daemon", "postmaster", "hostmaster", "webmaster", "abuse", "bounce", "bounces", "nobody", "root",
        }
    )  # fmt: skip
    test_locals: frozenset[str] = frozenset(
        {"test", "tester", "testing", "null", "none", "nil", "undefined", "anonymous", "unknown", "example", "asdf"}
    )
    test_addresses: frozenset[str] = frozenset(
        {"a@a.com", "a@b.com", "foo@bar.com", "email@example.com", "name@example.com", "name@domain.com", "qa@qa.com"}
    )
    frequency_cap: int = Field(default=25, ge=2)
    frequency_caps: Mapping[str, int] = Field(default_factory=dict)

    def cap(self, kind: str) -> int:
        """Returns the most records that an identifier of this kind may be on and still link them."""
        return self.frequency_caps.get(kind, self.frequency_cap)

    def reason(self, kind: str, value: str) -> BlockReason | None:
        """Returns why this normalised value is blocked, or None if it isn't. O(length)."""
        folded = value.casefold()
        if folded in self.placeholders:
            return BlockReason.PLACEHOLDER
        if self._zeros.match(folded):
            return BlockReason.ZEROS
        if self._template.match(folded):
            return BlockReason.TEMPLATE
        if kind == EMAIL:
            return self._reason_of_address(folded)
        if kind == PHONE and len(set(folded[-7:])) == 1:
            return BlockReason.REPEATED_DIGIT
        return None

    def _reason_of_address(self, address: str) -> BlockReason | None:
        local = address.partition("@")[0].partition("+")[0]
        if local in self.role_locals:
            return BlockReason.ROLE_ADDRESS
        if local in self.test_locals or address in self.test_addresses:
            return BlockReason.TEST_ADDRESS
        return None

    @cached_property
    def _zeros(self) -> re.Pattern[str]:
        return re.compile(self.zeros)

    @cached_property
    def _template(self) -> re.Pattern[str]:
        return re.compile(self.template)


DEFAULT_BLOCKING: Final = BlockingRules()
"""The default rules."""
