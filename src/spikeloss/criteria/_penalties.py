"""Criteria of the decision alone."""

from abc import abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from spikeloss.extend import (
    Array,
    Labels,
    Totals,
    absolute,
    choice,
    namespace,
    number,
    numbers,
    optional,
    power,
    refuse,
)
from spikeloss.readouts import Reading

from ._base import Criterion


class Penalty(Criterion):
    """A criterion that needs no target, and leaves class weights to others.

    What is left to say is the formula, `each`.
    """

    targetless: ClassVar[bool] = True

    @abstractmethod
    def each(self, reading: Reading) -> Array:
        """The formula."""

    def elements(
        self,
        reading: Reading,
        y: Array,
        *,
        label: Labels | None = None,
        class_weight: Array | None = None,
    ) -> Totals:
        return Totals(self.each(reading))


@dataclass(frozen=True, kw_only=True)
class Bounds(Penalty):
    """mean_c max(0, l - z_c)^p + max(0, z_c - u)^p: a decision outside of l to u costs.

    For counts, rates and membranes that should stay within bounds, whatever the class; for those
    that should have one value see `Deviation`. The derivative at a bound is 0.

    Args:
        lower, upper: l and u, in the units of the decision; None: no such bound.
        power: p, 1 or 2.
        pool: "mean" or "sum" over the neurons.

    Raises:
        ValueError: without any bound, or with a lower one above the upper one.

    Source: F. Zenke and T. Vogels, The remarkable robustness of surrogate gradient learning for
    instilling complex function in spiking neural networks (2021).

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[0.0, 2.0, 5.0]]))
    >>> Bounds(lower=1.0, upper=3.0).elements(reading, None).value  # (1 + 0 + 4) / 3
    array([[1.66666667]])
    """

    lower: float | None = field(default=None, metadata=optional(number()))
    upper: float | None = field(default=None, metadata=optional(number()))
    power: Literal[1, 2] = field(default=2, metadata=choice(1, 2))
    pool: Literal["mean", "sum"] = field(default="mean", metadata=choice("mean", "sum"))

    def __post_init__(self) -> None:
        super().__post_init__()
        _bounds(self.lower, self.upper)

    def each(self, reading: Reading) -> Array:
        outside = _outside(reading.z, self.lower, self.upper)
        over = getattr(namespace(outside), self.pool)
        return over(power(outside, self.power), axis=-1, keepdims=True)


def _bounds(lower: float | None, upper: float | None) -> None:
    """At least one bound, the lower one not above the upper one."""
    if lower is None and upper is None:
        refuse("lower", "a bound, below or above", "none", "Give lower, upper or both.")
    if lower is not None and upper is not None and lower > upper:
        refuse("lower", f"at most upper={upper:g}", f"{lower:g}", "Swap them.")


