"""How commands print JSON."""

from __future__ import annotations

import pytest

from api.cli.console import print_json
from graph.model.segments import SegmentKey
from resolvers.segments.communities import CommunityReport, Distinction


def test_named_tuples_are_lists_in_json(capsys: pytest.CaptureFixture[str]) -> None:
    print_json(CommunityReport(SegmentKey("community_1"), "War", 2, [Distinction("War", 0.5, 2.0)], []))
    expected = '{"key":"community_1","title":"War","size":2,"topics":[["War",0.5,2.0]],"items":[]}\n'
    assert capsys.readouterr().out == expected


def test_a_value_that_is_not_json_is_refused() -> None:
    with pytest.raises(TypeError):
        print_json({"members": {"u1"}})
