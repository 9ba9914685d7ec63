"""The house rules that a machine can hold: layers, sizes, docstrings, empty `__init__`, Cypher as constants, and a test
file for each module."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cypher import find_built_statements, find_written_statements

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "graph", "resolvers", "algorithms", "privacy", "migrations")
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 500
MAX_MODULES = 14
TABLES = {"graph/schema.py"}
"""Files that may be longer, because they hold declarations only."""


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_layer_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_module_follows_the_house_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if path.name == "__init__.py":
        assert source.strip() == "", "an __init__.py is empty"
        return
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "a module opens with a docstring that says what belongs in it"
    if str(path.relative_to(ROOT)) not in TABLES:
        assert len(source.splitlines()) <= MAX_FILE_LINES, f"split the file: over {MAX_FILE_LINES} lines"
    long = [f.name for f in functions(tree) if (f.end_lineno or 0) - f.lineno + 1 > MAX_FUNCTION_LINES]
    assert not long, f"over {MAX_FUNCTION_LINES} lines: {long}"
    assert path.stem not in {"utils", "helpers", "common", "misc"}, "name the module after its idea"


DECLARATIONS = (ast.Import, ast.ImportFrom, ast.ClassDef, ast.Assign, ast.AnnAssign, ast.Expr)


def find_code(tree: ast.Module) -> list[int]:
    """The lines on which a module does more than declare: functions, conditions, loops, statements that run."""
    bodies = [tree.body, *(node.body for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]
    lines = [node.lineno for body in bodies for node in body if not isinstance(node, DECLARATIONS)]
    bare = [node for body in bodies for node in body if isinstance(node, ast.Expr)]
    lines += [node.lineno for node in bare if not isinstance(node.value, ast.Constant)]
    return sorted(lines + [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Lambda | ast.IfExp)])


@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_only_declares(name: str) -> None:
    source = (ROOT / name).read_text(encoding="utf-8")
    assert find_code(ast.parse(source)) == []
    assert len(source.splitlines()) > MAX_FILE_LINES, "it needs no exception"


@pytest.mark.parametrize(
    "code",
    ["def f(): ...", "class A:\n    def f(self): ...", "if x: y = 1", "print(1)", "y = lambda: 1", "y = 1 if x else 2"],
)
def test_code_in_a_table_is_found(code: str) -> None:
    assert find_code(ast.parse(code))


STORE_MODULES = sorted(path for package in ("graph", "migrations") for path in (ROOT / package).rglob("*.py"))


def test_the_house_rules_cover_every_module() -> None:
    assert len(modules()) >= 159
    assert len(STORE_MODULES) >= 37


@pytest.mark.parametrize("path", STORE_MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_cypher_is_never_built(path: Path) -> None:
    built = find_built_statements(path.read_text(encoding="utf-8"))
    assert not built, f"a statement is put together at lines {built}: use a constant and parameters"


ABOVE_THE_STORE = [path for path in modules() if path not in STORE_MODULES]


@pytest.mark.parametrize("path", ABOVE_THE_STORE, ids=lambda path: str(path.relative_to(ROOT)))
def test_cypher_stays_in_the_store_modules(path: Path) -> None:
    written = find_written_statements(path.read_text(encoding="utf-8"))
    assert not written, f"a statement is written at lines {written}: move it into graph"


@pytest.mark.parametrize("call", ['client.read("RETURN 1")', 'tx.run(f"RETURN {x}")'])
def test_a_written_statement_is_found(call: str) -> None:
    assert find_written_statements(call) == [1]


BUILT = {
    "f-string": 'await tx.run(f"MATCH (n:{label}) RETURN n")',
    "plus": 'text = "MATCH (n) " + clause\n    await tx.run(text)',
    "percent": 'text = "MATCH (n:%s) RETURN n" % label\n    await tx.run(text)',
    "format": "text = READ_ONE.format(label)\n    await tx.run(text)",
    "join": 'text = " ".join([READ_ONE, clause])\n    await tx.run(text)',
    "replace": 'await tx.run(READ_ONE.replace("User", label))',
    "augmented": "text = READ_ONE\n    text += clause\n    await tx.run(text)",
    "branch": "text = READ_ONE if label else READ_ONE + clause\n    await tx.read(statement=text)",
    "loop": "for text in (READ_ONE, clause + label):\n        await tx.run(text)",
    "parameter": "await tx.run(clause)",
    "passed on": "await send(tx, READ_ONE + clause)",
    "constant of values": "await tx.run(READ_LABEL)",
    "lambda": "return lambda: tx.read(READ_ONE + clause)",
}


@pytest.mark.parametrize("body", BUILT.values(), ids=BUILT.keys())
def test_a_built_statement_is_found(body: str) -> None:
    source = f"""
