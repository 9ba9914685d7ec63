"""The engine's only user: kept between starts, unknown to others, replaced if lost."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from graph.embedded.credentials import credentials_file, engine_users_file, prepare_credentials, read_credentials
from graph.errors import StoreUnavailable


def test_credentials_are_made_once(tmp_path: Path) -> None:
    prepare_credentials(tmp_path)
    first = read_credentials(tmp_path)
    prepare_credentials(tmp_path)
    assert read_credentials(tmp_path) == first
    assert json.loads(engine_users_file(tmp_path).read_text())["name"] == first.user


def test_credentials_of_two_folders_differ_and_are_not_shown(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        prepare_credentials(tmp_path / name)
    one, other = (read_credentials(tmp_path / name) for name in ("a", "b"))
    assert one.user != other.user
    assert one.password != other.password
    assert one.user not in repr(one)
    assert one.password not in repr(one)
    assert one.password not in engine_users_file(tmp_path / "a").read_text()
    for path in (credentials_file(tmp_path / "a"), engine_users_file(tmp_path / "a")):
        assert path.stat().st_mode & 0o077 == 0


def test_a_user_that_others_know_is_removed(tmp_path: Path) -> None:
    engine_users_file(tmp_path).parent.mkdir()
    engine_users_file(tmp_path).write_text('{"name": "root", "databases": {"*": ["admin"]}, "password": "x"}\n')
    prepare_credentials(tmp_path)
    assert "root" not in engine_users_file(tmp_path).read_text()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"user": "u"}'])
def test_broken_credentials_are_reported_and_replaced(tmp_path: Path, text: str) -> None:
    credentials_file(tmp_path).write_text(text)
    with pytest.raises(StoreUnavailable, match="credentials of the store"):
        read_credentials(tmp_path)
    prepare_credentials(tmp_path)
    assert len(read_credentials(tmp_path).password) >= 32
