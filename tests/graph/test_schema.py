"""What statements use and what the schema declares are the same, in both directions.

`tests/usage.py` reads the statements. Names that no statement spells, because Python adds them, are listed here:
`SET e += row.facts` writes them, `properties(n)` hands them to a function that takes them apart.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from functools import cache
from typing import Any

import pytest

from graph import schema
from graph.catalogue.reading import parse_item
from graph.consent.log import parse_events
from graph.model.consent import ConsentStatement
from graph.model.segments import RfmFacts
from graph.schema import NODES, RELATIONSHIPS, UNIQUE_KEYS, Erasure, InteractionType, Label, Property, Rel
from graph.segments.rfm import parse_rfm
from privacy.fields import Category
from tests.usage import (
    EITHER,
    ROOT,
    WHOLE,
    Access,
    Statement,
    Unattributed,
    Use,
    find_modules,
    find_patterns,
    find_statements,
    read_usage,
)

TYPES = frozenset(type_.value for type_ in InteractionType)
UNTYPED = {Label.SESSION.value: TYPES}
"""A relationship without a type that starts at a session is any interaction."""

STATED = frozenset(each.name for each in fields(ConsentStatement))
WRITTEN_WHOLE = {(Label.CONSENT_EVENT, "graph.consent.log"): STATED | {"seq", "received_at", "proof", "reach"}}
"""What `SET n += …` writes, by label and module."""

FACTS = ("title", "category", "price", "available", "year", "attributes", "topics")
REMOVED = {("Item", name) for name in ("created_at", *(f"{fact}_rank" for fact in FACTS))} | {("COUNTS_FOR", "to")}
"""Properties of earlier versions, by label or type. A migration step names them, to remove them."""

NOT_READ, NOT_WRITTEN, NOT_FOLLOWED = "No statement reads it.", "Nothing writes it.", "No statement follows it"


def names_taken(function: Callable[..., Any], row: str = "row") -> set[str]:
    """The names that a function takes from its row: `row["x"]` and `row.get("x")`."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
        match node:
            case ast.Subscript(value=ast.Name(id=name), slice=ast.Constant(value=str(key))) if name == row:
                found.add(key)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str(key)), *_]
            ) if name == row:
                found.add(key)
    return found


READ_WHOLE = {
    Label.ITEM: names_taken(parse_item),
    Label.CONSENT_EVENT: names_taken(parse_events) | STATED,
    Label.USER: names_taken(parse_rfm) | {f"rfm_{name}" for name in RfmFacts.__slots__},
}
"""What Python takes from `properties(n)`, by label."""


@dataclass(slots=True)
class Found:
    """What all statements together use."""

    labels: set[str] = field(default_factory=set)
    types: set[str] = field(default_factory=set)
    followed: set[str] = field(default_factory=set)
    ends: set[tuple[str, str, str]] = field(default_factory=set)
    uses: set[tuple[str, Use]] = field(default_factory=set)

    def __or__(self, other: Found) -> Found:
        return Found(*(getattr(self, each.name) | getattr(other, each.name) for each in fields(Found)))

    def names(self, owner: str, *accesses: Access) -> set[str]:
        """The properties of a label or type that are used in one of these ways."""
        return {use.name for _, use in self.uses if use.owner == owner and use.access in accesses}

    def writers(self, owner: str, name: str) -> set[str]:
        """The modules that write a property."""
        return {module for module, use in self.uses if use == Use(owner, name, Access.WRITE)}


def collect(statements: Iterable[Statement]) -> Found:
    found = Found()
    for statement in statements:
        try:
            usage = read_usage(statement.text, UNTYPED)
        except Unattributed as error:
            raise Unattributed(f"{statement.module}.{statement.name}: {error}") from None
        found.labels |= usage.labels
        found.types |= usage.types
        found.followed |= usage.followed
        found.ends |= usage.ends
        uses = {each for use in usage.uses for each in spell_out(statement.module, use)}
        if statement.module.startswith("migrations.m"):
            uses = {use for use in uses if (use.owner, use.name) not in REMOVED}
        found.uses |= {(statement.module, use) for use in uses}
    return found


