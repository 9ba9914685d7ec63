"""The NDJSON files of the demonstration: what each system exports, in the format that any system would use.

The cast's items, people, consents and ratings become lines of Segment's format and ours, with the flaws of real
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
from api.demo.cast import STATED_AT, SYSTEMS, Cast, Member, Statement
from api.demo.datasets import FebrlRow, Movie, Rating
from graph.model.identity import RecordKind, RecordRef

SENT_TWICE: Final = 50
"""One line in so many was retried by its sender."""

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
"""Lines that are rejected, each for another reason."""


def write_files(cast: Cast, folder: Path) -> dict[str, Path]:
    """One gzipped NDJSON file a system, in the order they are to be loaded; returns them by source."""
    folder.mkdir(parents=True, exist_ok=True)
    files = {}
    for system in SYSTEMS:
        files[system] = folder / f"{system}.ndjson.gz"
        with gzip.open(files[system], "wb", compresslevel=1) as file:
            file.writelines(line + b"\n" for line in flaw(system_lines(cast, system)))
    return files


def flaw(lines: Iterable[RawMessage]) -> Iterator[bytes]:
    """The lines as bytes, some of them twice, and the flawed ones behind them."""
    for number, line in enumerate(lines):
        text = orjson.dumps(line)
        yield text
        if number % SENT_TWICE == 0:
            yield text
    yield from FLAWED


def system_lines(cast: Cast, system: str) -> Iterator[RawMessage]:
    """What one system exports: the catalogue (the first system only), people, what they said, what they did."""
    catalogue = (item_line(movie) for movie in cast.movies) if system == SYSTEMS[0] else iter(())
    people = chain.from_iterable(person_lines(member, system) for member in cast.members)
    said = (consent_line(s) for member in cast.members for s in member.statements if s.record.source == system)
    titles = {movie.id: movie.title for movie in cast.movies}
    did = (rating_line(ref, rating, titles[rating.item]) for ref, rating in cast.ratings if ref.source == system)
    return chain(catalogue, people, said, did)


def item_line(movie: Movie) -> RawMessage:
    """A film of the catalogue."""
    line: RawMessage = {
        "type": "item",
        "itemId": movie.id,
        "title": movie.title or f"Film {movie.id}",
        "available": True,
    }
    line |= {"messageId": f"item-{movie.id}", "topics": [{"key": genre, "weight": 1} for genre in movie.genres]}
    return line | ({"category": movie.genres[0]} if movie.genres else {}) | ({"year": movie.year} if movie.year else {})


def person_lines(member: Member, system: str) -> Iterator[RawMessage]:
    """The person's row in this system; where a device was theirs, the identify that ties it to them."""
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
        if member.device and member.device.source == system:
            line["anonymousId"] = member.device.key
        yield line | {"traits": row_traits(row) | (watcher_traits(member) if system == SYSTEMS[0] else {})}


def row_traits(row: FebrlRow) -> dict[str, Any]:
    """A FEBRL row as Segment's standard traits; what the row lacks is left out."""
    street = " ".join(part for part in (row.street_number, row.address_1, row.address_2) if part)
    address = {"street": street, "city": row.suburb, "postalCode": row.postcode, "state": row.state, "country": "AU"}
    traits = {
        "firstName": row.given_name,
        "lastName": row.surname,
        "birthday": iso_date(row.date_of_birth),
        "address": {name: value for name, value in address.items() if value},
    }
    return {name: value for name, value in traits.items() if value}


def watcher_traits(member: Member) -> dict[str, Any]:
    """What MovieLens knows of the person."""
    person = member.movie_person
    return {"age": person.age, "gender": person.gender, "occupation": person.occupation}


def iso_date(digits: str | None) -> str | None:
    """YYYYMMDD as an ISO date; None where FEBRL's distortion made it impossible."""
    try:
        return datetime.strptime(digits or "", "%Y%m%d").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return None


def consent_line(statement: Statement) -> RawMessage:
    """One consent statement."""
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
    """One rating as a track event."""
    return {
        "type": "track",
        "event": "Product Rated",
        "messageId": f"rated-{rating.person}-{rating.item}",
        "userId" if ref.kind is RecordKind.USER else "anonymousId": ref.key,
        "timestamp": iso(rating.at),
        "properties": {"product_id": rating.item, "name": title, "rating": rating.value},
    }


def iso(at: int) -> str:
    """Epoch milliseconds as ISO 8601 in UTC."""
    return datetime.fromtimestamp(at / 1000, UTC).isoformat().replace("+00:00", "Z")
