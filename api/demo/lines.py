"""The NDJSON files of the demonstration: what each system exports, in the format that any real system would use.

Items, people, consents and ratings of the cast become lines in Segment's format and ours, with the flaws of real
exports: lines sent twice and lines that can't be read.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

import orjson

from api.collection.segment.messages import RawMessage
from api.demo.cast import SHOP, SOURCES, STATED_AT, WEB, Cast, Device, Member, Statement
from api.demo.datasets import FebrlRow, Movie, Rating
from graph.model.identity import RecordKind, RecordRef

SENT_TWICE: Final = 50
"""Every fiftieth line is sent twice, as by a sender that retries."""

FLAWED: Final = (
    b'{"type": "track", "event": "Product Rated", "userId": ',
    b'{"type": "track", "event": "Product Rated", "properties": {"product_id": "50"}}',
    b'{"type": "identify", "userId": null, "traits": {}}',
    b'{"type": "track", "userId": "u", "event": "Product Viewed", "timestamp": "the day before yesterday"}',
    b'{"type": "track", "userId": "u", "event": "Product Viewed", "timestamp": "9999-12-31T23:59:59Z"}',
    b'{"type": "teleport", "userId": "u"}',
    b'{"type": "consent", "userId": "u", "purpose": "world_domination", "state": "given"}',
    b'"not an object"',
)
"""Lines that are rejected, each in a different way."""


def write_files(cast: Cast, folder: Path) -> dict[str, Path]:
    """Writes one gzipped NDJSON file per source. Returns their paths by source."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for system in SOURCES:
        files[system.name] = folder / f"{system.name}.ndjson.gz"
        with gzip.open(files[system.name], "wb", compresslevel=1) as file:
            file.writelines(line + b"\n" for line in flaw(system_lines(cast, system.name)))
    return files


def flaw(lines: Iterable[RawMessage]) -> Iterator[bytes]:
    """Yields the lines as bytes, some of them twice, then the flawed ones."""
    for number, line in enumerate(lines):
        text = orjson.dumps(line)
        yield text
        if number % SENT_TWICE == 0:
            yield text
    yield from FLAWED


def system_lines(cast: Cast, system: str) -> Iterator[RawMessage]:
    """Yields what one system exports: the catalogue (the shop only), people, consent statements, ratings."""
    catalogue = (item_line(movie) for movie in cast.movies) if system == SHOP.name else iter(())
    people = chain.from_iterable(person_lines(member, system) for member in cast.members)
    consents = (consent_line(s) for member in cast.members for s in member.statements if s.record.source == system)
    titles = {movie.id: movie.title for movie in cast.movies}
    ratings = (rating_line(ref, rating, titles[rating.item]) for ref, rating in cast.ratings if ref.source == system)
    return chain(catalogue, people, consents, ratings)


def item_line(movie: Movie) -> RawMessage:
    """Returns a film as an item."""
    line: RawMessage = {
        "type": "item",
        "itemId": movie.id,
        "title": movie.title or f"Film {movie.id}",
        "available": True,
    }
    line |= {"messageId": f"item-{movie.id}", "topics": [{"key": genre, "weight": 1} for genre in movie.genres]}
    return line | ({"category": movie.genres[0]} if movie.genres else {}) | ({"year": movie.year} if movie.year else {})


def person_lines(member: Member, system: str) -> Iterator[RawMessage]:
    """Yields an identify for the person's device or for each row in this system. The shop's names the device, too, if
    its back end knows it."""
    if member.device and system == WEB.name:
        yield device_line(member, member.device)
    for ref, row in member.records:
        if ref.source != system:
            continue
        line: RawMessage = {
            "type": "identify",
            "userId": ref.key,
            "messageId": f"who-{ref.key}",
            "timestamp": iso(STATED_AT),
        }
        if row.soc_sec_id:
            line["context"] = {"externalIds": [{"type": "soc_sec_id", "id": row.soc_sec_id, "collection": "users"}]}
        if member.device and member.device.vouched and system == SHOP.name:
            line["anonymousId"] = member.device.record.key
        yield line | {"traits": row_traits(row) | (watcher_traits(member) if system == SHOP.name else {})}


def device_line(member: Member, device: Device) -> RawMessage:
    """Returns what the page sends when somebody logs in: the shop's user ID, which a public source only claims."""
    return {
        "type": "identify",
        "anonymousId": device.record.key,
        "userId": member.records[0][0].key,
        "messageId": f"who-{device.record.key}",
        "timestamp": iso(STATED_AT),
    }


def row_traits(row: FebrlRow) -> dict[str, Any]:
    """Returns a FEBRL row as Segment's standard traits, without what the row lacks."""
    street = " ".join(part for part in (row.street_number, row.address_1, row.address_2) if part)
    address = {"street": street, "city": row.suburb, "postalCode": row.postcode, "state": row.state, "country": "AU"}
    traits = {
        "firstName": row.given_name,
        "lastName": row.surname,
        "email": row_address(row),
        "birthday": iso_date(row.date_of_birth),
        "address": {name: value for name, value in address.items() if value},
    }
    return {name: value for name, value in traits.items() if value}


def row_address(row: FebrlRow) -> str | None:
    """Returns an e-mail address made of a row's name and year of birth, with FEBRL's typing errors; None if one is
    missing."""
    if not (row.given_name and row.surname and row.date_of_birth):
        return None
    name = ".".join("".join(part.split()) for part in (row.given_name, row.surname))
    return f"{name}.{row.date_of_birth[:4]}@example.org"


def watcher_traits(member: Member) -> dict[str, Any]:
    """Returns what MovieLens knows about the person."""
    person = member.movie_person
    return {"age": person.age, "gender": person.gender, "occupation": person.occupation}


def iso_date(digits: str | None) -> str | None:
    """Returns YYYYMMDD as an ISO date, or None if FEBRL has distorted it into an impossible one."""
    try:
        return datetime.strptime(digits or "", "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return None


def consent_line(statement: Statement) -> RawMessage:
    """Returns a consent statement as a line."""
    who = "userId" if statement.record.kind is RecordKind.USER else "anonymousId"
    recipient = f"-{statement.recipient}" if statement.recipient else ""
    line: RawMessage = {
        "type": "consent",
        "messageId": f"said-{statement.record.key}-{statement.purpose}{recipient}-{statement.state}",
        who: statement.record.key,
        "purpose": statement.purpose,
        "state": statement.state.value,
        "timestamp": iso(statement.at),
        "lawfulBasis": "legitimate_interests" if statement.purpose == "identity_linking" else "consent",
        "mechanism": "opt-in",
        "jurisdiction": "AU",
        "notice": "privacy-notice",
        "noticeVersion": "1",
    }
    line |= {"recipient": statement.recipient} if statement.recipient else {}
    return line | ({"expiresAt": iso(statement.at + statement.expires_after)} if statement.expires_after else {})


def rating_line(ref: RecordRef, rating: Rating, title: str | None) -> RawMessage:
    """Returns a rating as a track event."""
    return {
        "type": "track",
        "event": "Product Rated",
        "messageId": f"rated-{rating.person}-{rating.item}",
        "userId" if ref.kind is RecordKind.USER else "anonymousId": ref.key,
        "timestamp": iso(rating.at),
        "properties": {"product_id": rating.item, "name": title, "rating": rating.value},
    }


def iso(at: int) -> str:
    """Returns epoch milliseconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")
