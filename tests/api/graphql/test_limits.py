"""Measuring is linear in the size of the document, and each limit is enforced."""

from __future__ import annotations

import pytest
from graphql import parse

from api.graphql.introspection import close_schema
from api.graphql.limits import Limits, Meter
from api.graphql.operations import DocumentRefused, Documents, estimate_bytes
from api.graphql.schema import GRAPHQL_SCHEMA
from graph.errors import QueryTooComplex


def measure(text: str, **variables: object) -> Meter:
    meter = Meter(GRAPHQL_SCHEMA, parse(text), Limits(), variables)
    meter.check()
    return meter


def bomb(levels: int, width: int = 2) -> str:
    """Returns a query whose fragments each spread the next `width` times: width ** levels fields when expanded."""
    lines = [f"fragment f{n} on Profile {{ {f'...f{n + 1} ' * width} }}" for n in range(levels)]
    return " ".join(["{ me { ...f0 } }", *lines, f"fragment f{levels} on Profile {{ email }}"])


@pytest.mark.parametrize("levels", [5, 10, 20, 28])
def test_a_fragment_bomb_costs_no_more_than_its_text(levels: int) -> None:
    meter = Meter(GRAPHQL_SCHEMA, parse(bomb(levels)), Limits())
    if 2**levels > Limits().breadth:
        with pytest.raises(QueryTooComplex):
            meter.check()
    else:
        meter.check()
    assert meter.visits <= 2 + 2 * levels + 1


def test_a_small_bomb_is_refused_by_its_size_alone() -> None:
    text = bomb(16)
    assert len(text) < 1200
    documents = Documents(GRAPHQL_SCHEMA, Limits())
    with pytest.raises(DocumentRefused) as refused:
        documents.prepare(text, {})
    assert isinstance(refused.value.errors[0].original_error, QueryTooComplex)
    assert len(documents) == 0


def test_bombs_in_nested_fields_and_unused_fragments_are_refused() -> None:
    levels = 25
    nested = " ".join(f"fragment s{n} on Segment {{ a: key ...s{n + 1} b: key ...s{n + 1} }}" for n in range(levels))
    text = f"{{ purposes {{ key }} }} {nested} fragment s{levels} on Segment {{ key }}"
    meter = Meter(GRAPHQL_SCHEMA, parse(text), Limits())
    with pytest.raises(QueryTooComplex):
        meter.check()
    assert meter.visits <= 2 + 4 * levels + 1


def test_fragment_cycles_are_measured_and_refused() -> None:
    text = "{ me { ...a } } fragment a on Profile { ...b email } fragment b on Profile { ...a phone }"
    assert measure(text).visits <= 6
    with pytest.raises(DocumentRefused) as refused:
        Documents(GRAPHQL_SCHEMA, Limits()).prepare(text, {})
    assert "itself" in refused.value.errors[0].message


def deep(levels: int) -> str:
    return "{ " + "me { " * 0 + "node(id: 1) { " + "... on Profile { segments { segment { id } } } " * levels + "} }"


CHAIN = " ".join(f"fragment c{n} on Profile {{ ...c{n + 1} }}" for n in range(40)) + " fragment c40 on Profile { id }"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{ " + " ".join(f"a{n}: __typename" for n in range(21)) + " }", "root fields"),
        ("{ me { " + " ".join(f"a{n}: email" for n in range(51)) + " } }", "aliases"),
        ("{ me { " + "email " * 201 + "} }", "fields side by side"),
        ("{ me { " + "address { city } " * 25 + "} }", "fields of one name"),
        ("{ me { ...c } } fragment c on Profile { " + "... { address { city } } " * 25 + "}", "fields of one name"),
        ("{ me { email " + "@skip(if: true) " * 6 + "} }", "directives on one node"),
        ("{ me { " + "email @skip(if: true) " * 51 + "} }", "directives"),
        ("{ me { ...c0 } } " + CHAIN, "nested fragments"),
        ("{ __schema { types " + "{ ofType " * 20 + "{ name }" + " }" * 20 + " } }", "depth of introspection"),
        (
            "{ items(first: 100) { edges { node { " + " ".join(f"topics {{ k{n}: key weight }}" for n in range(24))
            + " } } } }",
            "cost",
        ),
    ],
)  # fmt: skip
def test_each_limit_is_enforced_and_named(text: str, named: str) -> None:
    with pytest.raises(QueryTooComplex, match=f"^{named}: "):
        measure(text)


