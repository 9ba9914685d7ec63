"""Credentials in HTTP headers: who sends a request, as a source or as a viewer.

What lives here: the headers `Authorization` and `Consentric-Purpose`. What does not: whether a credential is good
(`resolvers/access/credentials.py`), what it may do (`privacy/gate.py`).
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

from starlette.requests import HTTPConnection

from api.process.runtime import Runtime
from graph.errors import BadInput, Unauthenticated
from graph.model.access import Source
from resolvers.access.credentials import Authority
from resolvers.context import RequestContext

PURPOSE_HEADER: Final = "consentric-purpose"
MAX_CREDENTIAL_CHARACTERS: Final = 10_240
NO_CREDENTIAL: Final = "Send a credential: Authorization: Bearer, with an API key or a subject token."
NO_WRITE_KEY: Final = "Send the source's write key: Authorization: Basic, the key as user name, no password."


async def admit_request(connection: HTTPConnection, runtime: Runtime) -> RequestContext:
    """The context of a viewer's request. Raises Unauthenticated, Forbidden, PurposeRequired."""
    scheme, credential = read_authorization(connection, NO_CREDENTIAL)
    if scheme != "bearer":
        raise Unauthenticated(NO_CREDENTIAL)
    admission = await runtime.authority.admit_viewer(credential, read_purpose(connection))
    return RequestContext(
        services=runtime.services,
        viewer=admission.viewer,
        now=runtime.services.clock(),
    )


async def admit_sender(connection: HTTPConnection, authority: Authority) -> Source:
    """The source that sends a request to the collection API, by its write key: Basic, or Bearer. Raises
    Unauthenticated."""
    scheme, credential = read_authorization(connection, NO_WRITE_KEY)
    if scheme == "basic":
        credential = read_basic_user(credential)
    elif scheme != "bearer":
        raise Unauthenticated(NO_WRITE_KEY)
    return await authority.admit_source(credential)


def read_authorization(connection: HTTPConnection, missing: str) -> tuple[str, str]:
    """Scheme (in small letters) and credential. More than one such header is none."""
    given = connection.headers.getlist("authorization")
    if len(given) != 1 or len(given[0]) > MAX_CREDENTIAL_CHARACTERS:
        raise Unauthenticated(missing)
    scheme, _, credential = given[0].strip().partition(" ")
    return scheme.lower(), credential.strip()


def read_basic_user(credential: str) -> str:
    """The user name of Basic credentials."""
    try:
        return b64decode(credential, validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, ValueError):
        raise Unauthenticated(NO_WRITE_KEY) from None


def read_purpose(connection: HTTPConnection) -> str | None:
    """The purpose that the request picks, if it picks one."""
    given = connection.headers.getlist(PURPOSE_HEADER)
    if len(given) > 1:
        raise BadInput("Send the header Consentric-Purpose once.")
    return given[0].strip() or None if given else None
