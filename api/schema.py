"""The GraphQL schema: the roots, and the one place where the types come together.

What lives here: queries and mutations, each a line or two that hands over to a use case. What does not: types
(`api/types/`), use cases (`resolvers/`), execution and HTTP (`api/graphql.py`), limits (`api/limits.py`).
The SDL is kept in `schema.graphql` (`make sdl`); a test holds both equal.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Any, Final

import strawberry
from graphql import GraphQLObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig
from strawberry.schema.schema_converter import GraphQLCoreConverter
from strawberry.types import Info
from strawberry.types.field import StrawberryField

from api.mutations import Mutation
from api.types.context import Asking, request_of
from api.types.item import Item, ItemFilter
from api.types.profile import Profile
from api.types.purpose import Purpose, list_purposes
from api.types.relay import Connection, Node, given, read_global_id, show_page
from api.types.scalars import SCALARS
from api.types.segment import Segment
from api.types.selection import wanted_of
from api.types.system import VERSION, System
from graph.errors import BadInput
from graph.model.identity import UserId
from resolvers.catalogue import find_item, find_segment, page_items, page_segments
from resolvers.profiles import ById, ByIdentifier, ByRecord, PersonView, ProfileKey, find_own, find_profile
from resolvers.system import check_may_see_system

Asked = Info[Asking, None]


@strawberry.input(description="A value that names a person, such as an e-mail address.")
class IdentifierKey:
    """By identifier: `email`, `phone`, `user_id`, `anonymous_id`, or an external kind."""

    kind: str
    value: str


@strawberry.input(description="A source's own name for a person: a user id, or else an anonymous id.")
class RecordKey:
    """By source record."""

    source: str
    key: str


@strawberry.input(name="ProfileKey", one_of=True, description="Whose profile: exactly one of these.")
class KeyInput:
    """How a query names a person."""

    id: strawberry.ID | None = strawberry.UNSET
    identifier: IdentifierKey | None = strawberry.UNSET
    record: RecordKey | None = strawberry.UNSET

    def key(self) -> ProfileKey | None:
        """The key as the use case takes it; None for the id of something that is no profile."""
        if self.identifier:
            return ByIdentifier(self.identifier.kind, self.identifier.value)
        if self.record:
            return ByRecord(self.record.source, self.record.key)
        if self.id:
            type_name, key = read_global_id(self.id)
            return ById(UserId(key)) if type_name == "Profile" else None
        raise BadInput("by: give exactly one of id, identifier, record.")


@strawberry.type
class Query:
    """What can be asked."""

    @strawberry.field(
        description="Anything by its global id; null where it is absent or this viewer may not know of it."
    )
    async def node(self, info: Asked, id: strawberry.ID) -> Node | None:
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

    @strawberry.field(description="The person behind the credential.")
    async def me(self, info: Asked) -> Profile | None:
        return show_profile(info, await find_own(request_of(info), wanted_of(info._raw_info)))

    @strawberry.field(description="A person; null where there is none, or this viewer may not know that there is.")
    async def profile(self, info: Asked, by: KeyInput) -> Profile | None:
        request, key = request_of(info), by.key()
        if key is None:
            return None
        return show_profile(info, await find_profile(request, key, wanted_of(info._raw_info)))

    @strawberry.field
    async def item(self, info: Asked, key: str) -> Item | None:
        return await find_item(request_of(info), key)  # type: ignore[return-value]

    @strawberry.field(description="Items in the order of their keys.")
    async def items(
        self, info: Asked, first: int, after: str | None = strawberry.UNSET, where: ItemFilter | None = strawberry.UNSET
    ) -> Connection[Item]:
        return show_page(await page_items(request_of(info), where.wish() if where else None, first, given(after)))  # type: ignore[no-any-return]

    @strawberry.field
    async def segment(self, info: Asked, key: str) -> Segment | None:
        return await find_segment(request_of(info), key)  # type: ignore[return-value]

    @strawberry.field(description="Segments in the order of their keys.")
    async def segments(self, info: Asked, first: int, after: str | None = strawberry.UNSET) -> Connection[Segment]:
        return show_page(await page_segments(request_of(info), first, given(after)))  # type: ignore[no-any-return]

    @strawberry.field(description="The purposes of the policy in force.")
    def purposes(self, info: Asked) -> list[Purpose]:
        return list_purposes(request_of(info).services.policy)

    @strawberry.field(description="Versions, store, counts and model runs; for operators and auditors.")
    def system(self, info: Asked) -> System:
        request = request_of(info)
        check_may_see_system(request)
        return System(version=VERSION, policy_version=request.services.policy.version)


def show_profile(info: Asked, view: PersonView | None) -> Profile | None:
    """A person's view as a profile. To those who may know, `extensions.consent` says which of the selected fields are
    withheld, and why."""
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


def shorten_leaves(schema: GraphQLSchema) -> GraphQLSchema:
    """Gives every field without a resolver of its own the shortest one there is: read the attribute. Strawberry's own
    goes through four calls, which is a fifth of the time of a wide answer."""
    for kind in schema.type_map.values():
        for field in kind.fields.values() if isinstance(kind, GraphQLObjectType) else ():
            source = field.extensions.get(GraphQLCoreConverter.DEFINITION_BACKREF)
            if isinstance(source, StrawberryField) and source.is_basic_field:
                field.resolve = _read_attribute(source.python_name)
    return schema


def _read_attribute(name: str) -> Callable[[Any, object], Any]:
    read = attrgetter(name)
    return lambda source, _info: read(source)


GRAPHQL_SCHEMA: Final[GraphQLSchema] = shorten_leaves(SCHEMA._schema)
"""The same schema as graphql-core has it, which executes it."""


def print_sdl() -> str:
    """The schema in GraphQL's own language."""
    return SCHEMA.as_str() + "\n"