def test_depth_counts_levels_of_fields() -> None:
    limits = Limits(depth=4)
    shallow = parse("{ me { segments { segment { key } } } }")
    Meter(GRAPHQL_SCHEMA, shallow, limits).check()
    with pytest.raises(QueryTooComplex, match=r"^depth: 5"):
        Meter(GRAPHQL_SCHEMA, parse("{ items(first: 1) { edges { node { topics { key } } } } }"), limits).check()


def cost_of(text: str, **variables: object) -> int:
    for limit in range(1, 20_000):
        try:
            Meter(GRAPHQL_SCHEMA, parse(text), Limits(cost=limit), variables).check()
        except QueryTooComplex:
            continue
        return limit
    raise AssertionError("over 20,000")


def test_cost_is_weight_plus_size_times_children() -> None:
    assert cost_of("{ item(key: 1) { key title } }") == 10 + 2
    assert cost_of("{ items(first: 5) { nodes { key } } }") == 20 + 5 * 2
    assert cost_of("query($n: Int!) { items(first: $n) { nodes { key } } }", n=7) == 20 + 7 * 2
    assert cost_of("query($n: Int!) { items(first: $n) { nodes { key } } }") == 20 + 100 * 2
    assert cost_of("query($n: Int = 3) { items(first: $n) { nodes { key } } }") == 20 + 3 * 2
    assert cost_of("{ items(first: 99999999999999999999) { nodes { key } } }") == 20 + 100 * 2


def test_a_variable_size_is_measured_in_each_request() -> None:
    documents = Documents(GRAPHQL_SCHEMA, Limits(cost=300))
    text = "query($n: Int!) { items(first: $n) { nodes { key title price } } }"
    documents.prepare(text, {"n": 10})
    assert len(documents) == 1
    with pytest.raises(DocumentRefused):
        documents.prepare(text, {"n": 100})
    documents.prepare(text, {"n": 10})


def test_the_document_cache_is_bounded_by_bytes_and_keeps_recently_used_entries() -> None:
    text = "{ purposes { key } }"
    size = estimate_bytes(f"{text} # 0", parse(f"{text} # 0"))
    documents = Documents(GRAPHQL_SCHEMA, Limits(), most_bytes=3 * size)
    kept = documents.prepare(text, {})
    for number in range(10):
        documents.prepare(f"{text} # {number}", {})
        assert documents.prepare(text, {}) is kept
    assert (len(documents), documents.cached_bytes <= 3 * size) == (3, True)


def test_a_large_document_is_not_cached() -> None:
    documents = Documents(GRAPHQL_SCHEMA, Limits(), largest=50_000)
    documents.prepare(f'{{ item(key: "{"x" * 30_000}") {{ key }} }}', {})
    assert (len(documents), documents.cached_bytes) == (0, 0)


def test_what_a_stranger_sends_is_not_cached() -> None:
    documents = Documents(GRAPHQL_SCHEMA, Limits())
    documents.prepare("{ purposes { key } }", {}, remember=False)
    assert len(documents) == 0


def test_a_document_of_many_characters_is_refused_unread() -> None:
    with pytest.raises(DocumentRefused) as refused:
        Documents(GRAPHQL_SCHEMA, Limits()).prepare("{ purposes { key } } #" + "x" * 70_000, {})
    assert "send long values as variables" in refused.value.errors[0].message


FILTERED = (
    "query($w: InteractionFilter, $d: InteractionFilter = {types: []}, $a: String) { me { %s { nodes { id } } } }"
)
SCAN, FIRST_PAGE = 2_000, 20


