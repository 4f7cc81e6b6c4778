"""Criteria of whole records whose steps learn from what all of them decide together."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from spikeloss.extend import (
    Array,
    Labels,
    Valid,
    by_class,
    choice,
    constant,
    log_softmax,
    namespace,
    number,
    numbered,
    softmax,
    sum_over_time,
)
from spikeloss.readouts import Reading

from ._base import Weighed, of_label
from ._classes import Distillation


@dataclass(frozen=True, kw_only=True)
class SelfDistillation(Weighed):
    """sum_t T^2 KL(q | softmax(x_t / T)) / n, q = softmax(z / T), z a teacher made of all steps.

    Every step should decide as the teacher does, which has no derivative. "correct": z is the mean
    of the steps whose largest logit is that of the label; a sample without any costs nothing.
    "mean": the mean of all steps. "swapped": that mean, the largest logit and that of the label
    exchanged, so that the teacher is right.

    Args:
        teacher: "correct", "mean" or "swapped".
        temperature: T, above 0.

    Source: C. Yu et al., Efficient logit-based knowledge distillation of deep spiking neural
    networks for full-range timestep deployment (2025), by their code, where a sample without a
    right step is taught that all classes are alike; X. Zhao et al., Enhanced self-distillation
    framework for efficient spiking neural network training (2025), whose code leaves it out. The
    exchange is that of S. Limantoro et al., Swapped logit distillation via bi-level teachers
    alignment (2025), of another network's logits there.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.WholeRecord(), SelfDistillation(temperature=1.0))
    >>> record = numpy.log([[[0.5, 0.5]], [[0.25, 0.75]]])  # of which the second step is right
    >>> round(float(loss(record, numpy.array([1]))), 6)  # ln(27 / 16) / 8
    0.065406
    """

    teacher: Literal["correct", "mean", "swapped"] = field(
        default="correct", metadata=choice("correct", "mean", "swapped")
    )
    temperature: float = field(default=3.0, metadata=number(above=0.0))
    of_labels: ClassVar[bool] = True
    of_sequence: ClassVar[bool | None] = True

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = constant(reading.z), namespace(reading.z)
        there = _there(reading)
        if self.teacher == "correct":
            right = there & _right(z, y)
            count = xp.sum(xp.astype(right, z.dtype), axis=0)
            there = there & (count > 0)
            taught = sum_over_time(xp.where(right, z, 0)) / xp.where(count > 0, count, 1)
        else:
            taught = sum_over_time(xp.where(there, z, 0)) / reading.steps
        if self.teacher == "swapped":
            taught = _swapped(taught, y)
        teacher = xp.broadcast_to(taught, z.shape)
        far = Distillation(temperature=self.temperature).each(reading, teacher)
        return sum_over_time(xp.where(there, far, 0)) / reading.steps


@dataclass(frozen=True, kw_only=True)
class SharedKnowledge(Weighed):
    """sum_t -T^2 sum_c q_c log softmax(x_t)_c / n, q = softmax(z / T), z the sum of right steps.

    Every step should decide as those do together whose largest logit is that of the label. Where
    there is none all classes are taught alike. The derivative passes through q too, as in the
    source's code: so steps that are right learn to agree with the others.

    Args:
        temperature: T, above 0.

    Source: Y. Dong, D. Zhao and Y. Zeng, Temporal knowledge sharing enable spiking neural network
    learning from past and future (2023), and their code.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.WholeRecord(), SharedKnowledge(temperature=1.0))
    >>> round(float(loss(numpy.zeros((3, 1, 2)), numpy.array([0]))), 6)  # ln 2
    0.693147
    """

    temperature: float = field(default=3.0, metadata=number(above=0.0))
    of_labels: ClassVar[bool] = True
    of_sequence: ClassVar[bool | None] = True

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp, there = reading.z, namespace(reading.z), _there(reading)
        shared = sum_over_time(xp.where(there & _right(z, y), z, 0))
        q = softmax(shared / self.temperature, None)
        log_p = sum_over_time(xp.where(there, log_softmax(z), 0)) / reading.steps
        return -(self.temperature**2) * xp.sum(q * log_p, axis=-1, keepdims=True)


def _there(reading: Reading) -> Valid:
    """The steps that exist, which stand at the front: (T, *B, 1), or axes of 1."""
    z = reading.z
    return namespace(z).astype(numbered(z.shape[0], z), z.dtype) < reading.steps


def _right(z: Array, y: Labels) -> Valid:
    """The steps whose largest logit is that of the label, the first of equals."""
    return (namespace(z).argmax(z, axis=-1) == y)[..., None]


def _swapped(z: Array, y: Labels) -> Array:
    """The logits, the largest and that of the label exchanged."""
    xp, top = namespace(z), namespace(z).max(z, axis=-1, keepdims=True)
    right, z_y = of_label(z, y)
    best = by_class(xp.argmax(z, axis=-1), z.shape[-1], z, 1.0, 0.0)
    return xp.where(right == 0, xp.where(best == 0, z, z_y), right * top)
