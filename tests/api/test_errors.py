"""The error mappings: one row per class, one code per class, and no text of internal errors."""

from __future__ import annotations

from api.errors import (
    INTERNAL,
    INTERNAL_MESSAGE,
    INTERRUPTED,
    MAPPINGS,
    METHOD_NOT_ALLOWED,
    OPERATORS_MESSAGE,
    USAGE,
    classify,
    code_of_status,
    is_internal,
    message_of,
    public_message_of,
)
from graph import errors


def _all_errors() -> list[type[errors.ConsentricError]]:
    return [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ConsentricError)
    ]


def test_every_error_class_has_its_own_row():
    assert set(_all_errors()) == set(MAPPINGS)


def test_two_classes_share_a_code_only_by_inheritance():
    own = [kind for kind in _all_errors() if "code" in vars(kind)]
    codes = [kind.code for kind in own] + [METHOD_NOT_ALLOWED, USAGE, INTERRUPTED]
    assert len(set(codes)) == len(codes)


def test_a_subclass_is_reported_as_its_parent():
    class BadCursor(errors.BadInput):
        pass

    assert classify(BadCursor("cursor: not one of ours")).code == "BAD_USER_INPUT"
    assert message_of(BadCursor("cursor: not one of ours")) == "cursor: not one of ours"


def test_foreign_and_internal_errors_show_a_fixed_message():
    leak = KeyError("ada@example.com")
    assert MAPPINGS[classify(leak)] is INTERNAL
    assert message_of(leak) == INTERNAL_MESSAGE
    assert message_of(errors.WriteInRead("MATCH (u:User {id: 'x'})")) == INTERNAL_MESSAGE


def test_only_internal_rows_have_the_internal_code():
    for kind, mapping in MAPPINGS.items():
        assert is_internal(kind) is (mapping is INTERNAL)


def test_statuses_and_exit_codes_are_in_range():
    for kind, mapping in MAPPINGS.items():
        assert 400 <= mapping.status < 600
        assert 0 < mapping.exit_code < 126
        assert kind.code == kind.code.upper()


def test_errors_of_the_framework_get_our_codes():
    assert [code_of_status(status) for status in (400, 401, 404, 405, 418)] == [
        "BAD_USER_INPUT", "UNAUTHENTICATED", "NOT_FOUND", "METHOD_NOT_ALLOWED", "BAD_USER_INPUT",
    ]  # fmt: skip


def test_advice_for_operators_does_not_reach_clients_of_the_api():
    for kind in (errors.SettingsInvalid, errors.StoreInUse, errors.MigrationRefused):
        error = kind("CONSENTRIC_STORE: bolt://db.internal:7687 of com.arcadedb.Server")
        assert public_message_of(error) == OPERATORS_MESSAGE
        assert message_of(error) == str(error)
    assert public_message_of(errors.StoreUnavailable("The store is busy.")) == "The store is busy."
