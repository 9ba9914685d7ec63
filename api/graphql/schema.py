"""The GraphQL schema: the root query, whose fields each call a use case, assembled with the mutations and types.

The SDL is kept in `schema.graphql` (`make sdl`); a test checks that it is current.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Annotated, Any, Final, TypeAlias

import strawberry
from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from api.graphql.mutations.mutation import Mutation
from api.graphql.types.context import GraphQLContext, request_of
from api.graphql.types.item import Item, ItemFilterInput
from api.graphql.types.personal import describe_arguments
from api.graphql.types.profile import IDENTIFIER_KINDS, Profile
from api.graphql.types.purpose import Purpose, list_purposes
from api.graphql.types.relay import After, Connection, First, Node, given, optional, read_global_id, show_page
from api.graphql.types.scalars import SCALARS, expose_enum
from api.graphql.types.segment import Segment
from api.graphql.types.selection import wanted_of
from api.graphql.types.system import VERSION, System
from graph.errors import BadInput
from graph.model.identity import RecordKind, UserId
from resolvers.catalogue import find_item, page_items
from resolvers.profile.find import ById, ByIdentifier, ByRecord, PersonView, ProfileKey, find_own, find_profile
from resolvers.segments.reading import find_segment, page_segments
from resolvers.system import check_may_see_system

GraphQLInfo = Info[GraphQLContext, None]
Key: TypeAlias = Annotated[str, strawberry.argument(description="The key, 1 to 512 characters.")]


@strawberry.input(
    description="Finds a person by an identifier. Finds nobody if several people share it, or if it is unique only "
    "within a namespace: then use `record`."
)
class IdentifierKey:
    """Finds a person by an identifier."""

    kind: str = strawberry.field(description=IDENTIFIER_KINDS)
    value: str = strawberry.field(
        description="The value in any spelling; a phone number needs its country code. A placeholder such as `null`, "
        "`unknown` or `0000` finds nobody."
    )


expose_enum(
    RecordKind,
    "RecordKind",
    "Which of a source's two kinds of name a record carries.",
    {
        RecordKind.USER: "The record of an account, named by a user ID.",
        RecordKind.ANONYMOUS: "The record of a device, such as a browser, named by an anonymous ID.",
    },
)


@strawberry.input(description="Finds a person by the ID that a source knows them under.")
class RecordKey:
    """Finds a person by a source record."""

    source: str = strawberry.field(description="Name of the source, at most 512 characters.")
    key: str = strawberry.field(
        description="The source's ID for the person, spelled exactly as in the source; at most 512 characters. "
        "Mutations call it `userId` or `anonymousId`, by its kind."
    )
    kind: RecordKind = strawberry.field(
        default=RecordKind.USER,
        description="Which kind of ID `key` is. A user ID never finds a device of the same name, nor an anonymous ID "
        "an account.",
    )


@strawberry.input(name="ProfileKey", one_of=True, description="Identifies a person by exactly one of these.")
class KeyInput:
    """Identifies a person in a query."""

    id: strawberry.ID | None = optional("The `id` of a profile, including one that was merged into another since.")
    identifier: IdentifierKey | None = optional("An identifier, such as an e-mail address.")
    record: RecordKey | None = optional("A source, and the ID that it knows the person under.")

    def key(self) -> ProfileKey | None:
        """Returns the key for the use case; None if the ID is not that of a profile. Raises BadInput."""
        if self.identifier:
            return ByIdentifier(self.identifier.kind, self.identifier.value)
        if self.record:
            return ByRecord(self.record.source, self.record.key, self.record.kind)
        if self.id:
            type_name, key = read_global_id(self.id)
            return ById(UserId(key)) if type_name == "Profile" else None
        raise BadInput("by: give exactly one of id, identifier, record.")


@strawberry.type(
    description="Everything that can be read. The viewer is the client or person that the credential of the request "
    "stands for; what it may see depends on the purpose of the request."
)
class Query:
    """The root of queries."""

    @strawberry.field(
        description="A profile, item or segment by its ID. Null if there is none or the viewer may not know of it."
    )
    async def node(
        self,
        info: GraphQLInfo,
        id: Annotated[strawberry.ID, strawberry.argument(description="The `id` of a profile, item or segment.")],
    ) -> Node | None:
        type_name, key = read_global_id(id)
        request = request_of(info)
        if type_name == "Profile":
            found = await find_profile(request, ById(UserId(key)), wanted_of(info._raw_info))
            return show_profile(info, found)
        if type_name == "Item":
            return await find_item(request, key)  # type: ignore[return-value]
        if type_name == "Segment":
            return await find_segment(request, key)  # type: ignore[return-value]
        return None

    @strawberry.field(
        description="The person whose token this is. Null if nothing is known about them; FORBIDDEN for an API key."
    )
    async def me(self, info: GraphQLInfo) -> Profile | None:
        return show_profile(info, await find_own(request_of(info), wanted_of(info._raw_info)))

    @strawberry.field(description="One person. Null if there is none or the viewer may not know that there is.")
    async def profile(
        self, info: GraphQLInfo, by: Annotated[KeyInput, strawberry.argument(description="Whose profile.")]
    ) -> Profile | None:
        request, key = request_of(info), by.key()
        if key is None:
            return None
        return show_profile(info, await find_profile(request, key, wanted_of(info._raw_info)))

    @strawberry.field(description="One item of the catalogue. Null if there is none.")
    async def item(self, info: GraphQLInfo, key: Key) -> Item | None:
        return await find_item(request_of(info), key)  # type: ignore[return-value]

    @strawberry.field(description="Items of the catalogue, sorted by key.")
    async def items(
        self,
        info: GraphQLInfo,
        first: First,
        after: After = strawberry.UNSET,
        where: Annotated[
            ItemFilterInput | None, strawberry.argument(description="Which items; left out or null: all.")
        ] = strawberry.UNSET,
    ) -> Connection[Item]:
        return show_page(await page_items(request_of(info), where.to_filter() if where else None, first, given(after)))  # type: ignore[no-any-return]

    @strawberry.field(description="One segment. Null if there is none.")
    async def segment(self, info: GraphQLInfo, key: Key) -> Segment | None:
        return await find_segment(request_of(info), key)  # type: ignore[return-value]

    @strawberry.field(description="Segments, sorted by key.")
    async def segments(self, info: GraphQLInfo, first: First, after: After = strawberry.UNSET) -> Connection[Segment]:
        return show_page(await page_segments(request_of(info), first, given(after)))  # type: ignore[no-any-return]

    @strawberry.field(description="The purposes that data may be used for, in the order of the policy.")
    def purposes(self, info: GraphQLInfo) -> list[Purpose]:
        return list_purposes(request_of(info).services.policy)

    @strawberry.field(description="The installation. FORBIDDEN unless the viewer is an operator or an auditor.")
    def system(self, info: GraphQLInfo) -> System:
        request = request_of(info)
        check_may_see_system(request)
        return System(version=VERSION, policy_version=request.services.policy.version)


def show_profile(info: GraphQLInfo, view: PersonView | None) -> Profile | None:
    """Returns a person's view as a profile; None if there is no view.

    Viewers who may know it find in `extensions.consent` which of the selected fields are withheld, and why.
    """
    if view is None:
        return None
    reasons = {one.field: one.reason for one in view.withheld or () if one.field in view.wanted.fields}
    profile = Profile(view)
    if reasons:
        info.context.extensions.setdefault("consent", []).append(
            {"path": info.path.as_list(), "id": profile.id, "withheld": reasons}
        )
    return profile


SCHEMA: Final = strawberry.Schema(
    query=Query,
    mutation=Mutation,
    types=[Item, Profile, Segment],
    config=StrawberryConfig(scalar_map=SCALARS),
)


def shorten_resolvers(schema: GraphQLSchema) -> GraphQLSchema:
    """Makes every field without its own resolver read its attribute directly.

    Strawberry's resolver for such fields takes four calls, which is a fifth of the time of a wide response.
    """
    for kind in schema.type_map.values():
        for field in kind.fields.values() if isinstance(kind, GraphQLObjectType) else ():
            source = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            if isinstance(source, StrawberryField) and source.is_basic_field:
                field.resolve = _read_attribute(source.python_name)
    return schema


def _read_attribute(name: str) -> Callable[[Any, object], Any]:
    read = attrgetter(name)
    return lambda source, _info: read(source)


GRAPHQL_SCHEMA: Final[GraphQLSchema] = shorten_resolvers(describe_arguments(SCHEMA._schema))
"""The schema as graphql-core executes it."""


def print_sdl() -> str:
    """Returns the schema in the schema definition language."""
    return SCHEMA.as_str() + "\n"
