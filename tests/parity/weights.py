"""Class weights and population codes in the losses of snnTorch."""

import math

import torch

from .rows import SNNTORCH, Case, Raises, Row, Section, fires, labels, silent

W = torch.tensor([1.0, 2.0, 3.0])
SILENT, Y = silent(4, 3, 3), labels(0, 2, 1)
STEPS, LAST = torch.tensor([[1, 4]]), fires(5, [0, 1])
# Two groups of two neurons. At both steps one neuron of the first and both of the second fire.
VOTES = torch.tensor([1.0, 0.0, 1.0, 1.0]).expand(2, 1, 4)
SECOND_WINS = math.log1p(math.exp(1 - 2))
COUNT_MEAN = "`mse_count_loss(weight=[1, 2, 3])`, silent, T = 4, B = C = 3, labels [1, 0, 0]"

SECTION = Section(
    "Class weights",
    SNNTORCH,
    (
        Row(
            3,
            "In a squared error the weight belongs to the sample, by its label",
            (
                Case(
                    "`mse_count_loss(weight=[1, 2, 3], reduction='none')`, silent, T = 4, B = C ="
                    " 3, labels [0, 2, 1]",
                    lambda SF: SF.mse_count_loss(weight=W, reduction="none")(SILENT, Y),
                    [[4, 0, 0], [0, 0, 8], [0, 12, 0]],
                    [[4, 0, 0], [0, 0, 12], [0, 8, 0]],
                ),
                Case(
                    "`mse_membrane_loss`, the same",
                    lambda SF: SF.mse_membrane_loss(weight=W, reduction="none")(SILENT, Y),
                    [[1, 0, 0], [0, 0, 2], [0, 3, 0]],
                    [[1, 0, 0], [0, 0, 3], [0, 2, 0]],
                ),
                Case(
                    "`mse_temporal_loss(on_target=0, off_target=3)`, the same",
                    lambda SF: SF.mse_temporal_loss(
                        on_target=0, off_target=3, weight=W, reduction="none"
                    )(SILENT, Y),
                    [[9 / 16, 0, 0], [0, 0, 18 / 16], [0, 27 / 16, 0]],
                    [[9 / 16, 0, 0], [0, 0, 27 / 16], [0, 18 / 16, 0]],
                ),
                Case(
                    COUNT_MEAN,
                    lambda SF: SF.mse_count_loss(weight=W)(SILENT, labels(1, 0, 0)),
                    4 * (1 + 2 + 2) / 9,
                    4 * (2 + 1 + 1) / 9,
                ),
                Case(
                    "the first again for the first two samples, so that B = 2",
                    lambda SF: SF.mse_count_loss(weight=W, reduction="none")(SILENT[:, :2], Y[:2]),
                    Raises(RuntimeError),
                    [[4, 0, 0], [0, 0, 12]],
                ),
            ),
        ),
        Row(
            4,
            "Spike times as targets have no labels, so no class weights",
            (
                Case(
                    "`mse_temporal_loss(target_is_time=True, weight=[1, 2, 3, 4, 5])`, T = 5,"
                    " spikes at [0, 1], targets [1, 4]",
                    lambda SF: SF.mse_temporal_loss(
                        target_is_time=True, weight=torch.tensor([1.0, 2, 3, 4, 5])
                    )(LAST, STEPS),
                    (2 * 1**2 + 5 * 3**2) / 25 / 2,
                    Raises(ValueError, "weight"),
                ),
                Case(
                    "the same with floating targets",
                    lambda SF: SF.mse_temporal_loss(
                        target_is_time=True, weight=torch.tensor([1.0, 2, 3, 4, 5])
                    )(LAST, STEPS.float()),
                    Raises(IndexError),
                    Raises(ValueError, "weight"),
                ),
            ),
        ),
        Row(
            5,
            "A reduction reduces, with weights too",
            (
                Case(
                    "`ce_count_loss(reduction='sum', weight=[1, 2, 3])`, silent, B = C = 3: shape",
                    lambda SF: SF.ce_count_loss(reduction="sum", weight=W)(SILENT, Y).shape,
                    (3,),
                    (),
                ),
                Case(
                    "its value",
                    lambda SF: SF.ce_count_loss(reduction="sum", weight=W)(SILENT, Y),
                    [math.log(3), 3 * math.log(3), 2 * math.log(3)],
                    6 * math.log(3),
                ),
                Case(
                    "`mse_count_loss`, the same: shape",
                    lambda SF: SF.mse_count_loss(reduction="sum", weight=W)(SILENT, Y).shape,
                    (3, 3),
                    (),
                ),
                Case(
                    "`ce_count_loss(reduction='average', weight=[1, 2, 3])`: shape",
                    lambda SF: SF.ce_count_loss(reduction="average", weight=W)(SILENT, Y).shape,
                    (3,),
                    Raises(ValueError, "reduction"),
                ),
            ),
        ),
        Row(
            25,
            "Weights follow the record to its device",
            (
                Case(
                    "`ce_count_loss(weight=...)`, weights on the CPU, the record on another device"
                    " (PyTorch's `meta`): device of the loss",
                    lambda SF: SF.ce_count_loss(weight=W)(SILENT.to("meta"), Y.to("meta")).device,
                    Raises(RuntimeError),
                    "meta",
                ),
            ),
        ),
    ),
)

POPULATIONS = Section(
    "Population codes",
    SNNTORCH,
    (
        Row(
            6,
            "`ce_rate_loss` pools the neurons of a class at every step",
            (
                Case(
                    "`ce_rate_loss(True, 2)`, one neuron of class 0 and two of class 1 fire at"
                    " every step, label 1",
                    lambda SF: SF.ce_rate_loss(True, 2)(VOTES, labels(1)),
                    Raises(TypeError),
                    SECOND_WINS,
                ),
                Case(
                    "the same with `weight=[1, 1]`",
                    lambda SF: SF.ce_rate_loss(True, 2, weight=torch.ones(2))(VOTES, labels(1)),
                    math.log(3 * math.e + 1),  # neuron 1, silent, among four
                    SECOND_WINS,
                ),
            ),
        ),
        Row(
            7,
            "A population needs to know its classes, and they must divide the neurons",
            (
                Case(
                    "`mse_count_loss(population_code=True)`",
                    lambda SF: SF.mse_count_loss(population_code=True)(VOTES, labels(1)),
                    Raises(ZeroDivisionError),
                    Raises(ValueError, "num_classes"),
                ),
                Case(
                    "`ce_rate_loss(population_code=True)`",
                    lambda SF: SF.ce_rate_loss(population_code=True)(VOTES, labels(1)),
                    Raises(ZeroDivisionError),
                    Raises(ValueError, "num_classes"),
                ),
                Case(
                    "`ce_count_loss(True, 3)`, N = 4: three should divide four",
                    lambda SF: SF.ce_count_loss(True, 3)(VOTES, labels(1)),
                    Raises(Exception, says="num_outputs 4 must be a factor of num_classes 3."),
                    Raises(ValueError, "num_classes"),
                ),
            ),
        ),
    ),
)
