"""Purposes: what data may be used for, as the policy has it.

What lives here: `Purpose` and its enums. What does not: the policy (`privacy/policy.py`).
"""

from __future__ import annotations

import strawberry

from privacy.fields import Category
from privacy.policy import Policy


@strawberry.type(description="One reason to use data, and what it may see.")
class Purpose:
    """A purpose of the policy in force."""

    key: str
    title: str
    description: str
    lawful_basis: str
    regime: str
    per_recipient: bool
    categories: list[str]


def list_purposes(policy: Policy) -> list[Purpose]:
    """The purposes of a policy, in its order, with the categories of fields that each may see."""
    return [
        Purpose(
            key=purpose.key,
            title=purpose.title,
            description=purpose.description,
            lawful_basis=purpose.lawful_basis,
            regime=purpose.regime,
            per_recipient=purpose.per_recipient,
            categories=[c for c in Category if purpose.key in policy.categories.get(c, frozenset())],
        )
        for purpose in policy.purposes.values()
    ]
