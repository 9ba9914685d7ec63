"""The scene of the stranger: she claims the address and the user ID of an example person on the public web site, and
grants everything.

She needs nothing but the web site's write key, which everybody finds in its pages. The summary holds what the viewers
and the person saw before and after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import httpx

from api.demo.cast import WEB, Member
from api.demo.lines import row_address
from api.demo.questions import CONSENTS, PERSON, ApiClient, DemonstrationFailed
from graph.model.identity import RecordKind, RecordRef

CATEGORIES: Final = ("Analytics", "Functional", "Advertising", "DataSharing")
"""Segment's names for all purposes that a consent banner asks for."""

ORIGIN: Final = "https://shop.example.org"


@dataclass(frozen=True, slots=True)
class Audience:
    """Who looks at the person: viewers by name, and the person, with a token of their own."""

    viewers: dict[str, ApiClient]
    person: ApiClient

    async def look(self, record: RecordRef) -> dict[str, Any]:
        """Returns what each viewer sees of the person, and what the person is told of their consents."""
        seen: dict[str, Any] = {name: await api.ask_profile(PERSON, record) for name, api in self.viewers.items()}
        me = (await self.person.ask(CONSENTS))["me"]
        return seen | {"permitted": [spell_permit(one) for one in me["consents"] if one["permitted"]], "me": me}


async def impersonate(http: httpx.AsyncClient, write_key: str, victim: Member, audience: Audience) -> dict[str, Any]:
    """Plays the scene. Returns what everybody saw before and after, and what the front-end shows of the stranger."""
    record, row = victim.records[0]
    device = RecordRef(WEB.name, RecordKind.ANONYMOUS, str(uuid4()))
    before = await audience.look(record)
    messages = claim(device.key, record.key, row_address(row))
    response = await http.post("/v1/batch", json={"batch": messages}, auth=(write_key, ""), headers={"Origin": ORIGIN})
    if response.status_code != httpx.codes.OK:
        raise DemonstrationFailed(f"Collection responded with status {response.status_code}: {response.text}")
    after = await audience.look(record)
    return {
        "accepted": response.json()["accepted"],
        "before": before,
        "after": after,
        "unchanged": before == after,
        "stranger": await audience.viewers["frontend"].ask_profile(PERSON, device),
    }


def claim(device: str, user_id: str, address: str | None) -> list[dict[str, Any]]:
    """Returns what the stranger sends from her own device: "I am this person", and consent to everything."""
    who = {"anonymousId": device, "userId": user_id}
    preferences = {"consent": {"categoryPreferences": dict.fromkeys(CATEGORIES, True)}}
    return [
        {"type": "identify", "messageId": str(uuid4()), **who, "traits": {"email": address, "firstName": "mallory"}},
        {
            "type": "track",
            "event": "Segment Consent Preference Updated",
            "messageId": str(uuid4()),
            **who,
            "context": preferences,
        },
    ]


def spell_permit(consent: dict[str, Any]) -> str:
    """Returns a purpose, with the recipient if there is one, as permits are spelled."""
    return f"{consent['purpose']}@{consent['recipient']}" if consent["recipient"] else str(consent["purpose"])
