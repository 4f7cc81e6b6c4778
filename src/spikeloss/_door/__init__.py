"""The input checks that are shared, and the form of every error.

Every error reads `<argument>: expected <rule>, got <what>. <one fix>`. Shapes, dtypes and options
are always checked; values where `_backend.checks_values` says that reading them is cheap. A check
with one caller stands beside it.
"""

from ._array import array, beside_record, precision, real_kind
from ._functions import function, named, returned, written_for
from ._layout import (
    Axes,
    fitting_mask,
    held_lengths,
    layout,
    moved,
    no_mask,
    not_empty,
    of_step,
    time_axes,
    time_first,
    timeless_axes,
    usual_axes,
)
from ._names import LAYOUT, blamed, keywords, known, made_of
from ._options import (
    choice,
    flag,
    integer,
    integers,
    neuron_weights,
    number,
    numbers,
    plain,
    stage,
    weights_option,
)
from ._record import entries_of, imitated, layer, like_record, packed_bits
from ._target import (
    AT_LEAST_0,
    NUMBERS,
    SHARES,
    Check,
    fit_class_target,
    fit_labels,
    fit_numbers,
    undecided,
)
from ._weights import class_weighted, class_weights, fan_outs, no_labels, sample_weights
from ._words import batch_first, cast, cut, per_sample, refuse, said, shape_of, span

__all__ = [
    "AT_LEAST_0",
    "LAYOUT",
    "NUMBERS",
    "SHARES",
    "Axes",
    "Check",
    "array",
    "batch_first",
    "beside_record",
    "blamed",
    "cast",
    "choice",
    "class_weighted",
    "class_weights",
    "cut",
    "entries_of",
    "fan_outs",
    "fit_class_target",
    "fit_labels",
    "fit_numbers",
    "fitting_mask",
    "flag",
    "function",
    "held_lengths",
    "imitated",
    "integer",
    "integers",
    "keywords",
    "known",
    "layer",
    "layout",
    "like_record",
    "made_of",
    "moved",
    "named",
    "neuron_weights",
    "no_labels",
    "no_mask",
    "not_empty",
    "number",
    "numbers",
    "of_step",
    "packed_bits",
    "per_sample",
    "plain",
    "precision",
    "real_kind",
    "refuse",
    "returned",
    "said",
    "sample_weights",
    "shape_of",
    "span",
    "stage",
    "time_axes",
    "time_first",
    "timeless_axes",
    "undecided",
    "usual_axes",
    "weights_option",
    "written_for",
]
