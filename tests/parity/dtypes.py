"""Half, double, integer and bool numbers in the losses of snnTorch."""

import math
from typing import Any

import torch

from .rows import SNNTORCH, Case, Raises, Row, Section, fires, gradient, labels, silent

LATE = fires(600, [515])
CLOSE = torch.cat([torch.ones(257, 1, 1), fires(257, [tuple(range(256))])], -1)
CLOSER = torch.cat([torch.ones(2049, 1, 1), fires(2049, [tuple(range(2048))])], -1)
ONE_MORE = math.log1p(math.exp(-1))  # -log softmax of counts that differ by one spike
SPIKES, Y = fires(4, [0, (0, 1), None], [1, 2, (0, 3)]), labels(1, 2)  # counts 1 2 0, 1 1 2
COUNTED = (
    math.log(math.e + math.e**2 + 1) - 2 + math.log(math.e + math.e + math.e**2) - 2
) / 2  # -log softmax of two spikes among 1, 2, 0 and among 1, 1, 2


def _rounded(value: float, dtype: torch.dtype) -> float:
    return float(torch.tensor(value).to(dtype))


def _step(SF: Any) -> torch.Tensor:
    """The step at which the gradient of the first spike time arrives."""
    grad = gradient(lambda x: SF.SpikeTime()(x, labels(0))[0], LATE.bfloat16())
    return grad.flatten().nonzero()[0, 0]


def _gradcheck(loss: Any) -> bool:
    generator = torch.Generator().manual_seed(0)
    record = torch.randn(4, 2, 3, dtype=torch.float64, generator=generator).requires_grad_()
    return torch.autograd.gradcheck(lambda x: loss(x, Y), record, raise_exception=False)


SECTION = Section(
    "Number types",
    SNNTORCH,
    (
        Row(
            13,
            "Half precision loses neither steps nor counts",
            (
                Case(
                    "`SpikeTime()`, first spike at step 515 of 600, bfloat16: time",
                    lambda SF: SF.SpikeTime()(LATE.bfloat16(), labels(0))[0],
                    [[516]],
                    [[515]],
                ),
                Case("the step that gets its gradient", _step, 516, 515),
                Case(
                    "`ce_count_loss()`, 257 spikes for the label and 256 for the other, bfloat16",
                    lambda SF: SF.ce_count_loss()(CLOSE.bfloat16(), labels(0)),
                    _rounded(math.log(2), torch.bfloat16),
                    _rounded(ONE_MORE, torch.bfloat16),
                ),
                Case(
                    "2049 and 2048 spikes, float16",
                    lambda SF: SF.ce_count_loss()(CLOSER.half(), labels(0)),
                    _rounded(math.log(2), torch.float16),
                    _rounded(ONE_MORE, torch.float16),
                ),
            ),
        ),
        Row(
            14,
            "float64 stays float64",
            (
                Case(
                    "`ce_rate_loss()` of a float64 record: dtype",
                    lambda SF: SF.ce_rate_loss()(SPIKES.double(), Y).dtype,
                    "float32",
                    "float64",
                ),
                Case(
                    "`mse_membrane_loss()`",
                    lambda SF: SF.mse_membrane_loss()(SPIKES.double(), Y).dtype,
                    "float32",
                    "float64",
                ),
                Case(
                    "`mse_count_loss(population_code=True, num_classes=3)`",
                    lambda SF: (
                        SF.mse_count_loss(population_code=True, num_classes=3)(
                            SPIKES.double(), Y
                        ).dtype
                    ),
                    "float32",
                    "float64",
                ),
                Case(
                    "does `torch.autograd.gradcheck` pass for `ce_rate_loss()`?",
                    lambda SF: _gradcheck(SF.ce_rate_loss()),
                    False,
                    True,
                ),
                Case(
                    "for `mse_membrane_loss()`?",
                    lambda SF: _gradcheck(SF.mse_membrane_loss()),
                    False,
                    True,
                ),
            ),
        ),
        Row(
            15,
            "Spikes may be bool or integers; labels integers or whole floats, never fractions",
            (
                Case(
                    "`ce_count_loss()`, bool spikes, counts [1, 2, 0] and [1, 1, 2], labels [1, 2]",
                    lambda SF: SF.ce_count_loss()(SPIKES.bool(), Y),
                    Raises(NotImplementedError),
                    COUNTED,
                ),
                Case(
                    "the same, uint8 spikes",
                    lambda SF: SF.ce_count_loss()(SPIKES.byte(), Y),
                    Raises(NotImplementedError),
                    COUNTED,
                ),
                Case(
                    "the same, float32 spikes, int32 labels",
                    lambda SF: SF.ce_count_loss()(SPIKES, Y.int()),
                    Raises(RuntimeError),
                    COUNTED,
                ),
                Case(
                    "the same, float32 labels",
                    lambda SF: SF.ce_count_loss()(SPIKES, Y.float()),
                    Raises(RuntimeError),
                    COUNTED,
                ),
                Case(
                    "`mse_count_loss()`, silent, T = 4, N = 3, label 1.0",
                    lambda SF: SF.mse_count_loss()(silent(4, 1, 3), torch.tensor([1.0])),
                    4**2 / 4 / 3,
                    4**2 / 4 / 3,
                ),
                Case(
                    "the same, label 1.7",
                    lambda SF: SF.mse_count_loss()(silent(4, 1, 3), torch.tensor([1.7])),
                    4**2 / 4 / 3,
                    Raises(ValueError, "targets"),
                ),
            ),
        ),
    ),
)
