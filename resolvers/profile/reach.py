"""Which records of a person may be read for a viewer: the account records, and the devices that count for them."""

from __future__ import annotations

from graph.model.identity import Grade
from graph.profile import FoundPerson, Reach, TiedDevice
from privacy.gate import SubjectPermits, decide
from privacy.purposes import PERSONALISATION
from resolvers.context import RequestContext


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
        return Reach(own, dict.fromkeys(own, Grade.PROVEN), own)
    behaviour, recent = dict.fromkeys(own, Grade.PROVEN), set(own)
    for device in person.devices:
        if device.account not in own or device.record.id in person.unsettled:
            continue
        shown, recommended = _admit_device(request, person, device)
        if shown:
            behaviour[device.record.id] = device.grade
        if recommended:
            recent.add(device.record.id)
    return Reach(own, behaviour, frozenset(recent))


def _admit_device(request: RequestContext, person: FoundPerson, device: TiedDevice) -> tuple[bool, bool]:
    """Returns whether a device's behaviour is shown with the person's, and whether recommendations start from it."""
    viewer, services = request.viewer, request.services
    subject = SubjectPermits(device.permits, device.permits_until, ends=device.permit_ends)
    decision = decide(viewer, subject, services.policy, request.now)
    if viewer.subject is None:
        return decision.permits("interactions"), decision.permits("recommendations")
    used = device.record.source == viewer.subject.source and device.record.key in person.proven_devices
    return used, used and PERSONALISATION in decision.held
