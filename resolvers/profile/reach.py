"""Which records of a person may be read for a viewer: the account records, and the devices that count for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from graph.consent.permits import read_user_logs
from graph.model.identity import Grade
from graph.profile import FoundPerson, Reach, TiedDevice
from privacy.gate import SubjectPermits, decide
from privacy.purposes import PERSONALISATION, Permit
from privacy.rules import PermitState
from privacy.states import ends_of, permits_of
from resolvers.consent.permits import judge
from resolvers.context import RequestContext


async def settled_permits(request: RequestContext, person: FoundPerson, subject: SubjectPermits) -> SubjectPermits:
    """Returns the permits that can be relied on. While a record of the person is from a source whose trust was lowered,
    its grants don't count, so the log is folded without them."""
    if not person.records & person.unsettled:
        return subject
    states = await judge_settled(request, person)
    return replace(subject, permits=permits_of(states), permits_until=None, ends=ends_of(states), grants=())


async def judge_settled(request: RequestContext, person: FoundPerson) -> Mapping[Permit, PermitState]:
    """Returns what a person's log permits now, without the grants of sources whose trust was lowered and not settled
    since. Empty if the person is gone."""
    services = request.services
    logs = await read_user_logs(services.client, [person.id])
    if not logs:
        return {}
    records = tuple(
        replace(one, standing=replace(one.standing, public=True)) if one.record in person.unsettled else one
        for one in logs[0].records
    )
    return judge(replace(logs[0], records=records), services.policy, request.now)


def kept_permits(person: FoundPerson) -> SubjectPermits:
    """Returns what the gate needs to know of a person."""
    return SubjectPermits(
        permits=person.permits,
        permits_until=person.permits_until,
        consent_epoch=person.consent_epoch,
        records=person.records,
        ends=person.permit_ends,
        grants=person.permit_grants,
    )


def reach_of(request: RequestContext, person: FoundPerson) -> Reach:
    """Returns the records that may be read for the viewer, and those of devices that count: both the person and the
    device's own user permit the purpose, or it is the person's own credential and was used on the device."""
    own = person.records if person.own is None else person.records & person.own
    if person.records & person.unsettled:
        own &= person.asked
        proven = dict.fromkeys(own, Grade.PROVEN)
        return Reach(own, proven, proven)
    behaviour, recent = dict.fromkeys(own, Grade.PROVEN), dict.fromkeys(own, Grade.PROVEN)
    for device in person.devices:
        if device.account not in own or device.record.id in person.unsettled:
            continue
        shown, recommended = _admit_device(request, person, device)
        if shown:
            behaviour[device.record.id] = device.grade
        if recommended:
            recent[device.record.id] = device.grade
    return Reach(own, behaviour, recent)


def _admit_device(request: RequestContext, person: FoundPerson, device: TiedDevice) -> tuple[bool, bool]:
    """Returns whether a device's behaviour is shown with the person's, and whether recommendations start from it."""
    viewer, services = request.viewer, request.services
    subject = SubjectPermits(device.permits, device.permits_until, ends=device.permit_ends)
    decision = decide(viewer, subject, services.policy, request.now)
    if viewer.subject is None:
        return decision.permits("interactions"), decision.permits("recommendations")
    used = device.record.source == viewer.subject.source and device.record.key in person.proven_devices
    return used, used and PERSONALISATION in decision.held
