"""The cast of the demonstration: MovieLens people joined to FEBRL persons and spread over the systems of one company.

A seed decides everything that the data sets leave open: which FEBRL person a MovieLens person is, which system keeps
which of their rows, who uses a browser before logging in, through which record a rating comes, which fifth of the
ratings is held back, and who states what about consent.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

import numpy as np

from api.demo.datasets import FebrlRow, Movie, MovieLens, MoviePerson, Rating
from graph.model.access import Trust
from graph.model.consent import ConsentState
from graph.model.identity import RecordKind, RecordRef
from graph.model.time import DAY, Millis

SEED: Final = 20261123
HELD_BACK: Final = 0.2


@dataclass(frozen=True, slots=True)
class CompanySystem:
    """A system of the company: the name and the trust of its source, the namespace of its user IDs, and the kinds of
    contact data that it checks."""

    name: str
    trust: Trust
    namespace: str
    verifies: tuple[str, ...] = ()


WEB: Final = CompanySystem("web", Trust.PUBLIC, "shop")
"""The browsers. They know a person by a device and, once somebody has logged in, by the shop's user ID."""

SHOP: Final = CompanySystem("shop", Trust.SERVER, "shop", verifies=("email",))
"""The shop's back end. It sends a link to every address, and uses those that confirm."""

APP: Final = CompanySystem("app", Trust.SERVER, "app")
"""The app's back end, which takes any address that people type in."""

CRM: Final = CompanySystem("crm", Trust.RECORD, "crm")

SYSTEMS: Final = (SHOP, APP, CRM)
"""The systems that keep rows: the first a person's original row, the others its duplicates."""

SOURCES: Final = (WEB, *SYSTEMS)

PARTNER: Final = "acme-media"
OTHER_PARTNER: Final = "globex-ads"
STATED_AT: Final = Millis(893_980_800_000)  # 1998-05-01, after the last rating
HOUR: Final = 3_600_000
YEAR: Final = 365 * DAY
CENTURY: Final = 100 * YEAR

FIRST_PARTY: Final = ("analytics", "personalisation", "marketing")


@dataclass(frozen=True, slots=True)
class Statement:
    """A consent statement of a record. `expires_after` is in milliseconds from `at`."""

    record: RecordRef
    purpose: str
    state: ConsentState
    at: Millis
    recipient: str | None = None
    expires_after: int | None = None


@dataclass(frozen=True, slots=True)
class Device:
    """A browser that a person used before logging in. `vouched`: the shop's back end names it, too, so that it is
    proven to be theirs; otherwise only the page claims so."""

    record: RecordRef
    vouched: bool


@dataclass(frozen=True, slots=True)
class Member:
    """A person of the cast: who rated, the FEBRL rows that the systems keep, and the person's consent statements."""

    movie_person: MoviePerson
    records: tuple[tuple[RecordRef, FebrlRow], ...]
    device: Device | None
    statements: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Cast:
    """Everything that the demonstration loads, and the ratings that it holds back for evaluation."""

    members: tuple[Member, ...]
    movies: tuple[Movie, ...]
    ratings: tuple[tuple[RecordRef, Rating], ...]
    held_back: tuple[Rating, ...]

    def truth(self) -> dict[RecordRef, str]:
        """Returns the person of every account record: FEBRL's ground truth."""
        return {ref: member.movie_person.id for member in self.members for ref, _ in member.records}

    @property
    def devices(self) -> tuple[Device, ...]:
        """The devices of all people."""
        return tuple(member.device for member in self.members if member.device)


def assemble_cast(movielens: MovieLens, groups: dict[str, tuple[FebrlRow, ...]], seed: int = SEED) -> Cast:
    """Joins the two data sets, deterministically for a `seed`.

    `groups` is FEBRL's ground truth: the rows of each person, the original first.
    """
    rng = np.random.default_rng(seed)
    persons = choose_persons(groups, len(movielens.people))
    members = tuple(
        make_member(number, person, rows, rng)
        for number, (person, rows) in enumerate(zip(movielens.people, persons, strict=True))
    )
    held = rng.random(len(movielens.ratings)) < HELD_BACK
    loaded = tuple(rating for rating, back in zip(movielens.ratings, held, strict=True) if not back)
    return Cast(
        members=members,
        movies=movielens.movies,
        ratings=spread_ratings(members, loaded, rng),
        held_back=tuple(rating for rating, back in zip(movielens.ratings, held, strict=True) if back),
    )


def choose_persons(groups: dict[str, tuple[FebrlRow, ...]], count: int) -> list[tuple[FebrlRow, ...]]:
    """Returns `count` FEBRL persons with at most one row per system, in the source's order, those with duplicates
    first."""
    fitting = [rows for rows in groups.values() if len(rows) <= len(SYSTEMS)]
    return sorted(fitting, key=lambda rows: len(rows) == 1)[:count]


