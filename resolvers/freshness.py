"""How fresh the runs are that this process serves from: since when each contains somebody who withdrew.

The watch (`resolvers/withdrawals.py`) reports; readers ask. A process whose watch cannot reach the store serves nothing
derived once its last report is too old, because it cannot know who withdrew.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from graph.model.time import Millis

STALE_MILLIS: Final = 60_000
"""How long a run is served after somebody whose data it used withdrew."""


class Freshness:
    """Whether the current runs may be served, by their names. A process without a watch, such as a command, serves
    them all."""

    def __init__(self) -> None:
        self._stale: Mapping[str, Millis] = {}
        self._checked: Millis | None = None

    def report(self, stale: Mapping[str, Millis], checked: Millis) -> None:
        """Takes what the watch found: the stale runs with the instants of the withdrawals, as of `checked`."""
        self._stale = dict(stale)
        self._checked = checked

    def serves(self, name: str, now: Millis) -> bool:
        """Whether what the current run of a name computed may be served."""
        if self._checked is not None and now - self._checked > STALE_MILLIS:
            return False
        since = self._stale.get(name)
        return since is None or now - since <= STALE_MILLIS
