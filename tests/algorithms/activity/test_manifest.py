"""Manifests: a hash that proves whose data was used, and a filter that can be asked."""

from __future__ import annotations

from hashlib import sha256

from algorithms.activity.manifest import find_members, make_manifest
from graph.model.identity import UserId
from graph.model.recommendation import RunId

A, B = UserId("a"), UserId("b")
RUN = RunId("r")


def test_a_manifest_does_not_depend_on_the_order_of_people() -> None:
    epochs = {A: 7, B: 2, UserId("c"): 9}
    found = make_manifest(RUN, [B, A], epochs)
    assert found == make_manifest(RUN, (A, B), epochs)
    assert (found.people, found.epoch, found.people_sha256) == (2, 7, sha256(b"a\nb\n").hexdigest())
    assert make_manifest(RUN, [], epochs).people_sha256 == sha256(b"").hexdigest()


def test_a_filter_holds_everybody_used_and_few_others() -> None:
    used = [UserId(f"u{number}") for number in range(2000)]
    others = [UserId(f"v{number}") for number in range(2000)]
    members = make_manifest(RUN, used, dict.fromkeys(used, 1)).members
    assert find_members(members, RUN, used) == set(used)
    assert len(find_members(members, RUN, others)) <= 1


def test_each_run_has_a_filter_of_its_own() -> None:
    used = [UserId(f"u{number}") for number in range(500)]
    first, second = (make_manifest(RunId(run), used, dict.fromkeys(used, 1)).members for run in ("r1", "r2"))
    assert first != second
    assert find_members(first, RunId("r2"), used) != set(used)


def test_nobody_is_in_an_empty_or_absent_filter() -> None:
    assert find_members(make_manifest(RUN, [], {}).members, RUN, [A]) == set()
    assert find_members("", RUN, [A]) == set()
