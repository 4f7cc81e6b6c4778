"""What the texts of the peers leave open, and their code decides: spikeloss does the same."""

import math
from typing import Any

import jax.numpy as jnp
import numpy as np
import torch

from spikeloss.readouts import FirstSpike

from .brainpy_rows import LABELS, LOG_P, LOGITS, WEIGHT
from .brainpy_rows import loss as brainpy_loss
from .rows import ABSENT, BRAINPY, SNNTORCH, Case, Row, Section, fires, gradient, labels, silent

W = torch.tensor([1.0, 2.0, 3.0])
RECORD, Y = silent(4, 2, 3), labels(0, 2)
EARLY = fires(5, [0, 2])
DEEP = np.array([LOGITS, LOGITS, LOGITS])[:, None]  # (3, 1, 2, 3)


def _shape(name: str, *options: Any, **named: Any) -> Any:
    """The shape of an unreduced loss of RECORD."""
    return lambda SF: getattr(SF, name)(*options, reduction="none", **named)(RECORD, Y).shape


def _multi(SF: Any) -> Any:
    loss = SF.mse_temporal_loss(
        on_target=(0, 1), off_target=(2, 3), multi_spike=True, reduction="none"
    )
    return loss(RECORD, Y).shape


def _same(call: str, run: Any, answer: Any) -> Case:
    return Case(call, run, answer, answer)


SECTION = Section(
    "snnTorch",
    SNNTORCH,
    (
        Row(
            "a",
            "Losses over time divide by the number of steps, whatever the reduction",
            (
                _same(
                    "`ce_rate_loss(reduction='none')`, silent, T = 4, B = 2, N = 3, labels [0, 2]",
                    lambda SF: SF.ce_rate_loss(reduction="none")(RECORD, Y),
                    [math.log(3), math.log(3)],
                ),
                _same(
                    "`mse_count_loss(reduction='sum')`, the same",
                    lambda SF: SF.mse_count_loss(reduction="sum")(RECORD, Y),
                    2 * 4**2 / 4,
                ),
                _same(
                    "`mse_membrane_loss(reduction='none')`, the same",
                    lambda SF: SF.mse_membrane_loss(reduction="none")(RECORD, Y),
                    [[1, 0, 0], [0, 0, 1]],
                ),
            ),
        ),
        Row(
            "b",
            "`mse_temporal_loss` divides both times by the number of steps before it squares,"
            " `ce_temporal_loss` divides nothing",
            (
                _same(
                    "`mse_temporal_loss()`, silent, T = 5, N = 1",
                    lambda SF: SF.mse_temporal_loss()(silent(5, 1, 1), labels(0)),
                    (4 / 5) ** 2,
                ),
                _same(
                    "`ce_temporal_loss()`, spikes at [0, 2], T = 5, label 0",
                    lambda SF: SF.ce_temporal_loss()(EARLY, labels(0)),
                    math.log1p(math.exp(-2)),
                ),
            ),
        ),
        Row(
            "c",
            "`inverse='reciprocal'` is 1 / (t + 1), steps counted from 0",
            (
                _same(
                    "`ce_temporal_loss('reciprocal')`, spikes at [0, 2], label 0",
                    lambda SF: SF.ce_temporal_loss("reciprocal")(EARLY, labels(0)),
                    math.log1p(math.exp(1 / 3 - 1)),
                ),
            ),
        ),
        Row(
            "d",
            "A silent neuron counts as firing at the last step, which gets its gradient",
            (
                _same(
                    "`SpikeTime()`, silent, T = 4: time",
                    lambda SF: SF.SpikeTime()(silent(4, 1, 1), labels(0))[0],
                    [[3]],
                ),
                _same(
                    "gradient of the time over the four steps",
                    lambda SF: gradient(
                        lambda x: SF.SpikeTime()(x, labels(0))[0], silent(4, 1, 1)
                    ).flatten(),
                    [0, 0, 0, -1],
                ),
                Case(
                    "`FirstSpike(silent_delay=1.0)`, so that silence differs from a last spike",
                    lambda SF: FirstSpike(silent_delay=1.0)(silent(4, 1, 1)),
                    ABSENT,
                    [[4]],
                ),
                Case(
                    "`FirstSpike(silent_gradient=False)`: gradient",
                    lambda SF: gradient(
                        FirstSpike(silent_gradient=False), silent(4, 1, 1)
                    ).flatten(),
                    ABSENT,
                    [0, 0, 0, 0],
                ),
            ),
        ),
        Row(
            "e",
            "Shapes of `reduction='none'`; T = 4, B = 2, N = 3",
            (
                _same("`ce_rate_loss`", _shape("ce_rate_loss"), (2,)),
                _same("`ce_count_loss`", _shape("ce_count_loss"), (2,)),
                _same("`ce_max_membrane_loss`", _shape("ce_max_membrane_loss"), (2,)),
                _same("`ce_temporal_loss`", _shape("ce_temporal_loss"), (2,)),
                _same("`mse_count_loss`", _shape("mse_count_loss"), (2, 3)),
                _same("`mse_membrane_loss`", _shape("mse_membrane_loss"), (2, 3)),
                _same("`mse_temporal_loss`", _shape("mse_temporal_loss"), (2, 3)),
                _same(
                    "`mse_count_loss` with N = 6 in 3 classes",
                    lambda SF: (
                        SF.mse_count_loss(1, 0, True, 3, reduction="none")(silent(4, 2, 6), Y).shape
                    ),
                    (2, 3),
                ),
                _same("`mse_temporal_loss`, two spikes", _multi, (2, 2, 3)),
            ),
        ),
        Row(
            "f",
            "The tolerance is strict, and inside a loss has neither value nor gradient",
            (
                _same(
                    "`mse_temporal_loss(tolerance=2)`, two steps off, T = 5, N = 1",
                    lambda SF: SF.mse_temporal_loss(on_target=1, tolerance=2)(
                        fires(5, [3]), labels(0)
                    ),
                    (2 / 5) ** 2,
                ),
                _same(
                    "`tolerance=3`",
                    lambda SF: SF.mse_temporal_loss(on_target=1, tolerance=3)(
                        fires(5, [3]), labels(0)
                    ),
                    0,
                ),
                _same(
                    "`tolerance=3`: gradient over the five steps",
                    lambda SF: gradient(
                        lambda x: SF.mse_temporal_loss(on_target=1, tolerance=3)(x, labels(0)),
                        fires(5, [3]),
                    ).flatten(),
                    [0, 0, 0, 0, 0],
                ),
                _same(
                    "`SpikeTime(on_target=1, tolerance=3)` by itself: the time",
                    lambda SF: SF.SpikeTime(on_target=1, tolerance=3)(fires(5, [3]), labels(0))[0],
                    [[1]],
                ),
                _same(
                    "its gradient over the five steps, that of the spike",
                    lambda SF: gradient(
                        lambda x: SF.SpikeTime(on_target=1, tolerance=3)(x, labels(0))[0],
                        fires(5, [3]),
                    ).flatten(),
                    [0, 0, 0, -1, 0],
                ),
            ),
        ),
        Row(
            "g",
            "With class weights a mean is over the samples, in `ce_temporal_loss` over the weights",
            (
                _same(
                    "`ce_count_loss(weight=[1, 2, 3])`, silent, labels [0, 2]",
                    lambda SF: SF.ce_count_loss(weight=W)(RECORD, Y),
                    math.log(3) * (1 + 3) / 2,
                ),
                _same(
                    "`ce_temporal_loss(weight=[1, 2, 3])`, the same",
                    lambda SF: SF.ce_temporal_loss(weight=W)(RECORD, Y),
                    math.log(3) * (1 + 3) / (1 + 3),
                ),
                _same(
                    "`ce_temporal_loss`, the same with `reduction='none'`: weighted already",
                    lambda SF: SF.ce_temporal_loss(weight=W, reduction="none")(RECORD, Y),
                    [math.log(3), 3 * math.log(3)],
                ),
            ),
        ),
    ),
)

