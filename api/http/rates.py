"""Counters of requests in this process, for the strategies of the `limits` library.

The library's own memory visits every key on every request (1 ms at 5,000 keys), so a flood from many addresses would
slow down everybody, and it bounds the number of keys only by time. This one is O(1) and holds at most `most` keys.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from math import floor
from typing import Final

from limits.storage import SlidingWindowCounterSupport, Storage

MOST_KEYS: Final = 16_384
"""About 4 MB. The least recently used key is forgotten first, so a key that keeps asking is never forgotten."""


class WindowMemory(Storage, SlidingWindowCounterSupport):
    """Counts per key and window: one number for the current window and one for the previous window."""

    STORAGE_SCHEME = None

    def __init__(self, most: int = MOST_KEYS) -> None:
        super().__init__()
        self._most = most
        self._counts: OrderedDict[str, tuple[int, int, int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._counts)

    @property
    def base_exceptions(self) -> type[Exception]:
        """The errors that the storage may raise: none."""
        return ValueError

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Counts `amount` requests, unless the weighted count of both windows would then exceed the limit."""
        now = time.time()
        window, previous, current = self._find(key, expiry, now)
        weighted = previous * self._left(expiry, now) / expiry + current
        if floor(weighted) + amount > limit:
            return False
        self._keep(key, (window, previous, current + amount))
        return True

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Returns the counts of both windows, each followed by the seconds until it no longer matters."""
        now = time.time()
        _, previous, current = self._find(key, expiry, now)
        left = self._left(expiry, now)
        return previous, left if previous else 0.0, current, left + expiry

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        """Forgets a key."""
        self._counts.pop(key, None)

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Counts `amount` requests without a limit; returns the count of the current window."""
        window, previous, current = self._find(key, expiry, time.time())
        self._keep(key, (window, previous, current + amount))
        return current + amount

    def get(self, key: str) -> int:
        """Returns the latest count of a key."""
        return self._counts.get(key, (0, 0, 0))[2]

    def get_expiry(self, key: str) -> float:
        """Returns the present: counts have no time of their own, since windows are aligned to the clock."""
        return time.time()

    def check(self) -> bool:
        """Returns whether the storage can be used: always."""
        return True

    def reset(self) -> int | None:
        """Forgets everything; returns the number of keys forgotten."""
        number = len(self._counts)
        self._counts.clear()
        return number

    def clear(self, key: str) -> None:
        """Forgets a key."""
        self._counts.pop(key, None)

    def _find(self, key: str, expiry: int, now: float) -> tuple[int, int, int]:
        """Returns the number of the current window, and the counts of the previous and the current window."""
        window = int(now // expiry)
        known, previous, current = self._counts.get(key, (window, 0, 0))
        if known == window:
            return window, previous, current
        return window, current if known == window - 1 else 0, 0

    @staticmethod
    def _left(expiry: int, now: float) -> float:
        return expiry - now % expiry

    def _keep(self, key: str, counts: tuple[int, int, int]) -> None:
        self._counts[key] = counts
        self._counts.move_to_end(key)
        if len(self._counts) > self._most:
            self._counts.popitem(last=False)
