"""What the demonstration asks the served API, as any client would: over HTTP, with a key, in GraphQL.

What lives here: the queries and a small client. What does not: the order in which they are asked (`play.py`), how
answers are shown (`show.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import httpx

from graph.errors import ConsentricError
from graph.model.identity import RecordRef

PERSON: Final = """query Person($source: String!, $key: String!) {
  profile(by: {record: {source: $source, key: $key}}) {
    givenName
    familyName
    birthDate
    age
    gender
    country
    segments { segment { key title } }
    rfm { recencyScore frequencyScore monetaryScore }
    recommendations(first: 3) { item { key title } score strategy reasons { text share } }
  }
}"""

TASTE: Final = """query Taste($source: String!, $key: String!, $first: Int!) {
  profile(by: {record: {source: $source, key: $key}}) {
    walk: recommendations(first: $first) { item { key } }
    popular: recommendations(first: $first, strategy: POPULAR) { item { key } }
  }
}"""

ADVICE: Final = """query Advice($source: String!, $key: String!) {
  profile(by: {record: {source: $source, key: $key}}) {
    recommendations(first: 3) { item { title } }
  }
}"""

WITHDRAWAL: Final = """mutation Withdraw($purpose: String!) {
  withdrawConsent(input: {purpose: $purpose}) {
    accepted
    consents { purpose recipient permitted state }
  }
}"""


class DemonstrationFailed(ConsentricError):
    """The served API did not answer as the demonstration needs it to."""


class Asker:
    """A client of the API with one credential, over a connection pool that others share."""

    def __init__(self, http: httpx.AsyncClient, credential: str) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {credential}"}

    async def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer. Raises DemonstrationFailed where the answer holds errors."""
        body = {"query": query, "variables": variables}
        response = await self._http.post("/graphql", json=body, headers=self._headers)
        answer = response.json()
        if "data" not in answer or answer.get("errors"):
            said = "; ".join(str(error.get("message")) for error in answer.get("errors", []))
            raise DemonstrationFailed(f"The API answered {response.status_code}: {said}")
        data: dict[str, Any] = answer["data"]
        return data

    async def ask_of(self, query: str, record: RecordRef, **variables: Any) -> dict[str, Any] | None:
        """The profile of a query that names a person by record; None where there is none for this viewer."""
        data = await self.ask(query, source=record.source, key=record.key, **variables)
        profile: dict[str, Any] | None = data["profile"]
        return profile


def keys_of(recommendations: Sequence[dict[str, Any]] | None) -> list[str] | None:
    """The item keys of a list of recommendations; None for one that is withheld."""
    return None if recommendations is None else [entry["item"]["key"] for entry in recommendations]


def titles_of(recommendations: Sequence[dict[str, Any]] | None) -> list[str] | None:
    """The titles of a list of recommendations; None for one that is withheld."""
    return None if recommendations is None else [entry["item"]["title"] for entry in recommendations]
