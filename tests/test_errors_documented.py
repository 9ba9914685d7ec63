"""Every code that can leave has a page under `docs/errors/`, and every page says what the code does."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from api.collection.reasons import RejectionReason
from api.errors import (
    ERROR_PAGES,
    INTERRUPT_EXIT,
    INTERRUPTED,
    MAPPINGS,
    METHOD_NOT_ALLOWED,
    REQUEST_TIMEOUT,
    USAGE,
    USAGE_EXIT,
    documentation_of,
)
from graph.errors import ConsentricError

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "graph", "resolvers", "algorithms", "privacy", "migrations")
REJECTIONS, INDEX = "rejections", "README"
QUOTED = re.compile(r"^(?:\| |- )(`+)(.+?)\1(?!`)", re.MULTILINE)
"""A quoted message: a code span that opens a row or an item. `…` stands for what varies."""


def error_classes() -> set[type[ConsentricError]]:
    """All error classes of the project, wherever they are defined."""
    for package in PACKAGES:
        for module in pkgutil.walk_packages([str(ROOT / package)], f"{package}."):
            importlib.import_module(module.name)
    found: set[type[ConsentricError]] = {ConsentricError}
    while more := {below for each in found for below in each.__subclasses__()} - found:
        found |= more
    return {each for each in found if each.__module__.partition(".")[0] in PACKAGES}


def outcomes() -> dict[str, tuple[int | None, int | None]]:
    """Every code that can leave, with its HTTP status and its exit code."""
    return {kind.code: (mapping.status, mapping.exit_code) for kind, mapping in MAPPINGS.items()} | {
        METHOD_NOT_ALLOWED: (405, None),
        REQUEST_TIMEOUT: (408, None),
        USAGE: (None, USAGE_EXIT),
        INTERRUPTED: (None, INTERRUPT_EXIT),
    }


def page(name: str) -> str:
    return (ERROR_PAGES / f"{name}.md").read_text(encoding="utf-8")


def shown(number: int | None) -> str:
    return "none" if number is None else str(number)


def examples(text: str) -> Iterator[dict[str, str]]:
    """The errors in a page's examples: objects that hold a code."""
    for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL):
        example = json.loads(block)
        for error in example.get("errors", [example.get("error")]):
            yield error.get("extensions", error)


@cache
def sources() -> str:
    """Every text in the code, one per line; those of an f-string in pieces."""
    texts = [
        node.value
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return "\n".join(texts)


def test_two_classes_share_a_code_only_by_inheritance() -> None:
    own = [kind.code for kind in error_classes() if "code" in vars(kind)] + [METHOD_NOT_ALLOWED, USAGE, INTERRUPTED]
    assert sorted(own) == sorted(set(own))


def test_a_class_with_a_code_of_its_own_has_a_row_of_its_own() -> None:
    own = {kind for kind in error_classes() if "code" in vars(kind)}
    assert len(own) >= 15
    assert own <= set(MAPPINGS)


def test_every_code_has_a_page_and_every_page_a_code() -> None:
    assert {path.stem for path in ERROR_PAGES.iterdir()} == set(outcomes()) | {REJECTIONS, INDEX}


@pytest.mark.parametrize("code", sorted(outcomes()))
def test_a_page_states_status_and_exit_code(code: str) -> None:
    text = page(code)
    status, exit_code = outcomes()[code]
    assert text.startswith(f"# {code}\n")
    assert re.search(rf"^\| HTTP status \| {shown(status)}\b", text, re.MULTILINE)
    assert re.search(rf"^\| exit code \| {shown(exit_code)}\b", text, re.MULTILINE)
    for title in ("Causes", "What to do", "Example"):
        assert f"\n## {title}\n" in text


@pytest.mark.parametrize("code", sorted(outcomes()))
def test_an_example_has_the_code_and_the_link_of_its_page(code: str) -> None:
    found = list(examples(page(code)))
    assert found
    for error in found:
        assert error["code"] == code
        assert error["documentation"] in (documentation_of(code), f"docs/errors/{code}.md")


def test_the_index_lists_every_page_with_its_status_and_exit_code() -> None:
    text = page(INDEX)
    for code, (status, exit_code) in outcomes().items():
        assert f"| [{code}]({code}.md) | {shown(status)} | {shown(exit_code)} |" in text
    assert f"({REJECTIONS}.md)" in text
    assert len(list(examples(text))) == 3


def test_every_rejection_reason_is_explained() -> None:
    headings = re.findall(r"^## (.+)$", page(REJECTIONS), re.MULTILINE)
    assert sorted(headings) == sorted(RejectionReason)


@pytest.mark.parametrize("name", [*sorted(outcomes()), REJECTIONS])
def test_quoted_messages_are_in_the_code(name: str) -> None:
    for _, message in QUOTED.findall(page(name)):
        pieces = [piece.strip(" .") for piece in message.split("…")]
        assert max(map(len, pieces)) >= 8, message
        for piece in pieces:
            assert piece in sources(), message


@pytest.mark.parametrize("path", sorted(ERROR_PAGES.iterdir()), ids=lambda path: path.name)
def test_links_between_pages_have_a_target(path: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        file, _, anchor = target.partition("#")
        text = (ERROR_PAGES / file).read_text(encoding="utf-8")
        assert not anchor or f"\n## {anchor}\n" in text