def spell_out(module: str, use: Use) -> Iterator[Use]:
    """A use of all properties at once as the names that Python adds, and one of a relationship of several types as
    those of the types that declare the property."""
    if EITHER in use.owner:
        types = use.owner.split(EITHER)
        declaring = [name for name in types if any(each.name == use.name for each in dict(owners()).get(name, ()))]
        yield from (Use(name, use.name, use.access) for name in declaring or types)
        return
    if use.name != WHOLE:
        yield use
        return
    label = Label(use.owner)
    names = READ_WHOLE[label] if use.access is Access.READ else WRITTEN_WHOLE[label, module]
    yield from (Use(use.owner, name, use.access) for name in names)


def owners() -> Iterator[tuple[str, tuple[Property, ...]]]:
    """Every label and relationship type with its properties."""
    yield from ((label.value, node.properties) for label, node in NODES.items())
    yield from ((name.value, each.properties) for name, each in RELATIONSHIPS.items())


def find_faults(found: Found) -> list[str]:
    """Where statements and schema differ, either way."""
    faults = [f"label {name}" for name in found.labels ^ {label.value for label in NODES}]
    faults += [f"type {name}" for name in found.types ^ {name.value for name in RELATIONSHIPS}]
    for owner, properties in owners():
        declared = {each.name for each in properties}
        used = found.names(owner, Access.READ, Access.WRITE)
        faults += [f"undeclared {owner}.{name}" for name in found.names(owner, *Access) - declared]
        faults += [f"unused {owner}.{name}" for name in declared - used]
        for each in properties:
            if found.writers(owner, each.name) != set(each.writers):
                faults.append(f"writers of {owner}.{each.name}")
            if (each.name not in found.names(owner, Access.READ)) != (NOT_READ in each.meaning):
                faults.append(f"whether {owner}.{each.name} is read")
    return sorted(faults)


@cache
def everything() -> Found:
    return collect(find_statements())


def test_statements_and_schema_agree_in_both_directions() -> None:
    assert find_faults(everything()) == []


def test_statements_and_schema_have_the_same_labels() -> None:
    assert everything().labels == {label.value for label in Label}
    assert set(NODES) == set(Label)


def test_statements_and_schema_have_the_same_relationship_types() -> None:
    assert everything().types == {rel.value for rel in Rel} | TYPES
    assert set(RELATIONSHIPS) == {*Rel, *InteractionType}


def test_a_label_and_a_relationship_type_never_share_a_name() -> None:
    types = {rel.value for rel in Rel} | TYPES
    assert not {label.value.upper() for label in Label} & types


@pytest.mark.parametrize("name", list(RELATIONSHIPS))
def test_relationships_start_and_end_where_the_schema_says(name: Rel | InteractionType) -> None:
    declared, found = RELATIONSHIPS[name], everything().ends
    assert {start for type_, start, _ in found if type_ == name} == set(declared.starts)
    assert {end for type_, _, end in found if type_ == name} == set(declared.ends)
    assert (name not in everything().followed) == (NOT_FOLLOWED in declared.meaning)


def test_no_statement_is_missed() -> None:
    statements = find_statements()
    assert len(find_modules()) >= 37
    assert len(statements) >= 175
    for path in find_modules():
        for text in find_patterns(path):
            assert any(text in statement.text for statement in statements), f"{path.relative_to(ROOT)}: {text}"


def test_functions_that_read_whole_nodes_are_inspected() -> None:
    """Functions that take a node apart read what this test believes they do, and no more."""
    assert {"key", "title", "updated_at"} <= READ_WHOLE[Label.ITEM]
    assert {"id", "seq", "received_at", "repeated_at", "state"} <= names_taken(parse_events)
    assert names_taken(parse_rfm) == {"rfm_cell"}


# What is declared


