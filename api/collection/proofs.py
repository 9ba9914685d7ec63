"""Taking the proof out of a message before anything else reads it, so that it is neither stored nor logged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from api.collection.origin import Origin
from api.collection.reasons import Rejected, RejectionReason
from graph.model.access import Trust
from resolvers.access.proofs import USER_HASH, USER_TOKEN, InvalidProof, ProofTexts


def carries_proof(value: Any) -> bool:
    """Whether a message's context has a field for a proof."""
    context = value.get("context") if isinstance(value, dict) else None
    return isinstance(context, dict) and (USER_HASH in context or USER_TOKEN in context)


def remove_proof(value: Any) -> tuple[Any, ProofTexts]:
    """Returns a message without its proof, and the proof."""
    if not carries_proof(value):
        return value, ProofTexts()
    context = dict(value["context"])
    given = ProofTexts(context.pop(USER_HASH, None), context.pop(USER_TOKEN, None))
    return {**value, "context": context}, given


async def verify_proof(value: Any, given: ProofTexts, origin: Origin) -> Origin:
    """Returns the origin of a message with what proves its names. `value` is the message without its proof.

    Only a public source needs a proof, and only for a user ID; any other is ignored. Raises Rejected if the proof is
    wrong or has expired: the sender meant to prove something, so the message is not taken for a claim.
    """
    if given == ProofTexts() or origin.source.trust is not Trust.PUBLIC:
        return origin
    user_id = _read_id(value.get("userId"))
    if not user_id:
        return origin
    if origin.proofs is None:
        raise Rejected(RejectionReason.BAD_PROOF, "A proof can't be checked here.", "context")
    try:
        anonymous_id = _read_id(value.get("anonymousId"))
        proven = await origin.proofs.verify(origin.source, user_id, anonymous_id, given, origin.received_at)
    except InvalidProof as error:
        raise Rejected(RejectionReason.BAD_PROOF, str(error), f"context.{error.field}") from None
    return replace(origin, proof=proven.proof, reach=proven.reach)


def _read_id(value: Any) -> str:
    """Returns an ID as text; an empty text if there is none. What is no ID is refused when the message is read."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
