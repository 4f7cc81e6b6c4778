"""The map of the library: every published loss as one expression of stages, with its source.

Every preset takes `reduction` and `class_weight`; `catalogue()` lists them all.
"""

from . import _peers  # noqa: F401  # their objectives come first in the catalogue
from ._base import Options, Preset, catalogue
from ._membranes import (
    ce_last_step,
    ce_logsumexp,
    ce_mean,
    ce_sum_softmax,
    focal_max_membrane,
    integral_ce,
    tempotron,
    weighted_integral_ce,
)
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
from ._rates import margin_count, spike_rate, spikemax, spikemoid
from ._teachers import kd_logits, kd_steps
from ._times import relative_ttfs_mse, ttfs_ce, ttfs_z_ce

__all__ = [
    "Options",
    "Preset",
    "catalogue",
    "ce_count",
    "ce_last_step",
    "ce_logsumexp",
    "ce_max_membrane",
    "ce_mean",
    "ce_rate",
    "ce_sum_softmax",
    "ce_temporal",
    "cross_entropy",
    "focal_max_membrane",
    "integral_ce",
    "kd_logits",
    "kd_steps",
    "margin_count",
    "mse_count",
    "mse_membrane",
    "mse_temporal",
    "relative_ttfs_mse",
    "spike_rate",
    "spikemax",
    "spikemoid",
    "tempotron",
    "ttfs_ce",
    "ttfs_z_ce",
    "weighted_integral_ce",
]

for _name in __all__:
    globals()[_name].__module__ = __name__  # where users find it