CROSS_ENTROPY = Section(
    "BrainPy",
    BRAINPY,
    (
        Row(
            "h",
            "`cross_entropy_loss` with class weights: the mean is over the weights, the unreduced"
            " loss is weighted",
            (
                _same(
                    "logits [[1, 2, 0.5], [0, -1, 3]], labels [1, 2], `weight=[1, 2, 4]`",
                    lambda B: brainpy_loss(B, LABELS, weight=WEIGHT),
                    -(2 * LOG_P[0, 1] + 4 * LOG_P[1, 2]) / (2 + 4),
                ),
                _same(
                    "the same with `reduction='none'`",
                    lambda B: brainpy_loss(B, LABELS, weight=WEIGHT, reduction="none"),
                    [-2 * LOG_P[0, 1], -4 * LOG_P[1, 2]],
                ),
            ),
        ),
        Row(
            "i",
            "`reduction='none'` keeps all axes but the last",
            (
                _same(
                    "logits (3, 1, 2, 3), labels (3, 1, 2): shape",
                    lambda B: brainpy_loss(B, np.full((3, 1, 2), 2), DEEP, reduction="none").shape,
                    (3, 1, 2),
                ),
                _same(
                    "probabilities (3, 1, 2, 3): shape",
                    lambda B: (
                        brainpy_loss(B, jnp.full(DEEP.shape, 1 / 3), DEEP, reduction="none").shape
                    ),
                    (3, 1, 2),
                ),
            ),
        ),
    ),
)
