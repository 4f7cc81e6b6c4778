"""Criteria of counts: enough spikes of the right class, and few of the others."""

from dataclasses import dataclass, field
from typing import ClassVar

from spikeloss.extend import (
    Array,
    constant,
    namespace,
    number,
    optional,
    sum_of_all,
    surprise,
)
from spikeloss.readouts import Reading

from ._base import Weighed, of_label

_SLACK = 1e-5
"""What the source adds to counts that it divides."""


@dataclass(frozen=True, kw_only=True)
class DesiredCount(Weighed):
    """sum_c e_c^2 / (2 n), e_y = min(0, z_y - d), e_c = max(0, z_c - u) for the other classes.

    The right class should fire at least d spikes, the others at most u: what is beyond costs
    nothing. The derivative is e_c / n; while the others fire much more, that of the right class is
    larger: max(1, w / (r v)) times it, v and w all spikes of right and of wrong classes in the
    batch, up to d and from u on. So it couples samples, in the derivative alone.

    Args:
        desired, undesired: d and u, spikes of a sample.
        balance: r, above 0; None: the derivative is that of the formula.

    Source: Y. Zhu et al., Exploring loss functions for time-based training strategy in spiking
    neural networks (2023), and their code, with d from 5 to 15, u from 1 to 2 and r = 10.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.SumOverTime(), DesiredCount(desired=4.0))
    >>> float(loss(numpy.ones((2, 1, 2)), numpy.array([0])))  # (2^2 + 1^2) / (2 * 2)
    1.25
    """

    desired: float = field(default=10.0, metadata=number(low=0.0))
    undesired: float = field(default=1.0, metadata=number(low=0.0))
    balance: float | None = field(default=10.0, metadata=optional(number(above=0.0)))
    of_labels: ClassVar[bool] = True

    @property
    def couples(self) -> bool:  # type: ignore[override]
        return self.balance is not None

    @property
    def needs_steps(self) -> bool:
        return True

    def each(self, reading: Reading, y: Array) -> Array:
        z, xp = reading.z, namespace(reading.z)
        right, _ = of_label(z, y)
        if self.balance is not None:
            held = constant(z)
            z = xp.where(right == 0, z, held + self._balanced(held, right) * (z - held))
        missing = xp.where(z >= self.desired, 0, z - self.desired)
        excess = xp.where(z <= self.undesired, 0, z - self.undesired)
        error = xp.where(right == 0, excess, right * missing)
        return xp.sum(error**2, axis=-1, keepdims=True) / 2 / reading.steps

    def _balanced(self, z: Array, right: Array) -> Array:
        """max(1, w / (r v))."""
        xp = namespace(z)
        most = xp.where(z > self.desired, self.desired, z)
        least = xp.where(z < self.undesired, self.undesired, z)
        rights = sum_of_all(xp.where(right == 0, 0, most)) + _SLACK
        wrongs = sum_of_all(xp.where(right == 0, least, 0)) + _SLACK
        by = wrongs / rights / (self.balance or 1)
        return xp.where(by > 1, by, 1)


@dataclass(frozen=True, kw_only=True)
class CountEntropy(Weighed):
    """-(n / 2) log softmax(v)_y, v_c = 2 z_c / n, or a low value where class c is silent.

    The cross-entropy of counts that are up to n, in the steps of n. The derivative is an estimate,
    (n / 2) (softmax(v)_c - 1 for the right class); 0 for a silent class, and for all where the
    right one is silent.

    Args:
        silent: v of a class without a spike.

    Source: Y. Zhu et al., Exploring loss functions for time-based training strategy in spiking
    neural networks (2023), "CE+" in their code.

    >>> import numpy, spikeloss
    >>> loss = spikeloss.Loss(spikeloss.readouts.SumOverTime(), CountEntropy())
    >>> round(float(loss(numpy.ones((4, 1, 2)), numpy.array([0]))), 6)  # 2 ln 2
    1.386294
    """

    silent: float = field(default=-20.0, metadata=number())
    of_labels: ClassVar[bool] = True

    @property
    def needs_steps(self) -> bool:
        return True

    def each(self, reading: Reading, y: Array) -> Array:
        z, n, xp = reading.z, reading.steps, namespace(reading.z)
        _, z_y = of_label(z, y)
        held, fires = constant(z), z != 0
        v = xp.where(fires, held * 2 / n, self.silent)
        v = v + xp.where(fires & (z_y != 0), z - held, 0)
        return surprise(v, y) * n / 2
