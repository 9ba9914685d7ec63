"""The directive `@personal`, and the class decorator that puts it on every personal field of a type.

A field that is in neither `privacy/fields.py` nor `NOT_PERSONAL` fails when its class is defined, so that none is
forgotten.
"""

from __future__ import annotations

from typing import Final, TypeVar

import strawberry
from graphql import GraphQLSchema
from strawberry.schema_directive import Location
from strawberry.types import get_object_definition
from strawberry.utils.str_converters import to_camel_case

from privacy.fields import PERSONAL_FIELDS
from privacy.policy import DEFAULT_CATEGORIES

NOT_PERSONAL: Final = frozenset({"id", "createdAt", "updatedAt"})

DIRECTIVE_ARGUMENTS: Final = {
    "category": "Category of the field; a policy decides by category.",
    "purposes": "Purposes that may see the field under the default policy. Empty: only the person and auditors see it.",
}

T = TypeVar("T", bound=type)


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="personal",
    description="Marks a personal field, which is null if it is withheld from the viewer.",
)
class Personal:
    """`@personal(category: …, purposes: […])`."""

    category: str
    purposes: list[str]


def describe_arguments(schema: GraphQLSchema) -> GraphQLSchema:
    """Adds descriptions to the arguments of `@personal`: Strawberry takes none, so they are set on the built schema."""
    directive = schema.get_directive("personal")
    for name, argument in directive.args.items() if directive else ():
        argument.description = DIRECTIVE_ARGUMENTS[name]
    return schema


def mark_personal(cls: T) -> T:
    """Puts `@personal` on every personal field of a person's type, with its category and purposes. Raises TypeError for
    a field that `privacy/fields.py` does not list."""
    definition = get_object_definition(cls, strict=True)
    for field in definition.fields:
        name = field.graphql_name or to_camel_case(field.python_name)
        if name in NOT_PERSONAL:
            continue
        rule = PERSONAL_FIELDS.get(name)
        if rule is None:
            raise TypeError(f"{cls.__name__}.{name} is not in privacy/fields.py: every personal field is listed there")
        purposes = sorted(DEFAULT_CATEGORIES.get(rule.category, frozenset()))
        field.directives = [*field.directives, Personal(category=rule.category, purposes=purposes)]
    return cls
