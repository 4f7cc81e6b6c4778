"""snnTorch's losses, accuracies and regulariser, by its names, for torch, JAX and NumPy arrays.

    import spikeloss.compat.snntorch as SF  # in place of: import snntorch.functional as SF

Names, signatures and defaults are those of snnTorch 1.0, in the modules `loss`, `acc` and `reg` as
there; the meaning is its documentation's. Where its code does something else, `docs/parity.md` says
what and by how much. Records are (T, B, N); what takes one takes `lengths`, `valid`, `time_axis`
and `class_axis` too, as a `Loss` does.

An attribute that is set later, `loss.correct_rate = 0.5`, counts from the next call, which checks
it as the constructor does. Class labels may be floating numbers, if they are whole. What is not a
loss, an accuracy or a regulariser (`probe`, `quant`, `stdp_learner`) stays in
`snntorch.functional`.
"""

from typing import Any

from .acc import accuracy_rate, accuracy_temporal
from .loss import (
    LossFunctions,
    SpikeTime,
    ce_count_loss,
    ce_max_membrane_loss,
    ce_rate_loss,
    ce_temporal_loss,
    mse_count_loss,
    mse_membrane_loss,
    mse_temporal_loss,
)
from .reg import l1_rate_sparsity

__all__ = [
    "LossFunctions",
    "SpikeTime",
    "accuracy_rate",
    "accuracy_temporal",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "ce_rate_loss",
    "ce_temporal_loss",
    "l1_rate_sparsity",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
]


def __getattr__(name: str) -> Any:
    here = "The losses, accuracies and the regulariser of snnTorch are here"
    other = f"for anything else keep snntorch.functional.{name}"
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}. {here}; {other}.")
