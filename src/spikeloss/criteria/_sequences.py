"""Criteria of whole records, whose steps they see all at once."""

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal

from spikeloss import _door
from spikeloss._backend import (
    absolute,
    as_index,
    constant,
    ctc,
    log_softmax,
    namespace,
    power,
    product,
    squared_distances,
)
from spikeloss._shapes import Array, Labels
from spikeloss.readouts import Reading

from ._base import Criterion, Elements


class Sequenced(Criterion):
    """A criterion of whole records, `readouts.WholeRecord`, without class weights.

    What is left to say is the formula, `each`.
    """

    whole: ClassVar[bool] = True

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Elements:
        if class_weight is not None:
            _door.unweighted(self)
        xp, batch = namespace(reading.z), reading.batch
        return Elements(xp.reshape(self.each(reading, y), (*batch, 1)))

    @abstractmethod
    def each(self, reading: Reading, y: Array) -> Array:
        """The formula: one number per sample, (B), all batch axes as one."""


@dataclass(frozen=True, kw_only=True)
class CTC(Sequenced):
    """-log sum_a prod_t softmax(x_t)_(a_t), over the alignments a of a label sequence: CTC.

    For records in which several labels follow each other at unknown times. An alignment has a label
    or a blank at each of the n valid steps, and spells the labels when repetitions are merged and
    then blanks are left out. Labels (*B, L), shorter sequences filled up with -1. A sequence with
    no alignment, as it is too long, costs infinity in PyTorch and NumPy, with nan as derivative,
    and about 1e5 in JAX. A mean is over the samples, whatever the length of their labels. Computed
    by `torch.nn.functional.ctc_loss`, `optax.ctc_loss`, or a loop over time: in NumPy, and in
    PyTorch under `torch.func`, forward derivatives and `torch.compile`. The first has no second
    derivative: take it by `torch.func`. Wrong labels that cannot be checked give nan.

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

    blank: int = 0

    def __post_init__(self) -> None:
        _door.option(self, "blank", _door.whole, low=0)

    def each(self, reading: Reading, y: Array) -> Array:
        xp, z = namespace(reading.z), reading.z
        _door.blank(self.blank, z.shape[-1])
        labels, count, known = _door.label_sequences(y, reading, self.blank)
        rows = xp.reshape(z, (len(z), math.prod(reading.batch), z.shape[-1]))
        steps = as_index(xp.zeros_like(count) + len(z))
        if not isinstance(reading.steps, int):
            steps = as_index(xp.reshape(reading.steps, (-1,)))
        return known * ctc(log_softmax(rows), labels, steps, count, self.blank)


@dataclass(frozen=True, kw_only=True)
class Similarity(Sequenced):
    """sum_j |k(x_i, x_j) - s_ij|^p / B, s_ij = 1 for equal labels, else 0: alike within a class.

    Whole records are compared with each other, neuron by neuron and step by step; what each neuron
    stands for is free. k is the cosine x_i x_j / (|x_i| |x_j|), or 1 / (1 + e^(-a x_i x_j)), or
    exp(-|x_i - x_j|^2 / (2 a^2)). A sample is compared with itself too; a silent one has cosine 0
    with all. The loss couples the samples of a batch: of a batch in parts it is another one; more
    than 10000 samples are refused, as every pair takes memory.

    Args:
        kernel: "cosine", "sigmoid" or "gaussian".
        scale: a, above 0, for the last two.
        power: p, 1 or 2.

    Source: SpikingJelly, `functional.spike_similar_loss`, without its cross-entropy, which rounding
    drives out of range.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.WholeRecord(), Similarity())
    >>> float(loss(numpy.eye(2)[None], numpy.array([0, 0])))  # cosines 1, 0, 0, 1: two of 4 wrong
    0.5
    """

    kernel: Literal["cosine", "sigmoid", "gaussian"] = "cosine"
    scale: float = 1.0
    power: Literal[1, 2] = 2
    of_labels: ClassVar[bool] = True

    def __post_init__(self) -> None:
        _door.option(self, "kernel", _door.choice, ("cosine", "sigmoid", "gaussian"))
        _door.option(self, "scale", _door.number, above=0.0)
        _door.option(self, "power", _door.choice, (1, 2))

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        label = xp.reshape(_door.group_labels(y, reading), (-1,))
        _door.compared(len(label))
        rows = xp.reshape(z, (len(z), len(label), z.shape[-1]))
        rows = xp.reshape(xp.moveaxis(rows, (0,), (1,)), (len(label), len(z) * z.shape[-1]))
        alike = xp.astype(label[:, None] == label[None], z.dtype)
        gaps = power(absolute(self._kernel(rows) - alike), self.power)
        return xp.sum(gaps, axis=-1) / max(len(label), 1)

    def _kernel(self, x: Array) -> Array:
        xp = namespace(x)
        if self.kernel == "sigmoid":
            return (1 + xp.tanh(self.scale / 2 * product(x, x.T))) / 2
        if self.kernel == "gaussian":
            # The nearer to 0 the numbers are, the less their rounding does to the derivative.
            x = x - constant(xp.sum(x, axis=0) / max(len(x), 1))
            return xp.exp(squared_distances(x) / (-2 * self.scale * self.scale))
        top = constant(xp.max(xp.abs(x), axis=-1, keepdims=True))
        x = x / xp.where(top > 0, top, 1)
        square = xp.sum(x * x, axis=-1)
        norm = xp.where(square > 0, square, 1) ** 0.5
        return product(x, x.T) / (norm[:, None] * norm[None])
