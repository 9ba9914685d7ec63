"""Use cases: a person's sessions, interactions and history of consents, a page at a time.

Arguments are checked before the permission, so that an error does not reveal it. The first page without a filter comes
with the profile and needs no further read; later pages pass the gate again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from graph.activity.history import NEWEST, InteractionFilter, read_interactions, read_sessions
from graph.consent.log import read_history
from graph.errors import BadInput
from graph.model.activity import InteractionFacts, SessionFacts, SessionId
from graph.model.consent import ConsentEvent
from graph.model.time import Millis
from resolvers.pages import CursorSealer, Page, PageRequest, Position
from resolvers.profile.find import PersonView

MAX_TYPES: Final = 20


async def page_interactions(
    view: PersonView, first: int, after: str | None, where: InteractionFilter | None
) -> Page[InteractionFacts] | None:
    """Returns a page of interactions, newest first; None if they are withheld. Raises BadInput."""
    place, cursors, request = _open(view, "interactions", first, after)
    if where and where.types is not None and len(where.types) > MAX_TYPES:
        raise BadInput(f"where.types: at most {MAX_TYPES} types.")
    if not view.permits("interactions"):
        return None
    facts = view.facts
    if where is not None or after is not None or first > view.wanted.interactions:
        client = view.request.services.client
        where = where or InteractionFilter()
        later = await read_interactions(client, view.behaviour, where, first + 1, _before(request))
        facts = view.reveal(interactions=later)
    page = cursors.page(place, request, facts.interactions or (), lambda one: (one.at, one.id))
    return replace(page, nodes=[_name_interaction(view, one) for one in page.nodes])


async def page_sessions(view: PersonView, first: int, after: str | None) -> Page[SessionFacts] | None:
    """Returns a page of sessions, newest first; None if they are withheld. Raises BadInput."""
    place, cursors, request = _open(view, "sessions", first, after)
    if not view.permits("sessions"):
        return None
    facts = view.facts
    if after is not None or first > view.wanted.sessions:
        later = await read_sessions(view.request.services.client, view.behaviour, first + 1, _before(request))
        facts = view.reveal(sessions=later)
    page = cursors.page(place, request, facts.sessions or (), lambda one: (one.started_at, one.id))
    return replace(page, nodes=[replace(one, id=SessionId(view.name_part("session", one.id))) for one in page.nodes])


async def page_consents(view: PersonView, first: int, after: str | None) -> Page[ConsentEvent] | None:
    """Returns a page of the consent log, latest received first; None if it is withheld. Raises BadInput."""
    place, cursors, request = _open(view, "consentHistory", first, after)
    if not view.permits("consentHistory"):
        return None
    found = await read_history(view.request.services.client, view.records, first + 1, _before(request))
    shown = view.reveal(consent_history=found).consent_history or ()
    return cursors.page(place, request, shown, lambda event: (event.received_at, event.id))


def _name_interaction(view: PersonView, facts: InteractionFacts) -> InteractionFacts:
    order = None if facts.order is None else view.name_part("order", facts.order)
    return replace(facts, id=view.name_part("interaction", facts.id), order=order)


def _open(view: PersonView, field: str, first: int, after: str | None) -> tuple[str, CursorSealer, PageRequest]:
    place = f"Profile.{field}:{view.facts.id}"
    cursors = CursorSealer(view.request.services.secret, view.request.viewer)
    return place, cursors, cursors.request(place, first, after)


def _before(request: PageRequest) -> tuple[Millis, str]:
    position: Position | None = request.after
    return NEWEST if position is None else (Millis(int(position[0])), str(position[1]))
