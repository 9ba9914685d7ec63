"""The queries of the demonstration, and a small client that sends them as any client would: over HTTP, with a key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import httpx

from graph.errors import ConsentricError
from graph.model.identity import RecordRef

PERSON: Final = """query Person($source: String!, $key: String!, $kind: RecordKind! = USER) {
  profile(by: {record: {source: $source, key: $key, kind: $kind}}) {
    givenName
    familyName
    email
    birthDate
    age
    gender
    country
    segments { segment { key title } }
    rfm { recencyScore frequencyScore monetaryScore }
    recommendations(first: 3) { item { key title } score strategy reasons { text share } }
  }
}"""

RANKINGS: Final = """query Rankings($source: String!, $key: String!, $kind: RecordKind! = USER, $first: Int!) {
  profile(by: {record: {source: $source, key: $key, kind: $kind}}) {
    walk: recommendations(first: $first) { item { key } }
    popular: recommendations(first: $first, strategy: POPULAR) { item { key } }
  }
}"""

RECOMMENDATIONS: Final = """query Recommendations($source: String!, $key: String!, $kind: RecordKind! = USER) {
  profile(by: {record: {source: $source, key: $key, kind: $kind}}) {
    recommendations(first: 3) { item { title } }
  }
}"""

CONSENTS: Final = """query Consents {
  me { consents { purpose recipient permitted state reason effectiveAt } }
}"""

WITHDRAWAL: Final = """mutation Withdraw($purpose: String!) {
  withdrawConsent(input: {purpose: $purpose}) {
    accepted
    consents { purpose recipient permitted state }
  }
}"""


class DemonstrationFailed(ConsentricError):
    """The served API responded with errors."""


class ApiClient:
    """A client of the API with one credential, on a shared connection pool."""

    def __init__(self, http: httpx.AsyncClient, credential: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {credential}"}

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Sends one operation and returns its data. Raises DemonstrationFailed if the response has errors."""
        body = {"query": query, "variables": variables}
        response = await self._http.post("/graphql", json=body, headers=self._headers)
        result = response.json()
        if "data" not in result or result.get("errors"):
            messages = "; ".join(str(error.get("message")) for error in result.get("errors", []))
            raise DemonstrationFailed(f"The API responded with status {response.status_code}: {messages}")
        data: dict[str, Any] = result["data"]
        return data

    async def ask_profile(self, query: str, record: RecordRef, **variables: Any) -> dict[str, Any] | None:
        """Returns the profile of the person with this record; None if there is none for this viewer."""
        named = {"source": record.source, "key": record.key, "kind": record.kind.name}
        data = await self.ask(query, **named, **variables)
        profile: dict[str, Any] | None = data["profile"]
        return profile


def keys_of(recommendations: Sequence[dict[str, Any]] | None) -> list[str] | None:
    """Returns the item keys of recommendations; None if they are withheld."""
    return None if recommendations is None else [entry["item"]["key"] for entry in recommendations]


def titles_of(recommendations: Sequence[dict[str, Any]] | None) -> list[str] | None:
    """Returns the titles of recommendations; None if they are withheld."""
    return None if recommendations is None else [entry["item"]["title"] for entry in recommendations]
