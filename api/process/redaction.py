"""Removes credentials from text before it is stored or logged: write keys, API keys, tokens, hashes of user IDs.

Two rules apply to any text, also to text that can't be parsed: the values of fields that hold credentials are removed,
and so is whatever has the form of one of our keys, of a JWT, or of a hash of a user ID.
"""

from __future__ import annotations

import re
from typing import Any, Final

from resolvers.access.proofs import USER_HASH, USER_TOKEN

REMOVED: Final = "[removed]"

FIELDS: Final = re.compile(
    r"""
    (?P<before> (?<![A-Za-z0-9]) (?: write_?key | user_?token | user_?hash | (?:proxy-)?authorization )
        \\{0,7}["']? \s{0,9} [:=] \s{0,9} )
    (?: (?P<quote> \\{0,7}["'] ) (?: (?! (?P=quote) ) \\?. )*+ (?P=quote)?
      | (?P<bare> [^\s,;&"'\\{}\[\]]++ )
    )
    """,
    re.VERBOSE | re.IGNORECASE | re.DOTALL | re.ASCII,
)
"""A field that holds a credential, with its value: in JSON, in JSON within a string, in a form, or cut off."""

FORMS: Final = re.compile(
    r"""
    (?: (?<![A-Za-z0-9]) | (?<=\\[bfnrt]) ) (?:
        c[a-z]k_[0-9a-z]{12}_[0-9A-Za-z]{6,}                        # our keys
      | chk_[0-9a-f]{16,}                                           # the keys of user hashes
      | Y(?:3dr|2Fr|3Br)X[A-Za-z0-9+/_=-]{16,}                      # our keys in Base64, as Basic sends them
      | (?: (?<![\w-]) | (?<=\\[bfnrt]) ) eyJ[\w-]{6,}+\.[\w-]{6,}+(?:\.[\w-]*+)?  # JWTs: the header starts with {"
      | v1\.[0-9]{9,13}\.[A-Za-z0-9+/_=-]{16,}                      # hashes of user IDs
    )
    | (?<= \b(?i:basic)\s ) [A-Za-z0-9+/=]{16,}
    | (?<= \b(?i:bearer)\s ) [A-Za-z0-9+/=._~-]{16,}
    """,
    re.VERBOSE | re.ASCII,
)
"""What has the form of a credential, wherever it stands."""


def redact(text: str) -> str:
    """Returns the text without credentials. JSON remains JSON. O(length)."""
    redacted = FORMS.sub(REMOVED, FIELDS.sub(_empty_field, text))
    if "\ufffd" in text:  # what could not be decoded may stand between the letters, as in UTF-16
        whole = redacted.replace("\ufffd", "")
        found = FORMS.sub(REMOVED, FIELDS.sub(_empty_field, whole))
        return redacted if found == whole else found
    return redacted


def _empty_field(match: re.Match[str]) -> str:
    quote = match["quote"]
    return f"{match['before']}null" if quote is None else f"{match['before']}{quote}{REMOVED}{quote}"


def drop_credentials(message: Any) -> Any:
    """Returns a parsed message without the fields that carry credentials, whatever their values are."""
    if not isinstance(message, dict):
        return message
    kept = {name: value for name, value in message.items() if name != "writeKey"}
    context = kept.get("context")
    if isinstance(context, dict):
        kept["context"] = {name: value for name, value in context.items() if name not in (USER_TOKEN, USER_HASH)}
    return kept
