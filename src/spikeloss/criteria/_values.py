"""Criteria of numbers: every class, neuron or spike time has a target of its own."""

import math
from dataclasses import dataclass, field
from typing import ClassVar

from spikeloss.extend import (
    AT_LEAST_0,
    SHARES,
    Array,
    Check,
    Labels,
    Totals,
    choice,
    fit_numbers,
    flag,
    namespace,
    number,
    optional,
    power,
    refuse,
    select,
    squared_difference,
)
from spikeloss.readouts import Outline, Reading

from ._base import Weighed


@dataclass(frozen=True, kw_only=True)
class SquaredError(Weighed):
    """w e_c^2 / n^k, e = z - y; 0 where |e| < tolerance.

    w is the class weight of the sample's label. For spike times with k = 2 it is the squared error
    of t/n; for counts with k = 1 it is the squared error per step.

    Args:
        tolerance: in the units of the decision, 0 or more; the comparison is strict, and inside
            there is neither loss nor derivative.
        delta: above 0; from |e| = delta on the error grows linearly, 2 delta |e| - delta^2 (twice
            the Huber loss of torch).
        steps_power: k, 0, 1 or 2.

    Source of the Huber form: P. Huber, Robust estimation of a location parameter (1964).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), SquaredError())
    >>> float(loss(numpy.array([[0.5, 0.0]]), numpy.array([[0.0, 0.0]])))  # (0.25 + 0) / 2
    0.125
    """

    tolerance: float = field(default=0.0, metadata=number(low=0.0))
    delta: float | None = field(default=None, metadata=optional(number(above=0.0)))
    steps_power: int = field(default=0, metadata=choice(0, 1, 2))
    per_class: ClassVar[bool] = True
    masks: ClassVar[bool] = True

    @property
    def needs_steps(self) -> bool:
        return bool(self.steps_power)

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        by = power(reading.steps, self.steps_power) if self.steps_power else 1
        if class_weight is None and isinstance(by, int) and reading.keeps != "time":
            return Totals(self._square(reading, y), None, by)  # one division, with that of a mean
        return super().elements(reading, y, label=label, class_weight=class_weight)

    def each(self, reading: Reading, y: Array) -> Array:
        value = self._square(reading, y)
        return value / power(reading.steps, self.steps_power) if self.steps_power else value

    def _square(self, reading: Reading, y: Array) -> Array:
        """The elements before they are divided by a power of n."""
        z, valid, xp = reading.z, reading.valid, namespace(reading.z)
        if self.delta is None and not self.tolerance:
            return squared_difference(z, y, valid)
        error = z - y if valid is None else select(valid, z - y, 0.0)
        value, size = error * error, xp.abs(error)
        if self.delta is not None:
            value = xp.where(size <= self.delta, value, self.delta * (2 * size - self.delta))
        return xp.where(size < self.tolerance, 0, value)


@dataclass(frozen=True, kw_only=True)
class LogCosh(Weighed):
    """d^2 log cosh(e_c / d), e = z - y: e^2 / 2 near 0, d |e| - d^2 ln 2 far from it.

    For values and signals with outliers: as Huber's function, but smooth everywhere. The derivative
    is d tanh(e / d).

    Args:
        delta: d, above 0, in the units of the decision: where the square becomes a line.

    Source: Q. Wang et al., A comprehensive survey of loss functions in machine learning (2022),
    with d = 1; where it was proposed first could not be found.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), LogCosh())
    >>> error = numpy.log([[2.0]])  # cosh(ln 2) = (2 + 1/2) / 2
    >>> round(float(numpy.exp(loss(error, numpy.array([[0.0]])))), 6)
    1.25
    """

    delta: float = field(default=1.0, metadata=number(above=0.0))
    per_class: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        a, xp = (reading.z - y) / self.delta, namespace(reading.z)
        small = xp.abs(a) < 1
        near, far = xp.where(small, a, 0), xp.where(small, 1, xp.abs(a))
        # log cosh a = -log(1 - tanh^2 a) / 2 keeps its digits near 0, the other form overflows not.
        square = -xp.log1p(-(xp.tanh(near) ** 2)) / 2
        line = far + xp.log1p(xp.exp(-2 * far)) - math.log(2)
        return self.delta**2 * xp.where(small, square, line)


@dataclass(frozen=True, kw_only=True)
class BinaryCrossEntropy(Weighed):
    """-(y log p + (1 - y) log(1 - p)), p = 1 / (1 + e^-a), a = k (z - h): yes or no for each class.

    For several labels at once, (*B, C) of 0 and 1 or between, and of class labels by
    `targets.OnOff`; with `EveryStep` and spikes as the target the Bernoulli likelihood of a train.
    The derivative is k (p - y).

    Args:
        slope: k, above 0, in 1 / units of the decision.
        threshold: h, in units of the decision.

    Source: S. Shrestha et al., Spikemax: spike-based loss methods for classification (2022).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), BinaryCrossEntropy())
    >>> round(float(loss(numpy.array([[0.0]]), numpy.array([[1.0]]))), 6)  # ln 2
    0.693147
    """

    slope: float = field(default=1.0, metadata=number(above=0.0))
    threshold: float = field(default=0.0, metadata=number())
    per_class: ClassVar[bool] = True

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_numbers(y, outline, SHARES)

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        a = self.slope * (z - self.threshold)
        # log(1 + e^a) = max(a, 0) + log(1 + e^-|a|), of which max(a, 0) - y a is 0 where y is sure,
        # in value and derivative, and leaves the small one its digits.
        sure = (xp.astype(a >= 0, a.dtype) - y) * a
        a = xp.exp(xp.where(a < 0, a, -a))
        return sure + xp.log1p(a)


