"""What the losses of snnTorch take without a word, and what they refuse."""

import math
from typing import Any

import torch

from spikeloss import Loss, criteria, readouts

from .rows import ABSENT, SNNTORCH, Case, Raises, Row, Section, fires, gradient, labels, silent

NAN = silent(4, 2, 3) * math.nan
EMPTY = silent(0, 2, 3)
NOBODY, NONE = silent(4, 0, 3), torch.zeros(0, dtype=torch.long)
PLANES = fires(5, [1, 2, None]).expand(5, 2, 3)[:, None]  # (5, 1, 2, 3)
GIVEN = torch.zeros(1, 2, 3)
SKIPPING = Loss(readouts.SumOverTime(), criteria.CrossEntropy(ignore_index=-100))


def _reached(SF: Any) -> int:
    """How many entries of the record the first spike time of one neuron depends on."""
    grad = gradient(
        lambda x: SF.SpikeTime(target_is_time=True)(x, GIVEN)[0][0, 0, 0], PLANES.clone()
    )
    return int((grad != 0).sum())


def _alone(SF: Any) -> torch.Tensor:
    """The gradient of the first spike time of a record (T, N)."""
    loss = SF.SpikeTime(target_is_time=True)
    return gradient(lambda x: loss(x, torch.zeros(2))[0], fires(3, [1, None])[:, 0])


SECTION = Section(
    "Checks of what comes in",
    SNNTORCH,
    (
        Row(
            16,
            "A label outside the classes is an error everywhere, unless it is to be ignored",
            (
                Case(
                    "`ce_count_loss()`, silent, N = 3, labels [0, -100]",
                    lambda SF: SF.ce_count_loss()(silent(4, 2, 3), labels(0, -100)),
                    math.log(3),
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "`mse_count_loss()`, the same",
                    lambda SF: SF.mse_count_loss()(silent(4, 2, 3), labels(0, -100)),
                    Raises(RuntimeError),
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "`Loss(SumOverTime(), CrossEntropy(ignore_index=-100))`, the same",
                    lambda SF: SKIPPING(silent(4, 2, 3), labels(0, -100)),
                    ABSENT,
                    math.log(3),
                ),
            ),
        ),
        Row(
            17,
            "One label per sample: neither one for all nor a batch for one sample",
            (
                Case(
                    "`mse_count_loss()`, silent, T = 4, B = 2, N = 3, one label",
                    lambda SF: SF.mse_count_loss()(silent(4, 2, 3), labels(1)),
                    4 / 3,
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "B = 1, three labels",
                    lambda SF: SF.mse_count_loss()(silent(4, 1, 3), labels(0, 1, 2)),
                    4 / 3,
                    Raises(ValueError, "targets"),
                ),
            ),
        ),
        Row(
            18,
            "Options and targets out of their range are errors",
            (
                Case(
                    "`mse_count_loss(correct_rate=1.5)`, silent, T = 4, N = 1",
                    lambda SF: SF.mse_count_loss(correct_rate=1.5)(silent(4, 1, 1), labels(0)),
                    6**2 / 4,
                    Raises(ValueError, "correct_rate"),
                ),
                Case(
                    "`mse_temporal_loss(off_target=9)`, T = 4, silent, N = 2",
                    lambda SF: SF.mse_temporal_loss(off_target=9)(silent(4, 1, 2), labels(0)),
                    (3**2 + 6**2) / 4**2 / 2,
                    Raises(ValueError, "off_target"),
                ),
                Case(
                    "`mse_temporal_loss(target_is_time=True)`, time -9, T = 4, silent",
                    lambda SF: SF.mse_temporal_loss(target_is_time=True)(
                        silent(4, 1, 1), torch.tensor([[-9.0]])
                    ),
                    (3 + 5) ** 2 / 4**2,
                    Raises(ValueError, "targets"),
                ),
                Case(
                    "`mse_temporal_loss(off_target=3, tolerance=-1)`, T = 4, silent, N = 2",
                    lambda SF: SF.mse_temporal_loss(off_target=3, tolerance=-1)(
                        silent(4, 1, 2), labels(0)
                    ),
                    (3**2 + 0) / 4**2 / 2,
                    Raises(ValueError, "tolerance"),
                ),
                Case(
                    "`mse_count_loss(weight=[1, 2, 3, 4])`, silent, T = 4, B = C = 3, labels"
                    " [0, 1, 2]",
                    lambda SF: SF.mse_count_loss(weight=torch.tensor([1.0, 2, 3, 4]))(
                        silent(4, 3, 3), labels(0, 1, 2)
                    ),
                    4 * (1 + 2 + 3) / 9,
                    Raises(ValueError, "weight"),
                ),
            ),
        ),
        Row(
            19,
            "nan is not a spike and not a decision",
            (
                Case(
                    "`accuracy_rate`, every entry nan, labels 0",
                    lambda SF: SF.accuracy_rate(NAN, labels(0, 0)),
                    1,
                    Raises(ValueError, "spk_out"),
                ),
                Case(
                    "`accuracy_temporal`, the same",
                    lambda SF: SF.accuracy_temporal(NAN, labels(0, 0)),
                    1,
                    Raises(ValueError, "spk_out"),
                ),
                Case(
                    "`SpikeTime()`, the same: first time",
                    lambda SF: SF.SpikeTime()(NAN, labels(0, 0))[0][0, 0],
                    math.nan,
                    Raises(ValueError, "spk_out"),
                ),
                Case(
                    "`ce_count_loss()`, the same",
                    lambda SF: SF.ce_count_loss()(NAN, labels(0, 0)),
                    math.nan,
                    math.nan,
                ),
            ),
        ),
        Row(
            20,
            "A record without steps says nothing; a batch without samples has sum 0 and mean nan",
            (
                Case(
                    "`ce_count_loss()`, T = 0, N = 3",
                    lambda SF: SF.ce_count_loss()(EMPTY, labels(0, 1)),
                    math.log(3),
                    Raises(ValueError, "spk_out"),
                ),
                Case(
                    "`accuracy_rate`, T = 0, labels [0, 1]",
                    lambda SF: SF.accuracy_rate(EMPTY, labels(0, 1)),
                    0.5,
                    Raises(ValueError, "spk_out"),
                ),
                Case(
                    "`mse_count_loss()`, B = 0",
                    lambda SF: SF.mse_count_loss()(NOBODY, NONE),
                    Raises(RuntimeError),
                    math.nan,
                ),
                Case(
                    "`mse_count_loss(reduction='sum')`, B = 0",
                    lambda SF: SF.mse_count_loss(reduction="sum")(NOBODY, NONE),
                    Raises(RuntimeError),
                    0,
                ),
            ),
        ),
        Row(
            23,
            "Any number of batch axes, also none, forward and backward",
            (
                Case(
                    "`SpikeTime(target_is_time=True)`, record (5, 1, 2, 3): entries that get"
                    " gradient from one time",
                    _reached,
                    3,
                    1,
                ),
                Case(
                    "record (3, 2), spike at [1, none]: gradient of the times",
                    _alone,
                    Raises(IndexError),
                    [[0, 0], [-1, 0], [0, -1]],
                ),
                Case(
                    "`mse_count_loss()`, silent, record (4, 1, 2, 3), labels (1, 2)",
                    lambda SF: SF.mse_count_loss()(silent(4, 2, 3)[:, None], labels(0, 2)[None]),
                    Raises(RuntimeError),
                    4 / 3,
                ),
            ),
        ),
    ),
)
