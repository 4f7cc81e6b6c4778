"""Objectives for spiking neural networks, for PyTorch, JAX and NumPy alike.

`presets` has every published loss by name, `penalties` what is added to one; `Loss` composes a
readout, a target, a criterion and a reduction into one of your own. `records` has forms of a record
that are no dense array, `extend` what a stage of one's own is written with,
`testing` what checks it; `diagnose` says why a network does not learn.
"""

import importlib
from typing import TYPE_CHECKING, Any

from . import (
    balance,
    criteria,
    extend,
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
from .parts import Parts

if TYPE_CHECKING:
    from .diagnosis import diagnose

__version__ = "0.2.0"
__all__ = [
    "Loss",
    "Parts",
    "Total",
    "balance",
    "compat",
    "criteria",
    "diagnose",
    "diagnosis",
    "distances",
    "extend",
    "metrics",
    "penalties",
    "presets",
    "readouts",
    "records",
    "reductions",
    "synapses",
    "targets",
    "testing",
]

_LATER = ("compat", "diagnosis", "distances", "testing", "torch_metrics")
"""Imported when they are asked for; so is `diagnose`."""


def __getattr__(name: str) -> Any:
    if name == "diagnose":
        return importlib.import_module(f"{__name__}.diagnosis").diagnose
    if name in _LATER:
        return importlib.import_module(f"{__name__}.{name}")
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message, name=name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER, "diagnose"})
