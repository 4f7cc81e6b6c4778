"""Objectives for spiking neural networks, for PyTorch, JAX and NumPy alike.

`presets` has every published loss by name, `penalties` what is added to one; `Loss` composes a
readout, a target, a criterion and a reduction into one of your own. `records` has forms of a record
that are no dense array.
"""

from . import (
    criteria,
    metrics,
    penalties,
    presets,
    readouts,
    records,
    reductions,
    synapses,
    targets,
)
from .loss import Loss, Total

__version__ = "0.1.0"
__all__ = [
    "Loss",
    "Total",
    "criteria",
    "metrics",
    "penalties",
    "presets",
    "readouts",
    "records",
    "reductions",
    "synapses",
    "targets",
]
