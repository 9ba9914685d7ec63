"""Segments and a person's places in them.

What lives here: the types. What does not: finding segments (`resolvers/catalogue.py`) and filling them
(`resolvers/refresh.py`). Their sources are the graph's own values.
"""

from __future__ import annotations

import strawberry
from strawberry.types import Info

from api.types.context import Asking, request_of
from api.types.relay import Node, global_id
from api.types.scalars import DateTime
from graph.model.segments import MembershipFacts, SegmentFacts
from resolvers.catalogue import count_segment


@strawberry.type(description="A group of people who have something in common.")
class Segment(Node):
    """A segment; its source is `graph.model.SegmentFacts`."""

    key: str
    title: str | None
    kind: str | None = strawberry.field(description="How it is made, such as rfm or community.")
    description: str | None
    purpose: str = strawberry.field(description="What it is computed for; people who do not permit that are not in it.")
    version: int | None

    @strawberry.field  # type: ignore[misc]
    def id(self) -> strawberry.ID:  # type: ignore[override]
        return global_id("Segment", self.key)

    @strawberry.field(description="How many people are in it now; for operators and auditors.")
    async def size(self, info: Info[Asking, None]) -> int | None:
        return await count_segment(request_of(info), self.key)  # type: ignore[arg-type]

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Segments are the graph's own values."""
        return isinstance(source, SegmentFacts)


@strawberry.type(description="One person's place in a segment.")
class SegmentMembership:
    """A membership; its source is `graph.model.MembershipFacts`."""

    since: DateTime
    score: float | None
    version: int | None = strawberry.field(
        description="The version of the segment's definition that put the person here."
    )

    @strawberry.field
    def segment(self) -> Segment:
        return segment_of(self)  # type: ignore[arg-type, return-value]


def segment_of(member: MembershipFacts) -> SegmentFacts:
    """The segment of a membership, as far as it came along."""
    return SegmentFacts(
        key=member.segment,
        purpose=member.purpose,
        title=member.title,
        kind=member.kind,
        description=member.description,
        version=member.version,
    )
