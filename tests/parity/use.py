"""How a loss of snnTorch is imported and changed."""

from importlib import import_module
from typing import Any

import torch

from .rows import SNNTORCH, Case, Raises, Row, Section, fires, labels, silent


def _changed(SF: Any, name: str, attribute: str, value: Any) -> Any:
    """A loss one of whose attributes is set after the constructor, and before the call."""
    loss = getattr(SF, name)()
    setattr(loss, attribute, value)
    return loss


def _of_spike_times(SF: Any) -> Any:
    loss = SF.mse_temporal_loss(on_target=0, off_target=3)
    loss.spk_time_fn.on_target = 2
    return loss(fires(4, [0, 3]), labels(0))


def _module(SF: Any, name: str) -> Any:
    return import_module(f"{SF.__name__}.{name}")


SECTION = Section(
    "Imports and attributes",
    SNNTORCH,
    (
        Row(
            34,
            "An attribute that is set later counts, in every loss",
            (
                Case(
                    "`mse_count_loss()`, then `correct_rate = 0.5`, silent, T = 4, N = 1",
                    lambda SF: _changed(SF, "mse_count_loss", "correct_rate", 0.5)(
                        silent(4, 1, 1), labels(0)
                    ),
                    2**2 / 4,
                    2**2 / 4,
                ),
                Case(
                    "`mse_temporal_loss(on_target=0, off_target=3)`, then `spk_time_fn.on_target ="
                    " 2`, spikes at [0, 3], T = 4",
                    _of_spike_times,
                    (2 / 4) ** 2 / 2,
                    (2 / 4) ** 2 / 2,
                ),
                Case(
                    "`ce_temporal_loss()`, then `reduction = 'none'`, B = 2: shape",
                    lambda SF: (
                        _changed(SF, "ce_temporal_loss", "reduction", "none")(
                            silent(4, 2, 3), labels(0, 1)
                        ).shape
                    ),
                    (),
                    (2,),
                ),
                Case(
                    "`mse_count_loss()`, then `correct_rate = 1.5`, silent, T = 4, N = 1",
                    lambda SF: _changed(SF, "mse_count_loss", "correct_rate", 1.5)(
                        silent(4, 1, 1), labels(0)
                    ),
                    6**2 / 4,
                    Raises(ValueError, "correct_rate"),
                ),
                Case(
                    "`ce_temporal_loss()`, then `loss_fn = torch.nn.L1Loss()`: is it kept?",
                    lambda SF: bool(
                        _changed(SF, "ce_temporal_loss", "loss_fn", torch.nn.L1Loss()).loss_fn
                    ),
                    True,
                    Raises(AttributeError, says="loss_fn"),
                ),
            ),
        ),
        Row(
            35,
            "Modules `loss`, `acc` and `reg`; others stay in snnTorch",
            (
                Case(
                    "`reg.l1_rate_sparsity(2.0)`, three spikes",
                    lambda SF: _module(SF, "reg").l1_rate_sparsity(2.0)(fires(4, [0, (1, 2)])),
                    6,
                    6,
                ),
                Case(
                    "`acc.accuracy_rate`, counts [1, 2], label 1",
                    lambda SF: _module(SF, "acc").accuracy_rate(fires(4, [0, (1, 2)]), labels(1)),
                    1,
                    1,
                ),
                Case(
                    "is there a module `probe`?",
                    lambda SF: bool(_module(SF, "probe")),
                    True,
                    Raises(ImportError, says="Keep importing probe from snntorch.functional."),
                ),
            ),
        ),
    ),
)
