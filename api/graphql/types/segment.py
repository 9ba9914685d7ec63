"""Segments and memberships as the API shows them. Their sources are the graph's own values."""

from __future__ import annotations

import strawberry
from strawberry.types import Info

from api.graphql.types.context import GraphQLContext, request_of
from api.graphql.types.relay import Node, global_id
from api.graphql.types.scalars import DateTime
from graph.model.segments import MembershipFacts, SegmentFacts
from resolvers.segments.reading import count_segment


@strawberry.type(
    description="A group of people who have something in common, computed from those who permit its purpose. A group "
    "that too few people are in exists only for operators and auditors."
)
class Segment(Node):
    """Its source is `graph.model.segments.SegmentFacts`."""

    key: str = strawberry.field(description="Key of the segment, such as `high_value_buyer`.")
    title: str | None = strawberry.field(description="Title to display. Null if unknown.")
    kind: str | None = strawberry.field(
        description="How the segment is computed: `rfm` or `community`. Null if unknown."
    )
    description: str | None = strawberry.field(
        description="Who is in the segment and why, as a sentence or two in English. Null if unknown."
    )
    purpose: str = strawberry.field(
        description="Key of the purpose that the segment is computed for; it contains only people who permit that "
        "purpose."
    )
    version: int | None = strawberry.field(
        description="Version of the segment's definition, counted from 1. Null if unknown."
    )

    @strawberry.field(description="Global ID of the segment, which `node` accepts.")  # type: ignore[misc]
    def id(self) -> strawberry.ID:
        return global_id("Segment", self.key)

    @strawberry.field(
        description="How many people are in the segment now. Null unless the viewer is an operator or an auditor."
    )
    async def size(self, info: Info[GraphQLContext, None]) -> int | None:
        return await count_segment(request_of(info), self.key)  # type: ignore[arg-type]

    @classmethod
    def is_type_of(cls, source: object, _info: object) -> bool:
        """Whether a source is a segment: the graph's own value."""
        return isinstance(source, SegmentFacts)


@strawberry.type(description="A person's place in a segment.")
class SegmentMembership:
    """Its source is `graph.model.segments.MembershipFacts`."""

    since: DateTime = strawberry.field(
        description="When the person entered the segment; for a partner, the beginning of that day in UTC."
    )
    score: float | None = strawberry.field(
        description="How clearly the person belongs: for `rfm` the mean of their three scores (1 to 5), for "
        "`community` the share of their ties within it (0 to 1). Null for a partner, or if the segment has no scores."
    )
    version: int | None = strawberry.field(
        description="Version of the segment's definition that placed the person in it. Null if unknown."
    )

    @strawberry.field(description="The segment itself.")
    def segment(self) -> Segment:
        return segment_of(self)  # type: ignore[arg-type, return-value]


def segment_of(member: MembershipFacts) -> SegmentFacts:
    """Returns the segment of a membership, with what was read of it."""
    return SegmentFacts(
        key=member.segment,
        purpose=member.purpose,
        title=member.title,
        kind=member.kind,
        description=member.description,
        version=member.version,
    )
