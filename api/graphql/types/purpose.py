"""Purposes as the API shows them: what data may be used for under the policy in force."""

from __future__ import annotations

import strawberry

from privacy.fields import Category
from privacy.policy import Policy


@strawberry.type(description="A purpose that data may be used for, as the policy in force defines it.")
class Purpose:
    key: str = strawberry.field(description="Key of the purpose, such as `personalisation`.")
    title: str = strawberry.field(description="Short title to display.")
    description: str = strawberry.field(description="What data is used for under this purpose.")
    lawful_basis: str = strawberry.field(
        description="Legal basis under GDPR Art. 6(1), such as `consent` or `contract`."
    )
    regime: str = strawberry.field(
        description="What silence means: `contract` (permitted whatever is stated), `opt_out` (permitted until "
        "denied) or `opt_in` (withheld until given). A jurisdiction may have a stricter or looser rule."
    )
    per_recipient: bool = strawberry.field(description="Whether the purpose is permitted for one partner at a time.")
    categories: list[str] = strawberry.field(
        description="Categories of personal fields that the purpose may see, as in `@personal`. Empty if it sees none."
    )


def list_purposes(policy: Policy) -> list[Purpose]:
    """Returns the purposes of a policy, in its order, each with the categories of fields that it may see."""
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
