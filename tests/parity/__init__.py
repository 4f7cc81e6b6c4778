"""Where spikeloss and its peers differ, and where they do not.

`test_parity` runs every case; `docs/make_parity.py` writes the same cases as the tables of
`docs/parity.md`.
"""

from . import brainpy_rows, dtypes, inputs, kept, results, targets, times, use, weights
from .rows import ABSENT, Case, Raises, Row, Section, check, load

DIFFERENCES = (
    targets.SECTION,
    weights.SECTION,
    weights.POPULATIONS,
    times.SECTION,
    dtypes.SECTION,
    inputs.SECTION,
    results.SECTION,
    use.SECTION,
    brainpy_rows.SECTION,
)
KEPT = (kept.SECTION, kept.CROSS_ENTROPY)

__all__ = [
    "ABSENT",
    "DIFFERENCES",
    "KEPT",
    "Case",
    "Raises",
    "Row",
    "Section",
    "check",
    "load",
]