@pytest.mark.parametrize(
    ("page", "variables", "cost"),
    [
        ("interactions(first: 1)", {}, FIRST_PAGE),
        ("interactions(first: 1, where: null, after: null)", {}, FIRST_PAGE),
        ('interactions(first: 1, where: {item: "i"})', {}, SCAN),
        ("interactions(first: 1, where: {})", {}, SCAN),
        ('interactions(first: 1, after: "c")', {}, SCAN),
        ("interactions(first: 1, where: $w)", {}, FIRST_PAGE),
        ("interactions(first: 1, where: $w)", {"w": None}, FIRST_PAGE),
        ("interactions(first: 1, where: $w)", {"w": {"item": "i"}}, SCAN),
        ("interactions(first: 1, where: $d)", {}, SCAN),
        ("interactions(first: 1, where: $d)", {"d": None}, FIRST_PAGE),
        ("interactions(first: 1, after: $a)", {"a": "c"}, SCAN),
        ('sessions(first: 1, after: "c")', {}, 500),
    ],
)
def test_a_page_that_reads_the_whole_history_costs_more(page: str, variables: dict[str, object], cost: int) -> None:
    assert cost_of(FILTERED % page, **variables) == 20 + cost + 1 + 1


@pytest.mark.parametrize(("arguments", "cost"), [("first: 1", 20), ("first: 1, where: {minYear: 1}", SCAN)])
def test_a_page_that_reads_the_whole_catalogue_costs_more(arguments: str, cost: int) -> None:
    assert cost_of(f"{{ items({arguments}) {{ nodes {{ key }} }} }}") == cost + 1 + 1


@pytest.mark.parametrize(("arguments", "cost"), [("first: 1", 20), ("first: 1, where: {minYear: 1}", SCAN)])
def test_recommendations_that_go_through_the_whole_catalogue_cost_more(arguments: str, cost: int) -> None:
    assert cost_of(f"{{ me {{ recommendations({arguments}) {{ score }} }} }}") == 20 + cost + 1


def test_filtered_pages_by_alias_add_up() -> None:
    def pages(number: int) -> str:
        return " ".join(
            f'a{n}: interactions(first: 1, where: {{item: "{n}"}}) {{ nodes {{ id }} }}' for n in range(number)
        )

    documents = Documents(GRAPHQL_SCHEMA, Limits())
    documents.prepare(f"{{ me {{ {pages(9)} }} }}", {})
    with pytest.raises(DocumentRefused, match="refused"):
        documents.prepare(f"{{ me {{ {pages(10)} }} }}", {})


def test_a_cached_document_is_priced_by_the_filter_of_each_request() -> None:
    documents = Documents(GRAPHQL_SCHEMA, Limits(cost=1_000))
    text = "query($w: InteractionFilter) { me { interactions(first: 1, where: $w) { nodes { id } } } }"
    documents.prepare(text, {})
    assert len(documents) == 1
    with pytest.raises(DocumentRefused):
        documents.prepare(text, {"w": {"item": "i"}})
    documents.prepare(text, {"w": None})


def test_too_many_tokens_are_refused() -> None:
    with pytest.raises(DocumentRefused) as refused:
        Documents(GRAPHQL_SCHEMA, Limits(tokens=50)).prepare("{ " + "a " * 60 + "}", {})
    assert "50 tokens" in refused.value.errors[0].message


def test_production_hides_the_schema_and_suggestions() -> None:
    documents = Documents(close_schema(GRAPHQL_SCHEMA), Limits(), hide_suggestions=True)
    with pytest.raises(DocumentRefused):
        documents.prepare("{ __schema { queryType { name } } }", {})
    with pytest.raises(DocumentRefused) as refused:
        documents.prepare("{ profil { id } }", {})
    assert "Did you mean" not in refused.value.errors[0].message
    with pytest.raises(DocumentRefused) as refused:
        Documents(GRAPHQL_SCHEMA, Limits()).prepare("{ profil { id } }", {})
    assert "Did you mean" in refused.value.errors[0].message


def test_introspection_queries_of_tools_are_accepted() -> None:
    from graphql import get_introspection_query

    Documents(GRAPHQL_SCHEMA, Limits()).prepare(get_introspection_query(), {})
    rich = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True
    )
    Documents(GRAPHQL_SCHEMA, Limits()).prepare(rich, {})


def test_nested_introspection_is_refused() -> None:
    text = "{ __schema { types { fields { type { fields { type { fields { name } } } } } } } }"
    with pytest.raises(DocumentRefused):
        Documents(GRAPHQL_SCHEMA, Limits()).prepare(text, {})
