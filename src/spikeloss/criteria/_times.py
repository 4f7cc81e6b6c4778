"""Criteria of spike times."""

from dataclasses import dataclass, field
from typing import ClassVar

from spikeloss.extend import Array, absolute, namespace, number
from spikeloss.readouts import LATEST, Reading

from ._base import Weighed, of_label


@dataclass(frozen=True, kw_only=True)
class RelativeTime(Weighed):
    """sum_(c != y) (z_c - z_y - d)^2: the right class should decide d before every other.

    A class whose time is infinity never decides, and is left out; of the right class that costs
    infinity.

    Args:
        delay: d, above 0, in the units of the decision, steps for spike times.

    Source: the relative mean squared error of time to first spike of mlGeNN.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.Decided(), RelativeTime(delay=2.0))
    >>> float(loss(numpy.array([[1.0, 2.0]]), numpy.array([0])))
    1.0
    """

    delay: float = field(metadata=number(above=0.0))
    of_labels: ClassVar[bool] = True
    of_times: ClassVar[bool] = True

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        right, z_y = of_label(z, y)
        never = z == xp.inf
        out = (right == 1) | (never & (z_y < xp.inf))
        late = xp.where(out | never, 0, z) - xp.where(out, 0, z_y + self.delay)
        return xp.sum(late**2, axis=-1, keepdims=True)


@dataclass(frozen=True, kw_only=True)
class EarlySpike(Weighed):
    """e^(z_y / tau) - 1: the right class should fire early, whatever the others do.

    To be added to a cross-entropy of spike times, which only compares them; it stands still
    beyond e^80.

    Args:
        tau: above 0, in steps.

    Source: T. Wunderlich and C. Pehle, Event-based backpropagation can compute exact gradients for
    spiking neural networks (2021).

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[numpy.log(3.0), 0.0]]))
    >>> EarlySpike(tau=1.0).elements(reading, numpy.array([0])).value.round(9)
    array([[2.]])
    """

    of_labels: ClassVar[bool] = True
    of_times: ClassVar[bool] = True

    tau: float = field(metadata=number(above=0.0))

    def each(self, reading: Reading, y: Array) -> Array:
        _, z_y = of_label(reading.z, y)
        xp, late = namespace(z_y), z_y / self.tau
        return xp.expm1(xp.where(late > LATEST, LATEST, late))


@dataclass(frozen=True, kw_only=True)
class TimeProximity(Weighed):
    """-log(1 + e^(-|z_c - y_c| / tau)): spikes should come near a time; far ones hardly matter.

    -ln 2 where a spike comes on time, 0 far from it: a spike is pulled the more, the nearer it is,
    up to a slope of 1 / (2 tau). The derivative on time is 0.

    Args:
        tau: above 0, in steps: how far the pull reaches.

    Source: jaxsnn, `event.loss.target_time_loss`, which sums over the neurons.

    >>> import numpy
    >>> from spikeloss.readouts import Reading
    >>> reading = Reading(numpy.array([[3.0]]))
    >>> TimeProximity(tau=2.0).elements(reading, numpy.array([[3.0]])).value.round(6)  # -ln 2
    array([[-0.693147]])
    """

    per_class: ClassVar[bool] = True
    of_times: ClassVar[bool] = True

    tau: float = field(metadata=number(above=0.0))

    def each(self, reading: Reading, y: Array) -> Array:
        xp = namespace(reading.z)
        return -xp.log1p(xp.exp(-absolute(reading.z - y) / self.tau))
