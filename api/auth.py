"""The headers `Authorization`, `Consentric-Purpose` and `Consentric-Import`: who a request comes from, and what for.

Whether a credential is valid is decided in `resolvers/access/credentials.py`.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from typing import Final

from starlette.requests import HTTPConnection

from api.process.runtime import Runtime
from graph.errors import BadInput, Forbidden, Unauthenticated
from graph.model.access import Source, Trust
from resolvers.access.credentials import Authority
from resolvers.context import RequestContext

PURPOSE_HEADER: Final = "consentric-purpose"
IMPORT_HEADER: Final = "consentric-import"
BROWSER_HEADERS: Final = ("origin", "sec-fetch-site")
"""Headers that browsers send with the requests of a page, and servers don't."""

NO_BROWSER: Final = (
    "A browser sent a server's write key: revoke it, and give the page the key of a source with --trust public."
)
MAX_CREDENTIAL_CHARACTERS: Final = 10_240
NO_CREDENTIAL: Final = "Send an API key or a subject token in the header Authorization: Bearer …"
NO_WRITE_KEY: Final = "Send the source's write key as the user name of HTTP Basic authentication, without a password."


async def admit_request(connection: HTTPConnection, runtime: Runtime) -> RequestContext:
    """Returns the context of a viewer's request. Raises Unauthenticated, Forbidden, PurposeRequired or BadInput."""
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
    """Returns the source whose write key a collection request carries, as Basic or Bearer. Raises Unauthenticated."""
    scheme, credential = read_authorization(connection, NO_WRITE_KEY)
    if scheme == "basic":
        credential = read_basic_user(credential)
    elif scheme != "bearer":
        raise Unauthenticated(NO_WRITE_KEY)
    return await authority.admit_source(credential)


def refuse_browser(connection: HTTPConnection, source: Source) -> None:
    """Raises Forbidden if a browser sends the key of a source that is not public: everybody can read it there."""
    if source.trust is not Trust.PUBLIC and any(name in connection.headers for name in BROWSER_HEADERS):
        raise Forbidden(NO_BROWSER)


def read_authorization(connection: HTTPConnection, missing: str) -> tuple[str, str]:
    """Returns the scheme in lower case and the credential.

    Raises Unauthenticated with the message `missing` unless there is exactly one header of a reasonable length.
    """
    given = connection.headers.getlist("authorization")
    if len(given) != 1 or len(given[0]) > MAX_CREDENTIAL_CHARACTERS:
        raise Unauthenticated(missing)
    scheme, _, credential = given[0].strip().partition(" ")
    return scheme.lower(), credential.strip()


def read_basic_user(credential: str) -> str:
    """Returns the user name of Basic credentials. Raises Unauthenticated if they are malformed."""
    try:
        return b64decode(credential, validate=True).decode("ascii").partition(":")[0]
    except (binascii.Error, ValueError):
        raise Unauthenticated(NO_WRITE_KEY) from None


def is_import(connection: HTTPConnection) -> bool:
    """Returns whether a collection request is an import, whose messages state when they were received. Raises BadInput
    if the header is neither `true` nor `false`."""
    given = connection.headers.getlist(IMPORT_HEADER)
    if given not in ([], ["true"], ["false"]):
        raise BadInput("Send the header Consentric-Import once, with the value true or false.")
    return given == ["true"]


def read_purpose(connection: HTTPConnection) -> str | None:
    """Returns the purpose that the request chooses, or None. Raises BadInput if the header is sent twice."""
    given = connection.headers.getlist(PURPOSE_HEADER)
    if len(given) > 1:
        raise BadInput("Send the header Consentric-Purpose only once.")
    return given[0].strip() or None if given else None