def make_member(number: int, person: MoviePerson, rows: tuple[FebrlRow, ...], rng: np.random.Generator) -> Member:
    """Returns one person, whose row k is in system k under an ID of that system.

    Half of the people first used a browser; the shop's back end names two thirds of these devices.
    """
    records = tuple(
        (RecordRef(system.name, RecordKind.USER, f"{system.name}-{number:04d}"), row)
        for system, row in zip(SYSTEMS, rows, strict=False)
    )
    name = RecordRef(WEB.name, RecordKind.ANONYMOUS, str(UUID(bytes=rng.bytes(16), version=4)))
    draw = rng.random()
    device = Device(name, vouched=draw < 0.33) if draw < 0.5 else None
    statements = draw_statements(records[0][0], records[-1][0], rng)
    return Member(person, records, device, (*statements, *(answer_banner(device.record, statements) if device else ())))


def answer_banner(device: RecordRef, statements: Sequence[Statement]) -> tuple[Statement, ...]:
    """Returns what the person states on the device, to the consent banner of the web site: the same as to the shop
    before they changed their mind. Who states nothing to the shop ignores the banner, too."""
    if any(statement.state is ConsentState.GIVEN for statement in statements):
        return give(device)
    return tuple(replace(statement, record=device) for statement in statements)


def draw_statements(first: RecordRef, last: RecordRef, rng: np.random.Generator) -> tuple[Statement, ...]:
    """Draws the consent statements of one person, as the systems record them. Over many people, they cover every state
    and silence.

    Seven in ten people permit the purposes of the first party, and half of them sharing with the partner. Most of the
    others deny one purpose in one of the ways of `DENIALS`, such as withdrawing in another system, objecting or letting
    consent expire. The rest refuse personalisation or state nothing.
    """
    draw = rng.random()
    if draw < 0.70:
        return (*give(first), *share(first, rng), *renew(first, rng))
    if draw < 0.94:
        denials = tuple(DENIALS)
        return (*give(first), *DENIALS[denials[int(rng.integers(len(denials)))]](first, last))
    if draw < 0.97:
        return (Statement(first, "personalisation", ConsentState.REFUSED, STATED_AT),)
    return ()


def give(record: RecordRef) -> tuple[Statement, ...]:
    """Returns consent to every purpose of the first party."""
    return tuple(Statement(record, purpose, ConsentState.GIVEN, STATED_AT) for purpose in FIRST_PARTY)


def share(record: RecordRef, rng: np.random.Generator) -> tuple[Statement, ...]:
    """Returns consent to sharing with one partner, from half the people. Nobody consents to the other."""
    if rng.random() < 0.5:
        return ()
    return (Statement(record, "partner_sharing", ConsentState.GIVEN, STATED_AT, PARTNER),)


def renew(record: RecordRef, rng: np.random.Generator) -> tuple[Statement, ...]:
    """Returns a renewal a week later that lasts a century, from one person in ten."""
    if rng.random() < 0.9:
        return ()
    at = Millis(STATED_AT + 7 * DAY)
    return (Statement(record, "personalisation", ConsentState.RENEWED, at, expires_after=CENTURY),)


def _later(purpose: str, state: ConsentState, record: RecordRef) -> tuple[Statement, ...]:
    return (Statement(record, purpose, state, Millis(STATED_AT + DAY)),)


def _lapse(first: RecordRef, _: RecordRef) -> tuple[Statement, ...]:
    at = Millis(STATED_AT + HOUR)
    return (Statement(first, "personalisation", ConsentState.RENEWED, at, expires_after=YEAR),)


DENIALS: Final[dict[str, Callable[[RecordRef, RecordRef], tuple[Statement, ...]]]] = {
    "withdrawn": lambda _, last: _later("personalisation", ConsentState.WITHDRAWN, last),
    "refused": lambda _, last: _later("analytics", ConsentState.REFUSED, last),
    "revoked": lambda first, _: _later("personalisation", ConsentState.REVOKED, first),
    "objected": lambda first, _: _later("marketing", ConsentState.OBJECTED, first),
    "unlinked": lambda first, _: _later("identity_linking", ConsentState.OBJECTED, first),
    "expired": lambda first, _: _later("personalisation", ConsentState.EXPIRED, first),
    "lapsed": _lapse,
    "invalidated": lambda first, _: _later("analytics", ConsentState.INVALIDATED, first),
    "unknown": lambda first, _: _later("marketing", ConsentState.UNKNOWN, first),
}
"""The ways of denying a purpose after consenting to it, as functions of the person's first and last record."""


def spread_ratings(
    members: Sequence[Member], ratings: Sequence[Rating], rng: np.random.Generator
) -> tuple[tuple[RecordRef, Rating], ...]:
    """Returns the ratings in order of time, each with the record through which it comes.

    A person's first tenth comes through the device, if there is one, and each other rating through a random system that
    knows the person.
    """
    of = {member.movie_person.id: member for member in members}
    on_device = {
        person: count // 10 if of[person].device else 0 for person, count in Counter(r.person for r in ratings).items()
    }
    spread: list[tuple[RecordRef, Rating]] = []
    for rating in sorted(ratings, key=lambda r: (r.at, r.person, r.item)):
        member = of[rating.person]
        if member.device is not None and on_device[rating.person] > 0:
            on_device[rating.person] -= 1
            spread.append((member.device.record, rating))
        else:
            spread.append((member.records[int(rng.integers(len(member.records)))][0], rating))
    return tuple(spread)
