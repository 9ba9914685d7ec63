from __future__ import annotations

from api.errors import FACES, INTERNAL, INTERNAL_MESSAGE, face_of, message_of
from graph import errors


def _all_errors() -> list[type[errors.ConsentricError]]:
    return [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ConsentricError)
    ]


def test_every_error_class_has_its_own_row():
    assert set(_all_errors()) == set(FACES)


def test_a_subclass_shows_as_its_parent():
    class BadCursor(errors.BadInput):
        pass

    assert face_of(BadCursor("cursor: not one of ours")).code == "BAD_USER_INPUT"
    assert message_of(BadCursor("cursor: not one of ours")) == "cursor: not one of ours"


def test_what_is_not_ours_shows_nothing():
    leak = KeyError("ada@example.com")
    assert face_of(leak) is INTERNAL
    assert message_of(leak) == INTERNAL_MESSAGE
    assert message_of(errors.WriteInRead("MATCH (u:User {id: 'x'})")) == INTERNAL_MESSAGE


def test_statuses_and_exit_codes_are_in_range():
    for face in FACES.values():
        assert 400 <= face.status < 600
        assert 0 < face.exit_code < 126
        assert face.code == face.code.upper()
