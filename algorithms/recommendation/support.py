"""Minimum support: what a model may learn, by how many people it is learnt from.

An item or a pair of items that only a few people chose would tell others what these few did. The numbers are no proof
of anonymity (they are not differential privacy); they keep single people out of what is served. Histories are as in
`filtering.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field
from scipy import sparse

from algorithms.arrays import Csr, Flags


class SupportConfig(BaseModel):
    """How many people something is learnt from at least. Devices are easy to fake, so a person without an account
    supports nothing as long as there are accounts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: int = Field(5, ge=1)
    """k: minimum number of people with a proven account."""

    devices: int = Field(20, ge=1)
    """Minimum number of devices, in a store without any account."""

    device_age_days: float = Field(1.0, ge=0)
    """Age in days from which a device counts."""


@dataclass(frozen=True, slots=True)
class Supporters:
    """Who supports what is learnt, and how many of them it takes."""

    people: Flags
    """Shape (people,): whether the person counts."""

    least: int
    """Minimum number of such people."""

    def suffice(self, chosen: Flags) -> bool:
        """Whether enough supporters are among the chosen people, shape (people,)."""
        return int(np.count_nonzero(self.people & chosen)) >= self.least


def choose_supporters(
    accounts: npt.ArrayLike, ages: npt.ArrayLike, config: SupportConfig, *, devices_only: bool
) -> Supporters:
    """Returns who supports what is learnt. `accounts` marks the people with an account, `ages` are days since the
    person was created, both of shape (people,). `devices_only`: the store has no account at all."""
    if not devices_only:
        return Supporters(np.asarray(accounts, dtype=np.bool_), config.accounts)
    return Supporters(np.asarray(ages, dtype=np.float64) > config.device_age_days, config.devices)


def find_supported(chosen: Csr, supporters: Supporters) -> Flags:
    """Marks the columns that enough supporters chose. Every stored entry of `chosen`, shape (people, columns), counts,
    whatever its value. Shape (columns,). O(entries)."""
    counted = _binary(chosen, supporters)
    found: Flags = np.bincount(counted.indices, minlength=chosen.shape[1]) >= supporters.least
    return found


def find_supported_pairs(chosen: Csr, supporters: Supporters) -> Csr:
    """Marks the pairs of items that enough supporters chose both of: shape (items, items), symmetric, 1 where
    supported, otherwise no entry. The diagonal marks supported items. O(Σ n²) for the n items of each supporter."""
    counted = _binary(chosen, supporters)
    both = sparse.csr_array(counted.T @ counted)
    both.data = (both.data >= supporters.least).astype(np.float64)
    both.eliminate_zeros()
    return both


def _binary(chosen: Csr, supporters: Supporters) -> Csr:
    counted = sparse.csr_array(chosen[np.flatnonzero(supporters.people)]).astype(np.float64)
    counted.sum_duplicates()
    counted.data[:] = 1.0
    return counted
