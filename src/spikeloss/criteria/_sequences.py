"""Criteria of whole records, whose steps they see all at once."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from spikeloss.extend import (
    Array,
    Check,
    Labels,
    Totals,
    absolute,
    as_index,
    checks_values,
    choice,
    constant,
    ctc,
    extent,
    flag,
    integer,
    like,
    log_softmax,
    namespace,
    number,
    numbered,
    power,
    product,
    refuse,
    settled,
    shape_of,
    span,
)
from spikeloss.readouts import Outline, Reading

from ._base import Criterion
from ._pairs import apart, cosines, fit_pairs, integers, moved, rows, shares, squares


class Sequenced(Criterion):
    """A criterion of whole records, `readouts.WholeRecord`, without class weights.

    What is left to say is the formula, `each`.
    """

    of_sequence: ClassVar[bool | None] = True

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        xp, batch = namespace(reading.z), reading.batch
        return Totals(xp.reshape(self.each(reading, y), (*batch, 1)))

    @abstractmethod
    def each(self, reading: Reading, y: Array) -> Array:
        """The formula: one number per sample, (B), all batch axes as one."""


@dataclass(frozen=True, kw_only=True)
class CTC(Sequenced):
    """-log sum_a prod_t softmax(x_t)_(a_t), over the alignments a of a label sequence: CTC.

    For records in which several labels follow each other at unknown times. An alignment has a label
    or a blank at each of the n valid steps, and spells the labels when repetitions are merged and
    then blanks are left out. Labels (*B, L), shorter sequences filled up with -1. A sequence with
    no alignment, as it is too long, costs infinity, and its derivative is not finite. A mean is
    over the samples, whatever the length of their labels. Computed by
    `torch.nn.functional.ctc_loss`, `optax.ctc_loss`, or a loop over time: in NumPy, and in PyTorch
    under `torch.func`, forward derivatives and `torch.compile`. The first has no second derivative:
    take it by `torch.func`. Wrong labels that cannot be checked give nan.

    Args:
        blank: the class that is the blank.

    Raises:
        ValueError, TypeError: labels out of range, blanks among them, or gaps.

    Source: A. Graves et al., Connectionist temporal classification: labelling unsegmented sequence
    data with recurrent neural networks (2006).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.WholeRecord(), CTC())
    >>> record, labels = numpy.zeros((2, 1, 2)), numpy.array([[1]])
    >>> float(numpy.exp(-loss(record, labels)).round(12))  # 3 of 4 paths spell "1": 11, 1-, -1
    0.75
    """

    blank: int = field(default=0, metadata=integer(low=0))

    def fit(self, y: Array, outline: Outline) -> Check:
        if self.blank >= outline.classes:
            rule = f"a class from 0 to {outline.classes - 1}"
            refuse("blank", rule, self.blank, "Choose a class of the record.")
        batch = outline.batch
        if y.ndim != len(batch) + 1 or tuple(y.shape[:-1]) != batch:
            axes = ", ".join(map(str, (*batch, "L")))
            rule = f"label sequences ({axes}), one row per sample"
            refuse("target", rule, shape_of(y), "Fill short rows up with -1.")
        integers(y, "integer class labels")
        return self._held

    def _held(self, y: Array, outline: Outline) -> Array:
        return _hold_sequences(as_index(y), outline.classes, self.blank)

    def each(self, reading: Reading, y: Array) -> Array:
        xp, z = namespace(reading.z), reading.z
        labels, count, known = _sequences(y, z, self.blank)
        rows = xp.reshape(z, (z.shape[0], math.prod(reading.batch), z.shape[-1]))
        steps = as_index(xp.zeros_like(count) + z.shape[0])
        if not isinstance(reading.steps, int):
            steps = as_index(xp.reshape(reading.steps, (-1,)))
        return known * ctc(log_softmax(rows), labels, steps, count, self.blank)


def _hold_sequences(y: Array, classes: int, blank: int) -> Array:
    """Label sequences (*B, L) without blanks, and -1 only after the labels."""
    if 0 in y.shape or not checks_values(y):
        return y
    low, high = extent(y)
    if low < -1 or high >= classes:
        fix = "Fill short rows up with -1."
        if low >= -1:
            fix = f"Use at least {high + 1} classes."
        refuse("target", f"labels from 0 to {classes - 1}, or -1", span(low, high), fix)
    read = settled(y)
    xp = namespace(read)
    if bool(xp.any(read == blank)):
        fix = "Leave blanks out; fill short rows up with -1."
        refuse("target", f"labels other than the blank {blank}", blank, fix)
    if bool(xp.any((read[..., 1:] >= 0) & (read[..., :-1] < 0))):
        refuse("target", "-1 after the labels only", "labels after -1", "Close the gaps.")
    return y


def _sequences(y: Array, z: Array, blank: int) -> tuple[Array, Array, Array]:
    """Labels (B, L) that are no blank, how many there are in each row, the others padding, and 1.

    In place of 1 nan for a row that has other labels than that, where they cannot be checked.
    """
    xp, classes = namespace(z), z.shape[-1]
    y = xp.reshape(y, (math.prod(y.shape[:-1]), y.shape[-1]))
    some = y >= 0
    wrong = (y < -1) | (y >= classes) | (y == blank)
    one, length = min(y.shape[-1], 1), y.shape[-1]
    gap = some[:, one:] & ~some[:, : length - one]
    count = xp.sum(xp.astype(some, y.dtype), axis=-1)
    known = ~(xp.any(wrong, axis=-1) | xp.any(gap, axis=-1))
    other = (blank + 1) % classes
    return xp.where(some & ~wrong, y, other), count, xp.where(known, like(1.0, z), xp.nan)


HUGE = 1e15
"""Numbers whose products are scaled."""


@dataclass(frozen=True, kw_only=True)
class Similarity(Sequenced):
    """sum_j |k(x_i, x_j) - s_ij|^p / B, s_ij = 1 for equal labels, else 0: alike within a class.

    Whole records are compared with each other, neuron by neuron and step by step; what each neuron
    stands for is free. k is the cosine x_i x_j / (|x_i| |x_j|), or 1 / (1 + e^(-a x_i x_j)), or
    exp(-|x_i - x_j|^2 / (2 a^2)), or e^(-d / a), d the earth mover's distance in time, as in
    `EarthMover`. A sample is compared with itself too; a silent one has cosine 0
    with all. The loss couples the samples of a batch: of a batch in parts it is another one; more
    than 10000 samples are refused, as every pair takes memory.

    Args:
        kernel: "cosine", "sigmoid", "gaussian" or "earth_mover".
        scale: a, above 0, for all but the first.
        power: p, 1 or 2.

    Source: SpikingJelly, `functional.spike_similar_loss`, without its cross-entropy, which rounding
    drives out of range.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.WholeRecord(), Similarity())
    >>> float(loss(numpy.eye(2)[None], numpy.array([0, 0])))  # cosines 1, 0, 0, 1: two of 4 wrong
    0.5
    """

    kernel: Literal["cosine", "sigmoid", "gaussian", "earth_mover"] = field(
        default="cosine", metadata=choice("cosine", "sigmoid", "gaussian", "earth_mover")
    )
    scale: float = field(default=1.0, metadata=number(above=0.0))
    power: Literal[1, 2] = field(default=2, metadata=choice(1, 2))
    of_labels: ClassVar[bool] = True
    couples: ClassVar[bool] = True

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_pairs(y, outline)

    def each(self, reading: Reading, y: Array) -> Array:
        xp = namespace(reading.z)
        label = xp.reshape(y, (-1,))
        alike = xp.astype(label[:, None] == label[None, :], reading.z.dtype)
        gaps = power(absolute(self._kernel(reading) - alike), self.power)
        return xp.sum(gaps, axis=-1) / max(label.shape[0], 1)

    def _kernel(self, reading: Reading) -> Array:
        xp = namespace(reading.z)
        if self.kernel == "earth_mover":
            return xp.exp(-moved(reading.z, reading.steps) / self.scale)
        x = rows(reading)
        if self.kernel == "cosine":
            return cosines(x)
        if self.kernel == "gaussian":
            return xp.exp(squares(x) / self.scale / self.scale / -2)
        top = constant(xp.max(xp.abs(x), axis=-1, keepdims=True))
        top = xp.where(top > HUGE, top, 1)  # products beyond float32 keep their sign
        x = x / top
        return (1 + xp.tanh(self.scale / 2 * (top * product(x, x.T)) * top.T)) / 2


@dataclass(frozen=True, kw_only=True)
class EarthMover(Sequenced):
    """mean_c sum_t |P_t - Q_t|, P_t = sum_(s <= t) x_s / sum_s x_s: how far spikes are moved.

    The earth mover's distance in time between the trains of a neuron and those of the target,
    against `targets.SpikeTrain`: the steps by which its spikes are to be moved, on average over the
    spikes. How many there are does not matter, unless counts are compared: then a spike too many or
    too few costs the steps that are left. A silent train has its spikes after the end; its
    derivative is that of counts. The derivative of |x| is 0 at 0.

    Args:
        normalised: whether P and Q are shares, else counts.

    Raises:
        ValueError: for entries below 0.

    Source: M. Pabian, D. Rzepka and M. Pawlak, Supervised training of siamese spiking neural
    networks with earth mover's distance (2022), of which the abstract could be read; in one
    dimension the distance is that of the cumulative distributions.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(
    ...     spikeloss.readouts.WholeRecord(), EarthMover(), spikeloss.targets.SpikeTrain()
    ... )
    >>> x, y = numpy.zeros((5, 1, 1)), numpy.zeros((5, 1, 1))
    >>> x[0], y[3] = 1, 1
    >>> float(loss(x, y))
    3.0
    """

    normalised: bool = field(default=True, metadata=flag())

    def each(self, reading: Reading, y: Array) -> Array:
        x, xp = reading.z, namespace(reading.z)
        there = xp.astype(numbered(x.shape[0], x), x.dtype) < reading.steps
        p = shares(x, self.normalised)
        q = shares(xp.where(there, y, 0), self.normalised, "target")
        gap = apart(p, q) if self.normalised else absolute(p - q)
        far = xp.sum(xp.where(there, gap, 0), axis=0)
        return xp.reshape(xp.mean(far, axis=-1), (-1,))
