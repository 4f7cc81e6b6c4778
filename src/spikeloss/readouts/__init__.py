"""Readouts: what a record says. record (T, *B, N) -> decision (*B, C), (T, *B, C) or (F, *B, N).

x_t is the record at step t, counted from 0; n the number of valid steps of a sample (T, or its
length). A readout is called on a record as it is, `SumOverTime()(spikes, lengths=lengths)`.

Every readout is one method, `read(piece, carry) -> decision, carry`: the decision after some steps,
given what earlier steps left behind (None: there were none). On the whole record as one piece it is
the batch formula, on one piece after the other the stream, on a piece of events the sparse record.
A `Summary` has it in two parts, a reduction over time and what is decided from that.
"""

from types import FunctionType

from ._base import Keeps, Outline, Reading, Readout, Summary
from ._counts import SpikeCount
from ._functions import FunctionReadout, of
from ._moments import Disagreement, Moments
from ._steps import (
    CumulativeSoftmax,
    Decided,
    EveryStep,
    LastStep,
    LogSumExp,
    Maximum,
    MeanOverTime,
    PeakWindow,
    SumOverTime,
    WeightedSum,
    WholeRecord,
)
from ._times import LATEST, Code, FirstSpike, InterpolatedSpike, SoftCount, SpikeTimes
from ._traces import FilteredTrace, MovingWindow
from ._wrappers import BatchMean, BatchPercentile, Population, Sigmoid, Temperature, Weighted

__all__ = [
    "LATEST",
    "BatchMean",
    "BatchPercentile",
    "Code",
    "CumulativeSoftmax",
    "Decided",
    "Disagreement",
    "EveryStep",
    "FilteredTrace",
    "FirstSpike",
    "FunctionReadout",
    "InterpolatedSpike",
    "Keeps",
    "LastStep",
    "LogSumExp",
    "Maximum",
    "MeanOverTime",
    "Moments",
    "MovingWindow",
    "Outline",
    "PeakWindow",
    "Population",
    "Reading",
    "Readout",
    "Sigmoid",
    "SoftCount",
    "SpikeCount",
    "SpikeTimes",
    "SumOverTime",
    "Summary",
    "Temperature",
    "Weighted",
    "WeightedSum",
    "WholeRecord",
    "of",
]

for _name in __all__:
    if isinstance(globals()[_name], type | FunctionType):
        globals()[_name].__module__ = __name__  # where users find it
