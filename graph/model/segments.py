"""Segments, memberships and RFM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from graph.model.time import Millis

SegmentKey = NewType("SegmentKey", str)


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """One segment. `purpose` is what it is computed for, `kind` how it is computed (`rfm`, `community`). `shown` tells
    whether enough people are in it for everybody to know of it."""

    key: SegmentKey
    purpose: str
    title: str | None = None
    kind: str | None = None
    description: str | None = None
    version: int | None = None
    updated_at: Millis | None = None
    shown: bool = False


@dataclass(frozen=True, slots=True)
class MembershipFacts:
    """A person's membership in a segment, shown only while the person permits its `purpose`. `shown` is the segment's
    (see `SegmentFacts`)."""

    segment: SegmentKey
    purpose: str
    since: Millis
    score: float | None = None
    version: int | None = None
    title: str | None = None
    kind: str | None = None
    description: str | None = None
    shown: bool = False


@dataclass(frozen=True, slots=True)
class RfmFacts:
    """A person's recency in days, frequency in purchases, and monetary value in the shop's own unit; the score of each,
    1–5; and the cell, which is the three scores as digits, such as `545`. `shown`: enough people are in the cell for
    everybody to know of it."""

    recency: float | None
    frequency: float | None
    monetary: float | None
    recency_score: int
    frequency_score: int
    monetary_score: int
    cell: str
    computed_at: Millis
    shown: bool = False
