"""Which account a device counts for, and how many may count."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from algorithms.identity.devices import MOST_DEVICES, CountedDevice, DeviceTie, choose_account, choose_devices
from graph.model.identity import Grade, RecordId
from graph.model.time import Millis


def tie(account: str, grade: Grade, received: int) -> DeviceTie:
    return DeviceTie(RecordId(account), grade, Millis(received))


def device(name: str, grade: Grade, received: int) -> CountedDevice:
    return CountedDevice(RecordId(name), grade, Millis(received))


def test_a_device_counts_for_the_first_account_that_proved_it() -> None:
    assert choose_account([]) is None
    claimed, proven, later = (
        tie("a", Grade.CLAIMED, 1),
        tie("b", Grade.PROVEN, 5),
        tie("c", Grade.PROVEN, 6),
    )
    assert choose_account([claimed]) == claimed
    assert choose_account([claimed, later, proven]) == proven
    assert choose_account([tie("b", Grade.PROVEN, 5), tie("a", Grade.PROVEN, 5)]) == tie("a", Grade.PROVEN, 5)


def test_of_too_many_devices_the_proven_and_then_the_first_count() -> None:
    claimed = [device(f"c{n:02}", Grade.CLAIMED, n) for n in range(MOST_DEVICES)]
    proven = [device(f"p{n:02}", Grade.PROVEN, 100 + n) for n in range(2)]
    assert choose_devices([*reversed(claimed), *proven]) == [*proven, *claimed[:-2]]


DEVICES = st.lists(
    st.builds(device, st.uuids().map(str), st.sampled_from([Grade.CLAIMED, Grade.PROVEN]), st.integers(0, 9)),
    max_size=30,
)
TIES = st.lists(
    st.builds(tie, st.sampled_from("abc"), st.sampled_from([Grade.CLAIMED, Grade.PROVEN]), st.integers(0, 3)),
    max_size=6,
)


@given(TIES, DEVICES, st.randoms(use_true_random=False))
def test_no_choice_depends_on_the_order_of_processing(
    ties: list[DeviceTie], devices: list[CountedDevice], rng: Any
) -> None:
    expected = choose_account(ties), choose_devices(devices)
    rng.shuffle(ties)
    rng.shuffle(devices)
    assert (choose_account(ties), choose_devices(devices)) == expected
    assert len(expected[1]) <= MOST_DEVICES


@given(DEVICES)
def test_a_claimed_device_never_takes_the_place_of_a_proven_one(devices: list[CountedDevice]) -> None:
    left_out = [one for one in devices if one not in choose_devices(devices)]
    if any(one.grade is Grade.PROVEN for one in left_out):
        assert all(one.grade is Grade.PROVEN for one in choose_devices(devices))
