"""Objectives that imitate a teacher: another network, or what all steps say together."""

from collections.abc import Sequence
from typing import Literal, Unpack

from spikeloss.criteria import (
    Bounds,
    CrossEntropy,
    Distillation,
    SelfDistillation,
    SharedKnowledge,
)
from spikeloss.extend import checked, number
from spikeloss.loss import Loss, Total
from spikeloss.readouts import Disagreement, EveryStep, MeanOverTime, WholeRecord
from spikeloss.reductions import Reduction, Word
from spikeloss.targets import Given

from ._base import HIGHEST, MEAN, Options, Unweighed, preset

_HINTON = "G. Hinton, O. Vinyals and J. Dean, Distilling the knowledge in a neural network (2015)"


@preset(source=_HINTON, decides=HIGHEST.format("mean"))
def kd_logits(*, temperature: float = 1.0, **options: Unpack[Unweighed]) -> Loss:
    """T^2 KL(softmax(y / T) | softmax(z / T)), z = sum_t x_t / n, T = `temperature`

    The mean over time should decide as a teacher does, whose logits (*B, C) are the target.
    """
    criterion = Distillation(temperature=temperature)
    return Loss(MeanOverTime(), criterion, reads="either", **options)


@preset(source="a form for each step of " + _HINTON, decides=HIGHEST.format("mean"))
def kd_steps(*, temperature: float = 1.0, **options: Unpack[Unweighed]) -> Loss:
    """mean_t T^2 KL(softmax(y_t / T) | softmax(x_t / T)), T = `temperature`

    Every step should decide as a teacher does, whose logits (T, *B, C), or (*B, C) for all steps,
    are the target.
    """
    return Loss(EveryStep(), Distillation(temperature=temperature), reads="either", **options)


@preset(
    source="D. Zhao et al., Improving stability and performance of spiking neural networks through "
    "enhancing temporal consistency (2024), and their code",
    decides=HIGHEST.format("mean"),
)
def etc(
    *,
    weight: float = 1.0,
    temperature: float = 4.0,
    reduction: Reduction | Word = MEAN,
    class_weight: Sequence[float] | None = None,
) -> Total:
    """-log softmax(sum_t x_t / n)_y + w mean_(i != j) T^2 KL(softmax(x_j / T) | softmax(x_i / T))

    The mean over time should decide rightly, and every step say what the others say, which teach it
    without a derivative: so that fewer steps do as well. w = `weight`, T = `temperature`. The
    second part alone is `penalties.step_consistency`; class weights are those of the first.
    """
    weight = checked("weight", weight, number(low=0.0))
    decide = Loss(MeanOverTime(), CrossEntropy(), Given(), reduction, class_weight)
    agree = Loss(
        Disagreement(temperature=temperature), Bounds(upper=0.0, power=1), reduction=reduction
    )
    return decide + weight * agree


@preset(
    source="Y. Dong, D. Zhao and Y. Zeng, Temporal knowledge sharing enable spiking neural network "
    "learning from past and future (2023), and their code",
    decides=HIGHEST.format("mean"),
)
def tks(*, share: float = 0.5, temperature: float = 1.0, **options: Unpack[Options]) -> Total:
    """-(1 - l) log softmax(sum_t x_t / n)_y - l mean_t T^2 sum_c q_c log softmax(x_t)_c

    The mean over time should decide rightly, and every step as the right ones together, q =
    softmax(sum of x_t where they are right / T), T = `temperature`. The authors raise l = `share`
    with the epochs, from 0 to 0.7, and have T = 3 in an example. A sample without a right step is
    taught that all classes are alike. No stream: which steps are right decides at the end.
    """
    share = checked("share", share, number(low=0.0, high=1.0))
    decide = Loss(MeanOverTime(), CrossEntropy(), reads="either", **options)
    learn = Loss(WholeRecord(), SharedKnowledge(temperature=temperature), reads="either", **options)
    return (1 - share) * decide + share * learn


@preset(
    source="C. Yu et al., Efficient logit-based knowledge distillation of deep spiking neural "
    "networks for full-range timestep deployment (2025), by their code; X. Zhao et al., Enhanced "
    "self-distillation framework for efficient spiking neural network training (2025), likewise",
    decides=HIGHEST.format("mean"),
)
def self_kd_steps(
    *,
    weight: float = 1.0,
    teacher: Literal["correct", "mean", "swapped"] = "correct",
    temperature: float = 3.0,
    **options: Unpack[Options],
) -> Total:
    """mean_t -log softmax(x_t)_y + w mean_t T^2 KL(softmax(z / T) | softmax(x_t / T)), z of x

    Every step should decide rightly, and as a teacher z made of all steps: the mean of the right
    ones, with teacher="mean" of all, with teacher="swapped" of all with the largest logit given to
    the label. w = `weight`, T = `temperature`. With another network as a teacher add `kd_steps`. No
    stream: the teacher is known at the end.
    """
    weight = checked("weight", weight, number(low=0.0))
    criterion = SelfDistillation(teacher=teacher, temperature=temperature)
    decide = Loss(EveryStep(), CrossEntropy(), reads="either", **options)
    return decide + weight * Loss(WholeRecord(), criterion, reads="either", **options)
