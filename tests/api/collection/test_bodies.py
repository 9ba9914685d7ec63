"""Request bodies: decompression, limits, and salvaging the entries of a broken batch."""

from __future__ import annotations

import gzip
import json
import zlib
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from api.collection.bodies import DEEPEST, MAX_BATCH, MOST_ENTRIES, decompress, measure_depth, read_batch, read_single
from api.collection.reasons import Rejected, RejectionReason
from graph.errors import PayloadTooLarge


def test_gzip_is_recognised_by_its_first_bytes() -> None:
    assert decompress(gzip.compress(b"{}") + gzip.compress(b" "), 100) == b"{} "
    assert decompress(b"{}", 100) == b"{}"


def test_a_decompression_bomb_is_not_unpacked() -> None:
    with pytest.raises(PayloadTooLarge):
        decompress(_bomb(1 << 28), MAX_BATCH)


def _bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    block = bytes(1 << 20)
    return b"".join(packer.compress(block) for _ in range(size >> 20)) + packer.flush()


@pytest.mark.parametrize(
    "body", [b"\x1f\x8b", b"\x1f\x8b\x08nonsense", gzip.compress(b"{}")[:-4], gzip.compress(b"{}") + b"x"]
)
def test_damaged_gzip_is_malformed(body: bytes) -> None:
    with pytest.raises(Rejected) as caught:
        decompress(body, 100)
    assert caught.value.reason is RejectionReason.MALFORMED_JSON


def test_a_body_of_many_gzip_members_is_refused() -> None:
    with pytest.raises(Rejected, match="gzip members"):
        decompress(gzip.compress(b"") * 1000, 100)


@pytest.mark.parametrize("body", [b"[%s]", b'{"batch":[%s]}', b'{"batch":[%s', b'{"batch":[{"a":},%s]}'])
def test_a_batch_of_too_many_entries_is_refused(body: bytes) -> None:
    with pytest.raises(Rejected, match="at most"):
        read_batch(body.replace(b"%s", b",".join([b"0"] * (MOST_ENTRIES + 1))))


def test_a_stranger_gets_no_work_done_on_a_broken_batch() -> None:
    assert read_batch(b'{"batch":[x', salvage=False) is None
    assert read_batch(b'{"batch":[]}', salvage=False) is not None


def reasons(body: bytes) -> list[object]:
    return [entry.error.reason if entry.error else entry.value for entry in read_batch(body).entries]


def test_a_bad_message_does_not_affect_the_others() -> None:
    deep = b"[" * 2000 + b"]" * 2000
    body = (
        b'{"sentAt": "2024-01-01", "batch": [{"a": "],}\\""}, {"a": NaN}, {"x": ' + deep + b'}, {"userId": "\\ud83d"}, '
        b'{"t": "\\ud83d!", "\\ude00": 1}, {"a":\xff}, {"b": tru}, 7, {"last": {}}], "context": {"x": 1}}'
    )
    assert reasons(body) == [
        {"a": '],}"'}, RejectionReason.MALFORMED_JSON, RejectionReason.TOO_DEEP, RejectionReason.BAD_UNICODE,
        {"t": "\ufffd!", "\ufffd": 1}, RejectionReason.BAD_UNICODE, RejectionReason.MALFORMED_JSON, 7, {"last": {}},
    ]  # fmt: skip
    assert read_batch(body).head == {"sentAt": "2024-01-01", "context": {"x": 1}}


def test_the_text_of_a_rejected_entry_is_kept() -> None:
    entries = read_batch(b'{"batch": [ {"a": NaN} , 1]}').entries
    assert [entry.text for entry in entries] == ['{"a": NaN}', ""]


def test_a_batch_may_be_a_bare_array() -> None:
    assert reasons(b'[{"a": 1}, 2]') == [{"a": 1}, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", RejectionReason.MALFORMED_JSON),
        (b"nonsense", RejectionReason.MALFORMED_JSON),
        (b"{", RejectionReason.MALFORMED_JSON),
        (b"\xff\xfe{}", RejectionReason.MALFORMED_JSON),
        (b'{"batch": NaN}', RejectionReason.MALFORMED_JSON),
        (b"{}", RejectionReason.MISSING_FIELD),
        (b'{"batch": {}}', RejectionReason.MISSING_FIELD),
        (b'{"batch": null}', RejectionReason.MISSING_FIELD),
        (b"7", RejectionReason.NOT_AN_OBJECT),
        (b'"text"', RejectionReason.NOT_AN_OBJECT),
    ],
)
def test_a_body_without_a_batch_is_rejected(body: bytes, reason: RejectionReason) -> None:
    with pytest.raises(Rejected) as caught:
        read_batch(body)
    assert caught.value.reason is reason


@pytest.mark.parametrize(
    "body",
    [b'{"batch":["' + b'\\"' * 250_000, b'{"batch":[' + b'"' * 500_000, b'{"batch":[' + b"[" * 500_000, b"[" * 500_000],
    ids=["escapes", "quotes", "brackets", "bare"],
)
def test_hostile_bodies_are_read_in_linear_time(body: bytes) -> None:
    with suppress(Rejected):  # reading in quadratic time would exceed the time limit of tests
        assert all(entry.error is not None for entry in read_batch(body).entries)


def test_a_single_message_that_orjson_refuses_is_repaired_or_rejected() -> None:
    assert read_single(b'{"a": "\\ud83d"}') == {"a": "\ufffd"}
    numbers = read_single(b'{"a": "\\ud83d", "many": 99999999999999999999, "most": 18446744073709551615}')
    assert repr(numbers["many"]) == "1e+20"
    assert repr(numbers["most"]) == "18446744073709551615"
    with pytest.raises(Rejected):
        read_single(b'{"a": Infinity}')
    with pytest.raises(Rejected):
        read_single(b"[" * 100_000)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
@example(b'{"batch":[{"a":1},{"b":1,{"c":2}]}')
@example(b'{"batch":[{"a":1},{"b"')
@example(b'{"batch"')
@example(b'{"batch":[1,2]]')
@example(b'{"a":[NaN],"batch":[1')
def test_any_bytes_are_read_or_rejected(body: bytes) -> None:
    for wrapped in (body, b'{"batch":[' + body + b"]}", b'{"batch":[{"a":1},' + body):
        for read in (read_batch, read_single):
            with suppress(Rejected):
                read(wrapped)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


@given(st.lists(json_values, max_size=5))
def test_splitting_a_batch_gives_the_same_entries_as_parsing_it(values: list[object]) -> None:
    whole = read_batch(json.dumps({"batch": values}).encode())
    cut = read_batch(json.dumps({"batch": [*values, float("nan")]}).encode())
    assert [entry.value for entry in cut.entries[:-1]] == [entry.value for entry in whole.entries]
    assert cut.entries[-1].error is not None


def test_depth_counts_brackets_outside_strings() -> None:
    assert measure_depth('{"a": ["[[[[", {"b": 1}]}') == 3
    assert measure_depth("[" * 300) == 300 > DEEPEST
