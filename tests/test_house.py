"""The house rules that a machine can hold: layers, sizes, docstrings, empty `__init__`, Cypher as constants."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("api", "graph", "resolvers", "algorithms", "privacy", "migrations")
MAX_FUNCTION_LINES = 60
MAX_FILE_LINES = 500


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
def test_module_keeps_the_house_rules(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    if path.name == "__init__.py":
        assert source.strip() == "", "an __init__.py is empty"
        return
    tree = ast.parse(source)
    assert ast.get_docstring(tree), "a module opens with what lives there and what does not"
    assert len(source.splitlines()) <= MAX_FILE_LINES, f"split the file: over {MAX_FILE_LINES} lines"
    long = [f.name for f in functions(tree) if (f.end_lineno or 0) - f.lineno + 1 > MAX_FUNCTION_LINES]
    assert not long, f"over {MAX_FUNCTION_LINES} lines: {long}"
    assert path.stem not in {"utils", "helpers", "common", "misc"}, "name the module after its idea"


@pytest.mark.parametrize("path", sorted((ROOT / "graph").glob("*.py")), ids=lambda path: path.name)
def test_cypher_is_never_built_from_values(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    built = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in {"run", "read"}
        and node.args
        and isinstance(node.args[0], ast.JoinedStr | ast.BinOp)
    ]
    assert not built, f"a statement is put together at lines {built}: use a constant and parameters"


def test_no_test_package_files() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))


@pytest.mark.parametrize(
    "path",
    [p for p in modules() if p.relative_to(ROOT).parts[0] in {"privacy", "algorithms"}],
    ids=lambda path: path.name,
)
def test_pure_decisions_see_only_values_of_the_graph(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module}
    imported |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    graph = {name for name in imported if name.split(".")[0] == "graph"}
    assert graph <= {"graph.model", "graph.errors"}, f"values in, values out: {graph}"
