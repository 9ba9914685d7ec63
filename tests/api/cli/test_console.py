"""How commands print JSON."""

from __future__ import annotations

import pytest

from api.cli.console import count_of, print_json, print_table, read_instant_option
from graph.errors import BadInput
from graph.model.segments import SegmentKey
from resolvers.segments.communities import CommunityReport, Distinction


def test_named_tuples_are_lists_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(CommunityReport(SegmentKey("community_1"), "War", 2, [Distinction("War", 0.5, 2.0)], []))
    expected = '{"key":"community_1","title":"War","size":2,"topics":[["War",0.5,2.0]],"items":[]}\n'
    assert capsys.readouterr().out == expected


def test_a_value_that_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError):
        print_json({"members": {"u1"}})


def test_an_option_takes_a_date_or_an_instant() -> None:
    assert read_instant_option("--as-of", None) is None
    assert read_instant_option("--as-of", "1970-01-02") == 86_400_000
    assert read_instant_option("--as-of", "1970-01-01T02:00:00+01:00") == 3_600_000
    with pytest.raises(BadInput, match="--as-of: give a date"):
        read_instant_option("--as-of", "yesterday")


def test_one_thing_is_counted_in_the_singular() -> None:
    assert [count_of(number, "pair", "pairs") for number in (0, 1, 1200)] == ["0 pairs", "1 pair", "1,200 pairs"]


def test_whole_columns_are_not_broken(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    print_table(
        "Sources",
        ("what it is", "keys"),
        [("one two three four five six", "sxehc39ejd9m\nhc39ejd9msxe")],
        whole=("keys",),
    )
    shown = capsys.readouterr().out
    assert "sxehc39ejd9m" in shown
    assert "hc39ejd9msxe" in shown
