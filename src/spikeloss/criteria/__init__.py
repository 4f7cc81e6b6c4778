"""Criteria: decision x target -> each. z (S, *B, C), y -> elements (S, *B, 1) or (S, *B, C).

S is the leading axis of readouts that keep time or spikes, absent otherwise; y is the encoded
target, w_c a class weight (1 without). Elements come multiplied by their weight.
"""

from ._base import Criterion, Weighed, of_label
from ._classes import CrossEntropy, Distillation, Focal, Margin, RateNLL
from ._functions import FunctionCriterion, of
from ._penalties import Bounds, Deviation, Distribution, Penalty, Quantised
from ._sequences import CTC, Similarity
from ._times import EarlySpike, RelativeTime, TimeProximity
from ._values import (
    BinaryCrossEntropy,
    Level,
    LogCosh,
    PoissonNLL,
    SquaredError,
    Tempotron,
    ZeroInflatedPoisson,
)

__all__ = [
    "CTC",
    "BinaryCrossEntropy",
    "Bounds",
    "Criterion",
    "CrossEntropy",
    "Deviation",
    "Distillation",
    "Distribution",
    "EarlySpike",
    "Focal",
    "FunctionCriterion",
    "Level",
    "LogCosh",
    "Margin",
    "Penalty",
    "PoissonNLL",
    "Quantised",
    "RateNLL",
    "RelativeTime",
    "Similarity",
    "SquaredError",
    "Tempotron",
    "TimeProximity",
    "Weighed",
    "ZeroInflatedPoisson",
    "of",
    "of_label",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
