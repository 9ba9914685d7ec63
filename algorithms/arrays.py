"""The array types of all algorithms, each under one name."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]
Csr = sparse.csr_array[np.float64, tuple[int, int]]
"""A sparse matrix in compressed rows."""
