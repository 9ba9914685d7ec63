"""The schema keeps the names of the contract, matches the committed SDL, and marks every personal field."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLInterfaceType,
    GraphQLNonNull,
    GraphQLObjectType,
    InputValueDefinitionNode,
    ObjectTypeDefinitionNode,
    is_introspection_type,
    is_specified_directive,
    is_specified_scalar_type,
    parse,
    print_ast,
    print_type,
    validate,
)

from algorithms.identity.blocking import ANONYMOUS_ID, EMAIL, PHONE, USER_ID
from api.graphql.schema import GRAPHQL_SCHEMA, SCHEMA, print_sdl
from api.graphql.sdl import SDL
from api.graphql.types.personal import NOT_PERSONAL, mark_personal
from graph.model.identity import RecordKind
from graph.model.time import Millis
from privacy.fields import PERSONAL_FIELDS
from privacy.gate import Role, SubjectPermits, Viewer, decide
from privacy.policy import Policy

CONTRACT = {
    "Query": """
        node(id: ID!): Node
        me: Profile
        profile(by: ProfileKey!): Profile
        item(key: String!): Item
        items(where: ItemFilter, first: Int!, after: String): ItemConnection!
        segment(key: String!): Segment
        segments(first: Int!, after: String): SegmentConnection!
        purposes: [Purpose!]!
        system: System!
    """,
    "Profile": """
        id: ID!  createdAt: DateTime  updatedAt: DateTime
        email: String  phone: String  givenName: String  familyName: String  birthDate: Date  address: Address
        age: Int  gender: String  language: String  country: String  attributes: JSON
        identifiers: [Identifier!]
        consents: [ConsentState!]
        consentHistory(first: Int!, after: String): ConsentEventConnection
        sessions(first: Int!, after: String): SessionConnection
        interactions(where: InteractionFilter, first: Int!, after: String): InteractionConnection
        preferences: JSON
        segments: [SegmentMembership!]
        rfm: Rfm
        recommendations(first: Int! = 10, strategy: Strategy = AUTO, where: ItemFilter): [Recommendation!]
        withheld: [Withheld!]
    """,
    "Recommendation": "item: Item!  score: Float!  reasons: [Reason!]!  strategy: Strategy!",
    "Mutation": """
        upsertRecord(input: RecordInput!): RecordPayload!
        upsertItems(input: [ItemInput!]!): ItemsPayload!
        track(input: [EventInput!]!): TrackPayload!
        recordConsent(input: ConsentInput!): ConsentPayload!
        withdrawConsent(input: WithdrawInput!): ConsentPayload!
    """,
}
"""The implemented part of the contract, literally."""


def signatures(text: str) -> dict[str, str]:
    """Returns each field with its arguments, sorted by name, and its type."""
    (definition,) = parse(text, no_location=True).definitions
    assert isinstance(definition, ObjectTypeDefinitionNode)
    return {
        field.name.value: f"({', '.join(sorted(show(one) for one in field.arguments or ()))}): {print_ast(field.type)}"
        for field in definition.fields or ()
    }


def show(argument: InputValueDefinitionNode) -> str:
    default = f" = {print_ast(argument.default_value)}" if argument.default_value else ""
    return f"{argument.name.value}: {print_ast(argument.type)}{default}"


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_is_kept(name: str) -> None:
    expected = signatures(f"type T {{ {CONTRACT[name]} }}")
    found = signatures(print_type(GRAPHQL_SCHEMA.type_map[name]))
    assert {field: found.get(field) for field in expected} == expected


def test_enums_and_keys_of_the_contract_are_kept() -> None:
    strategies = GRAPHQL_SCHEMA.type_map["Strategy"].values
    assert list(strategies) == ["AUTO", "GRAPH_WALK", "POPULAR"]
    key = GRAPHQL_SCHEMA.type_map["ProfileKey"]
    assert isinstance(key, GraphQLInputObjectType)
    assert {name: str(field.type) for name, field in key.fields.items()} == {
        "id": "ID", "identifier": "IdentifierKey", "record": "RecordKey",
    }  # fmt: skip
    assert "input ProfileKey @oneOf {" in print_sdl()
    record = GRAPHQL_SCHEMA.type_map["RecordKey"]
    assert isinstance(record, GraphQLInputObjectType)
    assert (str(record.fields["kind"].type), record.fields["kind"].default_value) == ("RecordKind!", RecordKind.USER)


@pytest.mark.parametrize("strategy", ["ITEM_ITEM", "USER_USER", "MATRIX_FACTORISATION", "CONTENT"])
def test_a_strategy_that_is_not_built_is_a_validation_error(strategy: str) -> None:
    query = f'{{ profile(by: {{id: "x"}}) {{ recommendations(strategy: {strategy}) {{ score }} }} }}'
    (error,) = validate(GRAPHQL_SCHEMA, parse(query))
    assert f"Value '{strategy}' does not exist in 'Strategy' enum." in error.message
    assert validate(GRAPHQL_SCHEMA, parse(query.replace(strategy, "POPULAR"))) == []


def test_the_committed_sdl_is_current() -> None:
    assert SDL.read_text(encoding="utf-8") == print_sdl(), "run `make sdl` and commit schema.graphql"


def directives_of(name: str) -> set[str]:
    """Returns the fields of a type that have @personal in the SDL."""
    for definition in parse(print_sdl()).definitions:
        if getattr(getattr(definition, "name", None), "value", None) == name and getattr(definition, "fields", None):
            return {
                field.name.value
                for field in definition.fields
                if any(directive.name.value == "personal" for directive in field.directives or ())
            }
    return set()


def test_exactly_the_personal_fields_are_marked_and_nullable() -> None:
    profile = GRAPHQL_SCHEMA.type_map["Profile"]
    assert isinstance(profile, GraphQLObjectType)
    marked = directives_of("Profile")
    assert marked == set(profile.fields) & set(PERSONAL_FIELDS)
    assert set(profile.fields) - marked == NOT_PERSONAL
    for name in marked:
        assert not isinstance(profile.fields[name].type, GraphQLNonNull), name
    for name, kind in GRAPHQL_SCHEMA.type_map.items():
        if isinstance(kind, GraphQLObjectType) and name != "Profile":
            assert not directives_of(name), name


def test_withheld_names_fields_of_the_profile_only() -> None:
    auditor = Viewer("auditor", Role.AUDITOR)
    withheld = decide(auditor, SubjectPermits(), Policy.default(), Millis(1)).withheld() or ()
    profile = GRAPHQL_SCHEMA.type_map["Profile"]
    assert isinstance(profile, GraphQLObjectType)
    assert {one.field for one in withheld} <= set(profile.fields)
    assert {name for name, rule in PERSONAL_FIELDS.items() if not rule.internal} == set(profile.fields) - NOT_PERSONAL


def test_an_undeclared_field_is_refused() -> None:
    import strawberry

    @strawberry.type
    class Careless:
        shoe_size: int | None

    with pytest.raises(TypeError, match="shoeSize"):
        mark_personal(Careless)


def test_plain_fields_of_a_profile_have_no_resolvers() -> None:
    """Consent is decided earlier: a plain field only reads an attribute of what the gate revealed."""
    definition = SCHEMA.get_type_by_name("Profile")
    plain = {field.python_name for field in definition.fields if field.is_basic_field}
    assert {"email", "age", "segments", "consents", "rfm", "withheld"} <= plain


def list_descriptions() -> Iterator[tuple[str, str | None]]:
    """Yields each of our types, fields, arguments, input fields, enum values and directives with its description."""
    for directive in GRAPHQL_SCHEMA.directives:
        if not is_specified_directive(directive):
            yield f"@{directive.name}", directive.description
            yield from ((f"@{directive.name}({name})", one.description) for name, one in directive.args.items())
    for kind in GRAPHQL_SCHEMA.type_map.values():
        if is_introspection_type(kind) or is_specified_scalar_type(kind):
            continue
        yield kind.name, kind.description
        if isinstance(kind, GraphQLEnumType):
            yield from ((f"{kind.name}.{name}", value.description) for name, value in kind.values.items())
        elif isinstance(kind, GraphQLInputObjectType):
            yield from ((f"{kind.name}.{name}", field.description) for name, field in kind.fields.items())
        elif isinstance(kind, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in kind.fields.items():
                yield f"{kind.name}.{name}", field.description
                yield from ((f"{kind.name}.{name}({arg})", one.description) for arg, one in field.args.items())


def test_every_schema_element_has_a_description() -> None:
    described = dict(list_descriptions())
    assert {"@personal(category)", "Node.id", "Profile.sessions(first)", "Strategy.AUTO", "DateTime"} <= set(described)
    assert [place for place, text in described.items() if not (text or "").strip()] == []


def test_nullable_fields_state_when_they_are_null() -> None:
    silent = [
        f"{kind.name}.{name}"
        for kind in GRAPHQL_SCHEMA.type_map.values()
        if isinstance(kind, GraphQLObjectType) and not is_introspection_type(kind)
        for name, field in kind.fields.items()
        if not isinstance(field.type, GraphQLNonNull) and "null" not in (field.description or "").lower()
    ]
    assert silent == []


@pytest.mark.parametrize("name", ["Identifier", "IdentifierInput", "IdentifierKey"])
def test_identifier_kinds_are_listed_where_one_is_needed(name: str) -> None:
    kind = GRAPHQL_SCHEMA.type_map[name]
    assert isinstance(kind, GraphQLObjectType | GraphQLInputObjectType)
    text = kind.fields["kind"].description or ""
    assert [known for known in (EMAIL, PHONE, USER_ID, ANONYMOUS_ID) if f"`{known}`" not in text] == []
