"""The documents agree with the tree: links lead somewhere, files and commands that are named exist."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from privacy.fields import Category
from privacy.policy import Policy

ROOT = Path(__file__).parent.parent
TOP = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "THIRD_PARTY_NOTICES.md")
PACKAGES = ("api", "graph", "resolvers", "algorithms", "privacy", "migrations")
FOLDERS = (*PACKAGES, "tests", "docs", "dev", "benchmarks", ".ci")
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"`([^`\n]+)`")
PATH = re.compile(r"[\w.][\w./*-]*\.(?:py|md|json|toml|yaml|lock|graphql|properties|js|css)|[\w.]+(?:/[\w*-]+)*/")
DOMAINS = {
    "identity", "consent", "activity", "catalogue", "segments", "recommendation", "collection", "access", "profile",
    "audit",
}  # fmt: skip
EXAMPLES = {"nationality", "research", "CONSENTRIC_POLICY"}
OWN_PAGE_FILES = {"README.md", "page.html", "start.js"}


def documents() -> list[Path]:
    found = [ROOT / name for name in TOP] + sorted((ROOT / "docs").rglob("*.md"))
    assert len(found) > 10
    return found


def prose(path: Path) -> str:
    return FENCED.sub("", path.read_text(encoding="utf-8"))


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose(path), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def missing_links(path: Path) -> Iterator[str]:
    for link in LINK.findall(prose(path)):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        if not target.exists() or (anchor and anchor not in anchors(target)):
            yield link


def missing_files(path: Path) -> Iterator[str]:
    """File names in code spans. A module or page named without its folder may be anywhere; a path starts at the root or
    beside the document; capitals stand for a name to be chosen."""
    for span in CODE.findall(prose(path)):
        name = span.split("::")[0]
        if not PATH.fullmatch(name) or re.search(r"(^|[/_])[A-Z]{2,}([./]|$)", name.removesuffix("README.md")):
            continue
        if "/" not in name and not name.endswith((".py", ".md")):
            continue
        if "/" in name and not (name.split("/")[0] in FOLDERS or (path.parent / name.split("/")[0]).is_dir()):
            continue
        if not any(any(folder.glob(name)) for folder in (ROOT, path.parent)) and not found_anywhere(name):
            yield span


def found_anywhere(name: str) -> bool:
    return "/" not in name and any(any((ROOT / folder).rglob(name)) for folder in FOLDERS)


@pytest.mark.parametrize("path", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_and_named_files_exist(path: Path) -> None:
    assert not sorted({*missing_links(path), *missing_files(path)}), "a link or a file that is named leads nowhere"


def test_docstrings_and_comments_name_files_that_exist() -> None:
    modules = [path for package in (*PACKAGES, "benchmarks", "dev") for path in sorted((ROOT / package).rglob("*.py"))]
    assert len(modules) > 150
    missing = {str(path.relative_to(ROOT)): sorted(missing_files(path)) for path in modules}
    assert not {path: names for path, names in missing.items() if names}


def test_missing_links_and_files_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A title\n[a](#a-title) [b](gone.md) [c](#gone) [d](https://example.org)\n"
        "`graph/gone.py` `graph/gone/` `gone.py`\n"
        "`api/app.py` `graph/` `docs/errors/CODE.md` `tests/**/test_*.py` `a/b.py` `application/json` `x == y.py`\n"
        "```\n`graph/fenced.py`\n```\n",
        encoding="utf-8",
    )
    assert list(missing_links(page)) == ["gone.md", "#gone"]
    assert list(missing_files(page)) == ["graph/gone.py", "graph/gone/", "gone.py"]


def test_make_targets_that_are_named_exist() -> None:
    targets = set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = "\n".join(path.read_text(encoding="utf-8") for path in documents())
    named = set(re.findall(r"(?:^|`)make ([a-z][a-z0-9-]*)", text, re.MULTILINE))
    assert {"demo", "test", "check"} <= named <= targets


def test_recipes_name_things_that_are_in_the_files() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.partition("## Where to add")[2].partition("\n## ")[0]
    steps = re.split(r"\n(?=\d+\. |\| |\n)", FENCED.sub("", section))
    checked = 0
    for step in steps:
        spans = CODE.findall(step)
        sources = [
            (ROOT / name).read_text(encoding="utf-8")
            for name in spans
            if (ROOT / name).suffix == ".py" and "NAME" not in name
        ]
        for name in (span for span in spans if sources and re.fullmatch(r"\w+", span) and span not in EXAMPLES):
            assert any(re.search(rf"\b{name}\b", source) for source in sources), (
                f"{name} is not in the files of: {step}"
            )
            checked += 1
    assert checked > 15


def test_the_policy_in_the_readme_is_valid() -> None:
    (snippet,) = re.findall(r"```toml\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
    policy = Policy.parse(tomllib.loads(snippet))
    assert policy.purposes.keys() - Policy.default().purposes.keys() == {"research"}
    added = {key for key, seen_by in policy.categories.items() if seen_by != Policy.default().categories[key]}
    assert added == {Category.DEMOGRAPHICS}
    assert policy.categories[Category.DEMOGRAPHICS] > Policy.default().categories[Category.DEMOGRAPHICS]


def test_the_readme_has_a_row_for_every_domain() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rooms = set(re.findall(r"^\| \*\*(\w+)\*\* \|", text, re.MULTILINE))
    assert rooms == DOMAINS
    folders = {
        folder.name
        for package in PACKAGES
        for folder in (ROOT / package).iterdir()
        if folder.is_dir() and any(folder.glob("*.py"))
    }
    assert folders - DOMAINS <= {"model", "store", "embedded", "graphql", "http", "process", "export", "cli", "demo"}


def test_every_bundled_file_is_in_the_notices() -> None:
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
    bundled = {
        path.name
        for folder in (ROOT / "api").rglob("static")
        for path in folder.rglob("*")
        if path.is_file() and path.name not in OWN_PAGE_FILES
    }
    assert {"graphiql.min.js", "react.production.min.js"} <= bundled
    assert not sorted(name for name in bundled if f"`{name}`" not in notices)


def test_every_dependency_is_in_the_notices() -> None:
    notices = (ROOT / "THIRD_PARTY_NOTICES.md").read_text(encoding="utf-8")
    listed = notices.partition("## Installed")[2].partition("No package")[0]
    words = {word for row in re.findall(r"^\| (.+?) \|", listed, re.MULTILINE) for word in row.split(", ")}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert words - {"package", "---"} == {Requirement(text).name for text in project["dependencies"]}


def test_no_runtime_dependency_is_under_the_gpl() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    pending, seen = [Requirement(text) for text in project["dependencies"]], set[str]()
    while pending:
        need = pending.pop()
        if need.name in seen or (need.marker and not need.marker.evaluate({"extra": ""})):
            continue
        seen.add(need.name)
        facts = distribution(need.name).metadata
        licences = [facts.get("License-Expression") or "", *(facts.get_all("Classifier") or ())]
        assert not [text for text in licences if re.search(r"\bA?GPL|General Public", text)], need.name
        pending += [Requirement(text) for text in requires(need.name) or ()]
    assert len(seen) > 40


def test_the_licence_matches_its_declaration() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert text.lstrip().startswith("Apache License\n                           Version 2.0, January 2004")
    assert "END OF TERMS AND CONDITIONS" in text
