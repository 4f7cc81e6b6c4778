"""Targets: what the losses of snnTorch aim at."""

import torch

from .rows import SNNTORCH, Case, Raises, Row, Section, fires, labels, silent

AT_ONCE = fires(5, [0, 0])
PER_STEP = torch.tensor([[0, 1, 2, 0], [1, 1, 0, 2]])
FOLLOWS = torch.nn.functional.one_hot(PER_STEP, 3).float()
WHOLE_BATCH = torch.tensor([0, 1])

SECTION = Section(
    "Targets",
    SNNTORCH,
    (
        Row(
            1,
            "By default the other classes should fire at the last step",
            (
                Case(
                    "`SpikeTime()` for label 0, T = 5, N = 2: target times",
                    lambda SF: SF.SpikeTime()(AT_ONCE, labels(0))[1],
                    [[0, 0]],
                    [[0, 4]],
                ),
                Case(
                    "`mse_temporal_loss()` when both neurons fire at step 0",
                    lambda SF: SF.mse_temporal_loss()(AT_ONCE, labels(0)),
                    0,
                    (0**2 + (4 / 5) ** 2) / 2,
                ),
            ),
        ),
        Row(
            2,
            "A negative membrane target is what it says",
            (
                Case(
                    "`mse_membrane_loss(on_target=1, off_target=-1)`, membranes +1 and -1 as they"
                    " should be",
                    lambda SF: SF.mse_membrane_loss(on_target=1, off_target=-1)(
                        torch.tensor([1.0, -1.0]).expand(4, 1, 2), labels(0)
                    ),
                    [0.5],
                    0,
                ),
                Case(
                    "the same, membranes 0",
                    lambda SF: SF.mse_membrane_loss(on_target=1, off_target=-1)(
                        silent(4, 1, 2), labels(0)
                    ),
                    [0.5],
                    1,
                ),
            ),
        ),
        Row(
            8,
            "A target count is rate times steps, not its whole part",
            (
                Case(
                    "`mse_count_loss(correct_rate=0.5)`, silent, T = 25, N = 1",
                    lambda SF: SF.mse_count_loss(correct_rate=0.5)(silent(25, 1, 1), labels(0)),
                    12**2 / 25,
                    12.5**2 / 25,
                ),
                Case(
                    "`mse_count_loss(correct_rate=0.29)`, a spike at each of 100 steps, N = 1",
                    lambda SF: SF.mse_count_loss(correct_rate=0.29)(
                        torch.ones(100, 1, 1), labels(0)
                    ),
                    (100 - 28) ** 2 / 100,
                    (100 - 29) ** 2 / 100,
                ),
            ),
        ),
        Row(
            9,
            "Targets over time, for each sample its own",
            (
                Case(
                    "`mse_membrane_loss(time_var_targets=True)`, labels (T, B) that the membranes"
                    " follow",
                    lambda SF: SF.mse_membrane_loss(time_var_targets=True)(FOLLOWS, PER_STEP),
                    Raises(RuntimeError),
                    0,
                ),
                Case(
                    "membranes (T, B, N) as targets, 0.5 above",
                    lambda SF: SF.mse_membrane_loss(time_var_targets=True)(FOLLOWS, FOLLOWS + 0.5),
                    Raises(RuntimeError),
                    0.25,
                ),
                Case(
                    "labels (T) for the whole batch, N = 3, membranes 0",
                    lambda SF: SF.mse_membrane_loss(time_var_targets=True)(
                        silent(2, 4, 3), WHOLE_BATCH
                    ),
                    [1 / 3],
                    1 / 3,
                ),
            ),
        ),
    ),
)