def test_every_unique_key_is_a_declared_property() -> None:
    assert {label: node.key for label, node in NODES.items()} == UNIQUE_KEYS
    for node in NODES.values():
        assert node.key in {each.name for each in node.properties}


def test_names_are_declared_once_and_everything_is_explained() -> None:
    for owner, properties in owners():
        names = [each.name for each in properties]
        assert len(names) == len(set(names)), owner
        for each in properties:
            assert each.meaning.endswith((".", "…")), f"{owner}.{each.name}"
            assert (each.writers == ()) == (NOT_WRITTEN in each.meaning), f"{owner}.{each.name}"
    assert all(each.meaning for each in (*NODES.values(), *RELATIONSHIPS.values()))


def test_every_term_is_explained_and_in_use() -> None:
    properties = [each for _, found in owners() for each in found]
    assert set(schema.VALUE_TYPES) == set(schema.ValueType) == {each.type for each in properties}
    assert set(schema.DATA_CATEGORIES) == set(schema.DataCategory)
    assert set(schema.ERASURES) == set(Erasure) == {each.erasure for each in properties}


def test_field_categories_are_a_subset_of_data_categories() -> None:
    assert {category.value for category in Category} < {category.value for category in schema.DataCategory}


ALLOWED = {
    Erasure.KEEP: {Erasure.KEEP, Erasure.RECOMPUTE},
    Erasure.DELETE: {Erasure.DELETE, Erasure.TOMBSTONE},
    Erasure.DELETE_UNSHARED: {Erasure.DELETE_UNSHARED, Erasure.RECOMPUTE},
    Erasure.RECOMPUTE: {Erasure.RECOMPUTE},
}
"""What may become of a property, by what becomes of its node or relationship."""


def test_the_erasure_of_a_property_fits_that_of_its_node() -> None:
    for each in (*NODES.values(), *RELATIONSHIPS.values()):
        for one in each.properties:
            assert one.erasure in ALLOWED[each.erasure], one.name
            assert one.category is None or one.erasure is not Erasure.KEEP, f"personal data stays: {one.name}"


def test_a_relationship_of_a_deleted_node_is_deleted() -> None:
    for each in RELATIONSHIPS.values():
        deleted = {Erasure.DELETE} & {NODES[label].erasure for label in (*each.starts, *each.ends)}
        assert each.erasure is (Erasure.DELETE if deleted else Erasure.KEEP), each.name


# Seeded violations

