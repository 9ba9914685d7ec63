"""How well linkage agrees with the ground truth: pairwise precision, recall and F1 of a partition of records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import TypeVar

R = TypeVar("R", bound=Hashable)


@dataclass(frozen=True, slots=True)
class PairwiseScore:
    """Agreement over pairs of records. Ratios are between 0 and 1; a ratio over no pairs is 1, as nothing is wrong."""

    true_pairs: int
    found_pairs: int
    right_pairs: int

    @property
    def precision(self) -> float:
        """The share of found pairs that are true."""
        return self.right_pairs / self.found_pairs if self.found_pairs else 1.0

    @property
    def recall(self) -> float:
        """The share of true pairs that are found."""
        return self.right_pairs / self.true_pairs if self.true_pairs else 1.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        total = self.true_pairs + self.found_pairs
        return 2 * self.right_pairs / total if total else 1.0


def score_partition(found: Mapping[R, Hashable], truth: Mapping[R, Hashable]) -> PairwiseScore:
    """Compares two labellings over the records that both label. O(records); pairs are never enumerated.

    A pair is found (true) if both records have the same label in `found` (`truth`). The labels themselves are not
    compared.
    """
    common = found.keys() & truth.keys()
    by_truth = Counter(truth[record] for record in common)
    by_found = Counter(found[record] for record in common)
    by_both = Counter((truth[record], found[record]) for record in common)
    return PairwiseScore(_pairs(by_truth), _pairs(by_found), _pairs(by_both))


def _pairs(sizes: Counter[Hashable] | Counter[tuple[Hashable, Hashable]]) -> int:
    return sum(size * (size - 1) // 2 for size in sizes.values())
