"""What the graph keeps of a fold, and how it is shown. That it equals the fold is a property in `test_rules.py`."""

from __future__ import annotations

from graph.model.consent import ConsentEvent, ConsentState, ConsentStatement
from graph.model.identity import RecordId
from graph.model.time import Millis
from privacy.policy import Policy
from privacy.rules import fold
from privacy.states import describe_states, initial_permits, permits_of, until_of

POLICY = Policy.default()
NOW = Millis(100)
HERE, ELSEWHERE = RecordId("here"), RecordId("elsewhere")


def state(purpose: str, said: str, at: int = 7, record: RecordId = HERE, **more: object) -> ConsentEvent:
    statement = ConsentStatement(purpose, ConsentState(said), Millis(at), **more)  # type: ignore[arg-type]
    return ConsentEvent(f"{record}-{purpose}-{said}", 1, record, Millis(at), statement)


def test_a_new_person_permits_what_needs_no_statement_where_its_source_is() -> None:
    assert initial_permits(POLICY) == ("identity_linking", "service")
    assert initial_permits(POLICY, "DE") == initial_permits(POLICY)
    assert "partner_sharing@*" in initial_permits(POLICY, "US-CA")
    assert until_of(fold((), NOW, POLICY)) is None


def test_exceptions_from_what_everybody_may_have_are_kept_as_barred() -> None:
    everybody = state("partner_sharing", "given")
    acme = state("partner_sharing", "refused", recipient="acme")
    kept = permits_of(fold([everybody, acme], NOW, POLICY))
    assert kept == ("!partner_sharing@acme", "identity_linking", "partner_sharing@*", "service")


def test_states_name_the_deciding_statement() -> None:
    given = state("analytics", "given", expires_at=Millis(900))
    shown = {(one.purpose, one.recipient): one for one in describe_states(fold([given], NOW, POLICY))}
    assert len(shown) == len(POLICY.purposes)
    found = shown["analytics", None]
    assert (found.permitted, found.reason, found.state) == (True, "given", ConsentState.GIVEN)
    assert (found.event, found.effective_at, found.expires_at) == (given.id, 7, 900)
    assert shown["partner_sharing", None].event is None


def test_a_statement_on_a_record_that_may_not_be_read_shows_only_in_its_effect() -> None:
    events = [state("analytics", "given", record=ELSEWHERE)]
    (found,) = (one for one in describe_states(fold(events, NOW, POLICY), {HERE}) if one.purpose == "analytics")
    assert found.permitted
    assert (found.state, found.event, found.effective_at) == (None, None, None)
