"""What comes out of snnTorch: shapes, transformations, accuracies, the regulariser."""

import math
from collections.abc import Callable
from typing import Any

import torch

from .rows import SNNTORCH, Case, Raises, Row, Section, fires, labels, silent

RECORD, Y = fires(4, [0, (0, 1), None], [1, 2, (0, 3)]), labels(1, 2)
GROUPS = fires(4, [0, 1, 2, None], [1, 2, 0, 3])
BATCHES = torch.stack([RECORD, RECORD.flip(0)])
LATE = fires(600, [516, 515])
NAMES = (
    "ce_rate_loss",
    "ce_count_loss",
    "ce_max_membrane_loss",
    "mse_count_loss",
    "mse_membrane_loss",
    "mse_temporal_loss",
    "ce_temporal_loss",
)


def _working(SF: Any, transform: Callable[[Any], Any]) -> int:
    """How many of the seven losses, as they are by default, a transformation works for."""
    return sum(_works(transform, getattr(SF, name)()) for name in NAMES)


def _works(transform: Callable[[Any], Any], loss: Any) -> bool:
    try:
        transform(loss)
    except Exception:
        return False
    return True


def _compiles(SF: Any) -> int:
    """The seven losses, and ce_rate_loss with a population code."""
    population = SF.ce_rate_loss(True, 2, weight=torch.ones(2))
    plain = _working(SF, lambda loss: _compiled(loss, RECORD, Y))
    return plain + _works(lambda loss: _compiled(loss, GROUPS, labels(1, 0)), population)


def _compiled(loss: Any, record: torch.Tensor, label: torch.Tensor) -> None:
    torch.compiler.reset()
    compiled = torch.compile(lambda x, y: loss(x, y), fullgraph=True, backend="eager")
    record = record.clone().requires_grad_()
    value = compiled(record, label)
    value.sum().backward()
    assert record.grad is not None
    assert torch.allclose(value, loss(record, label))


def _grad(loss: Any) -> None:
    torch.func.grad(lambda x: loss(x, Y))(RECORD)


def _vmap(loss: Any) -> None:
    torch.func.vmap(loss)(BATCHES, torch.stack([Y, Y]))


def _jvp(loss: Any) -> None:
    torch.func.jvp(lambda x: loss(x, Y), (RECORD,), (RECORD,))


SECTION = Section(
    "What comes out",
    SNNTORCH,
    (
        Row(
            21,
            "A mean is a number without axes",
            (
                Case(
                    "`ce_rate_loss()`: shape",
                    lambda SF: SF.ce_rate_loss()(RECORD, Y).shape,
                    (1,),
                    (),
                ),
                Case(
                    "`ce_rate_loss(weight=[1, 1, 1])`: shape",
                    lambda SF: SF.ce_rate_loss(weight=torch.ones(3))(RECORD, Y).shape,
                    (),
                    (),
                ),
                Case(
                    "`mse_membrane_loss()`: shape",
                    lambda SF: SF.mse_membrane_loss()(RECORD, Y).shape,
                    (1,),
                    (),
                ),
            ),
        ),
        Row(
            22,
            "Compilation and function transforms",
            (
                Case(
                    "`torch.compile(fullgraph=True)`: losses of 8 that compile (the seven, and"
                    " `ce_rate_loss` with a population code and weights)",
                    _compiles,
                    3,
                    8,
                ),
                Case(
                    "`torch.func.grad`: losses of 7",
                    lambda SF: _working(SF, _grad),
                    3,
                    7,
                ),
                Case(
                    "`torch.func.vmap` over records and labels: losses of 7",
                    lambda SF: _working(SF, _vmap),
                    2,
                    7,
                ),
                Case(
                    "`torch.func.jvp`: losses of 7",
                    lambda SF: _working(SF, _jvp),
                    5,
                    7,
                ),
            ),
        ),
        Row(
            26,
            "Accuracy: shapes must fit, the lowest class wins a tie, silence is wrong",
            (
                Case(
                    "`accuracy_rate`, silent, labels [0, 1]",
                    lambda SF: SF.accuracy_rate(silent(4, 2, 3), labels(0, 1)),
                    0.5,
                    0,
                ),
                Case(
                    "`accuracy_temporal`, the same",
                    lambda SF: SF.accuracy_temporal(silent(4, 2, 3), labels(0, 1)),
                    0.5,
                    0,
                ),
                Case(
                    "`accuracy_rate`, B = 2, one label per sample, both right, labels of shape"
                    " (2, 1)",
                    lambda SF: SF.accuracy_rate(RECORD, Y[:, None]),
                    0.5,
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "`accuracy_temporal`, spikes at 516 and 515 of 600, label 1, bfloat16",
                    lambda SF: SF.accuracy_temporal(LATE.bfloat16(), labels(1)),
                    0,
                    1,
                ),
                Case(
                    "`accuracy_temporal`, amplitude 3 at step 1 and 1 at step 2, label 0",
                    lambda SF: SF.accuracy_temporal(
                        fires(3, [1, 2]) * torch.tensor([3.0, 1.0]), labels(0)
                    ),
                    0,
                    1,
                ),
            ),
        ),
        Row(
            27,
            "`l1_rate_sparsity` is the spikes of the batch, as absolute values",
            (
                Case(
                    "`l1_rate_sparsity(1.0)`, 7 spikes in B = 2 samples",
                    lambda SF: SF.l1_rate_sparsity(1.0)(RECORD),
                    7,
                    7,
                ),
                Case(
                    "`l1_rate_sparsity(1.0, per='sample')`, the same",
                    lambda SF: SF.l1_rate_sparsity(1.0, per="sample")(RECORD),
                    Raises(TypeError),
                    3.5,
                ),
                Case(
                    "entries 1 and -1 in one sample",
                    lambda SF: SF.l1_rate_sparsity(1.0)(torch.tensor([[[1.0, -1.0]]])),
                    0,
                    2,
                ),
                Case(
                    "`l1_rate_sparsity(0.5)`, float16, 32768 spikes in each of two samples",
                    lambda SF: SF.l1_rate_sparsity(0.5)(torch.ones(64, 2, 512).half()),
                    math.inf,
                    32768,
                ),
                Case(
                    "`l1_rate_sparsity()`, float16, 100000 spikes in one sample",
                    lambda SF: SF.l1_rate_sparsity()(torch.ones(100, 1, 1000).half()),
                    math.inf,
                    1,
                ),
            ),
        ),
    ),
)
