"""The map of the library: every published loss as one expression of stages, with its source.

Every preset takes `reduction`, those of class labels `class_weight`; `catalogue()` lists all.
"""

from . import _peers  # noqa: F401  # their objectives come first in the catalogue
from ._base import Options, Preset, Unweighed, catalogue, preset
from ._membranes import (
    binary_peak,
    ce_last_step,
    ce_logsumexp,
    ce_mean,
    ce_sum_softmax,
    focal_max_membrane,
    integral_ce,
    peak,
    tempotron,
    tet,
    weighted_integral_ce,
)
from ._neural import nearest_spike, poisson_steps
from ._peers import (
    ce_count,
    ce_max_membrane,
    ce_rate,
    ce_temporal,
    cross_entropy,
    mse_count,
    mse_membrane,
    mse_temporal,
)
from ._pixels import dice
from ._rates import ce_plus, count_plus, margin_count, spike_rate, spikemax, spikemoid
from ._signals import bce_mean, huber_signal, log_cosh_signal, mse_mean, mse_signal
from ._teachers import etc, kd_logits, kd_steps, self_kd_steps, tks
from ._times import (
    rate_latency,
    relative_ttfs_mse,
    target_time,
    ttfs_ce,
    ttfs_early_ce,
    ttfs_membrane_ce,
    ttfs_z_ce,
)
from ._trains import ctc, earth_mover, info_nce, mse_trace, spike_similarity, triplet

__all__ = [
    "Options",
    "Preset",
    "Unweighed",
    "bce_mean",
    "binary_peak",
    "catalogue",
    "ce_count",
    "ce_last_step",
    "ce_logsumexp",
    "ce_max_membrane",
    "ce_mean",
    "ce_plus",
    "ce_rate",
    "ce_sum_softmax",
    "ce_temporal",
    "count_plus",
    "cross_entropy",
    "ctc",
    "dice",
    "earth_mover",
    "etc",
    "focal_max_membrane",
    "huber_signal",
    "info_nce",
    "integral_ce",
    "kd_logits",
    "kd_steps",
    "log_cosh_signal",
    "margin_count",
    "mse_count",
    "mse_mean",
    "mse_membrane",
    "mse_signal",
    "mse_temporal",
    "mse_trace",
    "nearest_spike",
    "peak",
    "poisson_steps",
    "preset",
    "rate_latency",
    "relative_ttfs_mse",
    "self_kd_steps",
    "spike_rate",
    "spike_similarity",
    "spikemax",
    "spikemoid",
    "target_time",
    "tempotron",
    "tet",
    "tks",
    "triplet",
    "ttfs_ce",
    "ttfs_early_ce",
    "ttfs_membrane_ce",
    "ttfs_z_ce",
    "weighted_integral_ce",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