SEEDED = {
    "set": ("MATCH (u:User) SET u.shoe_size = 1", ["undeclared User.shoe_size"]),
    "set of a relationship": ("MATCH (:User)-[m:IN_SEGMENT]->() SET m.mood = 1", ["undeclared IN_SEGMENT.mood"]),
    "set in a loop": ("MATCH (i:Item) FOREACH (_ IN [1] | SET i.colour = 1)", ["undeclared Item.colour"]),
    "removal": ("MATCH (u:User) REMOVE u.rfm_run, u.shoe_size", ["undeclared User.shoe_size"]),
    "map of a node": (
        "MERGE (t:Topic {key: $key, colour: $colour})",
        ["undeclared Topic.colour", "writers of Topic.key"],
    ),
    "map of a relationship": (
        "MATCH (a:User) MATCH (b:User) CREATE (a)-[:RETIRED_INTO {why: 2}]->(b)",
        ["undeclared RETIRED_INTO.why"],
    ),
    "return": ("MATCH (u:User) RETURN u.shoe_size AS size", ["undeclared User.shoe_size"]),
    "value in a map": ("MATCH (u:User) MATCH (t:Topic {key: u.taste}) RETURN 1", ["undeclared User.taste"]),
    "condition": ("MATCH (n) WHERE n:Topic AND n.colour = 1 RETURN 1", ["undeclared Topic.colour"]),
    "comprehension": (
        "MATCH (i:Item) RETURN [(i)-[a:ABOUT]->(t:Topic) | [t.colour, a.mood]]",
        ["undeclared ABOUT.mood", "undeclared Topic.colour"],
    ),
    "subquery": ("RETURN COUNT { MATCH (t:Topic) WHERE t.colour = 1 } AS n", ["undeclared Topic.colour"]),
    "renamed": ("MATCH (t:Topic) WITH t AS topic RETURN topic.colour", ["undeclared Topic.colour"]),
    "from all properties": ("MATCH (i:Item) WITH properties(i) AS all RETURN all.colour", ["undeclared Item.colour"]),
    "end of a relationship": (
        "MATCH (:Record)-[l:LINKED]-(:Record) RETURN startNode(l).mood",
        ["undeclared Record.mood"],
    ),
    "any interaction": (
        "MATCH (:Session)-[x]->(j) RETURN x.mood",
        [f"undeclared {name}.mood" for name in sorted(TYPES)],
    ),
    "either type": (
        "MATCH (:Record)-[h:IDENTIFIED_BY|CLAIMS]->(:Identifier) RETURN h.mood",
        ["undeclared CLAIMS.mood", "undeclared IDENTIFIED_BY.mood"],
    ),
    "definition": ("CREATE INDEX n IF NOT EXISTS FOR (n:Topic) ON (n.colour)", ["undeclared Topic.colour"]),
    "label": ("MATCH (x:Robot) RETURN 1", ["label Robot"]),
    "label in a condition": ("MATCH (x) WHERE x:Robot RETURN 1", ["label Robot"]),
    "relationship type": ("MATCH (:User)-[:ADMIRES]->(:User) RETURN 1", ["type ADMIRES"]),
    "writer": ("MATCH (u:User) SET u.rfm_cell = '1'", ["writers of User.rfm_cell"]),
    "reader": ("MATCH (s:Session) RETURN s.events", ["whether Session.events is read"]),
}


@pytest.mark.parametrize(("text", "faults"), SEEDED.values(), ids=SEEDED.keys())
def test_a_violation_is_found(text: str, faults: list[str]) -> None:
    seeded = collect([Statement("graph.seeded", "WRITE_SEEDED", text)])
    assert find_faults(everything() | seeded) == faults


@pytest.mark.parametrize(
    "text",
    [
        "MATCH (n) RETURN n.name",
        "MATCH (n:User)-[x]->(:Segment) RETURN x.since",
        "MATCH (u:User) RETURN u[$name]",
        "MATCH (u:User) RETURN u {.id}",
        "MATCH (u:User)--(:Record) RETURN u.id",
        "MATCH (u:User) RETURN head(collect(u)).id",
        "MATCH (u:User) RETURN v.id",
    ],
)
def test_a_use_that_cannot_be_attributed_is_refused(text: str) -> None:
    with pytest.raises(Unattributed):
        read_usage(text, UNTYPED)


@pytest.mark.parametrize("text", ["MATCH (t:Topic) SET t += $facts", "MATCH (t:Topic) RETURN properties(t) AS t"])
def test_all_properties_at_once_need_an_entry_here(text: str) -> None:
    with pytest.raises(KeyError):
        collect([Statement("graph.seeded", "WRITE_SEEDED", text)])


def test_a_declared_property_that_nothing_uses_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    spare = Property("spare", schema.STRING, None, Erasure.KEEP, (), f"Unused. {NOT_WRITTEN} {NOT_READ}")
    topic = NODES[Label.TOPIC]
    monkeypatch.setitem(NODES, Label.TOPIC, replace(topic, properties=(*topic.properties, spare)))
    assert find_faults(everything()) == ["unused Topic.spare"]


def test_properties_used_only_by_a_removed_statement_are_found() -> None:
    rest = [one for one in find_statements() if one.name != "WRITE_REFUSED_IDENTIFIERS"]
    assert find_faults(collect(rest)) == [
        "unused Identifier.refused_at",
        "writers of Identifier.refused",
        "writers of Identifier.refused_at",
    ]
