"""Devices: deciding which account each counts for, whenever evidence about it changes.

A device moves no person and no consent. What it did counts for the account when it is read, as far as both permit.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from algorithms.identity.blocking import ANONYMOUS_ID, USER_ID
from algorithms.identity.devices import MOST_DEVICES, CountedDevice, DeviceTie, choose_account, choose_devices
from algorithms.identity.grades import stands
from algorithms.identity.normalise import normalise_identifier
from graph.identity.devices import (
    CountingDevice,
    DeviceEvidence,
    ProvenUse,
    read_accounts_of_user_ids,
    read_counting,
    read_devices,
    read_devices_of_identifiers,
    read_identifiers_of_accounts,
    write_counting,
)
from graph.identity.locks import lock_records
from graph.model.access import Trust
from graph.model.identity import Grade, RecordId, is_secret
from graph.model.time import Millis
from graph.store.client import Writer

MOST_WAITING: Final = 100
"""How many devices that name an account are considered when one of the counted ones leaves it."""


async def settle_devices(
    tx: Writer, devices: Collection[RecordId], identifiers: Collection[str], now: Millis
) -> set[RecordId]:
    """Decides afresh for devices, and for those that name one of the identifiers (user IDs or anonymous IDs, by ID).
    Returns the accounts whose devices changed. The caller holds the lock of each record whose evidence changed.

    A device that leaves a crowded account makes room for another one, so this may take two rounds.
    """
    waiting = set(devices)
    if identifiers:
        waiting |= await read_devices_of_identifiers(tx, identifiers, MOST_WAITING)
    changed: set[RecordId] = set()
    done: set[RecordId] = set()
    while waiting:
        touched, roomy = await _settle(tx, waiting, now)
        changed |= touched
        done |= waiting
        named = await read_identifiers_of_accounts(tx, roomy) if roomy else set()
        waiting = (await read_devices_of_identifiers(tx, named, MOST_WAITING) if named else set()) - done
    return changed


async def _settle(tx: Writer, devices: Collection[RecordId], now: Millis) -> tuple[set[RecordId], set[RecordId]]:
    """Decides for devices. Returns the accounts whose devices changed, and those that have room for waiting ones."""
    evidence = await read_devices(tx, devices)
    claimed = {one.claim[1] for one in evidence if one.claim is not None}
    accounts = await read_accounts_of_user_ids(tx, claimed) if claimed else {}
    ties = {one.device: _tie(one, accounts) for one in evidence}
    concerned = {tie.account for tie in ties.values() if tie is not None}
    concerned |= {one.account for one in evidence if one.account is not None}
    if not concerned:
        return set(), set()
    await lock_records(tx, concerned)
    counting, crowded = await read_counting(tx, concerned)
    ended, begun, full = _compare(counting, ties, concerned)
    await write_counting(tx, ended, begun, full - crowded, now)
    left = {one.account for one in ended if (tie := ties.get(one.device)) is None or tie.account != one.account}
    return {one.account for one in (*ended, *begun)}, left & crowded


def _tie(one: DeviceEvidence, accounts: dict[str, list[ProvenUse]]) -> DeviceTie | None:
    """Returns what ties a device to an account: the first that proved it, or the holder of the user ID that it claimed
    first."""
    if one.objected:
        return None
    key = normalise_identifier(ANONYMOUS_ID, one.key)
    ties = [
        DeviceTie(use.account, Grade.PROVEN, use.since)
        for value, use in one.proven
        if value == key and (is_secret(one.key) or _knows(use, one)) and _stands(ANONYMOUS_ID, use)
    ]
    if not ties and one.claim is not None:
        since, identifier = one.claim
        holders = [use for use in accounts.get(identifier, ()) if _stands(USER_ID, use)]
        holder = min(holders, key=lambda use: (use.since, use.account), default=None)
        if holder is not None:
            ties = [DeviceTie(holder.account, Grade.CLAIMED if one.public else Grade.PROVEN, since)]
    return choose_account(ties)


def _stands(kind: str, use: ProvenUse) -> bool:
    """Whether an account still holds a name. What else its source verifies doesn't matter for names."""
    return stands(kind, use.trust, {}, use.since, use.proof)


def _knows(use: ProvenUse, one: DeviceEvidence) -> bool:
    """Whether an account's own back end named the device. In a browser, anybody can take on a name that can be
    guessed, and then prove who they are."""
    return use.source == one.source and use.trust is not Trust.PUBLIC


def _compare(
    counting: Collection[CountingDevice], ties: dict[RecordId, DeviceTie | None], accounts: Collection[RecordId]
) -> tuple[list[CountingDevice], list[CountingDevice], set[RecordId]]:
    """Returns which devices no longer count, which begin to, and which accounts have more than may count."""
    ended: list[CountingDevice] = []
    begun: list[CountingDevice] = []
    full: set[RecordId] = set()
    for account in accounts:
        present = {one.device: one for one in counting if one.account == account}
        wanted = {device: one for device, one in present.items() if device not in ties}
        for device, tie in ties.items():
            if tie is not None and tie.account == account:
                wanted[device] = CountingDevice(account, device, tie.grade, tie.received)
        chosen = choose_devices(CountedDevice(one.device, one.grade, one.received) for one in wanted.values())
        if len(wanted) > MOST_DEVICES:
            full.add(account)
        kept = {wanted[one.device] for one in chosen}
        ended += [one for one in present.values() if one not in kept]
        begun += [one for one in kept if one not in present.values()]
    return ended, begun, full