@dataclass(frozen=True, kw_only=True)
class Deviation(Penalty):
    """mean_c |z_c - v / n^k|^p: a decision away from a value costs.

    For counts, rates and membranes that should have a value, whatever the class; with v = 0 they
    should be small. The derivative at the value is 0.

    Args:
        value: v, in the units of the decision.
        steps_power: k, 0 or 1: a mean over time that should sum up to v has k = 1.
        power: p, 1 or 2.
        pool: "mean" or "sum" over the neurons.

    Source: G. Bellec et al., A solution to the learning dilemma for recurrent networks of spiking
    neurons (2020), of rates.

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[0.0, 2.0, 5.0]]))
    >>> Deviation(2.0).elements(reading, None).value  # (4 + 0 + 9) / 3
    array([[4.33333333]])
    """

    value: float = field(kw_only=False, metadata=number())
    power: Literal[1, 2] = field(default=2, metadata=choice(1, 2))
    pool: Literal["mean", "sum"] = field(default="mean", metadata=choice("mean", "sum"))
    steps_power: Literal[0, 1] = field(default=0, metadata=choice(0, 1))

    @property
    def needs_steps(self) -> bool:
        return bool(self.steps_power)

    def each(self, reading: Reading) -> Array:
        value = self.value / reading.steps if self.steps_power else self.value
        away = _outside(reading.z, value, value)
        over = getattr(namespace(away), self.pool)
        return over(power(away, self.power), axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class Quantised(Penalty):
    """mean_c min_k |z_c - q_k|^p: a membrane should be near one of some levels, such as 0 and 1.

    So that a spike loses little of what the membrane says. The derivative is that of the nearest
    level, of the lower one where two are as near.

    Args:
        levels: q, one or more, in the units of the decision: rest and threshold.
        power: p, 1 or 2.

    Source: Y. Guo et al., RMP-Loss: regularizing membrane potential distribution for spiking neural
    networks (2023). Neither its text nor its code could be read; a line in the code of the authors'
    IM-Loss is this formula with the levels 0 and 1, the power 2 and the mean, as here by default.

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[0.25, 1.5]]))
    >>> Quantised(power=1).elements(reading, None).value  # (0.25 + 0.5) / 2
    array([[0.375]])
    """

    levels: tuple[float, ...] = field(default=(0.0, 1.0), metadata=numbers())
    power: Literal[1, 2] = field(default=2, metadata=choice(1, 2))

    def each(self, reading: Reading) -> Array:
        z, xp = reading.z, namespace(reading.z)
        first, *others = self.levels
        gap = absolute(z - first)
        for level in others:
            other = absolute(z - level)
            gap = xp.where((other < gap) | ((other == gap) & (level < z)), other, gap)
        return xp.mean(power(gap, self.power), axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class Distribution(Penalty):
    """mean_c d max(0, m^2 - s^2) + a max(0, s - 4)^2 + e max(0, 2 - |m| - s)^2, z = (m, s).

    How the membranes of a channel are spread around the threshold, as `readouts.Moments` says it:
    m and s are its mean less `centre` and its deviation, both over `width`. They should not all lie
    on one side, where spikes say nothing (degeneration); nor mostly far away, where surrogate
    gradients vanish (saturation); nor all within the width, where such a gradient is least like the
    step that it stands for (mismatch).

    Args:
        centre: where a spike begins, in the units of the membrane.
        width: half of where the surrogate gradient lives, above 0.
        degeneration, saturation, mismatch: d, a and e, at least 0.

    Source: R. Ding et al., Regularizing activation distribution for training binarized deep
    networks (2019). The three limits are those of the authors' code; its text could not be read.

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[0.5, 1.0]]))  # 0 + 0 + (2 - 0.5 - 1)^2
    >>> Distribution().elements(reading, None).value
    array([[0.25]])
    """

    centre: float = field(default=0.0, metadata=number())
    width: float = field(default=1.0, metadata=number(above=0.0))
    degeneration: float = field(default=1.0, metadata=number(low=0.0))
    saturation: float = field(default=1.0, metadata=number(low=0.0))
    mismatch: float = field(default=1.0, metadata=number(low=0.0))

    def each(self, reading: Reading) -> Array:
        xp, channels = namespace(reading.z), reading.z.shape[-1] // 2
        m = absolute((reading.z[..., :channels] - self.centre) / self.width)
        s = reading.z[..., channels:] / self.width
        total = self.degeneration * _above((m - s) * (m + s))
        total = total + self.saturation * _above(s - 4) ** 2
        total = total + self.mismatch * _above(2 - m - s) ** 2
        return xp.mean(total, axis=-1, keepdims=True)


def _above(x: Array) -> Array:
    """max(0, x), whose derivative at 0 is 0; nan stays nan."""
    return namespace(x).where(x <= 0, 0, x)


def _outside(z: Array, lower: Array | float | None, upper: Array | float | None) -> Array:
    """max(0, l - z) + max(0, z - u), whose derivative is 0 at l and u; nan stays nan."""
    xp = namespace(z)
    outside = xp.zeros_like(z)
    if lower is not None:
        outside = outside + xp.where(z >= lower, 0, lower - z)
    if upper is not None:
        outside = outside + xp.where(z <= upper, 0, z - upper)
    return outside
