"""Segments, memberships and RFM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from graph.model.time import Millis

SegmentKey = NewType("SegmentKey", str)


@dataclass(frozen=True, slots=True)
class SegmentFacts:
    """One segment, as its node describes it. `purpose`: what it is computed under; `kind`: how (`rfm`, `community`)."""

    key: SegmentKey
    purpose: str
    title: str | None = None
    kind: str | None = None
    description: str | None = None
    version: int | None = None
    updated_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class MembershipFacts:
    """One live place in a segment. `purpose` is what the segment was computed under: shown only while permitted."""

    segment: SegmentKey
    purpose: str
    since: Millis
    score: float | None = None
    version: int | None = None
    title: str | None = None
    kind: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class RfmFacts:
    """Recency in days, frequency in purchases, monetary value in the shop's unit, and their scores 1–5."""

    recency: float
    frequency: float
    monetary: float
    recency_score: int
    frequency_score: int
    monetary_score: int
    cell: str
    computed_at: Millis
