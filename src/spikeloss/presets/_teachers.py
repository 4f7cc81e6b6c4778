"""Objectives that imitate a teacher."""

from typing import Unpack

from spikeloss.criteria import Distillation
from spikeloss.loss import Loss
from spikeloss.readouts import EveryStep, MeanOverTime

from ._base import HIGHEST, Options, preset

_HINTON = "G. Hinton, O. Vinyals and J. Dean, Distilling the knowledge in a neural network (2015)"


@preset(source=_HINTON, decides=HIGHEST.format("mean"))
def kd_logits(*, temperature: float = 1.0, **options: Unpack[Options]) -> Loss:
    """T^2 KL(softmax(y / T) | softmax(z / T)), z = sum_t x_t / n, T = `temperature`

    The mean over time should decide as a teacher does, whose logits (*B, C) are the target.
    """
    criterion = Distillation(temperature=temperature)
    return Loss(MeanOverTime(), criterion, reads="either", **options)


@preset(source="a form for each step of " + _HINTON, decides=HIGHEST.format("mean"))
def kd_steps(*, temperature: float = 1.0, **options: Unpack[Options]) -> Loss:
    """mean_t T^2 KL(softmax(y_t / T) | softmax(x_t / T)), T = `temperature`

    Every step should decide as a teacher does, whose logits (T, *B, C), or (*B, C) for all steps,
    are the target.
    """
    return Loss(EveryStep(), Distillation(temperature=temperature), reads="either", **options)
