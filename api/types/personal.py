"""Personal fields: how the catalogue shows in the schema, and the type that holds a person's facts.

What lives here: the directive `@personal` and the class decorator that puts it on every catalogued field. What does
not: any rule about a field (`privacy/fields.py`, `privacy/policy.py`). A field that is neither catalogued nor listed as
open is refused when the schema is built, so none can be forgotten.
"""

from __future__ import annotations

from typing import Final, TypeVar

import strawberry
from strawberry.schema_directive import Location
from strawberry.types import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from privacy.fields import CATALOGUE
from privacy.policy import DEFAULT_CATEGORIES

OPEN_FIELDS: Final = frozenset({"id", "createdAt", "updatedAt"})

T = TypeVar("T", bound=type)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="personal",
    description="A personal field: its category and, under the default policy, the purposes that may see it. "
    "Null where it is withheld. No purposes: for the person and auditors only.",
)
class Personal:
    """`@personal(category: …, purposes: […])`."""

    category: str
    purposes: list[str]


def mark_personal(cls: T) -> T:
    """Puts `@personal` on every field of a person's type, as the catalogue has it. Raises TypeError for a field that
    the catalogue does not know."""
    definition = get_object_definition(cls, strict=True)
    for field in definition.fields:
        name = field.graphql_name or to_camel_case(field.python_name)
        if name in OPEN_FIELDS:
            continue
        rule = CATALOGUE.get(name)
        if rule is None:
            raise TypeError(f"{cls.__name__}.{name} is not in privacy/fields.py: every personal field is catalogued")
        purposes = sorted(DEFAULT_CATEGORIES.get(rule.category, frozenset()))
        field.directives = [*field.directives, Personal(category=rule.category, purposes=purposes)]
    return cls
