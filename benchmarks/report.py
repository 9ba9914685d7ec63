"""What all benchmarks share: timing, a description of the machine, and results as a table and a JSON file.

Each benchmark is a script of its own. It adds the repository's root to the path, so that `python benchmarks/NAME.py`
works.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
DATASETS = ROOT / ".cache" / "datasets"


def time_runs(work: Callable[[], T], runs: int) -> tuple[T, float]:
    """Runs `work` this many times; returns the last result and the median seconds."""
    seconds: list[float] = []
    for _ in range(runs):
        start = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - start)
    return result, statistics.median(seconds)


def describe_machine(packages: Sequence[str] = ()) -> dict[str, Any]:
    """Returns what the results depend on: processor, cores, Python, and the versions of these packages."""
    return {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in packages},
    }


def publish(name: str, results: dict[str, Any], table: Table, packages: Sequence[str] = ()) -> Path:
    """Prints the table and writes results and machine to `benchmarks/results/NAME.json`. Returns its path."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}.json"
    document = {"benchmark": name, "measured_on": describe_machine(packages), **results}
    path.write_text(json.dumps(document, indent=2, sort_keys=False) + "\n", encoding="utf-8")
    console = Console()
    if not console.is_terminal:
        console = Console(width=120)
    console.print(table)
    console.print(f"written to {path.relative_to(ROOT)}")
    return path
