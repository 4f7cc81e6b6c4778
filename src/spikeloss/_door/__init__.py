"""The only input checks, and the only error texts.

Every error reads `<argument>: expected <rule>, got <what>. <one fix>`. Shapes, dtypes and options
are always checked; values where `_backend.checks_values` says that reading them is cheap.
"""

from ._array import array, beside_record, working
from ._layout import time_first
from ._options import (
    choice,
    flag,
    number,
    option,
    pairs_option,
    rise,
    stage,
    steps_option,
    terms,
    times_read,
    weights_option,
    whole,
)
from ._record import (
    comparable,
    dense,
    groups,
    laid_out,
    open_events,
    open_piece,
    open_record,
    spikes,
    total,
)
from ._stream import goes_on, not_begun, streamed, untargeted
from ._target import (
    class_labels,
    class_target,
    class_weights,
    no_labels,
    rate,
    sample_weights,
    spike_pairs,
    spike_times,
    steps_inside,
    values,
)
from ._words import refuse

__all__ = [
    "array",
    "beside_record",
    "choice",
    "class_labels",
    "class_target",
    "class_weights",
    "comparable",
    "dense",
    "flag",
    "goes_on",
    "groups",
    "laid_out",
    "no_labels",
    "not_begun",
    "number",
    "open_events",
    "open_piece",
    "open_record",
    "option",
    "pairs_option",
    "rate",
    "refuse",
    "rise",
    "sample_weights",
    "spike_pairs",
    "spike_times",
    "spikes",
    "stage",
    "steps_inside",
    "steps_option",
    "streamed",
    "terms",
    "time_first",
    "times_read",
    "total",
    "untargeted",
    "values",
    "weights_option",
    "whole",
    "working",
]
