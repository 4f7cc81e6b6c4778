"""Readouts around other readouts."""

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Literal

from spikeloss.extend import (
    Array,
    Carry,
    Decision,
    Piece,
    Steps,
    as_index,
    at,
    choice,
    every_step,
    integer,
    like,
    namespace,
    number,
    per_neuron,
    refuse,
    stage,
)

from ._base import Keeps, Readout


@dataclass(frozen=True)
class _Wrapper(Readout):
    """A readout that changes what another one, `of`, says.

    What is left to say is how, `change`.
    """

    of: Readout = field(metadata=stage(Readout, "readouts.SumOverTime()"))

    @property
    def keeps(self) -> Keeps:
        return self.of.keeps

    @property
    def smaller_decides(self) -> bool:
        return self.of.smaller_decides

    @property
    def in_steps(self) -> bool:
        return self.of.in_steps

    @property
    def timeless(self) -> bool:
        return self.of.timeless

    @property
    def couples(self) -> bool:
        return self.of.couples

    def entries(self, neurons: int) -> int:
        return self.of.entries(neurons)

    def axes(self, steps: int) -> tuple[int, ...]:
        return self.of.axes(steps)

    @abstractmethod
    def change(self, z: Decision) -> Decision:
        """The formula."""

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z, carry = self.of.read(piece, carry)
        return self.change(z), carry

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        return self.of.reduce(piece, carry)

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return self.change(self.of.decide(carry, steps))

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        return self.of.merge(earlier, later, steps, more)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return self.of.full(steps, neurons)

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return namespace(z).abs(z) + self.of.rounded(z, steps)


