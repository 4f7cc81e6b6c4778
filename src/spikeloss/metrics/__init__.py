"""Metrics: what a network decided and when, and what that cost. Numbers to report, not to minimise.

Pure functions of a record (T, *B, N), for torch, JAX and NumPy arrays alike, under `jax.jit` too;
they take what a loss takes: events, packed spikes, lengths, masks, axes of your own. A spike is any
entry that is not zero. Metrics of decisions take a readout or a loss, of a sum the first, and
decide as `Loss.predict` does: a tie goes to the lowest class, and a sample whose record is silent
has decided nothing and is wrong, whatever its label. Samples whose label is the `ignore_index` of
the loss are left out; with no sample left a mean is nan. Few have a useful derivative.

Some are of other things: `interval_variation` and `vector_strength` of spike times,
`connection_sparsity`, `parameter_count` and `footprint` of weights.

Means add up over samples. For batches, one after the other or on several devices, keep the sums:
`spikeloss.torch_metrics` does that for torchmetrics.
"""

from ._activity import (
    firing_rates,
    rate_histogram,
    saturated_fraction,
    silent_fraction,
    spikes_per_sample,
    synaptic_operations,
)
from ._anytime import anytime_accuracy, anytime_area, decision_latency
from ._costs import (
    activation_sparsity,
    dense_operations,
    effective_acs,
    effective_macs,
    membrane_updates,
)
from ._decisions import Judge, accuracy, calibration_error, confusion, mean_iou, top_k
from ._signals import bits_per_spike, f1_score, r2, smape
from ._trains import interval_variation, vector_strength
from ._weights import connection_sparsity, footprint, parameter_count

__all__ = [
    "Judge",
    "accuracy",
    "activation_sparsity",
    "anytime_accuracy",
    "anytime_area",
    "bits_per_spike",
    "calibration_error",
    "confusion",
    "connection_sparsity",
    "decision_latency",
    "dense_operations",
    "effective_acs",
    "effective_macs",
    "f1_score",
    "firing_rates",
    "footprint",
    "interval_variation",
    "mean_iou",
    "membrane_updates",
    "parameter_count",
    "r2",
    "rate_histogram",
    "saturated_fraction",
    "silent_fraction",
    "smape",
    "spikes_per_sample",
    "synaptic_operations",
    "top_k",
    "vector_strength",
]

for _name in __all__:
    if callable(globals()[_name]):
        globals()[_name].__module__ = __name__  # where users find it
