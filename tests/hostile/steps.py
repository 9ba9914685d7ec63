"""What a victim, the company, and strangers may do, as messages, for random sequences.

Each sequence has a victim with an account at the shop (`server`) and a contact in the CRM (`record`), joined by an
external ID; a browser of the victim's on the web site (`public`); an account of the stranger's on the web site, which
they prove; and guests of the shop. Strangers know everything but the names of the victim's devices.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from api.collection.origin import Origin
from api.collection.segment.mapping import read_message
from graph.model.access import Source, Trust
from graph.model.identity import Proof
from graph.model.message import Message
from graph.model.time import DAY, Millis
from tests.arrivals import NOW, POLICY

WEB: Final = Source("web", trust=Trust.PUBLIC)
APP: Final = Source("app", trust=Trust.PUBLIC)
SHOP: Final = Source("shop", trust=Trust.SERVER)
CRM: Final = Source("crm", trust=Trust.RECORD, user_namespace="crm")
CATEGORIES: Final = ("Analytics", "Functional", "Advertising", "DataSharing")
SECRET: Final = "v{0:08x}-device-of-the-victim-{0:08x}"
"""The name of a victim's device: long enough that nobody guesses it."""


@dataclass(slots=True)
class Life:
    """One sequence: its number, its random choices, what was done so far, and a counter of messages. `planted` is the
    device that a stranger's link made the victim use."""

    number: int
    rng: Random
    done: list[str] = field(default_factory=list)
    messages: int = 0
    planted: bool = False
    kept: list[Message] = field(default_factory=list)

    @property
    def victim(self) -> str:
        """The victim's user ID."""
        return f"v{self.number}"

    @property
    def email(self) -> str:
        """The victim's e-mail address."""
        return f"victim{self.number}@mail.test"

    @property
    def device(self) -> str:
        """The victim's browser."""
        return SECRET.format(self.number)

    def next(self) -> int:
        """Returns the next number of a message."""
        self.messages += 1
        return self.messages


def send(
    life: Life, source: Source, received: int, *, proof: Proof | None = None, own: bool = False, **raw: Any
) -> Message:
    """Returns a message as its door reads it."""
    raw.setdefault("messageId", f"{life.number}-{life.next()}")
    raw.setdefault("timestamp", received)
    return read_message(raw, Origin(source, Millis(received), POLICY, own_types=own, proof=proof))


def preferences(life: Life, *, given: bool) -> dict[str, Any]:
    """Returns the context of a consent tool that permits, or refuses, some categories."""
    some = life.rng.sample(CATEGORIES, life.rng.randint(1, len(CATEGORIES)))
    return {"consent": {"categoryPreferences": dict.fromkeys(some, given)}}


def state(
    life: Life, source: Source, received: int, *, given: bool, proof: Proof | None = None, **names: Any
) -> Message:
    """Returns an event of a consent tool."""
    return send(
        life,
        source,
        received,
        proof=proof,
        type="track",
        event="Segment Consent Preference Updated",
        context=preferences(life, given=given),
        **names,
    )


def begin(life: Life, at: int) -> list[Message]:
    """Returns how the victim became known, and what they permitted at first."""
    traits = {"email": life.email, "phone": f"+4930{life.number:08}", "firstName": f"Vera{life.number}"}
    orders = [{"type": "order", "id": f"order-{life.number}-{n}"} for n in range(life.rng.choice((0, 20)))]
    found = [
        send(life, SHOP, at, type="identify", userId=life.victim, traits=traits, context={"externalIds": orders}),
        send(life, SHOP, at, type="identify", userId=life.victim, traits=traits,
             context={"externalIds": [{"type": "loyalty", "id": f"card-{life.number}"}]}),
        send(life, CRM, at, type="identify", userId=f"c{life.number}", traits={"email": life.email},
             context={"externalIds": [{"type": "loyalty", "id": f"card-{life.number}"}]}),
        send(life, WEB, at, proof=Proof.HASH, type="page", userId=life.victim, anonymousId=life.device),
    ]  # fmt: skip
    if life.rng.random() < 0.8:
        found.append(grant(life, at + 1, at)[0])
    if life.rng.random() < 0.4:
        found.append(state(life, SHOP, at + 2, given=False, userId=life.victim))
    return found