@dataclass(frozen=True)
class Population(_Wrapper):
    """z_c = sum or mean of `of` over the c-th of C contiguous equal groups of neurons.

    Population code: N output neurons vote for C classes, N/C for each.

    Args:
        of: the readout of a single neuron.
        classes: C, a divisor of N.
        pool: "sum" or "mean" over the neurons of a group.

    Raises:
        ValueError: if C does not divide the number of neurons of the record.

    >>> import numpy
    >>> Population(SumOverTime(), classes=2)(numpy.array([[1, 0, 1, 1], [1, 0, 0, 1]]))
    array([2., 3.], dtype=float32)
    """

    classes: int = field(metadata=integer(low=1))
    pool: Literal["sum", "mean"] = field(default="sum", metadata=choice("sum", "mean"))

    @property
    def in_steps(self) -> bool:
        return self.pool == "mean" and self.of.in_steps

    def entries(self, neurons: int) -> int:
        neurons = self.of.entries(neurons)
        if neurons % self.classes:
            rule = f"a divisor of the record's {neurons} neurons"
            refuse("classes", rule, self.classes, f"Choose a divisor of {neurons}.")
        return self.classes

    def change(self, z: Decision) -> Decision:
        xp, size = namespace(z), z.shape[-1] // self.classes
        grouped = xp.reshape(z, (*z.shape[:-1], self.classes, size))
        return xp.sum(grouped, axis=-1) / (1 if self.pool == "sum" else size)

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        if single is None or self.pool == "mean":
            return single
        return single * (self.of.entries(neurons) // self.classes)


@dataclass(frozen=True)
class Temperature(_Wrapper):
    """z / `scale`: softens (scale > 1) or sharpens (scale < 1) the softmax that follows.

    Args:
        of: the readout.
        scale: above 0, in the units of the readout.

    >>> import numpy
    >>> Temperature(SumOverTime(), scale=2.0)(numpy.array([[1, 0], [1, 1]]))
    array([1. , 0.5], dtype=float32)
    """

    scale: float = field(metadata=number(above=0.0))

    @property
    def in_steps(self) -> bool:
        return False

    def change(self, z: Decision) -> Decision:
        return z / self.scale

    def rounded(self, z: Array, steps: Steps) -> Array | float:
        return self.of.rounded(z * self.scale, steps) / self.scale

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        return None if single is None else single / self.scale


@dataclass(frozen=True, kw_only=True)
class Sigmoid(_Wrapper):
    """z = 1 / (1 + e^(-k (u - h))), u what `of` reads: from 0 to 1, 1/2 at the threshold.

    What a membrane says of its spikes, smoothly: near 0 far below the threshold, near 1 far above.
    The derivative is k z (1 - z).

    Args:
        of: the readout.
        slope: k, above 0, in 1 / units of the readout.
        threshold: h, in units of the readout.

    >>> import numpy
    >>> Sigmoid(Maximum(), threshold=1.0)(numpy.array([[0.0, 1.0], [1.0, 0.5]]))
    array([0.5, 0.5])
    """

    of: Readout = field(kw_only=False, metadata=stage(Readout, "readouts.Maximum()"))
    slope: float = field(default=1.0, metadata=number(above=0.0))
    threshold: float = field(default=0.0, metadata=number())

    @property
    def in_steps(self) -> bool:
        return False

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z, carry = self.of.read(piece, carry)
        if self.keeps == "time":  # whatever stands where there is no step has no derivative
            z = every_step(piece, self).masked(z)
        return self.change(z), carry

    def change(self, z: Decision) -> Decision:
        return (1 + namespace(z).tanh(self.slope / 2 * (z - self.threshold))) / 2

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        return None


@dataclass(frozen=True)
class Weighted(_Wrapper):
    """w_c z_c: each neuron counts by its weight, such as its fan-out.

    Args:
        of: the readout.
        weights: w, at least 0: one number, or one per neuron.

    Raises:
        ValueError: if there are not as many weights as neurons.

    >>> import numpy
    >>> Weighted(SumOverTime(), weights=(10.0, 2.0))(numpy.array([[1, 0], [1, 1]]))
    array([20.,  2.], dtype=float32)
    """

    weights: float | tuple[float, ...] = field(metadata=per_neuron())

    @property
    def in_steps(self) -> bool:
        return False

    def entries(self, neurons: int) -> int:
        entries = self.of.entries(neurons)
        if isinstance(self.weights, tuple) and len(self.weights) != entries:
            rule, fix = f"{entries} numbers, one per neuron", "Pass one number per neuron."
            refuse("weights", rule, len(self.weights), fix)
        return entries

    def change(self, z: Decision) -> Decision:
        weights = self.weights
        return (like(weights, z) if isinstance(weights, tuple) else weights) * z

    def full(self, steps: Steps, neurons: int) -> Steps | float | None:
        single = self.of.full(steps, neurons)
        if single is None or isinstance(self.weights, tuple):
            return None
        return self.weights * single


@dataclass(frozen=True)
class _Coupled(_Wrapper):
    """A readout that says the same of every sample of a batch."""

    @property
    def couples(self) -> bool:
        return True

    def read(self, piece: Piece, carry: Carry) -> tuple[Decision, Carry]:
        z, carry = self.of.read(piece, carry)
        counts = every_step(piece, self).valid if self.keeps == "time" else piece.counts
        return self._of_batch(z, counts), carry

    def reduce(self, piece: Piece, carry: Carry) -> Carry:
        carry = self.of.reduce(piece, None if carry is None else carry[0])
        return carry, piece.counts

    def decide(self, carry: Carry, steps: Steps) -> Decision:
        return self._of_batch(self.of.decide(carry[0], steps), carry[1])

    def merge(self, earlier: Carry, later: Carry, steps: Steps, more: Steps) -> Carry:
        every = earlier[1] is None or later[1] is None
        counts = None if every else earlier[1] | later[1]
        return self.of.merge(earlier[0], later[0], steps, more), counts

    def change(self, z: Decision) -> Decision:
        return self._of_batch(z, None)

    def _of_batch(self, z: Decision, counts: Array | None) -> Decision:
        """What the samples that count say together, for every sample."""
        if 0 in z.shape:
            return z
        xp, first = namespace(z), 0 if self.keeps is None else 1
        batch = tuple(z.shape[first:-1])
        rows = (*z.shape[:first], math.prod(batch), z.shape[-1])
        every = xp.ones_like(z, dtype=xp.bool)
        counts = every if counts is None else xp.broadcast_to(counts, z.shape)
        row = self._row(xp.reshape(z, rows), xp.reshape(counts, rows))
        row = xp.reshape(row, (*z.shape[:first], *(1,) * len(batch), z.shape[-1]))
        return xp.broadcast_to(row, z.shape)

    @abstractmethod
    def _row(self, z: Array, counts: Array) -> Array:
        """One row (..., C) of the samples (..., B, C) that count."""


@dataclass(frozen=True)
class BatchMean(_Coupled):
    """z = sum_b of_b / B: what a batch reads on average, the same for every sample.

    For penalties that leave the single sample free: a neuron may rest where others fire. It couples
    the samples of a batch; of a batch in parts, on several devices or under `vmap`, it is the mean
    of each part.

    Args:
        of: the readout.

    >>> import numpy
    >>> BatchMean(SumOverTime())(numpy.array([[[1, 0], [1, 1]]]))
    array([[1. , 0.5],
           [1. , 0.5]], dtype=float32)
    """

    def _row(self, z: Array, counts: Array) -> Array:
        xp = namespace(z)
        count = xp.sum(xp.astype(counts, z.dtype), axis=-2)
        return xp.sum(xp.where(counts, z, 0), axis=-2) / xp.where(count > 0, count, 1)


@dataclass(frozen=True)
class BatchPercentile(_Coupled):
    """z = the q-th percentile of a batch of `of`, linear between samples; the same for every one.

    Whatever the batch does at its extremes, the percentile of a neuron should stay where a penalty
    wants it. The derivative goes to the two samples around it. Coupled as `BatchMean`.

    Args:
        of: the readout.
        percentile: q, from 0 to 100; 100 is the maximum.

    Source: KerasSpiking, `regularizers.Percentile`.

    >>> import numpy
    >>> BatchPercentile(SumOverTime(), percentile=50.0)(numpy.array([[[1], [3], [9]]]))
    array([[3.],
           [3.],
           [3.]], dtype=float32)
    """

    percentile: float = field(default=100.0, metadata=number(low=0.0, high=100.0))

    def _row(self, z: Array, counts: Array) -> Array:
        xp = namespace(z)
        lost = xp.any(counts & xp.isnan(z), axis=-2)
        z = xp.moveaxis(xp.sort(xp.where(counts, z, xp.inf), axis=-2), (-2,), (0,))
        count = xp.sum(xp.astype(counts, z.dtype), axis=-2)
        place = self.percentile / 100 * xp.where(count > 1, count - 1, 0)
        low = xp.floor(place)
        high = xp.where(low + 1 < count, low + 1, low)
        below, above = (xp.where(count > 0, at(z, as_index(k)), 0) for k in (low, high))
        return xp.where(lost, xp.nan, below + (place - low) * (above - below))
