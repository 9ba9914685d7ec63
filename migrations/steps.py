"""All migration steps, in order."""

from __future__ import annotations

from typing import Final

from migrations import (
    m0001_keys,
    m0002_indexes,
    m0003_permit_changes,
    m0004_confirmations,
    m0005_trust,
    m0006_declared_items,
    m0007_recent_sessions,
    m0008_unheard_bars,
    m0009_ended_ties,
)
from migrations.step import Step

STEPS: Final[tuple[Step, ...]] = (
    m0001_keys.STEP,
    m0002_indexes.STEP,
    m0003_permit_changes.STEP,
    m0004_confirmations.STEP,
    m0005_trust.STEP,
    m0006_declared_items.STEP,
    m0007_recent_sessions.STEP,
    m0008_unheard_bars.STEP,
    m0009_ended_ties.STEP,
)
