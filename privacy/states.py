"""The states that a fold adds up to: what the graph keeps of them, and how they are shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from graph.model.consent import ConsentStateFacts, Standing
from graph.model.identity import RecordId
from graph.model.time import Millis
from privacy.policy import Policy
from privacy.purposes import ANY_RECIPIENT, Permit
from privacy.rules import PermitState, fold


def permits_of(states: Mapping[Permit, PermitState]) -> tuple[str, ...]:
    """Returns the permits as the graph keeps them on the person, sorted. Where every recipient is permitted, the
    exceptions are listed as barred."""
    return tuple(_keep(states))


def ends_of(states: Mapping[Permit, PermitState]) -> tuple[int, ...]:
    """Returns until when each of `permits_of` may be relied on, in the same order; 0: no end. A bar holds
    until the next fold."""
    return tuple((state.until or 0) if state.permitted else 0 for state in _keep(states).values())


def grants_of(states: Mapping[Permit, PermitState]) -> tuple[str, ...]:
    """Returns the ID of the grant that decides each of `permits_of`, in the same order; empty where none does or the
    purpose has no recipients. A recipient's pseudonyms are renewed with it."""
    return tuple(
        state.event.id if state.permitted and state.event and state.permit.recipient else ""
        for state in _keep(states).values()
    )


def _keep(states: Mapping[Permit, PermitState]) -> dict[str, PermitState]:
    """Returns the states that the graph keeps, by the permit as it is kept, sorted."""
    kept = {}
    for permit, state in states.items():
        everyone = states.get(Permit(permit.purpose, ANY_RECIPIENT))
        if state.permitted:
            kept[str(permit)] = state
        elif everyone is not None and everyone.permitted:
            kept[permit.barred] = state
    return dict(sorted(kept.items()))


def until_of(states: Mapping[Permit, PermitState]) -> Millis | None:
    """Returns the earliest instant at which any state may change without a new statement; None if none may."""
    return min((state.until for state in states.values() if state.until is not None), default=None)


def initial_permits(policy: Policy, jurisdiction: str | None = None) -> tuple[str, ...]:
    """Returns the permits of a person whose only record is silent, by the jurisdiction of its source."""
    return permits_of(fold((), Millis(0), policy, {_NEW: Standing(jurisdiction=jurisdiction)}))


_NEW: Final = RecordId("")


def describe_states(
    states: Mapping[Permit, PermitState], records: Collection[RecordId] | None = None
) -> tuple[ConsentStateFacts, ...]:
    """Returns the states as shown to the person and to auditors; `ANY_RECIPIENT` becomes no recipient. If `records` are
    given, an event on another record shows only in its effect."""
    return tuple(_describe(permit, found, records) for permit, found in states.items())


def _describe(permit: Permit, found: PermitState, records: Collection[RecordId] | None) -> ConsentStateFacts:
    event = found.event
    shown = event if event is not None and (records is None or event.record in records) else None
    return ConsentStateFacts(
        purpose=permit.purpose,
        permitted=found.permitted,
        reason=found.reason,
        state=found.state if shown is event else None,
        recipient=None if permit.recipient == ANY_RECIPIENT else permit.recipient,
        event=shown.id if shown else None,
        effective_at=shown.statement.effective_at if shown else None,
        expires_at=shown.statement.expires_at if shown else None,
    )