@dataclass(frozen=True)
class PoissonNLL(Weighed):
    """e^z - y z: the log-likelihood of y spikes at the rate e^z, without log y!.

    For counts as targets, or for each step those of a spike train; z is a log rate such as a
    membrane. The derivative is e^z - y.

    Source: W. Truccolo et al., A point process framework for relating neural spiking activity to
    spiking history, neural ensemble, and extrinsic covariate effects (2005).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), PoissonNLL())
    >>> float(loss(numpy.array([[0.0]]), numpy.array([[3.0]])))
    1.0
    """

    per_class: ClassVar[bool] = True

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_numbers(y, outline, AT_LEAST_0)

    def each(self, reading: Reading, y: Array) -> Array:
        z = reading.z
        return namespace(z).exp(z) - y * z


@dataclass(frozen=True, kw_only=True)
class ZeroInflatedPoisson(Weighed):
    """-log(s [y = 0] + (1 - s) e^(-r) r^y), r = e^z: Poisson counts, or none with probability s.

    For counts with more zeros than their rate explains, such as those of neurons that are at times
    switched off; without log y!. With s = 0 it is `PoissonNLL`. The derivative is r - y where there
    are spikes, and r times the probability that a Poisson count was 0 where there are none.

    Args:
        share: s, from 0 to below 1.

    Source: D. Lambert, Zero-inflated Poisson regression (1992), which could not be read; the
    formula is that of SAS/ETS, PROC COUNTREG, with a probability that is given.

    >>> import numpy, spikeloss
    >>> criterion = ZeroInflatedPoisson(share=0.5)
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), criterion)
    >>> found = loss(numpy.array([[0.0]]), numpy.array([[0.0]]))
    >>> float(numpy.exp(-found).round(6))  # (1 + 1/e) / 2
    0.68394
    """

    share: float = field(default=0.5, metadata=number(low=0.0, high=1.0))
    per_class: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.share == 1:
            refuse("share", "a probability below 1", "1", "Choose share < 1.")

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_numbers(y, outline, AT_LEAST_0)

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        none = (y == 0) & (self.share > 0)
        high = xp.where(none, 0, z)  # no branch that is not read overflows, or hides nan
        spikes = xp.exp(high) - y * high - math.log1p(-self.share)
        if not self.share:
            return spikes
        # log(s + (1 - s) e^-r) = log s + log(1 + e^-k), k = log s + r - log(1 - s).
        log_s, low = math.log(self.share), xp.where(none & ~(z >= _FAST), z, _FAST)
        k = log_s + xp.exp(low) - math.log1p(-self.share)
        silence = -log_s - (xp.abs(k) / 2 - k / 2 + xp.log1p(xp.exp(-xp.abs(k))))
        return xp.where(none, silence, spikes)


_FAST = 7.0
"""The log rate at which a Poisson count is never 0."""


@dataclass(frozen=True, kw_only=True)
class Tempotron(Weighed):
    """max(0, h - z) where y = 1, max(0, z - h) where y = 0: reach the threshold h, or stay below.

    For the highest membrane, `Maximum`, against `targets.OnOff`; values between 0 and 1 mix both.

    Args:
        threshold: h, in the units of the membrane.

    Source: R. Gütig and H. Sompolinsky, The tempotron: a neuron that learns spike timing-based
    decisions (2006).

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), Tempotron())
    >>> float(loss(numpy.array([[0.5, 2.0]]), numpy.array([[1.0, 0.0]])))  # (0.5 + 1) / 2
    0.75
    """

    threshold: float = field(default=1.0, metadata=number())
    per_class: ClassVar[bool] = True

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_numbers(y, outline, SHARES)

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        above = z - self.threshold
        missing = xp.where((above >= 0) | (y == 0), 0, -above)  # 0 times infinity is none
        excess = xp.where((above <= 0) | (y == 1), 0, above)
        return y * missing + (1 - y) * excess


@dataclass(frozen=True, kw_only=True)
class Level(Weighed):
    """sum_c m_c (z_c - v)^2 / sum_c m_c, m = y or 1 - y: those that y marks should reach a level.

    Against `targets.OnOff()` the class of the label, with `others` all but that; 0 where none is
    marked. Two of them say what the label and what the others should do by readouts of their own.

    Args:
        level: v, in the units of the decision.
        others: whether m = 1 - y.

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[0.5, 2.0]]))
    >>> Level(level=1.0).elements(reading, numpy.array([[1.0, 0.0]])).value
    array([[0.25]])
    """

    level: float = field(default=1.0, metadata=number())
    others: bool = field(default=False, metadata=flag())

    def fit(self, y: Array, outline: Outline) -> Check:
        return fit_numbers(y, outline, SHARES)

    def each(self, reading: Reading, y: Array) -> Array:
        xp = namespace(reading.z)
        m = 1 - y if self.others else y
        marked = xp.sum(m, axis=-1, keepdims=True)
        gap = xp.where(m == 0, 0, reading.z - self.level)
        total = xp.sum(m * gap**2, axis=-1, keepdims=True)
        return total / xp.where(marked == 0, 1, marked)