Step = Callable[[Life, int, int], list[Message]]
"""Returns the messages of a step; the numbers are when they are received, and what their events claim."""


def grant(life: Life, received: int, at: int) -> list[Message]:
    return [state(life, SHOP, received, given=True, proof=Proof.CREDENTIAL, userId=life.victim, timestamp=at)]


def withdraw(life: Life, received: int, at: int) -> list[Message]:
    return [state(life, SHOP, received, given=False, proof=Proof.CREDENTIAL, userId=life.victim, timestamp=at)]


def withdraw_in_the_crm(life: Life, received: int, at: int) -> list[Message]:
    return [state(life, CRM, received, given=False, userId=f"c{life.number}", timestamp=at)]


def refuse_on_device(life: Life, received: int, at: int) -> list[Message]:
    return [state(life, WEB, received, given=False, anonymousId=life.device, timestamp=at)]


def grant_on_device(life: Life, received: int, at: int) -> list[Message]:
    return [state(life, WEB, received, given=True, anonymousId=life.device, timestamp=at)]


def log_in(life: Life, received: int, at: int) -> list[Message]:
    """The victim uses whatever device they have, perhaps one that was planted, and proves who they are."""
    device = f"planted-{life.number}" if life.planted else life.device
    return [
        send(life, WEB, received, proof=Proof.HASH, type="page", userId=life.victim, anonymousId=device,
             context=preferences(life, given=False) if life.rng.random() < 0.3 else {})
    ]  # fmt: skip


def _strange(life: Life) -> str:
    return f"stranger-{life.number}-{life.rng.randint(0, 3)}-0123456789abcdef"


def claim(life: Life, received: int, at: int) -> list[Message]:
    traits = {"email": life.email, "phone": f"+4930{life.number:08}", "firstName": "Evil", "plan": "stolen"}
    external = {"externalIds": [{"type": "loyalty", "id": f"card-{life.number}"}]}
    names: dict[str, Any] = {"anonymousId": _strange(life)}
    if life.rng.random() < 0.5:
        names["userId"] = life.victim
    return [send(life, life.rng.choice((WEB, APP)), received, type="identify", traits=traits, context=external,
                 timestamp=at, **names)]  # fmt: skip


def claim_from_an_account(life: Life, received: int, at: int) -> list[Message]:
    traits = {"email": life.email, "firstName": "Evil"}
    external = {
        "externalIds": [{"type": "loyalty", "id": f"card-{life.number}"}, {"type": "user_id", "id": life.victim}]
    }
    return [send(life, WEB, received, proof=Proof.HASH, type="identify", userId=f"a{life.number}",
                 anonymousId=_strange(life), traits=traits, context=external, timestamp=at)]  # fmt: skip


def grant_for_the_victim(life: Life, received: int, at: int) -> list[Message]:
    names = {"anonymousId": _strange(life), "userId": life.victim}
    return [state(life, WEB, received, given=True, timestamp=at, **names)]


def grant_from_an_account(life: Life, received: int, at: int) -> list[Message]:
    return [state(life, WEB, received, given=True, proof=Proof.HASH, userId=f"a{life.number}", timestamp=at)]


def deny_for_the_victim(life: Life, received: int, at: int) -> list[Message]:
    names = {"anonymousId": _strange(life), "userId": life.victim}
    return [*claim(life, received, at), state(life, APP, received, given=False, timestamp=at, **names)]


def deny_from_an_account(life: Life, received: int, at: int) -> list[Message]:
    """The stranger proves to be who they are, claims the victim's address and card, and refuses everything."""
    refused = state(life, WEB, received, given=False, proof=Proof.HASH, userId=f"a{life.number}", timestamp=at)
    return [*claim_from_an_account(life, received, at), refused]