READ_ONE = "MATCH (n:User) RETURN n"
READ_LABEL = "MATCH (n:" + choose_label() + ") RETURN n"

async def send(tx, statement):
    return await tx.run(statement)

async def read_one(tx, label, clause):
    {body}
"""
    assert len(find_built_statements(source)) == 1


def test_constants_pass_whichever_way_they_reach_the_store() -> None:
    source = """
_END = "RETURN n"
READ_ONE = f"MATCH (n:User) {_END}"
READ_TYPES = {type_: f"MATCH ()-[r:{type_.value}]->() RETURN r" for type_ in InteractionType}
READ_ALL = "MATCH (n) " + "\\n".join(f"WITH n {one}" for one in PARTS)

async def read_one(tx, many, kind):
    for statement, rows in ((READ_ONE, many), (READ_ALL, many)):
        await tx.run(statement, rows=rows)
    statement = READ_ONE if many else READ_ALL
    await tx.run(statement)
    await tx.run((READ_TYPES if many else READ_TYPES)[kind])
"""
    assert find_built_statements(source) == []


def test_no_folder_is_crowded() -> None:
    sizes = Counter(path.parent for path in modules() if path.name != "__init__.py")
    crowded = {str(folder.relative_to(ROOT)): size for folder, size in sizes.items() if size > MAX_MODULES}
    assert not crowded, "a folder this full wants rooms"


LAYERS = ("api", "resolvers", "privacy", "algorithms", "graph")
SAME_AS_IN_THE_SDL = {"ConsentEvent", "ConsentState", "Interaction", "ModelRun", "Purpose", "Withheld"}
"""A GraphQL type and the value it shows; the SDL fixes the name."""
COMMANDS = {"create", "list_", "replay", "revoke"}
"""Functions of `api/cli` named like the command, and at most one use case of the same name."""
ENTRY_POINTS = {"main"}
"""What starts a program."""


def find_shared_names() -> dict[str, list[str]]:
    """The public top-level classes and functions defined in several modules of the layers, with these modules."""
    found = defaultdict(list)
    for path in modules():
        if path.relative_to(ROOT).parts[0] in LAYERS:
            for node in ast.parse(path.read_text(encoding="utf-8")).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and node.name[0] != "_":
                    found[node.name].append(str(path.relative_to(ROOT)))
    return {name: paths for name, paths in found.items() if len(paths) > 1}


def may_be_shared(name: str, paths: list[str]) -> bool:
    types = [path for path in paths if path.startswith("api/graphql/types/")]
    commands = [path for path in paths if path.startswith("api/cli/")]
    return (
        (name in SAME_AS_IN_THE_SDL and len(types) == 1 and len(paths) == 2)
        or (name in COMMANDS and len(paths) - len(commands) <= 1)
        or name in ENTRY_POINTS
    )


def test_no_two_things_share_a_name() -> None:
    shared = {name: paths for name, paths in find_shared_names().items() if not may_be_shared(name, paths)}
    assert not shared, "rename all but one"


def test_a_shared_name_is_allowed_only_if_its_reason_holds() -> None:
    assert may_be_shared("Purpose", ["api/graphql/types/purpose.py", "privacy/purposes.py"])
    assert not may_be_shared("Purpose", ["api/auth.py", "privacy/purposes.py"])
    assert not may_be_shared("Purpose", ["api/graphql/types/purpose.py", "graph/model.py", "privacy/purposes.py"])
    assert not may_be_shared("create", ["api/cli/clients.py", "graph/access/clients.py", "resolvers/access/keys.py"])
    assert not may_be_shared("touch_records", ["graph/identity/locks.py", "graph/identity/records.py"])


def test_no_test_package_files() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if p.relative_to(ROOT).parts[0] in {"privacy", "algorithms"}],
    ids=lambda path: path.name,
)
def test_pure_decisions_import_only_values_from_the_graph(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    graph = {name for name in imported if name.split(".")[0] == "graph"}
    values = {name for name in graph if name.startswith("graph.model.")}
    assert graph - values <= {"graph.errors"}, f"values in, values out: {graph}"


MIRRORED = ("graph", "privacy", "algorithms", "resolvers", "migrations")
VALUES = "values without behaviour"
UNTESTED_BY_THEMSELVES = {
    "graph/model/access.py": VALUES,
    "graph/model/activity.py": VALUES,
    "graph/model/catalogue.py": VALUES,
    "graph/model/consent.py": VALUES,
    "graph/model/message.py": VALUES,
    "graph/model/recommendation.py": VALUES,
    "graph/model/segments.py": VALUES,
    "graph/model/time.py": "a unit, and the clock that tests replace",
    "graph/model/profile.py": "only the gate makes RevealedFacts: tests/privacy/test_gate.py tries the other ways",
    "graph/model/scope.py": "only the gate makes a PermittedScope: tests/privacy/test_gate.py tries the other ways",
    "graph/errors.py": "a code for each class: tests/test_errors_documented.py and tests/api/test_errors.py",
    "algorithms/arrays.py": "names of types",
    "resolvers/context.py": "values and a protocol, given to every use case by tests/context.py",
    "migrations/m0001_keys.py": "frozen by its checksum in tests/migrations/test_steps.py; "
    "tests/migrations/test_runner.py applies it",
    "migrations/m0002_indexes.py": "frozen by its checksum in tests/migrations/test_steps.py",
    "migrations/m0003_permit_changes.py": "frozen by its checksum in tests/migrations/test_steps.py",
    "migrations/m0008_unheard_bars.py": "frozen by its checksum in tests/migrations/test_steps.py",
    "migrations/m0004_confirmations.py": "frozen by its checksum in tests/migrations/test_steps.py",
}
"""Modules without a test file, and why: what they hold, or where it is tested instead."""

ACROSS_MODULES = {
    "tests/resolvers/collection/test_orders.py": "what arrives in any order, against receipt order and the batch",
    "tests/graph/store/test_races.py": "races between writers, whatever they write",
    "tests/graph/test_schema_types.py": "what all writers leave in a store, against the types of the schema",
    "tests/graph/embedded/test_durability.py": "what survives kills of the engine: client and embedded store together",
    "tests/api/graphql/test_mutations.py": "the mutations through HTTP, all modules of api/graphql/mutations",
    "tests/api/graphql/test_noninterference.py": "what a viewer can't learn, over all types and mutations",
    "tests/api/graphql/test_queries.py": "the queries through HTTP, all modules of api/graphql/types",
}
"""Test files without a module, and what they test."""


def mirror_of(module: str) -> str:
    """Where the tests of `graph/store/faults.py` are: `tests/graph/store/test_faults.py`."""
    path = Path(module)
    return str(Path("tests") / path.parent / f"test_{path.name}")


def mirrored_modules() -> set[str]:
    paths = {path.relative_to(ROOT) for path in modules() if path.name != "__init__.py"}
    return {str(path) for path in paths if path.parts[0] in MIRRORED}


def test_every_module_has_its_test_file_or_a_reason() -> None:
    found = mirrored_modules()
    assert len(found) >= 90
    untested = {module for module in found if not (ROOT / mirror_of(module)).exists()}
    assert untested <= set(UNTESTED_BY_THEMSELVES), "write a test file for them, or give the reason why not"
    assert set(UNTESTED_BY_THEMSELVES) <= untested, "they are gone, or have a test file: take them off the list"


def test_every_test_file_has_its_module_or_a_reason() -> None:
    expected = {mirror_of(str(path.relative_to(ROOT))) for path in modules()}
    files = {
        str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / "tests" / package).rglob("test_*.py")
    }
    assert len(files) >= 70
    assert files - expected <= set(ACROSS_MODULES), "rename them with their module, or say what they test"
    assert set(ACROSS_MODULES) <= files - expected, "they are gone, or have a module: take them off the list"


def test_reasons_name_test_files_that_exist() -> None:
    named = re.findall(r"tests/[\w/]+\.py", " ".join(UNTESTED_BY_THEMSELVES.values()))
    assert len(named) >= 3
    assert all((ROOT / name).exists() for name in named)
