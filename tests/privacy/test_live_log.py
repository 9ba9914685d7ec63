"""The live log: which events of a record stay live, by the definition applied to all pairs, and what that costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from graph.model.consent import ConsentEvent, ConsentState, ConsentStatement
from graph.model.identity import Proof, RecordId
from graph.model.time import Millis
from privacy.live_log import LiveLog, is_repeat

WEB = RecordId("web")
DENIALS = frozenset({ConsentState.WITHDRAWN, ConsentState.REFUSED})


def event(state: str, at: int, seq: int = 0, **more: Any) -> ConsentEvent:
    statement = ConsentStatement("analytics", ConsentState(state), Millis(at), **more)
    return ConsentEvent(f"{state}-{at}-{seq}", seq, WEB, Millis(at), statement)


def proof_of(one: ConsentEvent) -> Proof | None:
    return one.proof


@st.composite
def logs(draw: st.DrawFn) -> list[ConsentEvent]:
    """Logs of one record whose statements differ in little."""
    found = []
    for number in range(draw(st.integers(0, 9))):
        received = draw(st.integers(number, number + 2))
        statement = ConsentStatement(
            draw(st.sampled_from(["analytics", "marketing"])),
            draw(st.sampled_from([ConsentState.GIVEN, ConsentState.REFUSED, ConsentState.UNKNOWN])),
            Millis(draw(st.sampled_from([received, received, 0, received + 1]))),
            expires_at=draw(st.sampled_from([None, Millis(9), Millis(30)])),
            notice=draw(st.sampled_from([None, None, "n"])),
            assurance=draw(st.integers(0, 1)),
        )
        again = draw(st.sampled_from([None, None, Millis(received + 2)]))
        proof = draw(st.sampled_from([None, Proof.TOKEN]))
        found.append(ConsentEvent(f"e{number}", number, WEB, Millis(received), statement, proof, again))
    return found


def applies(one: ConsentEvent) -> int:
    return one.received_at if one.statement.state in DENIALS else one.statement.effective_at


def last_stated(one: ConsentEvent) -> int:
    return max(min(applies(one), one.received_at), one.repeated_at or 0)


def supersedes(later: ConsentEvent, earlier: ConsentEvent) -> bool:
    new, old = later.statement, earlier.statement
    return (
        later.seq > earlier.seq
        and (new.purpose, new.state, new.notice, later.proof) == (old.purpose, old.state, old.notice, earlier.proof)
        and applies(earlier) <= applies(later) <= later.received_at
        and earlier.received_at <= later.received_at
        and last_stated(earlier) <= last_stated(later)
        and new.assurance >= old.assurance
        and (
            new.state is not ConsentState.GIVEN
            or new.expires_at is None
            or (old.expires_at is not None and new.expires_at >= old.expires_at)
        )
    )


def find_last(events: Sequence[ConsentEvent], purpose: str) -> ConsentEvent | None:
    ranks = [ConsentState.GIVEN, ConsentState.UNKNOWN, ConsentState.REFUSED]
    about = [one for one in events if one.statement.purpose == purpose]
    return max(about, key=lambda one: (applies(one), ranks.index(one.statement.state), one.seq), default=None)


@settings(max_examples=500)
@given(logs())
def test_what_no_later_event_supersedes_is_live(events: list[ConsentEvent]) -> None:
    log = LiveLog(events, proof_of)
    live = [one for one in events if not any(supersedes(other, one) for other in events)]
    assert log.events == live
    assert log.former == {one.id for one in events} - {one.id for one in live}
    assert log.next_seq == (events[-1].seq + 1 if events else 1)
    for proof in (None, Proof.TOKEN):
        assert log.count(proof) == sum(one.proof is proof for one in live)
    for purpose in ("analytics", "marketing"):
        about = [one for one in events if one.statement.purpose == purpose]
        assert log.last(purpose, None) == find_last(events, purpose)
        assert log.newest(purpose, None) == (about[-1].id if about else None)
        assert log.last(purpose, "acme") is None


@given(logs())
def test_an_event_that_would_supersede_another_is_known_before_it_is_appended(events: list[ConsentEvent]) -> None:
    for number, one in enumerate(events):
        log = LiveLog(events[:number], proof_of)
        assert log.supersedes_any(one) is any(supersedes(one, other) for other in log.events)
        assert LiveLog(events[number:], proof_of).events == LiveLog(reversed(events[number:]), proof_of).events


def test_a_log_of_equal_statements_in_turn_has_two_that_are_live() -> None:
    log = LiveLog((event("given" if n % 2 else "withdrawn", n, n) for n in range(50)), proof_of)
    assert [one.seq for one in log.events] == [48, 49]


def test_a_repeat_takes_the_place_of_the_event() -> None:
    refused, given_ = event("refused", 2, 1), event("given", 1, 2)
    log = LiveLog([refused, given_], proof_of)
    again = log.repeat(refused, Millis(7))
    assert again == replace(refused, repeated_at=Millis(7))
    assert log.events == [again, given_]
    assert log.last("analytics", None) == again
    assert not log.supersedes_any(event("refused", 6, 3))
    assert log.supersedes_any(event("refused", 7, 3))


def test_a_repeat_is_a_later_carried_statement_of_the_same_content() -> None:
    last = event("given", 5, assurance=1)
    again = replace(last.statement, effective_at=Millis(9), assurance=0)
    assert is_repeat(again, last)
    assert not is_repeat(replace(again, assurance=1), last)
    assert not is_repeat(replace(again, effective_at=Millis(4)), last)
    assert not is_repeat(replace(again, state=ConsentState.REFUSED), last)
    assert not is_repeat(replace(again, expires_at=Millis(50)), last)
