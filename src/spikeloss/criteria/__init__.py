"""Criteria: decision x target -> each. z (S, *B, C), y -> elements (S, *B, 1) or (S, *B, C).

S is the leading axis of readouts that keep time or spikes, absent otherwise; y is the encoded
target, w_c a class weight (1 without). Elements come multiplied by their weight.
"""

from ._base import Criterion, Weighed, of_label
from ._classes import CrossEntropy, Distillation, Focal, Margin, RateNLL
from ._counts import CountEntropy, DesiredCount
from ._functions import FunctionCriterion, of
from ._pairs import InfoNCE, Triplet
from ._penalties import Bounds, Deviation, Distribution, Penalty, Quantised
from ._pixels import Dice
from ._sequences import CTC, EarthMover, Similarity
from ._teachers import SelfDistillation, SharedKnowledge
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
    "CountEntropy",
    "Criterion",
    "CrossEntropy",
    "DesiredCount",
    "Deviation",
    "Dice",
    "Distillation",
    "Distribution",
    "EarlySpike",
    "EarthMover",
    "Focal",
    "FunctionCriterion",
    "InfoNCE",
    "Level",
    "LogCosh",
    "Margin",
    "Penalty",
    "PoissonNLL",
    "Quantised",
    "RateNLL",
    "RelativeTime",
    "SelfDistillation",
    "SharedKnowledge",
    "Similarity",
    "SquaredError",
    "Tempotron",
    "TimeProximity",
    "Triplet",
    "Weighed",
    "ZeroInflatedPoisson",
    "of",
    "of_label",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
