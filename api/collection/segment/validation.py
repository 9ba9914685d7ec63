"""Validation of a message's fields by its `type`, with Pydantic's errors as typed rejections.

IDs, dates and rules that concern several fields are in `mapping.py`.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter, ValidationError

from api.collection.reasons import Rejected, RejectionReason
from api.collection.segment import lines, messages

SegmentMessage = Annotated[
    messages.IdentifyMessage
    | messages.TrackMessage
    | messages.PageMessage
    | messages.ScreenMessage
    | messages.GroupMessage
    | messages.AliasMessage,
    Field(discriminator="type"),
]
AnyMessage = Annotated[
    messages.IdentifyMessage
    | messages.TrackMessage
    | messages.PageMessage
    | messages.ScreenMessage
    | messages.GroupMessage
    | messages.AliasMessage
    | lines.ItemMessage
    | lines.ConsentMessage,
    Field(discriminator="type"),
]

MESSAGES: Final[TypeAdapter[Any]] = TypeAdapter(SegmentMessage)
"""What the HTTP endpoints accept."""

LINES: Final[TypeAdapter[Any]] = TypeAdapter(AnyMessage)
"""What files may contain."""

TYPES: Final = frozenset({"identify", "track", "page", "screen", "group", "alias"})
LINE_TYPES: Final = TYPES | {"item", "consent"}
FOR_FILES: Final = (
    "Lines of type consent and item are for files: over HTTP, send context.consent, or the mutations recordConsent, "
    "withdrawConsent and upsertItems."
)

_REASONS: Final = {
    "missing": RejectionReason.MISSING_FIELD,
    "union_tag_invalid": RejectionReason.UNKNOWN_TYPE,
    "union_tag_not_found": RejectionReason.UNKNOWN_TYPE,
    "model_attributes_type": RejectionReason.NOT_AN_OBJECT,
    "dict_attributes_type": RejectionReason.NOT_AN_OBJECT,
    "string_unicode": RejectionReason.BAD_UNICODE,
}
_VALUE_ERRORS: Final = frozenset(
    {
        "string_too_short", "string_too_long", "greater_than_equal", "less_than_equal", "finite_number",
        "literal_error", "extra_forbidden",
    }
)  # fmt: skip
_EXPECTED: Final = {
    RejectionReason.MISSING_FIELD: "is required",
    RejectionReason.WRONG_TYPE: "has the wrong type",
    RejectionReason.BAD_VALUE: "is not an allowed field or value",
    RejectionReason.BAD_UNICODE: "is not valid Unicode",
}


def check_message(raw: object, *, own_types: bool = False) -> dict[str, Any]:
    """Returns the validated message with the fields that are read. `own_types` admits items and consent statements.
    Raises Rejected with the first error."""
    if not isinstance(raw, dict):
        raise Rejected(RejectionReason.NOT_AN_OBJECT, "A message must be a JSON object.")
    try:
        checked: dict[str, Any] = (_check_line if own_types else _check_message)(raw)
        return checked
    except ValidationError as error:
        raise explain(error, LINE_TYPES if own_types else TYPES) from None


_check_message: Final = MESSAGES.validator.validate_python
_check_line: Final = LINES.validator.validate_python


def explain(error: ValidationError, types: frozenset[str]) -> Rejected:
    """Returns the first error as a rejection. It names declared fields only, since other keys may be personal data."""
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    kind = first["type"]
    reason = _REASONS.get(kind) or (RejectionReason.BAD_VALUE if kind in _VALUE_ERRORS else RejectionReason.WRONG_TYPE)
    if reason is RejectionReason.UNKNOWN_TYPE:
        elsewhere = "" if types >= LINE_TYPES else f" {FOR_FILES}"
        return Rejected(reason, f"type must be one of {', '.join(sorted(types))}.{elsewhere}", "type")
    if kind == "extra_forbidden":
        return Rejected(reason, "The line has a field that its type does not have.")
    field = ".".join(part for part in first["loc"][1:] if isinstance(part, str) and part in _DECLARED) or None
    return Rejected(reason, f"{field or 'The message'} {_EXPECTED.get(reason, 'is wrong')}.", field)


def _declared() -> frozenset[str]:
    shapes = (
        messages.IdentifyMessage, messages.TrackMessage, messages.PageMessage, messages.ScreenMessage,
        messages.GroupMessage, messages.AliasMessage, messages.Context, messages.ConsentContext, messages.ExternalId,
        lines.ItemMessage, lines.ConsentMessage, lines.ItemTopic,
    )  # fmt: skip
    return frozenset(name for shape in shapes for name in shape.__annotations__)


_DECLARED: Final = _declared()
