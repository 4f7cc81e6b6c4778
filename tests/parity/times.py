"""Spike times in snnTorch: which spikes count, where the gradient goes, and at what cost."""

import os
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .rows import SNNTORCH, Case, Raises, Row, Section, fires, gradient, labels, silent

OVERLAP = fires(6, [(0, 2), (2, 5)])
TWO_SAMPLES = fires(6, [(0, 2)], [(2, 5)])
ZEROS = torch.zeros(3, 1, 1)
LOUD = fires(6, [2, 3]) * torch.tensor([2.0, 0.5])


class _Operations(TorchDispatchMode):
    """Counts what reaches PyTorch, and how often the host waits for a value."""

    def __init__(self) -> None:
        super().__init__()
        self.count = self.reads = 0

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        self.count += 1
        self.reads += "_local_scalar_dense" in str(operation)
        return operation(*args, **(kwargs or {}))


def operations(
    loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], samples: int, neurons: int
) -> tuple[_Operations, _Operations]:
    """Those of a loss and of its backward, without value checks as on an accelerator."""
    record = silent(4, samples, neurons).requires_grad_()
    label = torch.zeros(samples, dtype=torch.long)
    with patch.dict(os.environ, SPIKELOSS_CHECKS="off"), _Operations() as forward:
        value = loss(record, label).sum()
    with _Operations() as backward:
        value.backward()
    return forward, backward


def _temporal(SF: Any) -> Any:
    return SF.mse_temporal_loss(on_target=0, off_target=3)


def _after(SF: Any) -> torch.Tensor:
    times = torch.tensor([[-1.0, 0.0]])
    SF.mse_temporal_loss(target_is_time=True)(fires(5, [0, 1]), times)
    return times


SECTION = Section(
    "Spike times",
    SNNTORCH,
    (
        Row(
            10,
            "With `multi_spike` every neuron has its own n-th spike, and gradients add up",
            (
                Case(
                    "second spike times of neurons that fire at 0 and 2, at 2 and 5; T = 6",
                    lambda SF: SF.SpikeTime.MultiSpike.apply(OVERLAP, 2)[1],
                    [[5, 5]],
                    [[2, 5]],
                ),
                Case(
                    "the same neurons in two samples",
                    lambda SF: SF.SpikeTime.MultiSpike.apply(TWO_SAMPLES, 2)[1],
                    [[5], [5]],
                    [[2], [5]],
                ),
                Case(
                    "gradient of the sum of three times of a silent neuron, T = 4",
                    lambda SF: gradient(
                        lambda x: SF.SpikeTime.MultiSpike.apply(x, 3, x.device), silent(4, 1, 1)
                    ).flatten(),
                    [0, 0, 0, -1],
                    [0, 0, 0, -3],
                ),
                Case(
                    "`mse_temporal_loss(multi_spike=True)`, one sample that fires at 1 and 4 of 5"
                    " steps, label 0",
                    lambda SF: SF.mse_temporal_loss(multi_spike=True)(fires(5, [1, 4]), labels(0)),
                    Raises(TypeError),
                    ((1 / 5) ** 2 + 0) / 2,
                ),
            ),
        ),
        Row(
            11,
            "Targets are read, never written",
            (
                Case(
                    "the caller's times [-1, 0] after `mse_temporal_loss(target_is_time=True)`,"
                    " T = 5",
                    _after,
                    [[4, 0]],
                    [[-1, 0]],
                ),
            ),
        ),
        Row(
            12,
            "Any entry that is not zero is a spike",
            (
                Case(
                    "`SpikeTime()`, amplitude 2 at step 2 and 0.5 at step 3: times",
                    lambda SF: SF.SpikeTime()(LOUD, labels(0))[0],
                    [[5, 1]],
                    [[2, 3]],
                ),
                Case(
                    "amplitudes -2 and -0.5",
                    lambda SF: SF.SpikeTime()(-LOUD, labels(0))[0],
                    [[-7, -3]],
                    [[2, 3]],
                ),
            ),
        ),
        Row(
            24,
            "No loop over neurons, and nothing waits for the device; values unchecked, as on a GPU",
            (
                Case(
                    "`mse_temporal_loss` backward, B = 2, N = 3: values that the host reads",
                    lambda SF: operations(_temporal(SF), 2, 3)[1].reads,
                    2 * 3,
                    0,
                ),
                Case(
                    "B = 5, N = 7",
                    lambda SF: operations(_temporal(SF), 5, 7)[1].reads,
                    5 * 7,
                    0,
                ),
                Case(
                    "does the number of operations grow from the one to the other?",
                    lambda SF: (
                        operations(_temporal(SF), 5, 7)[1].count
                        > operations(_temporal(SF), 2, 3)[1].count
                    ),
                    True,
                    False,
                ),
                Case(
                    "`mse_count_loss` forward: values that the host reads",
                    lambda SF: operations(SF.mse_count_loss(), 2, 3)[0].reads,
                    1,
                    0,
                ),
            ),
        ),
    ),
)
