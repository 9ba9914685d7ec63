"""Relay's parts: global IDs, nodes and connections, and inputs that may be left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated, Any, Final, Generic, TypeAlias, TypeVar

import strawberry

from graph.errors import BadInput
from resolvers.pages import Page

T = TypeVar("T")

MAX_ID: Final = 1024
BAD_ID: Final = "id: not a global ID of this service."

First: TypeAlias = Annotated[int, strawberry.argument(description="How many entries to return at most: 1 to 100.")]
After: TypeAlias = Annotated[
    str | None,
    strawberry.argument(
        description="Cursor after which the page starts, such as the `endCursor` of the page before. "
        "Left out or null: the first page."
    ),
]


def optional(description: str, *, name: str | None = None) -> Any:
    """Declares a field of an input that may be left out. `given` reads it."""
    return strawberry.field(default=strawberry.UNSET, description=description, name=name)


def given(value: T | None) -> T | None:
    """Returns the value of an optional input, or None if it is left out."""
    return None if value is strawberry.UNSET else value


def global_id(type_name: str, key: str) -> strawberry.ID:
    """Returns the global ID of a node: `Type:key` in base64."""
    return strawberry.ID(base64.b64encode(f"{type_name}:{key}".encode("utf-8", "surrogatepass")).decode())


def read_global_id(text: str) -> tuple[str, str]:
    """Returns the type name and key of a global ID. Raises BadInput if it is malformed."""
    if len(text) > MAX_ID:
        raise BadInput(BAD_ID)
    try:
        type_name, mark, key = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise BadInput(BAD_ID) from None
    if not mark or not type_name or not key:
        raise BadInput(BAD_ID)
    return type_name, key


@strawberry.interface(description="An object with a global ID, which `node` accepts.")
class Node:
    """Relay's interface of everything with a global ID."""

    id: strawberry.ID = strawberry.field(description="Global ID of the object. Opaque: do not parse it.")


@strawberry.type(description="Where a page stands in its list.")
class PageInfo:
    """Relay's description of a page."""

    has_next_page: bool = strawberry.field(description="Whether more entries follow this page.")
    has_previous_page: bool = strawberry.field(
        description="Whether the page was requested with `after`, so that entries may precede it."
    )
    start_cursor: str | None = strawberry.field(description="Cursor of the first entry. Null if the page is empty.")
    end_cursor: str | None = strawberry.field(
        description="Cursor of the last entry, for `after` of the next page. Null if the page is empty."
    )


@strawberry.type(description="An entry of a page, with its cursor.")
class Edge(Generic[T]):
    """Relay's edge."""

    node: T = strawberry.field(description="The entry itself.")
    cursor: str = strawberry.field(
        description="Opaque cursor of the entry, for `after`. Valid only for the same list, viewer and purpose."
    )


@strawberry.type(description="A page of a list.")
class Connection(Generic[T]):
    """Relay's connection."""

    edges: list[Edge[T]] = strawberry.field(description="The entries of this page with their cursors.")
    nodes: list[T] = strawberry.field(description="The entries of this page without their cursors.")
    page_info: PageInfo = strawberry.field(
        description="Whether there are further pages, and the cursors that lead to them."
    )


def show_page(page: Page[Any], show: Callable[[Any], Any] | None = None) -> Any:
    """Returns a page as a connection; `show`, if given, turns each entry into what is shown."""
    nodes = [show(node) for node in page.nodes] if show else list(page.nodes)
    edges = [Edge(node=node, cursor=cursor) for node, cursor in zip(nodes, page.cursors, strict=True)]
    info = PageInfo(
        has_next_page=page.has_next,
        has_previous_page=page.has_previous,
        start_cursor=page.cursors[0] if page.cursors else None,
        end_cursor=page.cursors[-1] if page.cursors else None,
    )
    return Connection(edges=edges, nodes=nodes, page_info=info)