def carry(life: Life, received: int, at: int) -> list[Message]:
    context = preferences(life, given=life.rng.random() < 0.5)
    return [send(life, WEB, received, type="page", anonymousId=_strange(life), userId=life.victim, context=context,
                 timestamp=at)]  # fmt: skip


def alias(life: Life, received: int, at: int) -> list[Message]:
    previous, user = life.rng.choice(
        ((life.victim, f"a{life.number}"), (f"a{life.number}", life.victim), (_strange(life), life.victim))
    )
    proof = Proof.HASH if user.startswith("a") and life.rng.random() < 0.5 else None
    return [send(life, WEB, received, proof=proof, type="alias", userId=user, previousId=previous,
                 anonymousId=_strange(life), timestamp=at)]  # fmt: skip


def plant(life: Life, received: int, at: int) -> list[Message]:
    """A link makes the victim's browser use a device that the stranger knows; the stranger uses it, too."""
    life.planted = True
    names = {"anonymousId": f"planted-{life.number}", "userId": f"a{life.number}"}
    return [
        send(life, WEB, received, type="identify", traits={"email": life.email}, timestamp=at, **names),
        state(life, WEB, received, given=life.rng.random() < 0.7, timestamp=at, **names),
    ]


def flood(life: Life, received: int, at: int) -> list[Message]:
    return [
        send(life, APP, received, type="identify", anonymousId=f"flood-{life.number}-{n}", userId=life.victim,
             traits={"email": life.email}, timestamp=at)
        for n in range(26)
    ]  # fmt: skip


def order_as_guest(life: Life, received: int, at: int) -> list[Message]:
    """Somebody orders at the shop with the victim's address, and ticks every box."""
    guest = f"g{life.number}-{life.rng.randint(0, 1)}"
    return [
        send(life, SHOP, received, type="identify", userId=guest, traits={"email": life.email, "firstName": "Guest"}),
        state(life, SHOP, received, given=life.rng.random() < 0.7, userId=guest, timestamp=at),
    ]


def crowd_the_card(life: Life, received: int, at: int) -> list[Message]:
    """So many accounts get the victim's loyalty card that it joins nobody any more."""
    external = {"externalIds": [{"type": "loyalty", "id": f"card-{life.number}"}]}
    return [
        send(life, SHOP, received, type="identify", userId=f"crowd-{life.number}-{n}", context=external, timestamp=at)
        for n in range(26)
    ]


def repeat(life: Life, received: int, at: int) -> list[Message]:
    """A stranger sends again what they sent before, and the dead letters of it are replayed."""
    del received, at
    return life.rng.sample(life.kept, min(2, len(life.kept)))


OWN: Final[Mapping[str, Step]] = {
    step.__name__: step for step in (grant, withdraw, withdraw_in_the_crm, refuse_on_device, grant_on_device, log_in)
}
"""Steps of the victim. After them, more may be seen of the victim."""

HOSTILE: Final[Mapping[str, Step]] = {
    step.__name__: step
    for step in (
        claim, claim_from_an_account, grant_for_the_victim, grant_from_an_account, deny_for_the_victim,
        deny_from_an_account, carry, alias, plant, flood, order_as_guest, crowd_the_card, repeat,
    )
}  # fmt: skip
"""Steps of others. After them, nothing more may be seen of the victim."""

COMPANY: Final = frozenset({"order_as_guest", "crowd_the_card"})
"""Hostile steps that reach us by the company's own systems: less may be seen of the victim after them."""


def choose_step(life: Life) -> tuple[str, Step, bool]:
    """Returns the name of the next step, the step, and whether it is the victim's own. Floods are rare."""
    hostile = life.rng.random() < 0.75
    steps = HOSTILE if hostile else OWN
    name = life.rng.choice(sorted(steps))
    if name in ("flood", "crowd_the_card") and life.rng.random() < 0.8:
        name = "claim"
    return name, steps[name], not hostile


def choose_claimed_time(life: Life, received: int) -> int:
    """Returns what the events of a step claim as their time: now, years ago, or a little ahead."""
    return received + life.rng.choice((0, 0, -4 * 365 * DAY, -DAY, 60_000))


START: Final = NOW - 30 * DAY
